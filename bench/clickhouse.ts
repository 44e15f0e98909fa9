/**
 * P7: delivery to ClickHouse, from columns to rows that are durable in the table, beside the same
 * bytes, encoded beforehand and piped in by ClickHouse's own client. Both against one real engine, in
 * turns, each into its own table of the same definition; the median of the rounds counts.
 */
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createClient } from '@clickhouse/client'
import { makeBatch, type Batch } from '../core/record/batch.ts'
import { builderFor } from '../core/record/builder.ts'
import { makeSchema } from '../core/record/schema.ts'
import { clickhouse } from '../sinks/clickhouse/connector.ts'
import { encodeNative } from '../sinks/clickhouse/encode.ts'
import { planTable } from '../sinks/clickhouse/plan.ts'
import { screen } from '../sinks/clickhouse/screen.ts'
import { startClickHouse, type ClickHouse } from '../test/services/clickhouse.ts'
import { benchContext } from './support/context.ts'
import { median } from './support/figures.ts'
import type { BenchRow } from './types.ts'

const rowsPerBatch = 50_000
const signal = new AbortController().signal

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'customer_id', type: { kind: 'int64' }, nullable: false },
    { name: 'region', type: { kind: 'text' }, nullable: false },
    { name: 'status', type: { kind: 'text' }, nullable: true },
    { name: 'amount', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: false },
    { name: 'quantity', type: { kind: 'int32' }, nullable: false },
    { name: 'note', type: { kind: 'text' }, nullable: true },
    { name: 'created_at', type: { kind: 'timestamptz' }, nullable: false },
    { name: 'paid', type: { kind: 'bool' }, nullable: false },
    { name: 'token', type: { kind: 'uuid' }, nullable: false },
  ],
  [0],
  'upsert',
)

/** Orders as a shop's change stream brings them; the same for the same `from`. */
function orders(from: number): Batch {
  const regions = ['eu-west', 'eu-north', 'us-east', 'us-west', 'ap-south']
  const columns = schema.fields.map(({ name, type }) => {
    const builder = builderFor(type)
    for (let i = 0; i < rowsPerBatch; i++) {
      const n = from + i
      // A linear congruence: values that compress as real ones do, and no clock or seed to print.
      const mixed = (Math.imul(n, 1_103_515_245) + 12_345) >>> 0
      if ((name === 'status' || name === 'note') && mixed % 5 === 0) builder.appendNull()
      else if ('appendText' in builder) {
        const digits = Buffer.from(`${mixed % 100_000}.${String(mixed % 100).padStart(2, '0')}`)
        builder.appendText(digits, 0, digits.length)
      } else if ('appendString' in builder) {
        const note = `order ${n} of customer ${mixed % 10_000}`
        builder.appendString(name === 'note' ? note : regions[mixed % regions.length]!)
      } else if ('reserve' in builder) {
        const at = builder.reserve()
        for (let byte = 0; byte < 16; byte++)
          builder.bytes[at + byte] = (mixed >>> (byte % 25)) & 0xff
      } else if ('append' in builder) {
        builder.append(
          name === 'id'
            ? n
            : name === 'created_at'
              ? 1.7e15 + n * 1000
              : name === 'paid'
                ? n & 1
                : mixed % 10_000,
        )
      }
    }
    return builder.finish()
  })
  const times = Float64Array.from({ length: rowsPerBatch }, (_, i) => 1.7e15 + (from + i) * 10)
  const weights = new Int32Array(rowsPerBatch).fill(1)
  return makeBatch(schema, columns, weights, new Uint8Array(rowsPerBatch), times)
}

async function seconds(run: () => Promise<void> | void): Promise<number> {
  const start = performance.now()
  await run()
  return (performance.now() - start) / 1000
}

/** One pair of tables: ours and the client's, both with this compression. */
async function openPair(server: ClickHouse, compression: 'none' | 'zstd') {
  const config = clickhouse.config.parse({ url: server.url, compression })
  const [ours, limit] = [`ours_${compression}`, `limit_${compression}`]
  const sink = await clickhouse.open(config, [], benchContext())
  for (const table of [ours, limit])
    await sink.evolve(`bench.${table}`, { from: null, to: schema, agreed: [] }, signal)
  const request = compression === 'none' ? false : ({ codec: 'zstd', level: 1 } as const)
  const client = createClient({ url: server.url, compression: { request } })
  return {
    compression,
    plan: planTable(`bench.${limit}`, limit, schema, config),
    seconds: { ours: [] as number[], limit: [] as number[] },
    async write(batch: Batch, offset: number) {
      const topic = `bench.${ours}`
      await sink.write({ id: String(offset), topic, batch, offset, attempt: 1 }, signal)
    },
    async pipe(bytes: Uint8Array) {
      const { stream } = await client.exec({
        query: `INSERT INTO ${limit} FORMAT Native`,
        values: Readable.from([bytes], { objectMode: false }),
        clickhouse_settings: { async_insert: 0, wait_end_of_query: 1 },
      })
      await text(stream)
    },
    check: (rows: number) => sameRows(server, { ours, limit }, rows),
    async [Symbol.asyncDispose]() {
      await client.close()
      await sink[Symbol.asyncDispose]()
    },
  }
}

async function run({ quick }: { readonly quick: boolean }) {
  await using server = await startClickHouse()
  await using plain = await openPair(server, 'none')
  await using compressed = await openPair(server, 'zstd')
  const encode: number[] = []
  const rounds = quick ? 12 : 40
  const warmUp = 3
  for (let round = 0; round < warmUp + rounds; round++) {
    const offset = round * rowsPerBatch
    const batch = orders(offset)
    let bytes = new Uint8Array()
    const encodeSeconds = await seconds(() => {
      bytes = new Uint8Array(
        encodeNative(plain.plan, batch, screen(plain.plan, batch).rows, offset),
      )
    })
    if (round >= warmUp) encode.push(encodeSeconds)
    for (const pair of [plain, compressed]) {
      // In turns, first one, then the other, so that neither always meets the busier server.
      const before = round % 2 === 0 ? await seconds(() => pair.pipe(bytes)) : null
      const written = await seconds(() => pair.write(batch, offset))
      const piped = before ?? (await seconds(() => pair.pipe(bytes)))
      if (round < warmUp) continue
      pair.seconds.ours.push(written)
      pair.seconds.limit.push(piped)
    }
  }
  for (const pair of [plain, compressed]) await pair.check((warmUp + rounds) * rowsPerBatch)
  return [
    row('columns → durable rows, beside its own client', plain.seconds, 0.5),
    row('the same over zstd, both sides', compressed.seconds, 0.5),
    row(
      'screen + encode alone, beside the whole delivery',
      { ours: encode, limit: plain.seconds.ours },
      2,
    ),
  ]
}

function row(
  what: string,
  { ours, limit }: { readonly ours: readonly number[]; readonly limit: readonly number[] },
  goal: number,
): BenchRow {
  const rate = (times: readonly number[]) => Math.round(rowsPerBatch / median(times))
  const ratio = median(limit) / median(ours)
  return {
    what,
    unit: 'rows/s',
    ours: rate(ours),
    limit: rate(limit),
    ratio: Number(ratio.toFixed(3)),
    goal,
    met: ratio >= goal,
  }
}

/** A fast way to deliver nothing would win every bench. */
async function sameRows(
  server: ClickHouse,
  { ours, limit }: { readonly ours: string; readonly limit: string },
  rows: number,
): Promise<void> {
  const [row] = await server.query(
    `SELECT (SELECT (count(), sum(cityHash64(* EXCEPT _sluice_ts))) FROM ${ours}) AS a,
            (SELECT (count(), sum(cityHash64(* EXCEPT _sluice_ts))) FROM ${limit}) AS b,
            toInt64((SELECT uniqExact(id) FROM ${ours})) AS rows`,
  )
  if (Number(row?.['rows']) !== rows || JSON.stringify(row?.['a']) !== JSON.stringify(row?.['b'])) {
    throw new Error(`tables differ: ${JSON.stringify(row)}`)
  }
}

export const bench = {
  id: 'P7',
  what: 'ClickHouse delivery beside the same bytes piped in by its own client',
  run,
}
