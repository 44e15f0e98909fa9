/**
 * Tokens by OAuth's client credentials (RFC 6749 §4.4): kept until a fifth of their life is left, or until
 * they are refused. Everyone who asks while one is fetched gets that one.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { PollAuthConfig } from './poll-auth-config.ts'
import type { PollAnswer, PollRequest } from './poll-http.ts'
import { retryAfterMs } from './poll-pace.ts'

export type TokenConfig = Extract<PollAuthConfig, { scheme: 'oauth2' }>

/** Where the endpoint does not say (RFC 6749 §5.1 recommends that it does). */
const lifeDefaultMs = 300_000
const renewAt = 0.8

interface Kept {
  readonly token: string
  readonly renewMs: number
}

export class PollToken {
  readonly #config: TokenConfig
  readonly #ask: (request: PollRequest, signal: AbortSignal) => Promise<PollAnswer>
  readonly #nowMs: () => number
  #kept: Kept | null = null

  constructor(
    config: TokenConfig,
    ask: (request: PollRequest, signal: AbortSignal) => Promise<PollAnswer>,
    nowMs: () => number,
  ) {
    this.#config = config
    this.#ask = ask
    this.#nowMs = nowMs
  }

  /** Throws `http.poll.token` where it is refused, `http.poll.token_unreachable` where nobody answers. */
  async token(signal: AbortSignal): Promise<string> {
    if (this.#kept === null || this.#nowMs() >= this.#kept.renewMs) {
      this.#kept = await this.#fetch(signal)
    }
    return this.#kept.token
  }

  /** The token was refused; false = it was fetched for this very request, and another would be too. */
  refused(token: string): boolean {
    if (this.#kept?.token === token) this.#kept = null
    return this.#kept === null
  }

  async #fetch(signal: AbortSignal): Promise<Kept> {
    const startMs = this.#nowMs()
    const answer = await this.#answer(signal)
    const origin = new URL(this.#config.token_url).origin
    const { status, headers, body } = answer
    if (status >= 500 || status === 429 || status === 408) {
      const after = retryAfterMs(headers['retry-after'] ?? null, startMs)
      throw new SluiceError('http.poll.token_unreachable', {
        message: `the token server ${origin} answered ${status}`,
        ...(after !== null && { retryAfterMs: after }),
      })
    }
    const said = parsed(body.toString())
    if (status !== 200) {
      // RFC 6749 §5.2: `error` is one word, such as invalid_client.
      const word = typeof said['error'] === 'string' ? `: ${said['error'].slice(0, 80)}` : ''
      throw refusal(origin, `answered ${status}${word}`)
    }
    const token = said['access_token']
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
      throw refusal(origin, 'answered without access_token')
    }
    const seconds = Number(said['expires_in'])
    const lifeMs = seconds > 0 ? seconds * 1000 : lifeDefaultMs
    return { token, renewMs: startMs + lifeMs * renewAt }
  }

  async #answer(signal: AbortSignal): Promise<PollAnswer> {
    const { token_url, client_id, client_secret, scope, audience, client_in } = this.#config
    const form = new URLSearchParams({ grant_type: 'client_credentials' })
    if (scope !== undefined) form.set('scope', scope)
    if (audience !== undefined) form.set('audience', audience)
    const headers: Record<string, string> = {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    }
    if (client_in === 'body') {
      form.set('client_id', client_id)
      form.set('client_secret', client_secret.reveal())
    } else {
      // Each is form-encoded before Basic joins them (RFC 6749 §2.3.1).
      const words = [client_id, client_secret.reveal()].map(encodeURIComponent)
      headers['authorization'] = `Basic ${Buffer.from(words.join(':')).toString('base64')}`
    }
    try {
      const url = new URL(token_url)
      return await this.#ask({ url, method: 'POST', headers, body: form.toString() }, signal)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || thrown.fault !== 'transient') throw thrown
      throw new SluiceError('http.poll.token_unreachable', {
        message: thrown.message,
        cause: thrown,
      })
    }
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function refusal(origin: string, what: string): SluiceError {
  return new SluiceError('http.poll.token', { message: `the token server ${origin} ${what}` })
}
