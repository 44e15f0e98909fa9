/** A link to a real Redis: TLS with an authority of one's own, sentinels, and addresses that are none. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { RedisLink } from '../../../core/connector/redis.ts'
import { redisScript, runCalls } from '../../../core/connector/redis-calls.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { startRedis, type RedisServer } from '../../services/redis.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { makeAuthority, makeCertificate } from '../../support/certificates.ts'
import { freePort, missingService, tempDir, waitFor } from '../../support/env.ts'

const signal = new AbortController().signal

function link(url: string, more: { ca?: string; timeoutMs?: number } = {}): RedisLink {
  return new RedisLink({ url: new Secret(url), timeoutMs: 30_000, ...more })
}

function code(wanted: string) {
  return (error: unknown): boolean => error instanceof SluiceError && error.code === wanted
}

test('TLS is verified, against an authority of one’s own where `ca` names it', async (t) => {
  using folder = tempDir('redis-tls')
  const authority = makeAuthority('test authority')
  const { cert, key } = makeCertificate(['127.0.0.1', 'localhost'], authority)
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder.path, name), text)
    return join(folder.path, name)
  }
  const port = await freePort()
  let server: RedisServer
  try {
    server = await startRedis({
      settings: {
        appendonly: 'no',
        'tls-port': String(port),
        'tls-cert-file': file('cert.pem', cert),
        'tls-key-file': file('key.pem', key),
        'tls-ca-cert-file': file('ca.pem', authority.cert),
        'tls-auth-clients': 'no',
      },
    })
  } catch (error) {
    return missingService(t, 'redis', error)
  }
  await using _server = server
  await using trusted = link(`rediss://localhost:${port}`, { ca: authority.cert })
  await trusted.ready(signal)
  assert.equal(await trusted.client.ping(), 'PONG')
  await using unknown = link(`rediss://localhost:${port}`)
  await assert.rejects(unknown.ready(signal), code('redis.certificate'))
  await using plain = link(`rediss://localhost:${server.port}`, { timeoutMs: 1000 })
  // It takes the greeting for the beginning of a command, and waits for the rest.
  await assert.rejects(plain.ready(signal), code('redis.unreachable'))
})

test('it connects anew after each loss, and is quiet about what nobody waits for', async (t) => {
  let server: RedisServer
  try {
    server = await startRedis()
  } catch (error) {
    return missingService(t, 'redis', error)
  }
  await using _server = server
  await using redis = link(server.url, { timeoutMs: 3000 })
  const isReady = (): Promise<boolean> =>
    waitFor('the link', () => redis.ready(signal).then(() => true))
  for (let round = 0; round < 3; round++) {
    await isReady()
    await redis.client.set('k', round)
    if (round === 1) redis.drop()
    else {
      await server.kill()
      await assert.rejects(redis.settled(redis.client.get('k'), signal), code('redis.unreachable'))
      await assert.rejects(redis.ready(signal), code('redis.unreachable'))
      await server.start()
    }
  }
  await isReady()
  assert.equal(await redis.client.get('k'), '2')
})

test('a connection that the server has ended is not ready, whatever is still to be sent on it', async (t) => {
  let server: RedisServer
  try {
    server = await startRedis({ settings: { appendonly: 'no' } })
  } catch (error) {
    return missingService(t, 'redis', error)
  }
  await using _server = server
  await using proxy = await startTcpProxy(server.port)
  await using redis = link(`redis://127.0.0.1:${proxy.port}`)
  await redis.ready(signal)
  proxy.end()
  // More than the sockets between them hold: the client cannot close its side.
  const unsent = redis.client.set('k', Buffer.alloc(64 * 2 ** 20))
  const rejected = assert.rejects(unsent)
  const client = redis.client as Redis
  while (client.stream.writable) await setImmediate()
  assert.equal(client.status, 'ready', 'the client has seen it: nothing is attacked')
  await redis.ready(signal)
  assert.ok(client.stream.writable, 'ready on a connection that takes nothing')
  await rejected
  assert.equal(await redis.client.get('k'), null)
})

test('a master that has become a replica is let go, and its name leads to the new one', async (t) => {
  let servers: readonly RedisServer[]
  try {
    servers = await Promise.all([startRedis(), startRedis()])
  } catch (error) {
    return missingService(t, 'redis', error)
  }
  const [old, next] = servers as readonly [RedisServer, RedisServer]
  await using _old = old
  await using _next = next
  await using proxy = await startTcpProxy(old.port)
  await using redis = link(`redis://127.0.0.1:${proxy.port}`)
  const script = redisScript("return redis.call('SET',KEYS[1],ARGV[1])")
  const set = (value: string) => runCalls(redis, [{ script, keys: ['k'], args: [value] }], signal)
  await set('1')
  await redis.client.replicaof(next.host, next.port)
  proxy.target = next.port
  await assert.rejects(set('2'), code('redis.read_only'))
  await set('3')
  assert.equal(await redis.client.get('k'), '3')
  assert.match(await redis.client.info('replication'), /role:master/)
})

test('an address that is none is refused without being shown', () => {
  for (const url of [
    'http://x',
    'redis:///1',
    'redis://a,b',
    'redis://u:p%@h',
    'redis://h:0',
    'redis://h/x',
  ]) {
    assert.throws(
      () => link(url),
      (error) => code('redis.url')(error) && !String(error).includes(url),
      url,
    )
  }
  assert.equal(link('redis://user:p%40ss@[::1]:7000/2').where, '::1:7000')
})
