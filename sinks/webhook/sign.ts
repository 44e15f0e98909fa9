/**
 * Signatures of Standard Webhooks 1.0.0 (standard-webhooks/spec/standard-webhooks.md).
 *
 *   secret    = 'whsec_' base64(24 to 64 random bytes)
 *   signature = 'v1,' base64(HMAC-SHA256(key, id '.' timestamp '.' body))
 *   header    = signature *( ' ' signature )      one for each key, the current key's first
 *
 * The id must hold no full stop, or the end of the id could be taken for a timestamp.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Secret } from '../../core/connector/secret.ts'

export const keyBytesMin = 24
export const keyBytesMax = 64

/**
 * The signing key; null when the text is no such secret. A KeyObject, because Node takes six times as
 * long to begin an HMAC with the bare bytes.
 */
export function parseKey(secret: Secret): KeyObject | null {
  const text = secret.reveal()
  if (!text.startsWith('whsec_')) return null
  const base64 = text.slice('whsec_'.length)
  const key = Buffer.from(base64, 'base64')
  // Buffer skips what is not base64; a key that lost characters would sign what nobody can verify.
  if (key.toString('base64').replace(/=+$/, '') !== base64.replace(/={0,2}$/, '')) return null
  if (key.length < keyBytesMin || key.length > keyBytesMax) return null
  return createSecretKey(key)
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
    const mac = createHmac('sha256', key).update(head).update(body).digest('base64')
    header += header === '' ? `v1,${mac}` : ` v1,${mac}`
  }
  return header
}
