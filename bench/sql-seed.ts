/**
 * P5: the seed query (revenue per region and minute) over orders of six fields: from commits in a
 * local log (read, checksum, decompress, decode, aggregate), from batches in memory, and over an
 * upsert topic, where every row first passes the operator that remembers the last row of its key.
 *
 * Rates are rows per second of processor time, so that what else runs on the machine does not count.
 * From the log, a query reads the columns it uses. The limit is reading and decoding all columns of
 * the same commits and looking at nothing.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLog, type Log } from '../core/log/log.ts'
import { ChainReader } from '../core/log/reader.ts'
import { ChainWriter } from '../core/log/writer.ts'
import { makeBatch, type Batch } from '../core/record/batch.ts'
import { Int32Builder, NumberBuilder } from '../core/record/builder.ts'
import { BytesBuilder } from '../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../core/record/decimal-builder.ts'
import { makeSchema, type Changelog, type Schema } from '../core/record/schema.ts'
import { compile, type CompiledQuery, type Execution } from '../core/sql/compile.ts'
import { parseQuery } from '../core/sql/parse/parse.ts'
import { openStore } from '../core/store/open.ts'
import { median } from './support/figures.ts'
import type { BenchModule, BenchRow } from './types.ts'

const seed = `SELECT region, TUMBLE_START(event_time, INTERVAL '1 minute') AS minute,
       COUNT(*) AS orders, SUM(amount) AS revenue
FROM orders GROUP BY region, TUMBLE(event_time, INTERVAL '1 minute')`
const topic = 'shop.public.orders'
const batchRows = 20_000
const batches = 50
const regions = [
  'eu-west',
  'eu-north',
  'us-east',
  'us-west',
  'ap-south',
  'ap-east',
  'sa-east',
  'af-south',
]
const startUs = Date.UTC(2026, 0, 1) * 1000

function schemaOf(changelog: Changelog): Schema {
  const fields = [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'region', type: { kind: 'text' }, nullable: true },
    { name: 'customer', type: { kind: 'int32' }, nullable: true },
    { name: 'amount', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: true },
    { name: 'status', type: { kind: 'text' }, nullable: true },
    { name: 'event_time', type: { kind: 'timestamptz' }, nullable: true },
  ] as const
  return makeSchema(fields, changelog === 'append' ? [] : [0], changelog)
}

/** Rows `first` to `first + batchRows`: eight regions, about 210 minutes in all, in rough order of time. */
function ordersFrom(schema: Schema, first: number): Batch {
  const columns = [
    new NumberBuilder(),
    new BytesBuilder(),
    new Int32Builder(),
    new DecimalBuilder(12, 2),
    new BytesBuilder(),
    new NumberBuilder(),
  ] as const
  const [id, region, customer, amount, status, time] = columns
  const timesUs = new Float64Array(batchRows)
  for (let i = 0; i < batchRows; i++) {
    const row = first + i
    const mixed = Math.imul(row, 0x9e3779b1) >>> 0
    id.append(row)
    region.appendString(regions[mixed % regions.length]!)
    customer.append(mixed % 50_000)
    const digits = Buffer.from(((mixed % 100_000) / 100).toFixed(2))
    amount.appendText(digits, 0, digits.length)
    status.appendString(mixed % 3 === 0 ? 'paid' : 'new')
    const us = startUs + row * 12_600 + (mixed % 60_000_000)
    time.append(us)
    timesUs[i] = us
  }
  return makeBatch(
    schema,
    columns.map((builder) => builder.finish()),
    new Int32Array(batchRows).fill(1),
    new Uint8Array(batchRows),
    timesUs,
  )
}

async function compiled(schema: Schema): Promise<CompiledQuery> {
  return compile(await parseQuery(seed), new Map([[topic, schema]]))
}

/** Pushes the batch and ends the step, as a transform does for each commit it reads. */
function take(execution: Execution, batch: Batch): void {
  execution.push(topic, batch)
  execution.step()
  execution.stateDelta()
}

/** Millions of rows per second of processor time. */
async function rate(work: () => Promise<void> | void): Promise<number> {
  const start = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(start)
  return (batches * batchRows) / (user + system)
}

async function readAll(
  log: Log,
  wanted: ReadonlySet<string> | null,
  each: (batch: Batch) => void,
): Promise<void> {
  const signal = AbortSignal.timeout(60_000)
  await using reader = ChainReader.open(log, 'bench', 1)
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) return
    for (let block = 0; block < commit.blocks.length; block++) {
      const batch = await reader.readBlock(commit, block, signal, wanted)
      if (batch !== null) each(batch)
    }
  }
}

async function writeLog(path: string, orders: readonly Batch[]): Promise<Log> {
  const signal = AbortSignal.timeout(120_000)
  const log = await openLog(openStore(`file://${path}`), { signal })
  await using writer = await ChainWriter.open(log, 'bench', { writer: 'bench', signal })
  for (const batch of orders)
    await writer.commit({ entries: [{ kind: 'rows', topic, batch }] }, signal)
  return log
}

async function run(options: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const turns = options.quick ? 5 : 15
  const append = schemaOf('append')
  const upsert = schemaOf('upsert')
  const query = await compiled(append)
  const keyed = await compiled(upsert)
  const orders = Array.from({ length: batches }, (_, i) => ordersFrom(append, i * batchRows))
  const keyedOrders = orders.map((b) => makeBatch(upsert, b.columns, b.weights, b.ops, b.timesUs))
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-sql-'))
  try {
    const log = await writeLog(folder, orders)
    const read: number[] = []
    const segments: number[] = []
    const memory: number[] = []
    for (let turn = -2; turn < turns; turn++) {
      const inMemory = query.start()
      const fromLog = query.start()
      const wanted = fromLog.fieldsOf(topic)
      // A transform runs for days; its generated code is compiled and optimised in its first second.
      for (const batch of orders) take(inMemory, batch)
      await readAll(log, wanted, (batch) => take(fromLog, batch))
      const sample = [
        await rate(() => readAll(log, null, () => undefined)),
        await rate(() => readAll(log, wanted, (batch) => take(fromLog, batch))),
        await rate(() => orders.forEach((batch) => take(inMemory, batch))),
      ] as const
      if (turn < 0) continue
      read.push(sample[0])
      segments.push(sample[1])
      memory.push(sample[2])
    }
    // After the others: a million remembered rows are work for the collector, whoever runs beside them.
    const first: number[] = []
    const again: number[] = []
    for (let turn = -1; turn < Math.ceil(turns / 3); turn++) {
      const normalised = keyed.start()
      const fill = await rate(() => keyedOrders.forEach((batch) => take(normalised, batch)))
      const idle = await rate(() => keyedOrders.forEach((batch) => take(normalised, batch)))
      if (turn < 0) continue
      first.push(fill)
      again.push(idle)
    }
    const row = (
      what: string,
      ours: number,
      limit: number | null,
      goal: number | null,
    ): BenchRow => ({
      what,
      unit: 'M rows/s',
      ours,
      limit,
      ratio: limit === null ? null : ours / limit,
      goal,
      met: goal === null || ours >= goal,
    })
    return [
      row(
        'seed query from log segments; limit = reading them alone',
        median(segments),
        median(read),
        5,
      ),
      row('seed query from batches in memory', median(memory), null, 10),
      row('seed query over an upsert topic, every key new', median(first), null, null),
      row('seed query over an upsert topic, nothing changed', median(again), null, null),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const bench: BenchModule['bench'] = {
  id: 'P5',
  what: 'the seed query: streaming aggregation of orders',
  run,
}
