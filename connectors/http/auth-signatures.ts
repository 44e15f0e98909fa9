/**
 * Signatures over the raw bytes of a body.
 *
 *   scheme             header                  what is signed                  how it is written
 *   standard_webhooks  webhook-signature       id '.' timestamp '.' body       *( 'v1,' base64 | 'v1a,' base64 ), spaces
 *   github             x-hub-signature-256     body                            'sha256=' hex
 *   stripe             stripe-signature        t '.' body                      't=' seconds *( ',v1=' hex )
 *   shopify            x-shopify-hmac-sha256   body                            base64
 *   slack              x-slack-signature       'v0:' timestamp ':' body        'v0=' hex
 *   hmac               as configured           as configured                   as configured
 *
 * All but Ed25519 (v1a) are HMACs: the digest is made anew and compared in constant time. Each secret is
 * tried, and each signature of a header that may hold several: one of them has to fit.
 */
import {
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  timingSafeEqual,
  verify,
  type KeyObject,
} from 'node:crypto'
import type { Secret } from '../../core/connector/secret.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { SchemeConfig } from './auth-config.ts'
import type { Authenticator, RequestHead } from './auth.ts'

type SigningConfig = Extract<SchemeConfig, { readonly secret: unknown }>

/** What one request claims. */
interface Claim {
  /** Digests, any of which may be right; those of `ed25519` are signatures. */
  readonly hmacs: readonly Buffer[]
  readonly ed25519: readonly Buffer[]
  /** Signed before and after the body. */
  readonly before: string
  readonly after: string
  /** null: the scheme has none. */
  readonly timeMs: number | null
}

interface Scheme {
  readonly algorithm: string
  readonly keys: readonly KeyObject[]
  readonly toleranceMs: number
  /** Name of the header that holds the signature. */
  readonly header: string
  /** null: a header is missing or is not written as it should be. */
  readonly claim: (head: RequestHead) => Claim | null
}

/** A signature header that claims more than this is not looked through: senders rotate two keys. */
const signaturesMax = 16

export function signatureScheme(config: SigningConfig): Authenticator {
  const scheme = schemeOf(config)
  return {
    challenge: `Signature realm="sluice", header="${scheme.header}"`,
    head: (head) =>
      scheme.claim(head) === null
        ? `the header ${scheme.header}, or what belongs to it, is missing or malformed`
        : null,
    body: (head, body, nowMs) => {
      const claim = scheme.claim(head)
      if (claim === null) return `the header ${scheme.header} is missing or malformed`
      if (!fits(scheme, claim, body)) return 'the signature does not fit the body'
      const { timeMs } = claim
      // After the signature: a time that nobody signed is not worth a hint.
      if (timeMs !== null && Math.abs(nowMs - timeMs) > scheme.toleranceMs) {
        return timeMs < nowMs ? 'the signature is too old' : 'the signature is from the future'
      }
      return null
    },
    signed: (head, body) => {
      const claim = scheme.claim(head)
      if (claim === null) return null
      const hash = createHash('sha256').update(claim.before).update(body).update(claim.after)
      return hash.digest('base64')
    },
  }
}

function fits(scheme: Scheme, claim: Claim, body: Uint8Array): boolean {
  let found = false
  for (const key of scheme.keys) {
    if (key.type === 'public') {
      const signed = Buffer.concat([Buffer.from(claim.before), body, Buffer.from(claim.after)])
      for (const signature of claim.ed25519) {
        found = (signature.length === 64 && verify(null, signed, key, signature)) || found
      }
      continue
    }
    const hmac = createHmac(scheme.algorithm, key)
    if (claim.before !== '') hmac.update(claim.before)
    hmac.update(body)
    if (claim.after !== '') hmac.update(claim.after)
    const digest = hmac.digest()
    for (const said of claim.hmacs) {
      found = (said.length === digest.length && timingSafeEqual(said, digest)) || found
    }
  }
  return found
}

function schemeOf(config: SigningConfig): Scheme {
  const keys = config.secret.map((secret) => createSecretKey(Buffer.from(secret.reveal(), 'utf8')))
  const usual = {
    algorithm: 'sha256',
    keys,
    toleranceMs: 'tolerance' in config ? config.tolerance : 0,
  }
  const bodyAlone = { ed25519: [], before: '', after: '', timeMs: null }
  switch (config.scheme) {
    case 'standard_webhooks':
      return {
        ...usual,
        keys: config.secret.map(standardKey),
        header: 'webhook-signature',
        claim: standardClaim,
      }
    case 'github':
      return {
        ...usual,
        header: 'x-hub-signature-256',
        claim: ({ headers }) => {
          const hmacs = digests([one(headers['x-hub-signature-256'])], 'sha256=', 'hex')
          return hmacs === null ? null : { ...bodyAlone, hmacs }
        },
      }
    case 'stripe':
      return { ...usual, header: 'stripe-signature', claim: stripeClaim }
    case 'shopify':
      return {
        ...usual,
        header: 'x-shopify-hmac-sha256',
        claim: ({ headers }) => {
          const hmacs = digests([one(headers['x-shopify-hmac-sha256'])], '', 'base64')
          return hmacs === null ? null : { ...bodyAlone, hmacs }
        },
      }
    case 'slack':
      return { ...usual, header: 'x-slack-signature', claim: slackClaim }
    case 'hmac':
      return {
        ...usual,
        algorithm: config.algorithm,
        header: config.header,
        claim: anyClaim(config),
      }
  }
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
function standardClaim({ headers }: RequestHead): Claim | null {
  const id = one(headers['webhook-id'])
  const time = one(headers['webhook-timestamp'])
  const said = one(headers['webhook-signature'])?.split(' ') ?? []
  const timeMs = epochMs(time, false)
  if (id === null || time === null || timeMs === null || said.length > signaturesMax) return null
  const of = (version: string): Buffer[] =>
    said.flatMap((text) => {
      const bytes = text.startsWith(version) ? decode(text.slice(version.length), 'base64') : null
      return bytes === null ? [] : [bytes]
    })
  const hmacs = of('v1,')
  const ed25519 = of('v1a,')
  if (hmacs.length + ed25519.length === 0) return null
  return { hmacs, ed25519, before: `${id}.${time}.`, after: '', timeMs }
}

/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §4). */
const spki = Buffer.from('302a300506032b6570032100', 'hex')

function standardKey(secret: Secret): KeyObject {
  const [, kind, text = ''] = /^(?:(whsec|whpk)_)?(.*)$/s.exec(secret.reveal()) ?? []
  // Not in the form for URLs: a prefix of another kind would pass for a part of the key.
  const bytes = /[_-]/.test(text) ? null : decode(text, 'base64')
  if (kind === 'whpk' && bytes?.length === 32) {
    return createPublicKey({ key: Buffer.concat([spki, bytes]), format: 'der', type: 'spki' })
  }
  if (kind !== 'whpk' && bytes !== null && bytes.length > 0) return createSecretKey(bytes)
  throw new SluiceError('http.invalid_config', {
    message: 'a secret of standard_webhooks is neither whsec_… nor whpk_… with base64 after it',
  })
}

/** https://docs.stripe.com/webhooks#verify-manually */
function stripeClaim({ headers }: RequestHead): Claim | null {
  let time: string | null = null
  const said: (string | null)[] = []
  for (const part of (one(headers['stripe-signature']) ?? '').split(',')) {
    const [name = '', value = ''] = part.trim().split('=', 2)
    if (name === 't') time = value
    // v0 is a signature of test events with another secret; to take it would be a way around v1.
    else if (name === 'v1') said.push(value)
  }
  const timeMs = epochMs(time, false)
  const hmacs = digests(said, '', 'hex')
  if (time === null || timeMs === null || hmacs === null) return null
  return { hmacs, ed25519: [], before: `${time}.`, after: '', timeMs }
}

/** https://docs.slack.dev/authentication/verifying-requests-from-slack */
function slackClaim({ headers }: RequestHead): Claim | null {
  const time = one(headers['x-slack-request-timestamp'])
  const timeMs = epochMs(time, false)
  const hmacs = digests([one(headers['x-slack-signature'])], 'v0=', 'hex')
  if (time === null || timeMs === null || hmacs === null) return null
  return { hmacs, ed25519: [], before: `v0:${time}:`, after: '', timeMs }
}

function anyClaim(config: Extract<SigningConfig, { scheme: 'hmac' }>): Scheme['claim'] {
  const { header, prefix, encoding, timestamp_header: timeHeader } = config
  const template = config.signed ?? (timeHeader === undefined ? '{body}' : '{timestamp}.{body}')
  if ((timeHeader !== undefined) !== template.includes('{timestamp}')) {
    throw new SluiceError('http.invalid_config', {
      message: 'hmac: `timestamp_header` and {timestamp} in `signed` need each other',
    })
  }
  const at = template.indexOf('{body}')
  const [start, end] = [template.slice(0, at), template.slice(at + '{body}'.length)]
  return ({ headers }) => {
    const time = timeHeader === undefined ? null : one(headers[timeHeader])
    const timeMs = timeHeader === undefined ? null : epochMs(time, true)
    const hmacs = digests([one(headers[header])], prefix, encoding)
    if (hmacs === null || (timeHeader !== undefined && timeMs === null)) return null
    const filled = (text: string): string => text.replaceAll('{timestamp}', time ?? '')
    return { hmacs, ed25519: [], before: filled(start), after: filled(end), timeMs }
  }
}

function one(header: string | readonly string[] | undefined): string | null {
  return typeof header === 'string' ? header : null
}

/** The bytes of each text, all after the prefix; null when one is not so written, or there is none. */
function digests(
  texts: readonly (string | null)[],
  prefix: string,
  encoding: 'hex' | 'base64',
): readonly Buffer[] | null {
  if (texts.length === 0 || texts.length > signaturesMax) return null
  const found: Buffer[] = []
  for (const text of texts) {
    if (text === null || !text.startsWith(prefix)) return null
    const bytes = decode(text.slice(prefix.length).trim(), encoding)
    if (bytes === null) return null
    found.push(bytes)
  }
  return found
}

/** null where the text is not that: Buffer skips what it does not know. */
function decode(text: string, encoding: 'hex' | 'base64'): Buffer | null {
  if (encoding === 'hex') {
    return /^(?:[0-9a-fA-F]{2})+$/.test(text) ? Buffer.from(text, 'hex') : null
  }
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : null
}

/** Seconds since 1970, or, where that may be, milliseconds: 12 digits and more, which as seconds is after the year 5000. */
function epochMs(text: string | null, orMs: boolean): number | null {
  if (text === null || !/^\d{1,15}$/.test(text)) return null
  return orMs && text.length >= 12 ? Number(text) : Number(text) * 1000
}
