/**
 * The unmodified Feast SDK beside the sink, on one real Redis: it reads what the sink wrote, value by
 * value (invariant 9), and what it writes itself is, byte for byte, what the sink writes: every type
 * of value, one and several entities and several views under one key.
 */
import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { featureField } from '../../../../sinks/feast/layout/murmur3.ts'
import { behindDeletion, markField } from '../../../../sinks/feast/redis/script.ts'
import { installFeast, type Feast, type FeastRepository } from '../../../services/feast.ts'
import { startRedis, type RedisServer } from '../../../services/redis.ts'
import { missingService } from '../../../support/env.ts'
import { cases, int } from './value-cases.ts'
import { evolve, hashOf, openFeast, schemaOf, signal, sinkBatch } from './support.ts'

const features = cases.map(({ column, feast }) => ({ name: column, type: feast }))
const types = Object.fromEntries(
  cases.flatMap(({ column, chosen }) => (chosen === undefined ? [] : [[column, chosen]])),
)
const keyTypes = [
  { name: 'k_text', type: 'STRING' },
  { name: 'k_bytes', type: 'BYTES' },
  { name: 'k_int', type: 'INT32' },
  { name: 'k_long', type: 'INT64' },
  { name: 'k_day', type: 'UNIX_TIMESTAMP' },
]
const user = [{ name: 'user_id', type: 'INT64' }]
const views: FeastRepository['views'] = [
  { name: 'everything', entities: user, features },
  {
    name: 'beside',
    entities: user,
    features: [
      { name: 'name', type: 'String' },
      { name: 'large', type: 'Int64' },
    ],
  },
  { name: 'pairs', entities: keyTypes, features: [{ name: 'n', type: 'Int64' }] },
]

let feast: Feast
let server: RedisServer
let redis: Redis
let missing: unknown = null

before(async () => {
  try {
    feast = await installFeast()
    server = await startRedis()
    redis = new Redis(server.port, server.host)
  } catch (error) {
    missing = error
  }
})

after(async () => {
  redis?.disconnect()
  await server?.[Symbol.asyncDispose]()
})

function present(t: TestContext): boolean {
  if (missing !== null) missingService(t, 'Feast with Redis', missing)
  return missing === null
}

function repository(project: string): FeastRepository {
  const onlineStore = { type: 'redis', connection_string: `${server.host}:${server.port}` }
  return { project, onlineStore, views }
}

const rowTimes = [
  '2026-01-01T00:00:00.000001+00:00',
  '2026-01-01T00:00:01.500000+00:00',
  '1969-12-31T23:59:59.999999+00:00',
]
const timeUs = [1_767_225_600_000_001, 1_767_225_601_500_000, -1]

/** Row i of the cases; the third is all null. */
function theirValues(i: number): Record<string, unknown> {
  return Object.fromEntries(cases.map(({ column, values }) => [column, values[i]?.[1] ?? null]))
}

async function writeOurs(): Promise<void> {
  const schema = schemaOf(
    {
      user_id: 'int64',
      ...Object.fromEntries(cases.map(({ column, logical }) => [column, logical])),
    },
    ['user_id'],
  )
  const pairs = schemaOf(
    {
      k_text: 'text',
      k_bytes: 'bytes',
      k_int: 'int16',
      k_long: 'int64',
      k_day: 'date',
      n: 'int64',
    },
    ['k_text', 'k_bytes', 'k_int', 'k_long', 'k_day'],
  )
  await using sink = await openFeast(server.url, {
    everything: { topic: 'all', types },
    beside: { topic: 'all', features: ['name', 'large'] },
    pairs: { topic: 'pairs' },
  })
  await evolve(sink, 'src.all', schema)
  await evolve(sink, 'src.pairs', pairs)
  const rows = [0, 1, 2].map((i) => ({
    timeUs: timeUs[i]!,
    values: {
      user_id: BigInt(i),
      ...Object.fromEntries(cases.map(({ column, values }) => [column, values[i]?.[0] ?? null])),
    },
  }))
  assert.deepEqual(await sink.write(sinkBatch('src.all', schema, rows), signal), { rejected: [] })
  const keys = {
    k_text: 'é',
    k_bytes: Buffer.from('00ff', 'hex'),
    k_int: -5,
    k_long: 9007199254740993n,
    k_day: -1,
  }
  const pair = [{ timeUs: timeUs[0]!, values: { ...keys, n: 1n } }]
  assert.deepEqual(await sink.write(sinkBatch('src.pairs', pairs, pair), signal), { rejected: [] })
}

const theirKeys = {
  k_text: 'é',
  k_bytes: { hex: '00ff' },
  k_int: -5,
  k_long: { int: '9007199254740993' },
  k_day: { time: '1969-12-31T00:00:00+00:00' },
}

/** The second value of these is null once Feast's own conversion from Python has seen it; it reads them well. */
const takenForNull = ['blob', 'huge']

function theirRows() {
  const users = [0, 1, 2].flatMap((i) => {
    const { name, large } = theirValues(i)
    const at = { time: rowTimes[i]!, entities: { user_id: i } }
    return [
      { ...at, view: 'everything', values: theirValues(i) },
      { ...at, view: 'beside', values: { name, large } },
    ]
  })
  return [
    ...users,
    { view: 'pairs', time: rowTimes[0]!, entities: theirKeys, values: { n: int('1') } },
  ]
}

/** Every hash of a project: key without the project → field → bytes. */
async function hashes(project: string): Promise<Record<string, Record<string, string>>> {
  const found: Record<string, Record<string, string>> = {}
  for (const key of await redis.keysBuffer('*')) {
    if (!key.subarray(-project.length).equals(Buffer.from(project))) continue
    const fields: Record<string, string> = {}
    for (const [name, value] of chunked((await redis.callBuffer('HGETALL', key)) as Buffer[])) {
      fields[name.toString('hex')] = value.toString('hex')
    }
    found[key.subarray(0, -project.length).toString('hex')] = fields
  }
  return found
}

function chunked(flat: readonly Buffer[]): (readonly [Buffer, Buffer])[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!])
}

test('Feast reads every value as it was, and writes the same bytes (invariant 9)', async (t) => {
  if (!present(t)) return
  await writeOurs()
  const entities = [0, 1, 2, 3].map((i) => ({ user_id: i }))
  const read = [
    { features: features.map(({ name }) => `everything:${name}`), entities },
    { features: ['beside:name', 'beside:large'], entities },
    { features: ['pairs:n'], entities: [theirKeys, { ...theirKeys, k_int: 5 }] },
  ]
  const theirs = feast.run({ repository: repository('theirs'), write: theirRows() })
  const [everything, beside, pairs] = await feast.run({ repository: repository('shop'), read })
  for (let i = 0; i < 4; i++) {
    for (const { column, values } of cases) {
      const name = `row ${i}, ${column}`
      assert.deepEqual(everything![i]![`everything:${column}`], values[i]?.[1] ?? null, name)
    }
  }
  assert.deepEqual(
    beside!.map((row) => [row['beside:name'], row['beside:large']]),
    [0, 1, 2, 3].map((i) => [theirValues(i)['name'], theirValues(i)['large']]),
  )
  assert.deepEqual(pairs, [{ 'pairs:n': { int: '1' } }, { 'pairs:n': null }])

  await theirs
  const marks = ['everything', 'beside', 'pairs'].map((view) =>
    Buffer.from(markField(view)).toString('hex'),
  )
  const [ours, expected] = [await hashes('shop'), await hashes('theirs')]
  assert.equal(Object.keys(ours).length, 4)
  const second = Object.keys(ours).find((key) => key.endsWith('080000000100000000000000'))!
  for (const column of takenForNull) {
    const field = Buffer.from(featureField('everything', column)).toString('hex')
    delete ours[second]![field]
    delete expected[second]![field]
  }
  for (const fields of Object.values(ours)) {
    assert.ok(marks.some((mark) => mark in fields))
    for (const mark of marks) delete fields[mark]
  }
  assert.deepEqual(ours, expected)
})

test('Feast reads a row behind a deletion, and keeps its time against an older one (invariants 5, 9)', async (t) => {
  if (!present(t)) return
  const topic = 'src.again'
  const schema = schemaOf({ id: 'int64', at: 'timestamptz', n: 'int64' }, ['id'])
  await using sink = await openFeast(server.url, { again: { topic, event_timestamp: 'at' } })
  await evolve(sink, topic, schema)
  const row = (id: bigint, n: bigint, at: number) => ({ values: { id, at, n } })
  const history = [
    row(1n, 1n, timeUs[0]!),
    { weight: -1, op: 'delete' as const, values: { id: 1n } },
    row(1n, 2n, timeUs[1]!),
    row(2n, 3n, timeUs[1]!),
  ]
  for (const [offset, one] of history.entries()) {
    await sink.write(sinkBatch(topic, schema, [one], { offset }), signal)
  }
  const time = Buffer.from('_ts:again').toString('hex')
  const [behind, plain] = [await hashOf(redis, 1), await hashOf(redis, 2)]
  assert.equal(behind[time], Buffer.from(behindDeletion).toString('hex') + plain[time])
  const id = [{ name: 'id', type: 'INT64' }]
  const again = { name: 'again', entities: id, features: [{ name: 'n', type: 'Int64' }] }
  const older = { view: 'again', time: rowTimes[0]!, entities: { id: 1 }, values: { n: int('9') } }
  const [found] = await feast.run({
    repository: { ...repository('shop'), views: [again] },
    write: [older],
    read: [{ features: ['again:n'], entities: [{ id: 1 }, { id: 2 }] }],
  })
  assert.deepEqual(found, [{ 'again:n': { int: '2' } }, { 'again:n': { int: '3' } }])
})
