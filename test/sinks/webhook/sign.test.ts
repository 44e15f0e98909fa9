/** Signatures, judged by the reference implementation of Standard Webhooks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'
import { Secret } from '../../../core/connector/secret.ts'
import { parseKey, signature } from '../../../sinks/webhook/sign.ts'

const keyBytes = fc.uint8Array({ minLength: 24, maxLength: 64 })

function secretOf(bytes: Uint8Array): string {
  return `whsec_${Buffer.from(bytes).toString('base64')}`
}

test('the reference verifies every signature, and refuses another body, id, time or key', () => {
  fc.assert(
    fc.property(
      keyBytes,
      keyBytes,
      fc.stringMatching(/^[A-Za-z0-9_-]{1,80}$/),
      fc.string({ unit: 'binary' }),
      (bytes, others, id, text) => {
        fc.pre(Buffer.compare(bytes, others) !== 0)
        const nowS = Math.floor(Date.now() / 1000)
        const key = parseKey(new Secret(secretOf(bytes)))!
        const body = Buffer.from(`{"text":${JSON.stringify(text)}}`)
        const header = signature([key], id, nowS, body)
        const headers = {
          'webhook-id': id,
          'webhook-timestamp': String(nowS),
          'webhook-signature': header,
        }
        const judge = new Webhook(secretOf(bytes))
        assert.deepEqual(judge.verify(body, headers), { text })
        const refuses = (run: () => unknown): void => assert.throws(run, WebhookVerificationError)
        refuses(() => judge.verify(`${body.toString()} `, headers))
        refuses(() => judge.verify(body, { ...headers, 'webhook-id': `${id}x` }))
        refuses(() => judge.verify(body, { ...headers, 'webhook-timestamp': String(nowS - 1) }))
        refuses(() => new Webhook(secretOf(others)).verify(body, headers))
      },
    ),
  )
})

test('during a rotation both the new and the old key verify', () => {
  const nowS = Math.floor(Date.now() / 1000)
  const secrets = [1, 2].map((fill) => secretOf(new Uint8Array(32).fill(fill)))
  const keys = secrets.map((text) => parseKey(new Secret(text))!)
  const headers = {
    'webhook-id': 'id',
    'webhook-timestamp': String(nowS),
    'webhook-signature': signature(keys, 'id', nowS, Buffer.from('{}')),
  }
  assert.match(headers['webhook-signature'], /^v1,\S+ v1,\S+$/)
  for (const text of secrets) assert.deepEqual(new Webhook(text).verify('{}', headers), {})
})

test('secrets: 24 to 64 bytes of base64 behind whsec_, and nothing else', () => {
  const of = (text: string): number | null => parseKey(new Secret(text))?.symmetricKeySize ?? null
  assert.equal(of(secretOf(new Uint8Array(24))), 24)
  assert.equal(of(secretOf(new Uint8Array(64))), 64)
  assert.equal(of(secretOf(new Uint8Array(25)).replace(/=+$/, '')), 25)
  for (const text of [
    'whsec_',
    'secret',
    secretOf(new Uint8Array(23)),
    secretOf(new Uint8Array(65)),
    secretOf(new Uint8Array(32)).slice('whsec_'.length),
    `${secretOf(new Uint8Array(32))}\n`,
    `${secretOf(new Uint8Array(32)).slice(0, -8)} AAAA=`,
    `whsec_${'%'.repeat(44)}`,
    `whsk_${Buffer.alloc(32).toString('base64')}`,
  ]) {
    assert.equal(of(text), null, JSON.stringify(text))
  }
})
