/**
 * Deletions, time to live and truncates, with several views under one key (invariant 5): what goes, goes
 * from its own view alone, stays gone, and nothing is left behind.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { openRedis, redisKeys } from '../../../../core/connector/redis-config.ts'
import { markField } from '../../../../sinks/feast/redis/script.ts'
import { fieldExpiryOf } from '../../../../sinks/feast/redis/server.ts'
import type { Row } from '../../../conformance/rows.ts'
import type { RedisServer } from '../../../services/redis.ts'
import { waitFor } from '../../../support/env.ts'
import {
  evolve,
  fieldOf,
  hashOf,
  keyOf,
  openFeast,
  schemaOf,
  servers,
  signal,
  sinkBatch,
  withRedis,
} from './support.ts'

const schema = schemaOf({ id: 'int64', n: 'int64', m: 'int64' }, ['id'])
const topic = 'src.rows'
const nowUs = (): number => Date.now() * 1000

/** What is to be seen until `endMs`: a machine that was too slow to look before that has seen nothing. */
async function seenBefore<T>(endMs: number, look: () => Promise<T>, wanted: T): Promise<void> {
  const seen = await look()
  if (Date.now() < endMs) assert.equal(seen, wanted)
}

for (const { name, expiry, options: server } of servers) {
  const options = { ...server, settings: { ...server.settings, appendonly: 'no' } }
  const run = (what: string, body: (server: RedisServer, redis: Redis) => Promise<void>): void => {
    test(`${name}: ${what}`, (t: TestContext) => withRedis(t, options, body))
  }
  const row = (id: number, n: number, timeUs = nowUs()) => ({
    timeUs,
    values: { id: BigInt(id), n: BigInt(n), m: 7n },
  })
  const gone = (id: number) => ({ weight: -1, timeUs: nowUs(), values: { id: BigInt(id) } })

  run('what fields can do is asked of the server', async (server) => {
    await using link = openRedis(z.object(redisKeys).parse({ url: server.url }))
    await link.ready(signal)
    assert.equal(await fieldExpiryOf(link, signal), expiry)
  })

  run(
    'a deletion takes the features of its views, and leaves the others',
    async (server, redis) => {
      await using sink = await openFeast(server.url, {
        goes: { features: ['n'] },
        nulls: { features: ['n'], on_delete: 'null' },
        keeps: { features: ['n'], on_delete: 'keep' },
      })
      await evolve(sink, topic, schema)
      await sink.write(sinkBatch(topic, schema, [row(1, 5)]), signal)
      await sink.write(sinkBatch(topic, schema, [gone(1)], { offset: 1 }), signal)
      const left = await hashOf(redis, 1)
      assert.equal(left[fieldOf('goes', 'n')], undefined)
      assert.equal(left[Buffer.from('_ts:goes').toString('hex')], undefined)
      assert.equal(left[fieldOf('nulls', 'n')], '')
      assert.equal(left[fieldOf('keeps', 'n')], '2005')
    },
  )

  run('an older deletion that comes again does not weaken a newer one', async (server, redis) => {
    await using sink = await openFeast(server.url, { v: { features: ['n'] } })
    await evolve(sink, topic, schema)
    const history = [gone(1), row(1, 1), gone(1)]
    await sink.write(sinkBatch(topic, schema, history), signal)
    for (const offset of [0, 1]) {
      const again = sinkBatch(topic, schema, [history[offset]!], { offset, origin: 'replay' })
      await sink.write(again, signal)
    }
    assert.equal((await hashOf(redis, 1))[fieldOf('v', 'n')], undefined)
  })

  run(
    'a row from before a deletion stays away, also where its time is the newest',
    async (server, redis) => {
      const event = { event_timestamp: 'at', features: ['n'] }
      await using sink = await openFeast(server.url, {
        goes: { ...event, ttl: '1h' },
        nulls: { ...event, on_delete: 'null' },
      })
      const timed = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int64' }, ['id'])
      await evolve(sink, topic, timed)
      const write = (offset: number, row: Row) =>
        sink.write(sinkBatch(topic, timed, [row], { offset }), signal)
      const at = nowUs()
      const at9 = (id: number) => ({ values: { id: BigInt(id), at: at + 9, n: 9n } })
      const at5 = (id: number) => ({ values: { id: BigInt(id), at: at + 5, n: 5n } })
      // Behind a deletion that was there before it, that came with it, and that came behind it; deleted.
      for (const [offset, row] of [at9(1), gone(1), at5(1)].entries()) await write(offset, row)
      await sink.write(sinkBatch(topic, timed, [gone(2), at5(2)], { offset: 11 }), signal)
      await write(22, at5(3))
      await write(21, gone(3))
      await write(31, gone(4))
      for (const id of [1, 2, 3, 4]) await write((id - 1) * 10, at9(id))
      for (const view of ['goes', 'nulls']) {
        const seen = await Promise.all([1, 2, 3, 4].map((id) => hashOf(redis, id)))
        const values = seen.map((hash) => hash[fieldOf(view, 'n')])
        const deleted = view === 'nulls' ? '' : undefined
        assert.deepEqual(values, ['2005', '2005', '2005', deleted], view)
      }
    },
  )

  run('a tombstone is forgotten in its time, and its key with it', async (server, redis) => {
    const sink = { tombstones: '3s' }
    await using feats = await openFeast(server.url, { v: { features: ['n'] } }, { sink })
    await evolve(feats, topic, schema)
    await feats.write(sinkBatch(topic, schema, [row(1, 1)]), signal)
    const endMs = Date.now() + 3000
    await feats.write(sinkBatch(topic, schema, [gone(1)], { offset: 1 }), signal)
    await seenBefore(endMs, () => redis.exists(keyOf(1)), 1)
    await waitFor('the tombstone to go', async () => (await redis.exists(keyOf(1))) === 0)
  })

  run('features live as long as their view says, side by side', async (server, redis) => {
    await using sink = await openFeast(server.url, {
      short: { features: ['n'], ttl: '3s' },
      long: { features: ['n'], ttl: '1h' },
      ever: { features: ['m'] },
    })
    await evolve(sink, topic, schema)
    const old = row(2, 1, nowUs() - 7_200_000_000)
    const endMs = Date.now() + 3000
    await sink.write(sinkBatch(topic, schema, [row(1, 5), old]), signal)
    const seen = async (id: number, view: string, feature: string) => {
      return (await hashOf(redis, id))[fieldOf(view, feature)]
    }
    await seenBefore(endMs, () => seen(1, 'short', 'n'), '2005')
    await waitFor('the short one to go', async () => (await seen(1, 'short', 'n')) === undefined)
    assert.equal(await seen(1, 'long', 'n'), '2005')
    assert.equal(await seen(1, 'ever', 'm'), '2007')
    assert.equal(await redis.pttl(keyOf(1)), -1)
    // Its time was over before it came.
    assert.equal(await seen(2, 'long', 'n'), undefined)
    assert.equal(await seen(2, 'ever', 'm'), '2007')
  })

  run(
    'a row that outlives a deletion before it expires when it would have',
    async (server, redis) => {
      await using sink = await openFeast(server.url, {
        v: { event_timestamp: 'at', features: ['n'], ttl: '1h' },
      })
      const timed = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int64' }, ['id'])
      await evolve(sink, topic, timed)
      const newest = [{ values: { id: 1n, at: nowUs(), n: 5n } }]
      await sink.write(sinkBatch(topic, timed, newest, { offset: 7 }), signal)
      const mark = Buffer.from(markField('v'))
      const endOf = async (): Promise<unknown> =>
        expiry === 'none'
          ? redis.pexpiretime(keyOf(1))
          : redis.call('HPEXPIRETIME', keyOf(1), 'FIELDS', 1, mark)
      const before = await endOf()
      const late = sinkBatch(topic, timed, [gone(1)], { offset: 5, origin: 'replay' })
      await sink.write(late, signal)
      assert.equal(String(await redis.hgetBuffer(keyOf(1), mark)), '7 5')
      assert.deepEqual(await endOf(), before)
      assert.notDeepEqual(before, expiry === 'none' ? -1 : [-1])
    },
  )

  run(
    'a view whose time to live was taken away keeps what it writes since',
    async (server, redis) => {
      for (const [offset, ttl] of [{ ttl: '1h' }, {}, {}].entries()) {
        await using sink = await openFeast(server.url, { v: { features: ['n'], ...ttl } })
        await evolve(sink, topic, schema)
        await sink.write(sinkBatch(topic, schema, [row(1, offset)], { offset }), signal)
        const limited = offset === 0
        if (expiry === 'none') assert.equal((await redis.pttl(keyOf(1))) > 0, limited)
        else {
          const field = Buffer.from(fieldOf('v', 'n'), 'hex')
          const [left] = (await redis.call('HPTTL', keyOf(1), 'FIELDS', 1, field)) as number[]
          assert.equal(left! > 0, limited)
        }
      }
    },
  )

  run(
    'features of the end and of the beginning of time expire without an error',
    async (server, redis) => {
      const timed = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int64' }, ['id'])
      await using sink = await openFeast(server.url, {
        v: { event_timestamp: 'at', features: ['n'], ttl: '30d' },
      })
      await evolve(sink, topic, timed)
      const last = [{ values: { id: 1n, at: 253_402_300_799_000_000, n: 5n } }]
      assert.deepEqual(await sink.write(sinkBatch(topic, timed, last), signal), { rejected: [] })
      assert.equal((await hashOf(redis, 1))[fieldOf('v', 'n')], '2005')
      const first = [gone(2), { values: { id: 2n, at: -62_135_596_800_000_000, n: 5n } }]
      const behind = sinkBatch(topic, timed, first, { offset: 1 })
      assert.deepEqual(await sink.write(behind, signal), { rejected: [] })
      assert.deepEqual(await hashOf(redis, 2), {})
    },
  )

  run('a truncate makes room in a Redis that is full', async (server, redis) => {
    await using sink = await openFeast(server.url, { v: { features: ['n'] } })
    await evolve(sink, topic, schema)
    await sink.write(sinkBatch(topic, schema, [row(1, 5)]), signal)
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    await redis.config('SET', 'maxmemory', '1')
    await sink.truncate(topic, { id: 't', offset: 10 }, signal)
    assert.deepEqual(await hashOf(redis, 1), {})
  })

  run('a key whose views all have a time to live goes with the last', async (server, redis) => {
    await using sink = await openFeast(server.url, {
      short: { features: ['n'], ttl: '1s' },
      longer: { features: ['m'], ttl: '3s' },
    })
    await evolve(sink, topic, schema)
    const endMs = Date.now() + 3000
    await sink.write(sinkBatch(topic, schema, [row(1, 5)]), signal)
    const longer = async () => (await hashOf(redis, 1))[fieldOf('longer', 'm')]
    await seenBefore(endMs, longer, '2007')
    await waitFor('the key to go', async () => (await redis.exists(keyOf(1))) === 0)
  })

  run(
    'a truncate takes what was before it, once, and a replay does not bring it back',
    async (server, redis) => {
      const views = { v: { features: ['n'] } }
      await using sink = await openFeast(server.url, views)
      await evolve(sink, topic, schema)
      const before = Array.from({ length: 2500 }, (_, id) => row(id, 1))
      await sink.write(sinkBatch(topic, schema, before), signal)
      // None of ours, among keys that are.
      await redis.set(keyOf(-1), 'text')
      await sink.truncate(topic, { id: 't', offset: 2500 }, signal)
      assert.equal(
        await redis.dbsize(),
        3,
        'only the floor, the end and what is none of ours are left',
      )
      await sink.write(sinkBatch(topic, schema, [row(1, 9)], { offset: 2501 }), signal)
      await sink.truncate(topic, { id: 't', offset: 2500 }, signal)
      await using other = await openFeast(server.url, views)
      await evolve(other, topic, schema)
      await other.write(sinkBatch(topic, schema, before, { origin: 'replay' }), signal)
      assert.equal(await redis.dbsize(), 4)
      assert.equal((await hashOf(redis, 1))[fieldOf('v', 'n')], '2009')
    },
  )

  run('a project whose name ends as this one does keeps its rows', async (server, redis) => {
    const views = { v: { features: ['n'] } }
    const longer = { sink: { project: 'myshop' } }
    for (const more of [{}, longer]) {
      await using sink = await openFeast(server.url, views, more)
      await evolve(sink, topic, schema)
      await sink.write(sinkBatch(topic, schema, [row(1, 5)]), signal)
    }
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    await sink.truncate(topic, { id: 't', offset: 10 }, signal)
    assert.deepEqual(await hashOf(redis, 1), {})
    const theirs = Buffer.concat([keyOf(1).subarray(0, -'shop'.length), Buffer.from('myshop')])
    const found = await redis.hgetBuffer(theirs, Buffer.from(fieldOf('v', 'n'), 'hex'))
    assert.equal(found?.toString('hex'), '2005')
  })

  run('the values of a dropped column go, and the others stay', async (server, redis) => {
    await using sink = await openFeast(server.url, { v: {} })
    await evolve(sink, topic, schema)
    await sink.write(sinkBatch(topic, schema, [row(1, 5)]), signal)
    const to = schemaOf({ id: 'int64', n: 'int64' }, ['id'])
    const from = schema.fields[2]!
    await sink.evolve(topic, { from: schema, to, agreed: [{ kind: 'drop', from }] }, signal)
    const left = await hashOf(redis, 1)
    assert.deepEqual([left[fieldOf('v', 'n')], left[fieldOf('v', 'm')]], ['2005', undefined])
  })
}
