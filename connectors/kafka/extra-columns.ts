/**
 * `columns` of a topic: columns beside those of the value, by what they hold.
 *
 *   what = 'offset' | 'partition' | 'timestamp' | 'key' | 'headers' | 'header.' name
 *
 * Keys and headers are bytes in Kafka, and texts nearly always: here they are text, and what is not UTF-8
 * stands as \x and its bytes in hexadecimal. `headers` is a JSON array of [name, value] in their order,
 * since a name may come more than once; `header.x` is the last one of that name.
 */
import type { ExtraColumn } from '../../core/connector/format/format.ts'
import type { AnyBuilder, Int32Builder, NumberBuilder } from '../../core/record/builder.ts'
import type { BytesBuilder } from '../../core/record/bytes-builder.ts'
import type { Records } from '../../core/connector/format/records.ts'
import { findHeader, headerList } from './headers.ts'
import { appendText } from './append-text.ts'

const whats = ['offset', 'partition', 'timestamp', 'key', 'headers'] as const
type Simple = (typeof whats)[number]

export const columnWords = `${whats.join(', ')} or header.<name>`

/** Why `columns` cannot say so; null when it can. */
export function columnFault(what: string): string | null {
  if ((whats as readonly string[]).includes(what) || /^header\..+$/s.test(what)) return null
  return `expected ${columnWords}`
}

/** One a column, in order; what they hold was checked. */
export function extraColumns(columns: Readonly<Record<string, string>>): readonly ExtraColumn[] {
  return Object.entries(columns).map(([name, what]) => {
    if (what.startsWith('header.')) return headerColumn(name, what.slice('header.'.length))
    return simple[what as Simple](name)
  })
}

const simple: Readonly<Record<Simple, (name: string) => ExtraColumn>> = {
  offset: (name) => ({
    field: { name, type: { kind: 'int64' }, nullable: false },
    append: (builder, records, index) => (builder as NumberBuilder).append(records.offsets[index]!),
  }),
  partition: (name) => ({
    field: { name, type: { kind: 'int32' }, nullable: false },
    append: (builder, records) => (builder as Int32Builder).append(records.partition),
  }),
  timestamp: (name) => ({
    field: { name, type: { kind: 'timestamptz' }, nullable: false },
    append: (builder, records, index) => (builder as NumberBuilder).append(records.timesUs[index]!),
  }),
  key: (name) => ({
    field: { name, type: { kind: 'text' }, nullable: true },
    append: (builder, { bytes, keyStarts, keyEnds }, index) =>
      appendBytes(builder, bytes, keyStarts[index]!, keyEnds[index]!),
  }),
  headers: (name) => ({
    field: { name, type: { kind: 'json' }, nullable: false },
    append: (builder, records, index) =>
      (builder as BytesBuilder).appendString(headersText(records, index)),
  }),
}

function headerColumn(name: string, header: string): ExtraColumn {
  const wanted = Buffer.from(header)
  const range = new Int32Array(2)
  return {
    field: { name, type: { kind: 'text' }, nullable: true },
    append: (builder, { bytes, headerStarts, headerEnds }, index) => {
      const start = headerStarts[index]!
      const found = start >= 0 && findHeader(bytes, start, headerEnds[index]!, wanted, range)
      appendBytes(builder, bytes, found ? range[0]! : -1, range[1]!)
    },
  }
}

function appendBytes(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): void {
  if (start < 0) return builder.appendNull()
  if (appendText(builder as BytesBuilder, bytes, start, end)) return
  ;(builder as BytesBuilder).appendString(hexText(bytes, start, end))
}

function hexText(bytes: Uint8Array, start: number, end: number): string {
  return `\\x${Buffer.from(bytes.subarray(start, end)).toString('hex')}`
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function headersText({ bytes, headerStarts, headerEnds }: Records, index: number): string {
  const start = headerStarts[index]!
  if (start < 0) return '[]'
  const texts = headerList(bytes, start, headerEnds[index]!).map(({ name, value }) => [
    textOf(name),
    value === null ? null : textOf(value),
  ])
  return JSON.stringify(texts)
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return hexText(bytes, 0, bytes.length)
  }
}
