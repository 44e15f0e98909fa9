/**
 * `features verify` against real stores: what was changed by hand is found, exactly that and nothing else
 * (invariant 9: exact values; 5: nothing vanishes), beside deletions, times to live and live traffic.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import { startPostgres } from '../../../services/postgres.ts'
import { tempDir } from '../../../support/env.ts'
import { startOrSkip } from '../../../support/service.ts'
import { failsWith } from '../../../support/fails-with.ts'
import { withRedis } from '../redis/support.ts'
import { goneRow, openUsers, send, userRow, verify, type Stores } from './support.ts'

const users = 500
const minuteAgoMs = Date.now() - 60_000
const good = [users, 0, 0, 0]

/** Entity key of `user_id`, INT64. */
function keyOf(id: number): Buffer {
  const head = Buffer.from(
    '01000000020000000700000075736572 5f6964 0400000008000000'.replaceAll(' ', ''),
    'hex',
  )
  const value = Buffer.alloc(8)
  value.writeBigInt64LE(BigInt(id))
  return Buffer.concat([head, value])
}

async function fill(stores: Stores): Promise<void> {
  await using sink = await openUsers(stores)
  const rows = Array.from({ length: users }, (_, id) => userRow(id, minuteAgoMs + id))
  await send(sink, rows, 0)
  // Of some a newer row, of some an older one that comes late, and some that went.
  await send(
    sink,
    rows.slice(0, 50).map((_, id) => userRow(id, minuteAgoMs + 5000, id * 2)),
    users,
  )
  await send(
    sink,
    rows.slice(0, 50).map((_, id) => userRow(id, minuteAgoMs - 5000, -1)),
    users + 50,
  )
  const gone = Array.from({ length: 20 }, (_, i) => goneRow(users + i, minuteAgoMs))
  const born = gone.map((_, i) => userRow(users + i, minuteAgoMs))
  await send(sink, [...born, ...gone], users + 100)
}

test('Redis: corruption by hand is found, and nothing else', async (t) => {
  await withRedis(t, {}, async (server, redis) => {
    using folder = tempDir('verify')
    const stores: Stores = { target: { type: 'redis', url: server.url }, folder: folder.path }
    await fill(stores)
    const before = await verify(stores)
    assert.deepEqual(before.counts, { score: good, name: good, event_timestamp: good })

    const redisKey = (id: number): Buffer => Buffer.concat([keyOf(id), Buffer.from('shop')])
    const score = Buffer.from(featureField('users', 'score'))
    const wrong = Buffer.from([0x20, 0x7f])
    for (let id = 100; id < 107; id++) await redis.hset(redisKey(id), score, wrong)
    for (let id = 200; id < 211; id++) await redis.del(redisKey(id))
    for (let id = 9000; id < 9003; id++) {
      await redis.hset(redisKey(id), '_ts:users', Buffer.from('08808080c906', 'hex'), score, wrong)
    }
    // Others' keys that look alike: another project, another view.
    await redis.hset(Buffer.concat([keyOf(9009), Buffer.from('bigshop')]), score, wrong)
    await redis.hset(redisKey(9010), Buffer.from(featureField('other', 'score')), wrong)
    // What is no hash holds no features: of nobody's entity, and of one that is missing.
    for (const id of [9011, 210]) await redis.set(redisKey(id), 'text')
    await redis.hdel(redisKey(300), Buffer.from(featureField('users', 'name')))
    const after = await verify(stores)
    assert.deepEqual(after.counts, {
      score: [users + 3, 7, 11, 3],
      name: [users + 3, 0, 12, 0],
      event_timestamp: [users + 3, 0, 11, 3],
    })
    const examples = after.agreements[0]!.examples
    assert.ok(examples.length > 0)
    assert.ok(
      examples.every((text) => /^(mismatch|missing|extra): user_id=\d+$/.test(text)),
      String(examples),
    )
    const sampled = await verify(stores, { sample: 50 })
    const again = await verify(stores, { sample: 50 })
    assert.deepEqual(sampled, again, 'one seed, one sample')
    assert.ok(sampled.counts['score']![0]! >= 40 && sampled.counts['score']![0]! <= 53)
  })
})

test('Postgres: corruption by hand is found, and nothing else', async (t) => {
  await using server = await startOrSkip(t, 'PostgreSQL', () => startPostgres())
  if (server === null) return
  using folder = tempDir('verify')
  const stores: Stores = { target: { type: 'postgres', url: server.url }, folder: folder.path }
  await fill(stores)
  assert.deepEqual((await verify(stores)).counts, {
    score: good,
    name: good,
    event_timestamp: good,
  })
  const of = (from: number, to: number): unknown[] => [
    Array.from({ length: to - from }, (_, i) => keyOf(from + i)),
  ]
  await server.query(
    `UPDATE shop_users SET value = '\\x207f' WHERE entity_key = ANY($1::bytea[]) AND feature_name = 'score'`,
    of(100, 107),
  )
  await server.query(`DELETE FROM shop_users WHERE entity_key = ANY($1::bytea[])`, of(200, 211))
  await server.query(
    `INSERT INTO shop_users (entity_key, feature_name, value, event_ts, created_ts)
     SELECT k, 'score', '\\x2001', now() - interval '1 hour', now() FROM unnest($1::bytea[]) AS k`,
    of(9000, 9003),
  )
  await server.query(
    `DELETE FROM shop_users WHERE entity_key = ANY($1::bytea[]) AND feature_name = 'name'`,
    of(300, 301),
  )
  assert.deepEqual((await verify(stores)).counts, {
    score: [users + 3, 7, 11, 3],
    name: [users + 3, 0, 12, 0],
    event_timestamp: [users + 3, 0, 11, 3],
  })
})

test('expired features and nulls by deletion are no differences', async (t) => {
  await withRedis(t, {}, async (server, redis) => {
    using folder = tempDir('verify')
    const stores: Stores = {
      target: { type: 'redis', url: server.url },
      folder: folder.path,
      view: { ttl: '2m', on_delete: 'null' },
    }
    await using sink = await openUsers(stores)
    const nowMs = Date.now()
    await send(
      sink,
      [userRow(1, nowMs - 30_000), userRow(2, nowMs - 300_000), userRow(3, nowMs)],
      0,
    )
    await send(sink, [goneRow(1, nowMs), goneRow(7, nowMs)], 3)
    const { counts } = await verify(stores)
    assert.deepEqual(counts['score'], [3, 0, 0, 0], 'two nulls, one value; the expired one is gone')
    await redis.del(Buffer.concat([keyOf(3), Buffer.from('shop')]))
    const later = await verify(stores, { asOfMs: nowMs - 1000 })
    assert.deepEqual(later.counts['score'], [0, 0, 0, 0], 'all are newer than asked for')
    assert.deepEqual((await verify(stores)).counts['score'], [3, 0, 1, 0])
  })
})

/** Examples of what differs, with their features. */
async function differencesOf(stores: Stores, asOfMs: number): Promise<readonly string[]> {
  const { agreements } = await verify(stores, { asOfMs })
  return agreements.flatMap(({ feature, mismatched, missing, extra, examples }) => {
    assert.equal(mismatched + missing + extra > 0, examples.length > 0)
    return examples.map((example) => `${feature}: ${example}`)
  })
}

test('beside live traffic there are no false alarms', async (t) => {
  await withRedis(t, {}, async (server) => {
    using folder = tempDir('verify')
    const stores: Stores = { target: { type: 'redis', url: server.url }, folder: folder.path }
    await fill(stores)
    await using sink = await openUsers(stores)
    const stop = new AbortController()
    let offset = 10_000
    const traffic = (async () => {
      while (!stop.signal.aborted) {
        const rows = Array.from({ length: 40 }, (_, i) => {
          const id = (offset * 7 + i * 13) % (users + 200)
          return i % 9 === 8 ? goneRow(id, Date.now()) : userRow(id, Date.now(), offset + i)
        })
        await send(sink, rows, offset)
        offset += rows.length
      }
    })()
    try {
      for (const asOfMs of [Date.now() - 2000, Date.now()]) {
        const differences = await differencesOf(stores, asOfMs)
        if (differences.length === 0) continue
        // A batch that takes longer than verify looks, on a machine that stands still, looks like a difference;
        // the same one, seen again later, is one.
        const again = new Set(await differencesOf(stores, asOfMs))
        assert.deepEqual(
          differences.filter((each) => again.has(each)),
          [],
        )
      }
    } finally {
      stop.abort()
      await traffic
    }
    const { agreements } = await verify(stores)
    assert.ok(agreements[0]!.keys > users - 100, String(agreements[0]!.keys))
    assert.deepEqual(
      agreements.map(
        ({ mismatched, missing, extra, unsettled }) => mismatched + missing + extra + unsettled,
      ),
      [0, 0, 0],
    )
  })
})

test('a store that is away, a push target, no offline log: said with the cure', async () => {
  using folder = tempDir('verify')
  const away = { type: 'redis', url: 'redis://127.0.0.1:1' }
  await assert.rejects(
    verify({ target: away, folder: folder.path }),
    failsWith('redis.unreachable', 'transient'),
  )
  const gone = { type: 'postgres', url: 'postgres://u:p@127.0.0.1:1/db' }
  await assert.rejects(
    verify({ target: gone, folder: folder.path }),
    failsWith('sink.feast.postgres_connection', 'transient'),
  )
  const push = { type: 'push', url: 'http://127.0.0.1:1' }
  await assert.rejects(
    verify({ target: push, folder: folder.path }),
    failsWith('sink.feast.not_readable', 'config'),
  )
  await assert.rejects(
    verify({ target: away, folder: folder.path }, { views: ['usres'] }),
    failsWith('sink.feast.no_view', 'config'),
  )
  await assert.rejects(
    verify({ target: away, folder: folder.path }, { topics: [] }),
    failsWith('sink.feast.no_topic_yet', 'config'),
  )
})
