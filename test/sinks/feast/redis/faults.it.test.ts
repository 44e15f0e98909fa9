/**
 * A Redis that is away, full, a replica, locked or wiped: the fault is right, so that the loop does the
 * right thing (invariant 5), and what was not taken is there after the cure.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { SluiceError } from '../../../../core/errors/error.ts'
import { feast } from '../../../../sinks/feast/connector.ts'
import { startRedisCluster, type RedisServer } from '../../../services/redis.ts'
import { startTcpProxy } from '../../../services/tcp-proxy.ts'
import { quietContext } from '../../../support/context.ts'
import { freePort, waitFor } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { failsWith } from '../../../support/fails-with.ts'
import {
  evolve,
  fieldOf,
  hashOf,
  keyOf,
  openFeast,
  schemaOf,
  signal,
  sinkBatch,
  withRedis,
} from './support.ts'

const schema = schemaOf({ id: 'int64', n: 'int64' }, ['id'])
const topic = 'src.rows'
const views = { v: { features: ['n'] } }

function rows(count: number, n = 5, offset = 0) {
  const all = Array.from({ length: count }, (_, id) => ({
    values: { id: BigInt(id), n: BigInt(n) },
  }))
  return sinkBatch(topic, schema, all, { offset })
}

async function check(url: string, target = {}) {
  const config = feast.config.parse({
    project: 'shop',
    target: { type: 'redis', url, timeout: '10s', ...target },
    views,
  })
  return (await feast.check(config, quietContext())).map(({ code, severity }) => [code, severity])
}

/** Beside the entities: where the view's end is kept. */
const ends = 1

function onRedis(
  what: string,
  settings: Readonly<Record<string, string>>,
  body: (server: RedisServer, redis: Redis) => Promise<void>,
): void {
  test(what, (t) => withRedis(t, { settings }, body))
}

onRedis(
  'killed and started again: transient, and nothing that was taken is lost (invariant 5)',
  // By default Redis answers before it has written to its file while a flush of that is under way.
  { appendfsync: 'always' },
  async (server, redis) => {
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    await sink.write(rows(200), signal)
    await server.kill()
    await assert.rejects(
      sink.write(rows(200, 6, 200), signal),
      failsWith('redis.unreachable', 'transient'),
    )
    await server.start()
    await sink.write(rows(100, 6, 200), signal)
    assert.equal((await hashOf(redis, 99))[fieldOf('v', 'n')], '2006')
    assert.equal((await hashOf(redis, 100))[fieldOf('v', 'n')], '2005')
  },
)

onRedis(
  'full: transient with a pause; goes on with more memory',
  { appendonly: 'no' },
  async (server, redis) => {
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    await redis.config('SET', 'maxmemory', '1')
    await assert.rejects(sink.write(rows(100), signal), (error) => {
      failsWith('redis.memory', 'transient')(error)
      return error instanceof SluiceError && error.retryAfterMs !== null
    })
    await redis.config('SET', 'maxmemory', '0')
    await sink.write(rows(100), signal)
    assert.equal(await redis.dbsize(), 100 + ends)
  },
)

onRedis(
  'a replica: transient; goes on when it is a master',
  { appendonly: 'no' },
  async (server, redis) => {
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    await redis.call('REPLICAOF', server.host, String(await freePort()))
    await assert.rejects(sink.write(rows(10), signal), (error) => {
      return (
        error instanceof SluiceError &&
        error.fault === 'transient' &&
        /read_only|disk/.test(error.code)
      )
    })
    await redis.call('REPLICAOF', 'NO', 'ONE')
    await sink.write(rows(10), signal)
    assert.equal(await redis.dbsize(), 10 + ends)
  },
)

onRedis(
  'its scripts flushed: written all the same',
  { appendonly: 'no' },
  async (server, redis) => {
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    await redis.script('FLUSH')
    assert.deepEqual(await sink.write(rows(300), signal), { rejected: [] })
    assert.equal(await redis.dbsize(), 300 + ends)
  },
)

onRedis(
  'a key that holds something else: this row is refused, the others go on',
  { appendonly: 'no' },
  async (server, redis) => {
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    await redis.set(keyOf(7), 'mine')
    const { rejected } = await sink.write(rows(100), signal)
    assert.deepEqual(
      rejected.map(({ row, code }) => [row, code]),
      [[7, 'redis.wrong_type']],
    )
    assert.equal(await redis.dbsize(), 100 + ends)
  },
)

onRedis(
  'passwords, users and databases: config, and the check says so',
  { appendonly: 'no', requirepass: 'right', databases: '2' },
  async (server, redis) => {
    const url = (login: string, database = 0) =>
      `redis://${login}${server.host}:${server.port}/${database}`
    assert.deepEqual(await check(url('')), [['redis.auth', 'error']])
    assert.deepEqual(await check(url(':wrong@')), [['redis.auth', 'error']])
    assert.deepEqual(await check(url(':right@', 9)), [['redis.database', 'error']])
    assert.deepEqual(await check(url(':right@')), [['redis.no_persistence', 'warning']])
    assert.deepEqual(await check(url(':right@'), { cluster: true }), [['redis.cluster', 'error']])
    assert.deepEqual(await check(`redis://127.0.0.1:${await freePort()}`), [
      ['redis.unreachable', 'error'],
    ])
    assert.deepEqual(await check('http://127.0.0.1:1'), [['redis.url', 'error']])
    await redis.call('ACL', 'SETUSER', 'weak', 'on', '>pw', '~*', '+@all', '-evalsha')
    await using sink = await openFeast(url('weak:pw@'), views)
    await evolve(sink, topic, schema)
    await assert.rejects(sink.write(rows(5), signal), failsWith('redis.denied', 'config'))
    await using second = await openFeast(url(':right@', 1), views)
    await evolve(second, topic, schema)
    await second.write(rows(3), signal)
    assert.equal(await redis.dbsize(), 0)
  },
)

onRedis(
  'no answer: given up on abort at once, and after the time-out',
  { appendonly: 'no' },
  async (server, redis) => {
    await using proxy = await startTcpProxy(server.port)
    const target = { timeout: '1s' }
    await using sink = await openFeast(`redis://127.0.0.1:${proxy.port}`, views, { target })
    // A machine that stands still may be too late for so short a time.
    const done = (work: () => Promise<unknown>): Promise<boolean> =>
      waitFor('an answer', () => work().then(() => true))
    await done(() => evolve(sink, topic, schema))
    proxy.stall()
    const abort = new AbortController()
    const reason = new Error('stopping')
    const aborted = sink.write(rows(10), abort.signal)
    setTimeout(() => abort.abort(reason), 20)
    await assert.rejects(aborted, reason)
    await assert.rejects(sink.write(rows(10), signal), failsWith('redis.unreachable', 'transient'))
    proxy.resume()
    await done(() => sink.write(rows(10), signal))
    assert.equal(await redis.dbsize(), 10 + ends)
  },
)

test('a cluster: each entity where it belongs, in every slot (invariant 5)', async (t) => {
  await using cluster = await startOrSkip(t, 'a Redis cluster', () => startRedisCluster())
  if (cluster === null) return
  await using sink = await openFeast(cluster.url, views, { target: { cluster: true } })
  await evolve(sink, topic, schema)
  assert.deepEqual(await sink.write(rows(2000), signal), { rejected: [] })
  const sizes = await Promise.all(
    cluster.servers.map(async (one) => Number(await one.cli('dbsize'))),
  )
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    2000 + ends,
  )
  assert.ok(
    sizes.every((size) => size > 400),
    sizes.join(' '),
  )
  for (const server of cluster.servers) await server.cli('script', 'flush')
  await sink.write(rows(2000, 6, 2000), signal)
  await sink.truncate(topic, { id: 't', offset: 4000 }, signal)
  const left = await Promise.all(
    cluster.servers.map(async (one) => Number(await one.cli('dbsize'))),
  )
  assert.equal(
    left.reduce((sum, size) => sum + size, 0),
    1 + ends,
    'the floor beside the end',
  )
  const plain = `redis://${cluster.servers[0]!.host}:${cluster.servers[0]!.port}`
  assert.ok((await check(plain)).some(([code]) => code === 'redis.cluster'))
})
