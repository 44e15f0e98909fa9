/**
 * P6: the block codec on the CDC row that all measurements here use (about 200 bytes: id, account,
 * amount, a note of 120 bytes, two times, a status), against zstd alone over the same bytes, and
 * against JSON lines.
 */
import { createHash } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { decodeBlockSync, encodeBlock, encodeBlockSync } from '../core/log/codec-block.ts'
import { makeBatch, type Batch } from '../core/record/batch.ts'
import { Int32Builder, NumberBuilder } from '../core/record/builder.ts'
import { BytesBuilder } from '../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../core/record/decimal-builder.ts'
import { makeSchema } from '../core/record/schema.ts'
import { median } from './support/figures.ts'
import type { BenchModule, BenchRow } from './types.ts'

/** As many rows as an ingest commit of 4 MiB holds. */
const rows = 20_000
const place = { object: 'bench', byte: 0 }
const statuses = ['new', 'paid', 'packed', 'shipped', 'returned']
const startUs = Date.UTC(2026, 0, 1) * 1000

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'account_id', type: { kind: 'int32' }, nullable: true },
    { name: 'amount', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: true },
    { name: 'note', type: { kind: 'text' }, nullable: true },
    { name: 'created_at', type: { kind: 'timestamptz' }, nullable: true },
    { name: 'updated_at', type: { kind: 'timestamptz' }, nullable: true },
    { name: 'status', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)

interface Sample {
  readonly batch: Batch
  readonly note: Uint8Array
  readonly jsonLines: string
}

/** Like `bench_records` of the Postgres benches, with accounts and amounts in no order. */
function sample(): Sample {
  const id = new NumberBuilder()
  const account = new Int32Builder()
  const amount = new DecimalBuilder(12, 2)
  const note = new BytesBuilder()
  const created = new NumberBuilder()
  const updated = new NumberBuilder()
  const status = new BytesBuilder()
  const times = new Float64Array(rows)
  const lines: string[] = []
  for (let i = 0; i < rows; i++) {
    const mixed = Math.imul(i, 0x9e3779b1) >>> 0
    const row = {
      id: i + 1,
      account_id: mixed % 100_000,
      amount: ((mixed % 1_000_000) / 100).toFixed(2),
      note: createHash('md5').update(String(i)).digest('hex').repeat(4).slice(0, 120),
      created_at: startUs + i * 1_234_567,
      updated_at: startUs + Math.floor(i / 1000) * 1_500_000,
      status: statuses[mixed % 5]!,
    }
    id.append(row.id)
    account.append(row.account_id)
    const digits = Buffer.from(row.amount)
    amount.appendText(digits, 0, digits.length)
    note.appendString(row.note)
    created.append(row.created_at)
    updated.append(row.updated_at)
    status.appendString(row.status)
    times[i] = row.updated_at
    const [createdText, updatedText] = [row.created_at, row.updated_at].map((us) =>
      new Date(us / 1000).toISOString(),
    )
    const line = {
      op: 'c',
      ts_us: times[i],
      ...row,
      created_at: createdText,
      updated_at: updatedText,
    }
    lines.push(JSON.stringify(line))
  }
  const columns = [id, account, amount, note, created, updated, status].map((b) => b.finish())
  const noteColumn = columns[3]!
  if (noteColumn.encoding !== 'bytes') throw new Error('notes are not all alike')
  return {
    batch: makeBatch(schema, columns, new Int32Array(rows).fill(1), new Uint8Array(rows), times),
    note: noteColumn.data,
    jsonLines: lines.join('\n'),
  }
}

const turnMs = 60

/**
 * Millions of rows per second of processor time, which is what one core does: on a machine that
 * others use too, the clock on the wall would measure them as well.
 */
function coreRate(work: () => unknown): number {
  const start = process.cpuUsage()
  const end = performance.now() + turnMs
  let done = 0
  while (performance.now() < end) {
    work()
    done += rows
  }
  const { user, system } = process.cpuUsage(start)
  return done / (user + system)
}

/** Medians of the rates, taken in turns, so that all see the same machine. */
function rates<Name extends string>(
  turns: number,
  work: Readonly<Record<Name, () => unknown>>,
): Record<Name, number> {
  const names = Object.keys(work) as Name[]
  const seen = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    number[]
  >
  // The first turns warm code and memory up.
  for (let turn = -3; turn < turns; turn++) {
    for (const name of names) {
      const value = coreRate(work[name])
      if (turn >= 0) seen[name].push(value)
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(seen[name])])) as Record<Name, number>
}

/** Two blocks at once, as of two topics: what libuv's threads add when a second core is free. */
async function threadRates(batch: Batch): Promise<[number, number]> {
  const threads: number[] = []
  const alone: number[] = []
  for (let turn = 0; turn < 20; turn++) {
    const start = performance.now()
    await Promise.all([encodeBlock(batch), encodeBlock(batch)])
    const middle = performance.now()
    encodeBlockSync(batch)
    encodeBlockSync(batch)
    threads.push((2 * rows) / (middle - start) / 1000)
    alone.push((2 * rows) / (performance.now() - middle) / 1000)
  }
  return [median(threads), median(alone)]
}

function row(
  what: string,
  unit: string,
  [ours, limit]: readonly [number, number],
  goal: number | null,
): BenchRow {
  return { what, unit, ours, limit, ratio: ours / limit, goal, met: goal === null || ours >= goal }
}

async function run(options: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const { batch, note, jsonLines } = sample()
  const block = encodeBlockSync(batch)
  const level = { [constants.ZSTD_c_compressionLevel]: 1 }
  const packing = { params: level, chunkSize: note.length + 4096 }
  const packedNote = zstdCompressSync(note, packing)
  const opening = { chunkSize: note.length, maxOutputLength: note.length }
  const { encode, decode, zstd, unzstd, parse } = rates(options.quick ? 15 : 60, {
    encode: () => encodeBlockSync(batch),
    zstd: () => zstdCompressSync(note, packing),
    decode: () => decodeBlockSync(schema, block, place),
    unzstd: () => zstdDecompressSync(packedNote, opening),
    parse: () => jsonLines.split('\n').map((line) => JSON.parse(line) as unknown),
  })
  const json = Buffer.byteLength(jsonLines) / block.length
  const rate = 'M rows/s'
  return [
    row('encode, one core; limit = zstd -1 of the note alone', rate, [encode, zstd], 3),
    row('decode to columns, one core; limit = zstd of the note alone', rate, [decode, unzstd], 8),
    row('decode to columns; limit = parsing JSON lines', rate, [decode, parse], null),
    row(
      'encode on threads, on the wall; limit = on this one',
      rate,
      await threadRates(batch),
      null,
    ),
    row(
      `smaller than JSON lines; ${(block.length / rows).toFixed(1)} B a row`,
      'times',
      [json, 1],
      8,
    ),
  ]
}

export const bench: BenchModule['bench'] = {
  id: 'P6',
  what: 'block codec of the log: encode, decode and size of CDC rows',
  run,
}
