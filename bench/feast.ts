/**
 * P12: delivery of features to Redis, from columns to what Feast reads, beside the same bytes as HSETs,
 * encoded beforehand and pipelined over a bare socket with as much under way. The sink decides for each
 * entity in the server whether its row is the newest; the HSETs just write. Beside them redis-benchmark, the
 * program of the package: it sends HSETs of the same number of bytes, but not of the same bytes, since it
 * takes one command line without NUL and changes only a part of its key.
 *
 * And freshness: from a commit in Postgres to the features in Redis, with the real command line between
 * them and a log on the local disk, 100 single-row transactions a second at their times.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { makeBatch, type Batch } from '../core/record/batch.ts'
import { builderFor } from '../core/record/builder.ts'
import { makeSchema, type Schema } from '../core/record/schema.ts'
import { acceptRows } from '../sinks/feast/accept.ts'
import { feast } from '../sinks/feast/connector.ts'
import { BytesOut } from '../sinks/feast/bytes-out.ts'
import { entityKeyPrefix } from '../sinks/feast/layout/entity-key.ts'
import { featureField } from '../sinks/feast/layout/murmur3.ts'
import { writeTimestamp } from '../sinks/feast/layout/timestamp.ts'
import { encodeRows } from '../sinks/feast/rows.ts'
import { planView, type FeatureView } from '../sinks/feast/view.ts'
import { startRedis, type RedisServer } from '../test/services/redis.ts'
import { benchContext } from './support/context.ts'
import { postgresDatabase } from './support/postgres-database.ts'
import { schema as schemaName, type DatabaseServer } from './support/database.ts'
import { inTurns, rate, rated } from './support/rates.ts'
import { BareClient, respOf, type Piece } from './support/redis-pipeline.ts'
import { Sluice } from './support/sluice.ts'
import { latencies, latencyRows } from './support/figures.ts'
import type { BenchRow } from './types.ts'

const rowsPerBatch = 20_000
const batchesPerRound = 3
/** Entities that the rounds go over again and again. */
const entities = 60_000
const signal = new AbortController().signal
const topic = 'shop.order_features'

const schema: Schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'at', type: { kind: 'timestamptz' }, nullable: false },
    { name: 'orders', type: { kind: 'int64' }, nullable: false },
    { name: 'orders_7d', type: { kind: 'int32' }, nullable: false },
    { name: 'returns', type: { kind: 'int32' }, nullable: true },
    { name: 'total', type: { kind: 'float64' }, nullable: false },
    { name: 'average', type: { kind: 'float64' }, nullable: false },
    { name: 'score', type: { kind: 'float32' }, nullable: false },
    { name: 'region', type: { kind: 'text' }, nullable: false },
    { name: 'device', type: { kind: 'text' }, nullable: true },
    { name: 'member', type: { kind: 'bool' }, nullable: false },
    { name: 'balance', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: false },
  ],
  [0],
  'upsert',
)

function features(round: number, from: number): Batch {
  const regions = ['eu-west', 'eu-north', 'us-east', 'us-west', 'ap-south']
  const columns = schema.fields.map(({ name, type, nullable }) => {
    const builder = builderFor(type)
    for (let i = 0; i < rowsPerBatch; i++) {
      const n = from + i
      // A linear congruence: no clock and no seed to print.
      const mixed = (Math.imul(n + round, 1_103_515_245) + 12_345) >>> 0
      if (nullable && mixed % 5 === 0) builder.appendNull()
      else if ('appendText' in builder) {
        const digits = Buffer.from(`${mixed % 100_000}.${String(mixed % 100).padStart(2, '0')}`)
        builder.appendText(digits, 0, digits.length)
      } else if ('appendString' in builder) {
        builder.appendString(regions[mixed % regions.length]!)
      } else if ('append' in builder && !('reserve' in builder)) {
        const time = 1.7e15 + round * 1e9 + i
        builder.append(
          name === 'user_id' ? n : name === 'at' ? time : name === 'member' ? n & 1 : mixed / 4096,
        )
      }
    }
    return builder.finish()
  })
  const times = new Float64Array(rowsPerBatch).fill(1.7e15 + round * 1e9)
  const weights = new Int32Array(rowsPerBatch).fill(1)
  return makeBatch(schema, columns, weights, new Uint8Array(rowsPerBatch), times)
}

/** The rows as HSETs of what Feast itself writes, in pieces of 64 KiB. */
function hsets(view: FeatureView, batch: Batch): Piece[] {
  const sent = { id: '', topic, batch, offset: 0, attempt: 1 }
  const rows = encodeRows(acceptRows(view, sent))
  const names = [
    `_ts:${view.stored}`,
    ...view.features.map(({ name }) => featureField(view.stored, name)),
  ]
  const pieces: Piece[] = []
  let parts: Buffer[] = []
  let bytes = 0
  const flush = (): void => {
    const replies = parts.length
    if (replies > 0) pieces.push({ bytes: Buffer.concat(parts), replies })
    parts = []
    bytes = 0
  }
  for (let i = 0; i < rows.count; i++) {
    const time = new BytesOut(32)
    writeTimestamp(time, rows.seconds[i]!, rows.nanos[i]!)
    const key = Buffer.concat([
      rows.keys.subarray(rows.keyOffsets[i]!, rows.keyOffsets[i + 1]!),
      Buffer.from('limit'),
    ])
    const values = rows.values.map(({ data, offsets }) =>
      data.subarray(offsets[i]!, offsets[i + 1]!),
    )
    const all = [time.bytes.subarray(0, time.end), ...values]
    const command = respOf(['HSET', key, ...names.flatMap((name, at) => [name, all[at]!])])
    parts.push(command)
    bytes += command.length
    if (bytes > 65_536) flush()
  }
  flush()
  return pieces
}

async function throughput(quick: boolean, byTime: boolean): Promise<readonly BenchRow[]> {
  await using server = await startRedis({ version: 'redis-7', settings: { appendonly: 'no' } })
  const config = feast.config.parse({
    project: 'ours',
    target: { type: 'redis', url: server.url },
    views: {
      user_orders: byTime
        ? { entities: ['user_id'], event_timestamp: 'at' }
        : { entities: ['user_id'], features: schema.fields.slice(2).map(({ name }) => name) },
    },
  })
  await using sink = await feast.open(config, [], benchContext())
  await sink.evolve(topic, { from: null, to: schema, agreed: [] }, signal)
  const view = planView(config, 'user_orders', topic, schema)
  const socket = connect(server.port, server.host)
  await new Promise((resolve) => socket.once('connect', resolve))
  const bare = new BareClient(socket)
  const round = { ours: 0, limit: 0 }
  const batches = (at: number) =>
    Array.from({ length: batchesPerRound }, (_, i) => features(at, (i * rowsPerBatch) % entities))
  const ours = async (): Promise<number> => {
    const at = round.ours++
    const given = batches(at)
    return seconds(async () => {
      for (const [i, batch] of given.entries()) {
        const offset = (at * batchesPerRound + i) * rowsPerBatch
        const { rejected } = await sink.write(
          { id: String(offset), topic, batch, offset, attempt: 1 },
          signal,
        )
        if (rejected.length > 0) throw new Error('rows were refused')
      }
    })
  }
  const limit = async (): Promise<number> => {
    const given = batches(round.limit++).flatMap((batch) => hsets(view, batch))
    return seconds(() => bare.send(given))
  }
  const words = benchmarkWords(view, features(0, 0))
  const program = (): Promise<number> => benchmarkSeconds(server, words)
  await inTurns(2, [ours, limit, program])
  const times = await inTurns(quick ? 6 : 15, [ours, limit, program])
  await sameHashes(server, view)
  socket.destroy()
  const rates = times.map((found) => rate(rowsPerBatch * batchesPerRound, found))
  const what = `columns → newest in Redis, ${byTime ? 'by event time' : 'by the order of the log'}, beside`
  return [
    rated(`${what} the same bytes as bare HSETs`, rates[0]!, rates[1]!, 0.5),
    rated(`${what} redis-benchmark's HSETs of as many bytes`, rates[0]!, rates[2]!, 0.5),
  ]
}

/** One of our rows as a command line: as many bytes in every argument, and a random entity. */
function benchmarkWords(view: FeatureView, batch: Batch): readonly string[] {
  const rows = encodeRows(acceptRows(view, { id: '', topic, batch, offset: 0, attempt: 1 }))
  const random = '__rand_int__'
  const key = 'k'.repeat(rows.keyOffsets[1]! + 'ours'.length - random.length)
  const fields = rows.values.flatMap(({ offsets }, i) => {
    return [`f${String(i).padStart(3, '0')}`, 'v'.repeat(offsets[1]! - offsets[0]!)]
  })
  return ['HSET', `${key}${random}`, `_ts:${view.stored}`, 't'.repeat(12), ...fields]
}

/** For as many rows as a round of ours, over as many entities, in a database of its own. */
async function benchmarkSeconds(server: RedisServer, words: readonly string[]): Promise<number> {
  const count = rowsPerBatch * batchesPerRound
  const options = ['-n', String(count), '-r', String(entities), '-c', '1', '-P', '256', '--csv']
  const [command, ...args] = server.program('benchmark', '--dbnum', '1', ...options, ...words)
  const { stdout } = await promisify(execFile)(command!, args)
  const found = /^"[^"]*","([0-9.]+)"/m.exec(stdout.split('\n').slice(1).join('\n'))
  if (found === null) throw new Error(`redis-benchmark said: ${stdout}`)
  return count / Number(found[1])
}

async function seconds(work: () => Promise<void>): Promise<number> {
  globalThis.gc?.()
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** A fast way to write nothing would win every bench: all entities, and some of them field by field. */
async function sameHashes(
  server: RedisServer,
  { stored, features: columns }: FeatureView,
): Promise<void> {
  const redis = new Redis(server.port, server.host)
  try {
    const size = await redis.dbsize()
    // And where the end of the view is kept.
    const wanted = entities * 2 + 1
    if (size !== wanted) throw new Error(`${size} keys, and not ${wanted}`)
    for (let id = 0; id < entities; id += 997) {
      const fields = [
        `_ts:${stored}`,
        ...columns.map(({ name }) => Buffer.from(featureField(stored, name))),
      ]
      const [a, b] = await Promise.all([
        redis.hmgetBuffer(keyOf(id, 'ours'), ...fields),
        redis.hmgetBuffer(keyOf(id, 'limit'), ...fields),
      ])
      if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`entity ${id} differs`)
    }
  } finally {
    redis.disconnect()
  }
}

function keyOf(id: number, project: string): Buffer {
  const value = Buffer.alloc(16)
  value.writeUInt32LE(4, 0)
  value.writeUInt32LE(8, 4)
  value.writeBigInt64LE(BigInt(id), 8)
  return Buffer.concat([entityKeyPrefix(['user_id']), value, Buffer.from(project)])
}

const perSecond = 100
const sessions = 4
const freshnessGoals = { p50: 100, p99: 250 }

const pipeline = `
version: 1
name: fresh
log: { url: file://./log }
sources:
  db: { type: postgres, url: '\${env.DB_URL}', tables: [${schemaName}.users] }
sinks:
  feats:
    type: feast
    from: users
    project: ours
    target: { type: redis, url: '\${env.REDIS_URL}' }
    views: { users: { entities: [user_id] } }
`

async function freshness(quick: boolean): Promise<readonly BenchRow[]> {
  const skip = perSecond * 4
  const count = skip + perSecond * (quick ? 8 : 20)
  await using servers = new AsyncDisposableStack()
  const database = servers.use(await postgresDatabase.start())
  const server = servers.use(await startRedis())
  await database.query('CREATE TABLE users (user_id bigint PRIMARY KEY, n int, total float8)')
  await using sluice = new Sluice(pipeline, { DB_URL: database.url, REDIS_URL: server.url })
  const redis = new Redis(server.port, server.host)
  servers.defer(() => redis.disconnect())
  await database.query('INSERT INTO users VALUES (0, 0, 0)')
  await sluice.waitFor('the first row', async () => (await redis.exists(keyOf(0, 'ours'))) === 1)
  const sentMs = new Float64Array(count + 1)
  const seenMs = new Float64Array(count + 1)
  const looking = look(redis, seenMs)
  await writeRows(database, sentMs)
  await looking
  const what = 'freshness: commit in Postgres to features in Redis'
  return latencyRows(what, latencies(sentMs, seenMs, skip), freshnessGoals)
}

/** One transaction every 10 ms: the clock of each runs from its time, also while its session is busy. */
async function writeRows(database: DatabaseServer, sentMs: Float64Array): Promise<void> {
  const queries = await Promise.all(Array.from({ length: sessions }, () => database.session()))
  const startMs = performance.now()
  const writes: Promise<unknown>[] = queries.map(() => Promise.resolve())
  for (let id = 1; id < sentMs.length; id++) {
    const leftMs = startMs + (id * 1000) / perSecond - performance.now()
    if (leftMs > 0) await sleep(leftMs)
    sentMs[id] = performance.now()
    const session = id % sessions
    writes[session] = writes[session]!.then(() =>
      queries[session]!(`INSERT INTO users VALUES (${id}, ${id} % 7, ${id} / 3.0)`),
    )
  }
  await Promise.all(writes)
}

/** Notes when the features of each entity are first there, in their order; the last ends it. */
async function look(redis: Redis, seenMs: Float64Array): Promise<void> {
  const end = performance.now() + 120_000
  for (let id = 1; id < seenMs.length;) {
    if (performance.now() > end) throw new Error(`entity ${id} never came`)
    const ahead = Array.from({ length: Math.min(16, seenMs.length - id) }, (_, i) => id + i)
    const there = await Promise.all(ahead.map((one) => redis.exists(keyOf(one, 'ours'))))
    const nowMs = performance.now()
    ahead.forEach((one, i) => {
      if (there[i] === 1) seenMs[one] ||= nowMs
    })
    while (id < seenMs.length && seenMs[id]! > 0) id++
    await sleep(2)
  }
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const byTime = await throughput(quick, true)
  const byLog = await throughput(quick, false)
  return [...byTime, ...byLog, ...(await freshness(quick))]
}

export const bench = {
  id: 'P12',
  what: 'features to Redis beside pipelined HSETs of the same bytes, and freshness',
  run,
}
