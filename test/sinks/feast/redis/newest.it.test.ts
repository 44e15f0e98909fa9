/**
 * The newest wins (invariants 5 and 6), against real servers: random histories of rows and deletions,
 * delivered once in their order by one sink and again, in parts and in any order, by others at the same
 * time, end as the model says. The model knows nothing of Redis: it takes the set of all that was
 * delivered.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import type { Sink } from '../../../../core/connector/sink.ts'
import { entityKeyPrefix } from '../../../../sinks/feast/layout/entity-key.ts'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import type { RedisServer } from '../../../services/redis.ts'
import type { Row } from '../../../conformance/rows.ts'
import { evolve, openFeast, schemaOf, servers, signal, sinkBatch, withRedis } from './support.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const schema = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int64', note: 'text' }, ['id'])
const topic = 'src.orders'

interface Event {
  readonly entity: number
  /** Event time in steps, null for a deletion. */
  readonly time: number | null
  readonly note: string | null
}

/** Some in a second of their own, some in the same; before 1970, and beyond the exact doubles. */
const times = [-1_000_001, -1, 0, 1_000_000, 1.7e15, 1.7e15 + 1, 1.7e15 + 999_999, 1.8e15, 9e15]

const event: fc.Arbitrary<Event> = fc.record({
  entity: fc.nat(3),
  time: fc.oneof(
    { weight: 4, arbitrary: fc.nat(times.length - 1) },
    { weight: 2, arbitrary: fc.constant(null) },
  ),
  note: fc.option(fc.string({ maxLength: 4 }), { freq: 4 }),
})

/** From, to and kind of what is delivered again. */
const replay = fc.tuple(fc.nat(40), fc.nat(12), fc.constantFrom('replay', 'retry', 'live'))

function rowOf({ entity, time, note }: Event, offset: number): Row {
  const id = BigInt(entity)
  if (time === null) return { weight: -1, op: 'delete', values: { id } }
  return { values: { id, at: times[time]!, n: BigInt(offset), note } }
}

/** What is seen of an entity: the newest row behind the last deletion. */
function expected(events: readonly Event[], entity: number, byTime: boolean): number | null {
  let best: number | null = null
  events.forEach((found, offset) => {
    if (found.entity !== entity) return
    if (found.time === null) best = null
    else if (best === null || !byTime || times[found.time]! >= times[events[best]!.time!]!) {
      best = offset
    }
  })
  return best
}

async function deliver(
  sink: Sink,
  events: readonly Event[],
  origin: 'live' | 'replay' | 'retry',
  from: number,
) {
  const rows = events.map((found, i) => rowOf(found, from + i))
  const { rejected } = await sink.write(
    sinkBatch(topic, schema, rows, { offset: from, origin }),
    signal,
  )
  assert.deepEqual(rejected, [])
}

/** `n` and `note` as the bytes in Redis; null where neither is there. */
async function seen(redis: Redis, entity: number, view: string): Promise<string | null> {
  const id = Buffer.alloc(16)
  id.writeUInt32LE(4, 0)
  id.writeUInt32LE(8, 4)
  id.writeBigInt64LE(BigInt(entity), 8)
  const key = Buffer.concat([entityKeyPrefix(['id']), id, Buffer.from('shop')])
  const fields = [Buffer.from(featureField(view, 'n')), Buffer.from(featureField(view, 'note'))]
  const found = await redis.hmgetBuffer(key, ...fields)
  const times = await redis.hexists(key, `_ts:${view}`)
  assert.equal(times, found[0] === null ? 0 : 1, 'a time stands where values do')
  return found.every((value) => value === null)
    ? null
    : found.map((value) => value?.toString('hex') ?? '').join(' ')
}

function bytesOf({ note }: Event, offset: number): string {
  const n = offset < 128 ? `20${offset.toString(16).padStart(2, '0')}` : ''
  const text = Buffer.from(note ?? '')
  const length = text.length.toString(16).padStart(2, '0')
  return `${n} ${note === null ? '' : `12${length}${text.toString('hex')}`}`
}

async function runHistory(
  server: RedisServer,
  redis: Redis,
  {
    events,
    cuts,
    replays,
    byTime,
  }: {
    readonly events: readonly Event[]
    readonly cuts: readonly number[]
    readonly replays: readonly (readonly [number, number, 'live' | 'replay' | 'retry'])[]
    readonly byTime: boolean
  },
): Promise<void> {
  await redis.flushall()
  const views = {
    v: { entities: ['id'], features: ['n', 'note'], ...(byTime ? { event_timestamp: 'at' } : {}) },
  }
  await using live = await openFeast(server.url, views)
  await using other = await openFeast(server.url, views)
  await evolve(live, topic, schema)
  await evolve(other, topic, schema)
  // It had begun before it was taken for dead.
  await deliver(other, events.slice(0, 1), 'live', 0)
  const borders = [...new Set([0, ...cuts.map((cut) => cut % (events.length + 1)), events.length])]
  borders.sort((a, b) => a - b)
  const again: Promise<void>[] = []
  for (let i = 1; i < borders.length; i++) {
    const [from, to] = [borders[i - 1]!, borders[i]!]
    await deliver(live, events.slice(from, to), 'live', from)
    // What was delivered may come again, from another process, beside what comes next.
    const [start, length, origin] = replays[i % Math.max(1, replays.length)] ?? [0, 0, 'replay']
    const first = start % to
    const part = events.slice(first, Math.min(to, first + length))
    again.push(deliver(other, part, origin, first))
  }
  await Promise.all(again)
  for (let entity = 0; entity < 4; entity++) {
    const offset = expected(events, entity, byTime)
    const wanted = offset === null ? null : bytesOf(events[offset]!, offset)
    assert.equal(await seen(redis, entity, 'v'), wanted, `entity ${entity}`)
  }
}

/**
 * µs since 1970: seconds of each length that protobuf gives them and with a difference in each of their
 * bytes, and the same second with nanoseconds of each length, none among them.
 */
const moments = [
  -9e9,
  -1,
  0,
  1,
  127,
  128,
  300,
  16_384,
  2 ** 21,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 31,
  ...[0, 1, 7, 14, 21, 28].map((bit) => 1_700_000_000 + 2 ** bit),
  9e9,
].flatMap((second) => [0, 1, 20, 263, 3000, 270_000, 999_999].map((us) => second * 1e6 + us))

test('whatever the two times are, the newer wins, and of the same time the later row (invariant 5)', async (t) => {
  await withRedis(t, { settings: { appendonly: 'no' } }, async (server, redis) => {
    const views = { v: { entities: ['id'], features: ['n', 'note'], event_timestamp: 'at' } }
    await using sink = await openFeast(server.url, views)
    await evolve(sink, topic, schema)
    const { length } = moments
    const rows = (n: bigint, atOf: (id: number) => number): Row[] =>
      Array.from({ length: length ** 2 }, (_, id) => {
        return { values: { id: BigInt(id), at: moments[atOf(id)]!, n, note: null } }
      })
    const first = rows(1n, (id) => Math.floor(id / length))
    const second = rows(2n, (id) => id % length)
    await sink.write(sinkBatch(topic, schema, first), signal)
    await sink.write(sinkBatch(topic, schema, second, { offset: first.length }), signal)
    const found = await Promise.all(first.map((_, id) => seen(redis, id, 'v')))
    for (const [id, n] of found.entries()) {
      const [a, b] = [moments[Math.floor(id / length)]!, moments[id % length]!]
      assert.equal(n, b >= a ? '2002 ' : '2001 ', `${a}, then ${b}`)
    }
  })
})

for (const { name, options } of servers) {
  for (const byTime of [true, false]) {
    const order = byTime ? 'event time' : 'the order of the log'
    test(`${name}: by ${order}, replays beside live rows end in the newest (invariant 6)`, async (t) => {
      const settings = { ...options.settings, appendonly: 'no' }
      await withRedis(t, { ...options, settings }, async (server, redis) => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(event, { minLength: 1, maxLength: 40 }),
            fc.array(fc.nat(40), { maxLength: 6 }),
            fc.array(replay, { minLength: 1, maxLength: 6 }),
            async (events, cuts, replays) => {
              await runHistory(server, redis, { events, cuts, replays, byTime })
            },
          ),
          { numRuns: 150, seed },
        )
      })
    })
  }
}
