/**
 * P16: messages of a topic into columns, on one core: JSON of about 200 bytes and six columns, and the
 * same rows as CSV, through the decoder that sources use; against JSON.parse of each message, whose
 * members are appended to the same builders.
 */
import { plainDecoder, type PlainSettings } from '../core/connector/format/format-config.ts'
import type { Records } from '../core/connector/format/records.ts'
import { builderFor, type AnyBuilder, type NumberBuilder } from '../core/record/builder.ts'
import type { BytesBuilder } from '../core/record/bytes-builder.ts'
import type { DecimalBuilder } from '../core/record/decimal-builder.ts'
import type { BenchModule, BenchRow } from './types.ts'

/** As many as a commit of 4 MiB holds. */
const rows = 20_000
const schema = {
  id: 'int64',
  account_id: 'int64',
  amount: 'decimal(12,2)',
  note: 'text',
  created_at: 'timestamptz',
  status: 'text',
}
const statuses = ['new', 'paid', 'packed', 'shipped', 'returned']

interface Row {
  readonly id: number
  readonly account_id: number
  readonly amount: number
  readonly note: string
  readonly created_at: string
  readonly status: string
}

function sample(): Row[] {
  return Array.from({ length: rows }, (_, i) => {
    const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0
    return {
      id: i + 1,
      account_id: mixed % 100_000,
      amount: (mixed % 1_000_000) / 100,
      note: `customer ${mixed.toString(36)} ordered ${mixed % 97} things; `.repeat(3).slice(0, 85),
      created_at: new Date(Date.UTC(2026, 0, 1) + i * 1234).toISOString(),
      status: statuses[mixed % 5]!,
    }
  })
}

function recordsOf(texts: readonly string[]): Records {
  const parts = texts.map((text) => Buffer.from(text))
  const none = new Int32Array(rows).fill(-1)
  const valueStarts = new Int32Array(rows)
  const valueEnds = new Int32Array(rows)
  let length = 0
  parts.forEach((part, i) => {
    valueStarts[i] = length
    valueEnds[i] = length += part.length
  })
  return {
    bytes: Buffer.concat(parts),
    count: rows,
    keyStarts: none,
    keyEnds: none,
    valueStarts,
    valueEnds,
    headerStarts: none,
    headerEnds: none,
    timesUs: new Float64Array(rows),
    offsets: Float64Array.from({ length: rows }, (_, i) => i),
    partition: 0,
  }
}

/** Decodes and hands over all of them. */
function decoding(settings: PlainSettings, records: Records): () => void {
  const decoder = plainDecoder('bench', settings, [])
  return () => {
    const done = decoder.decode(records, 0)
    const { changes, rejected } = decoder.take()
    const taken = changes.reduce(
      (sum, change) => sum + ('batch' in change ? change.batch.rows : 0),
      0,
    )
    if (done !== rows || taken !== rows || rejected.length > 0) throw new Error('not all were read')
  }
}

/** What one would write without a scanner of one's own; doubles and strings in between. */
function parsing(records: Records): () => void {
  const [id, account, amount, note, created, status] = [
    'int64',
    'int64',
    'decimal',
    'text',
    'timestamptz',
    'text',
  ].map((kind) =>
    builderFor(kind === 'decimal' ? { kind, precision: 12, scale: 2 } : { kind: kind as 'text' }),
  )
  const builders: AnyBuilder[] = [id!, account!, amount!, note!, created!, status!]
  const { valueStarts, valueEnds } = records
  const bytes = Buffer.from(records.bytes.buffer, records.bytes.byteOffset, records.bytes.length)
  return () => {
    for (let i = 0; i < rows; i++) {
      const row = JSON.parse(bytes.toString('utf8', valueStarts[i], valueEnds[i])) as Row
      ;(id as NumberBuilder).append(row.id)
      ;(account as NumberBuilder).append(row.account_id)
      ;(amount as DecimalBuilder).appendScaled(Math.round(row.amount * 100))
      ;(note as BytesBuilder).appendString(row.note)
      ;(created as NumberBuilder).append(Date.parse(row.created_at) * 1000)
      ;(status as BytesBuilder).appendString(row.status)
    }
    for (const builder of builders) builder.finish()
  }
}

/** Rows a second of processor time, medians of turns; the first turns warm up. */
function rates(turns: number, works: readonly (() => void)[]): number[] {
  const seen: number[][] = works.map(() => [])
  for (let turn = -4; turn < turns; turn++) {
    for (const [at, work] of works.entries()) {
      const start = process.cpuUsage()
      const end = performance.now() + 60
      let done = 0
      while (performance.now() < end) {
        work()
        done += rows
      }
      const { user, system } = process.cpuUsage(start)
      if (turn >= 0) seen[at]!.push((done / (user + system)) * 1e6)
    }
  }
  return seen.map((all) => all.sort((a, b) => a - b)[all.length >> 1]!)
}

function rated(what: string, ours: number, limit: number, goal: number | null): BenchRow {
  const ratio = ours / limit
  return { what, unit: 'rows/s', ours, limit, ratio, goal, met: goal === null || ratio >= goal }
}

function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const all = sample()
  const json = recordsOf(all.map((row) => JSON.stringify(row)))
  const spaced = recordsOf(all.map((row) => JSON.stringify(row, null, 1)))
  const csv = recordsOf(all.map((row) => Object.values(row).join(',')))
  const some = { id: schema.id, amount: schema.amount, status: schema.status }
  const [ours, three, blanks, ofCsv, parse] = rates(quick ? 15 : 60, [
    decoding({ format: 'json', schema }, json),
    decoding({ format: 'json', schema: some }, json),
    decoding({ format: 'json', schema }, spaced),
    decoding({ format: 'csv', schema }, csv),
    parsing(json),
  ]) as [number, number, number, number, number]
  const bytes = Math.round(json.bytes.length / rows)
  const least: BenchRow = {
    what: `JSON of ${bytes} bytes into six columns; limit = the least that is wanted`,
    unit: 'rows/s',
    ours,
    limit: 1_500_000,
    ratio: ours / 1_500_000,
    goal: 1,
    met: ours >= 1_500_000,
  }
  return Promise.resolve([
    least,
    rated('the same; limit = JSON.parse and append', ours, parse, 3),
    rated('three of the six columns; limit = JSON.parse and append', three, parse, null),
    rated('with line breaks and blanks; limit = JSON.parse and append', blanks, parse, null),
    rated('CSV into six columns; limit = JSON.parse and append of the JSON', ofCsv, parse, null),
  ])
}

export const bench: BenchModule['bench'] = {
  id: 'P16',
  what: 'messages of a topic into columns: JSON and CSV',
  run,
}
