/** Addresses: nothing inside is reached, whatever it is called, and however the name changes its mind. */
import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type LookupFunction } from 'node:net'
import { test } from 'node:test'
import { join } from 'node:path'
import { SluiceError } from '../../../core/errors/error.ts'
import { guardedConnector, guardedLookup, isPublicAddress } from '../../../sinks/webhook/address.ts'
import { webhookWith } from '../../../sinks/webhook/connector.ts'
import { startReceiver } from '../../services/webhook-receiver.ts'
import { tempDir } from '../../support/env.ts'
import { batchOf, configOf, forever, secret, sinkBatch, testContext } from './support.ts'

test('address table', () => {
  const inside = [
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1', // carrier-grade NAT
    '100.100.100.200', // Alibaba's metadata service
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16', // Azure's WireServer
    '169.254.169.254', // metadata service of most clouds
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192', // Oracle's metadata service
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1', // IPv4-compatible, deprecated
    '::ffff:127.0.0.1', // IPv4-mapped
    '::ffff:a9fe:a9fe',
    '::ffff:0:127.0.0.1', // IPv4-translated
    '64:ff9b::127.0.0.1', // NAT64
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::127.0.0.1', // local-use NAT64
    '100::1',
    '2001::1', // Teredo
    '2001:db8::1',
    '2002:7f00:1::', // 6to4 of 127.0.0.1
    '3fff::1', // documentation (RFC 9637)
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254', // AWS's metadata service
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '',
    'localhost',
    '1.2.3.4.5',
  ]
  for (const address of inside) assert.equal(isPublicAddress(address), false, address)
  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '192.169.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '2606:4700:4700::1111',
  ]) {
    assert.equal(isPublicAddress(address), true, address)
  }
})

/** A resolver that gives each answer of the list in turn, and the last one for ever. */
function resolver(...answers: readonly (readonly string[])[]): LookupFunction & { asked: number } {
  const lookup: LookupFunction & { asked: number } = Object.assign(
    (...[, , callback]: Parameters<LookupFunction>) => {
      const addresses = answers[Math.min(lookup.asked++, answers.length - 1)]!
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
    },
    { asked: 0 },
  )
  return lookup
}

test('a name is refused when one of its addresses is inside', async () => {
  const outcome = (addresses: readonly string[], all: boolean): Promise<string> =>
    new Promise((resolve) => {
      guardedLookup(resolver(addresses))('example.com', { all }, (error, found) => {
        resolve(error === null ? JSON.stringify(found) : (error as unknown as SluiceError).code)
      })
    })
  assert.equal(await outcome(['8.8.8.8', '10.0.0.1'], true), 'sink.webhook.address_refused')
  assert.equal(await outcome(['::ffff:10.0.0.1'], false), 'sink.webhook.address_refused')
  assert.equal(await outcome(['8.8.8.8'], true), '[{"address":"8.8.8.8","family":4}]')
  assert.equal(await outcome(['8.8.8.8', '1.1.1.1'], false), '"8.8.8.8"')
})

test('DNS rebinding: public when checked, loopback when connecting; nothing is sent', async () => {
  await using receiver = await startReceiver({ secret })
  const rebinding = resolver(['8.8.8.8'], ['127.0.0.1'])
  const connector = webhookWith(rebinding)
  const config = configOf(`http://rebind.example.com:${receiver.port}/`, { allow_private: false })
  const ctx = testContext()
  assert.deepEqual(await connector.check(config, ctx), [])
  await using sink = await connector.open(config, [], ctx)
  await assert.rejects(
    sink.write(sinkBatch(batchOf([['+', 'insert', 1, 'a']])), forever),
    (error: SluiceError) => {
      assert.equal(error.code, 'sink.webhook.address_refused')
      assert.equal(error.fault, 'config')
      return true
    },
  )
  assert.equal(rebinding.asked, 2)
  assert.equal(receiver.connections, 0)
})

test('with allow_private the same name is delivered to', async () => {
  await using receiver = await startReceiver({ secret })
  const connector = webhookWith(resolver(['127.0.0.1']))
  const config = configOf(`http://inside.example.com:${receiver.port}/`)
  await using sink = await connector.open(config, [], testContext())
  await sink.write(sinkBatch(batchOf([['+', 'insert', 1, 'a']])), forever)
  assert.equal(receiver.taken.length, 1)
})

test('literal addresses inside are refused by check and by open, in every spelling', async () => {
  const connector = webhookWith(undefined)
  for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:7f00:1]', '0']) {
    const config = configOf(`https://${host}/`, { allow_private: false })
    const problems = await connector.check(config, testContext())
    assert.deepEqual(
      problems.map(({ code, severity }) => [code, severity]),
      [['sink.webhook.address_refused', 'error']],
      host,
    )
    await assert.rejects(connector.open(config, [], testContext()), SluiceError)
  }
})

test('the connected address itself is judged, whatever the resolver said', async () => {
  using dir = tempDir('webhook')
  const path = join(dir.path, 'socket')
  let bytes = 0
  const server = createServer((socket) => socket.on('data', (chunk) => (bytes += chunk.length)))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  // A connection to a local socket stands for any way past the resolver: it has no public address.
  const connect = guardedConnector({ socketPath: path })
  const error = await new Promise<Error | null>((resolve) => {
    connect({ hostname: 'example.com', protocol: 'http:', port: '80' }, (...[failure]) =>
      resolve(failure),
    )
  })
  assert.equal((error as SluiceError | null)?.code, 'sink.webhook.address_refused')
  await new Promise((resolve) => server.close(resolve))
  assert.equal(bytes, 0)
})

test('a literal is refused before a connection is made', async () => {
  let connections = 0
  const server = createServer(() => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const error = await new Promise<Error | null>((resolve) => {
    guardedConnector({})(
      { hostname: '127.0.0.1', protocol: 'http:', port: String(port) },
      (...[failure]) => resolve(failure),
    )
  })
  assert.equal((error as SluiceError | null)?.code, 'sink.webhook.address_refused')
  await new Promise((resolve) => server.close(resolve))
  assert.equal(connections, 0)
})
