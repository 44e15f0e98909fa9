/** Endpoints that ask for a client's certificate, and keys that sign with Ed25519. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '../../../core/connector/secret.ts'
import type { SluiceError } from '../../../core/errors/error.ts'
import { parseKey, signature } from '../../../sinks/webhook/sign.ts'
import { startReceiver } from '../../services/webhook-receiver.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { batchOf, forever, openSink, secret, sinkBatch } from './support.ts'

test('mTLS: the endpoint takes events of a client with a certificate of its authority, and of no other', async () => {
  const authority = makeAuthority('endpoints')
  const server = makeCertificate(['localhost', '127.0.0.1'], authority)
  const clients = makeAuthority('clients')
  const client = makeCertificate(['sluice'], clients)
  const stranger = makeCertificate(['sluice'], makeAuthority('others'))
  const tls = { cert: server.cert, key: server.key, clientAuthority: clients.cert }
  await using receiver = await startReceiver({ secret, tls })
  const batch = sinkBatch(batchOf([['+', 'insert', 1, 'a']]))
  const ca = authority.cert
  {
    const { cert, key } = client
    await using sink = await openSink(receiver.url, { tls: { ca, cert, key } })
    assert.deepEqual(await sink.write(batch, forever), { rejected: [] })
  }
  assert.equal(receiver.taken.length, 1)
  const strangers = [{ ca }, { ca, cert: stranger.cert, key: stranger.key }]
  for (const tlsOf of strangers) {
    await using sink = await openSink(receiver.url, { tls: tlsOf, retry: { attempts: 2 } })
    const outcome = await sink.write(batch, forever).then(
      ({ rejected }) => rejected.map(({ code }) => code),
      (error: SluiceError) => [error.code],
    )
    assert.equal(outcome.length, 1)
  }
  assert.equal(receiver.requests.length, 1)
})

test('a whsk_ key signs as v1a, which its public key verifies; beside a whsec_ key during a change', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  for (const bytes of [seed, Buffer.concat([seed, raw])]) {
    const key = parseKey(new Secret(`whsk_${bytes.toString('base64')}`))
    const old = parseKey(new Secret(secret))
    assert.ok(key !== null && old !== null)
    const body = Buffer.from('{"a":1}')
    const [first, second] = signature([key, old], 'msg_1', 1_767_225_600, body).split(' ')
    assert.match(first!, /^v1a,/)
    assert.match(second!, /^v1,/)
    const signed = Buffer.concat([Buffer.from('msg_1.1767225600.'), body])
    const mark = Buffer.from(first!.slice('v1a,'.length), 'base64')
    assert.ok(
      verify(
        null,
        signed,
        createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })),
        mark,
      ),
    )
  }
  assert.equal(parseKey(new Secret(`whsk_${Buffer.alloc(31).toString('base64')}`)), null)
})
