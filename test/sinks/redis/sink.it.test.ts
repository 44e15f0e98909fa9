/** The Redis sink's own promises against a real server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { renamedSink } from '../../../core/connector/place-by-name.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import { redis as connector } from '../../../sinks/redis/connector.ts'
import { batchOf, type Row, type Value } from '../../conformance/rows.ts'
import { startRedis, startRedisCluster, type RedisServer } from '../../services/redis.ts'
import { quietContext } from '../../support/context.ts'
import { step } from '../../support/schema-step.ts'
import { sharedService, startOrSkip } from '../../support/service.ts'
import { failsWith } from '../../support/fails-with.ts'
import { openSink, rowsOf } from './harness.ts'

const signal = new AbortController().signal
const suite = sharedService('Redis', () => startRedis())

function it(name: string, body: (server: RedisServer) => Promise<void>): void {
  suite.test(name, async (server) => {
    await server.cli('flushall')
    await body(server)
  })
}

const field = (name: string, type: Field['type'], nullable = true): Field => ({
  name,
  type,
  nullable,
})
const users = makeSchema(
  [field('id', { kind: 'int64' }, false), field('name', { kind: 'text' })],
  [0],
  'upsert',
)

interface Sent {
  readonly topic?: string
  readonly schema?: Schema
  readonly offset?: number
  readonly origin?: 'live' | 'retry' | 'replay'
  readonly upTo?: number
}

async function send(
  sink: Awaited<ReturnType<typeof openSink>>,
  rows: readonly Row[],
  { topic = 'shop.users', schema = users, offset = 0, origin = 'live', upTo }: Sent = {},
) {
  await sink.evolve(topic, step(null, schema), signal)
  const batch = batchOf(schema, rows)
  const sent = { id: `${topic}-${offset}`, topic, batch, offset, attempt: 1, origin }
  return sink.write(upTo === undefined ? sent : { ...sent, upTo }, signal)
}

const set = (id: number, name: string | null): Row => ({ values: { id, name } })
const gone = (id: number): Row => ({ weight: -1, op: 'delete', values: { id } })

it('every type is exact (invariant 9)', async (server) => {
  const values: readonly (readonly [string, Field['type'], Value, string])[] = [
    ['big', { kind: 'int64' }, 9_223_372_036_854_775_807n, '9223372036854775807'],
    ['huge', { kind: 'uint64' }, 18_446_744_073_709_551_615n, '18446744073709551615'],
    [
      'money',
      { kind: 'decimal', precision: 30, scale: 4 },
      '-12345678901234567890.1234',
      '-12345678901234567890.1234',
    ],
    ['ok', { kind: 'bool' }, true, 'true'],
    ['ratio', { kind: 'float64' }, 0.1, '0.1'],
    ['at', { kind: 'timestamptz' }, 1_767_225_600_123_456, '2026-01-01T00:00:00.123456Z'],
    ['day', { kind: 'date' }, 20_454, '2026-01-01'],
    [
      'who',
      { kind: 'uuid' },
      '00112233-4455-6677-8899-aabbccddeeff',
      '00112233-4455-6677-8899-aabbccddeeff',
    ],
    ['doc', { kind: 'json' }, '{"a": 1}', '{"a": 1}'],
    ['tags', { kind: 'list', element: { kind: 'text' } }, ['a', '"'], '["a","\\""]'],
    ['word', { kind: 'text' }, '"quoted" \u0000 é', '"quoted" \u0000 é'],
  ]
  const schema = makeSchema(
    [field('id', { kind: 'int64' }, false), ...values.map(([name, type]) => field(name, type))],
    [0],
    'upsert',
  )
  const row = {
    values: { id: 1, ...Object.fromEntries(values.map(([name, , value]) => [name, value])) },
  }
  await using sink = await openSink(server.url)
  await send(sink, [row], { schema })
  const found = (await rowsOf(server, 'shop.users:')).get('shop.users:1')
  assert.deepEqual(found, {
    id: '1',
    ...Object.fromEntries(values.map(([name, , , text]) => [name, text])),
  })
})

for (const format of ['hash', 'json'] as const) {
  it(`${format}: the newest wins by the order of the log, also against replays (invariant 6)`, async (server) => {
    await using sink = await openSink(server.url, { format })
    await send(sink, [set(1, 'a'), set(2, 'b'), set(1, 'c'), gone(3)], { offset: 10 })
    await send(sink, [set(2, null), gone(1)], { offset: 14 })
    // What lay before, once more and out of order.
    const replay = { origin: 'replay' } as const
    await send(sink, [set(1, 'old'), set(2, 'old')], { ...replay, offset: 8 })
    await send(sink, [set(3, 'old')], { ...replay, offset: 5 })
    await send(sink, [set(2, null), gone(1)], { ...replay, offset: 14 })
    const found = await rowsOf(server, 'shop.users:', format)
    const two = format === 'hash' ? { id: '2' } : { id: 2, name: null }
    assert.deepEqual([...found], [['shop.users:2', two]])
    await send(sink, [set(1, 'again')], { offset: 16 })
    assert.equal(
      (await rowsOf(server, 'shop.users:', format)).get('shop.users:1')?.['name'],
      'again',
    )
  })

  it(`${format}: a truncate takes the rows before it, and they do not come back`, async (server) => {
    await using sink = await openSink(server.url, { format })
    await send(sink, [set(1, 'a'), set(2, 'b')])
    await send(sink, [set(2, 'c')], { offset: 6 })
    await send(sink, [set(9, 'other')], { topic: 'shop.users_2' })
    await sink.truncate('shop.users', { id: 't', offset: 5 }, signal)
    await send(sink, [set(1, 'a')], { origin: 'replay' })
    assert.deepEqual(
      [...(await rowsOf(server, 'shop.', format)).keys()],
      ['shop.users:2', 'shop.users_2:9'],
    )
  })
}

const isAhead =
  (...told: readonly string[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof SluiceError, String(error))
    assert.deepEqual([error.code, error.fault], ['sink.redis.store_ahead', 'config'])
    for (const part of told) assert.ok(error.message.includes(part), error.message)
    assert.ok(error.remedy.includes(renamedSink), error.remedy)
    return true
  }

it('a log begun anew is told from the old one, until the Redis is empty (invariant 5)', async (server) => {
  {
    await using sink = await openSink(server.url)
    await send(sink, [set(1, 'a'), gone(2), set(3, 'c')])
    await send(sink, [set(1, 'old')], { offset: 0, origin: 'replay' })
  }
  await using sink = await openSink(server.url)
  await send(sink, [set(1, 'a')], { origin: 'retry' })
  await assert.rejects(send(sink, [set(1, 'x')]), isAhead('shop.users', 'offset 3', 'at 1'))
  await send(sink, [set(1, 'o')], { topic: 'shop.other' })
  await server.cli('flushall')
  await send(sink, [set(2, 'x')])
  assert.deepEqual([...(await rowsOf(server, 'shop.users:')).keys()], ['shop.users:2'])
})

it('what was planned before a crash goes again, in one piece or several (invariant 6)', async (server) => {
  for (const at of [{ offset: 0 }, { offset: 0 }, { offset: 1, upTo: 9 }, { offset: 1, upTo: 9 }]) {
    await using sink = await openSink(server.url)
    await send(sink, [set(at.offset, 'a')], at)
  }
  await using other = await openSink(server.url)
  await assert.rejects(send(other, [set(5, 'b')], { offset: 7 }), isAhead('offset 9', 'at 8'))
  await other.truncate('shop.users', { id: 't', offset: 12 }, signal)
  await using last = await openSink(server.url)
  await assert.rejects(send(last, [set(5, 'b')], { offset: 9 }), isAhead('offset 12', 'at 10'))
  await send(last, [set(5, 'b')], { offset: 13 })
  assert.deepEqual([...(await rowsOf(server, 'shop.users:')).keys()], ['shop.users:5'])
})

it('full of rows, the Redis still takes a batch of deletions and a truncate', async () => {
  await using full = await startRedis({
    settings: { maxmemory: '3mb', 'maxmemory-policy': 'noeviction' },
  })
  await using sink = await openSink(full.url)
  await send(sink, [set(1, 'a')])
  await full.cli('config', 'set', 'maxmemory', '1')
  assert.deepEqual(await send(sink, [gone(1)], { offset: 1 }), { rejected: [] })
  await sink.truncate('shop.users', { id: 't', offset: 2 }, signal)
})

it('a key that holds something else is one refused row, and its neighbours are written', async (server) => {
  await using sink = await openSink(server.url)
  await server.cli('set', 'shop.users:2', 'mine')
  const { rejected } = await send(sink, [set(1, 'a'), set(2, 'b'), set(3, 'c')])
  assert.deepEqual(
    rejected.map(({ row, code }) => [row, code]),
    [[1, 'redis.wrong_type']],
  )
  await server.cli('del', 'shop.users:2')
  assert.equal((await rowsOf(server, 'shop.users:')).size, 2)
})

it('rows live as long as ttl says, and deletions are remembered for a while', async (server) => {
  await using sink = await openSink(server.url, { ttl: '1h', tombstones: '2h' })
  await send(sink, [set(1, 'a'), gone(2)])
  const client = new Redis(server.url)
  const left = await client.pttl('shop.users:1')
  const remembered = await client.pttl('{shop.users:2}:_sluice')
  client.disconnect()
  assert.ok(left > 3_500_000 && left <= 3_600_000, String(left))
  assert.ok(remembered > 7_100_000 && remembered <= 7_200_000, String(remembered))
})

it('keys of one’s own, of several fields, and those that would collide are refused', async (server) => {
  const pair = makeSchema(
    [field('a', { kind: 'text' }, false), field('b', { kind: 'text' }, false)],
    [0, 1],
    'upsert',
  )
  const rows = [{ values: { a: 'x:y', b: 'z' } }, { values: { a: 'x', b: 'y:z' } }]
  await using sink = await openSink(server.url)
  await send(sink, rows, { schema: pair, topic: 't' })
  await using own = await openSink(server.url, { key: 'u/{{{b}}}/{a}' })
  await send(own, rows, { schema: pair, topic: 't' })
  assert.deepEqual(
    [...(await rowsOf(server, '')).keys()],
    ['t:x%3Ay:z', 't:x:y%3Az', 'u/{y%3Az}/x', 'u/{z}/x%3Ay'],
  )
  await using partial = await openSink(server.url, { key: 'u/{a}' })
  await assert.rejects(
    send(partial, rows, { schema: pair, topic: 't' }),
    failsWith('sink.redis.key', 'config'),
  )
  for (const key of ['{key}', 'all', 'a{key', 'a{}']) {
    assert.equal(connector.config.safeParse({ url: server.url, key }).success, false, key)
  }
})

it('keys of bytes that are no UTF-8 are told apart (invariant 9)', async (server) => {
  const keys = ['fe', 'ff', 'c3a9', 'c3a9ff', '7b25'].map((hex) => Buffer.from(hex, 'hex'))
  const named = makeSchema([field('id', { kind: 'bytes' }, false)], [0], 'upsert')
  await using sink = await openSink(server.url)
  const rows = keys.map((id) => ({ values: { id } }))
  await send(sink, rows, { schema: named, topic: 't' })
  assert.deepEqual(
    [...(await rowsOf(server, 't:')).keys()],
    ['t:%7B%25', 't:%C3%A9%FF', 't:%FE', 't:%FF', 't:é'],
  )
})

it('what is kept when a row is deleted does not depend on where a batch ends (invariant 6)', async (server) => {
  await using sink = await openSink(server.url, { on_delete: 'keep' })
  await send(sink, [set(1, 'a')])
  await send(sink, [set(1, 'b'), gone(1), set(2, 'c'), gone(2)], { offset: 1 })
  const found = await rowsOf(server, 'shop.users:')
  assert.deepEqual(
    [...found.values()].map(({ name }) => name),
    ['b', 'c'],
  )
})

it('a server that is full or restarts is waited for, a wrong password is a question', async () => {
  await using full = await startRedis({
    settings: { maxmemory: '3mb', 'maxmemory-policy': 'noeviction' },
  })
  await using sink = await openSink(full.url)
  const rows = Array.from({ length: 3000 }, (_, i) => set(i, 'x'.repeat(2000)))
  await assert.rejects(send(sink, rows), failsWith('redis.memory', 'transient'))
  await full.cli('config', 'set', 'maxmemory', '100mb')
  assert.deepEqual(await send(sink, rows), { rejected: [] })
  assert.equal((await rowsOf(full, 'shop.users:')).size, 3000)
  await full.kill()
  await assert.rejects(
    send(sink, [set(1, 'b')], { offset: 5000 }),
    failsWith('redis.unreachable', 'transient'),
  )
  await full.start()
  await full.cli('config', 'set', 'maxmemory', '100mb')
  await send(sink, [set(1, 'b')], { offset: 5000 })
  await full.cli('script', 'flush')
  const batch = batchOf(users, [set(1, 'c')])
  await sink.write({ id: 'x', topic: 'shop.users', batch, offset: 5001, attempt: 1 }, signal)
  assert.equal((await rowsOf(full, 'shop.users:1')).get('shop.users:1')?.['name'], 'c')
  const config = connector.config.parse({ url: full.url.replace('//', '//me:wrong@') })
  const problems = await connector.check(config, quietContext())
  assert.deepEqual(
    problems.map(({ code, severity }) => [code, severity]),
    [['redis.auth', 'error']],
  )
})

test('a cluster: rows, deletions and a truncate over all its slots', async (t) => {
  await using cluster = await startOrSkip(t, 'a Redis cluster', () => startRedisCluster())
  if (cluster === null) return
  await using sink = await openSink(cluster.url, { cluster: true })
  const rows = Array.from({ length: 200 }, (_, i) => set(i, `n${i}`))
  await send(sink, rows)
  await send(sink, [gone(7), set(8, 'eight')], { offset: 200 })
  const count = async (): Promise<number> => {
    let sum = 0
    for (const one of cluster.servers) {
      sum += (await rowsOf(one, 'shop.users:')).size
    }
    return sum
  }
  assert.equal(await count(), 199)
  await sink.truncate('shop.users', { id: 't', offset: 201 }, signal)
  assert.equal(await count(), 1)
})
