/**
 * OAuth's client credentials (RFC 6749 §4.4): what the request for a token says, and what its answer means.
 * Who sends it, and in which words a failure is told, is each connector's own.
 */
import type { Secret } from './secret.ts'

export interface ClientCredentials {
  readonly id: string
  readonly secret: Secret
  readonly scope?: string | undefined
  readonly audience?: string | undefined
  /** header: as Basic authentication, which every server has to take (§2.3.1); body: in the form. */
  readonly place: 'header' | 'body'
}

export interface TokenRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A token, and from when on a new one is to be fetched; or why there is none, for now or for good. */
export type TokenAnswer =
  | { readonly kind: 'token'; readonly token: string; readonly renewMs: number }
  | { readonly kind: 'later'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }

/** Where the endpoint does not say (§5.1 recommends that it does). */
const lifeDefaultMs = 300_000
/** A fifth of its life is left for clocks that differ and for requests under way. */
const renewAt = 0.8

export function tokenRequest(credentials: ClientCredentials): TokenRequest {
  const { id, secret, scope, audience, place } = credentials
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  if (scope !== undefined) form.set('scope', scope)
  if (audience !== undefined) form.set('audience', audience)
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  }
  if (place === 'body') {
    form.set('client_id', id)
    form.set('client_secret', secret.reveal())
    return { headers, body: form.toString() }
  }
  // Each is form-encoded before Basic joins them (§2.3.1).
  const words = [id, secret.reveal()].map(encodeURIComponent)
  const authorization = `Basic ${Buffer.from(words.join(':')).toString('base64')}`
  return { headers: { ...headers, authorization }, body: form.toString() }
}

/** `askedMs`: when the request was sent, from which on the token's life counts. */
export function tokenAnswer(status: number, text: string, askedMs: number): TokenAnswer {
  if (status >= 500 || status === 429 || status === 408) {
    return { kind: 'later', why: `answered ${status}` }
  }
  const said = parsed(text)
  if (status !== 200) {
    // §5.2: `error` is one word, such as invalid_client.
    const word = typeof said['error'] === 'string' ? `: ${said['error'].slice(0, 80)}` : ''
    return { kind: 'refused', why: `answered ${status}${word}` }
  }
  const token = said['access_token']
  // Visible ASCII (RFC 6750 §2.1); anything else would break out of the header or message that it goes into.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    return { kind: 'refused', why: 'answered without access_token' }
  }
  const seconds = Number(said['expires_in'])
  const lifeMs = seconds > 0 ? seconds * 1000 : lifeDefaultMs
  return { kind: 'token', token, renewMs: askedMs + lifeMs * renewAt }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
