/**
 * Signatures of Standard Webhooks 1.0.0 (standard-webhooks/spec/standard-webhooks.md).
 *
 *   secret    = 'whsec_' base64(24 to 64 random bytes)
 *             | 'whsk_' base64(Ed25519 seed of 32 bytes [ public key of 32 bytes ])
 *   signature = 'v1,' base64(HMAC-SHA256(key, id '.' timestamp '.' body))
 *             | 'v1a,' base64(Ed25519(key, id '.' timestamp '.' body))
 *   header    = signature *( ' ' signature )      one for each key, the current key's first
 *
 * The id must hold no full stop, or the end of the id could be taken for a timestamp.
 */
import { createHmac, createPrivateKey, createSecretKey, sign, type KeyObject } from 'node:crypto'
import type { Secret } from '../../core/connector/secret.ts'

export const keyBytesMin = 24
export const keyBytesMax = 64

/**
 * The signing key; null when the text is no such secret. A KeyObject, because Node takes six times as
 * long to begin an HMAC with the bare bytes.
 */
export function parseKey(secret: Secret): KeyObject | null {
  const [, kind, base64 = ''] = /^(whsec|whsk)_(.*)$/.exec(secret.reveal()) ?? []
  if (kind === undefined) return null
  const key = Buffer.from(base64, 'base64')
  // Buffer skips what is not base64; a key that lost characters would sign what nobody can verify.
  if (key.toString('base64').replace(/=+$/, '') !== base64.replace(/={0,2}$/, '')) return null
  if (kind === 'whsk') return parseEd25519(key)
  if (key.length < keyBytesMin || key.length > keyBytesMax) return null
  return createSecretKey(key)
}

/** PKCS #8 of an Ed25519 key up to its seed (RFC 8410 §7). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')

function parseEd25519(key: Buffer): KeyObject | null {
  if (key.length !== 32 && key.length !== 64) return null
  const der = Buffer.concat([pkcs8, key.subarray(0, 32)])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}

/** The `webhook-signature` header of one attempt. `timestampS` is the attempt's, in whole seconds since 1970. */
export function signature(
  keys: readonly KeyObject[],
  id: string,
  timestampS: number,
  body: Buffer,
): string {
  const head = `${id}.${timestampS}.`
  let header = ''
  for (const key of keys) {
    const one =
      key.type === 'private'
        ? `v1a,${sign(null, Buffer.concat([Buffer.from(head), body]), key).toString('base64')}`
        : `v1,${createHmac('sha256', key).update(head).update(body).digest('base64')}`
    header += header === '' ? one : ` ${one}`
  }
  return header
}
