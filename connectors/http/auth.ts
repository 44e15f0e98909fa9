/**
 * Authenticators: whether a request is from somebody who knows a secret. Two looks, so that nobody makes us
 * read a body for nothing: `head` before the body is read, `body` with its raw bytes, exactly as they came,
 * before anything is unpacked or parsed.
 *
 * Answers say what is missing or too old, never how near a signature came. Texts are compared by what they
 * hash to under a key of this process (`sameText`), so that the time it takes tells nothing of them.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Secret } from '../../core/connector/secret.ts'
import type { SchemeConfig } from './auth-config.ts'
import { signatureScheme } from './auth-signatures.ts'

/** What a request shows of itself before its body. */
export interface RequestHead {
  readonly headers: IncomingMessage['headers']
  readonly query: URLSearchParams
}

export interface Authenticator {
  /** null: go on; otherwise why not. */
  head(head: RequestHead): string | null
  /** The same once the body is there; what counts for schemes that sign. */
  body(head: RequestHead, body: Uint8Array, nowMs: number): string | null
  /** Hash of what was signed of a request that was let in, which a replay repeats; null = nothing was. */
  signed(head: RequestHead, body: Uint8Array): string | null
  /** Of a 401: how to authenticate (RFC 9110 §11.6.1). */
  readonly challenge: string
}

/** Throws SluiceError `http.invalid_config` for secrets that cannot be one of the scheme. */
export function authenticator(config: SchemeConfig): Authenticator {
  switch (config.scheme) {
    case 'basic':
      return credential('Basic realm="sluice", charset="UTF-8"', config.password, ({ headers }) => {
        const said = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(headers.authorization ?? '')?.[1]
        if (said === undefined) return null
        const text = Buffer.from(said, 'base64').toString('utf8')
        const name = `${config.username}:`
        // The name is no secret, yet whether it is right is nobody's business either: a wrong one never fits.
        return sameText(text.slice(0, name.length), name) ? text.slice(name.length) : '\u0000'
      })
    case 'bearer':
      return credential(
        'Bearer realm="sluice"',
        config.token,
        ({ headers }) => /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null,
      )
    case 'api_key':
      return credential('ApiKey realm="sluice"', config.key, ({ headers, query }) => {
        const header = config.header === undefined ? undefined : headers[config.header]
        if (typeof header === 'string') return header
        return config.query === undefined ? null : query.get(config.query)
      })
    default:
      return signatureScheme(config)
  }
}

/** Credentials are in the head; a body is read only of those who have them. */
function credential(
  challenge: string,
  secrets: readonly Secret[],
  said: (head: RequestHead) => string | null,
): Authenticator {
  const known = secrets.map((secret) => secret.reveal())
  return {
    challenge,
    head: (head) => {
      const text = said(head)
      if (text === null) return 'credentials are missing'
      // Each is compared, so that neither the order nor the number of secrets shows.
      let fits = false
      for (const secret of known) fits = sameText(text, secret) || fits
      return fits ? null : 'the credentials are wrong'
    },
    body: () => null,
    signed: () => null,
  }
}

const comparisonKey = randomBytes(32)

function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', comparisonKey).update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
