/**
 * Rows as JSON text, for sinks that speak JSON and for `tap`. Exact: whatever a JSON reader that
 * keeps numbers in doubles cannot hold is written as a string (invariant 9).
 *
 *   bool                    true, false
 *   int16, int32            number
 *   int64, uint64           number up to ±(2^53 − 1), beyond it a string (JsonOptions.int64)
 *   float32, float64        shortest number that reads back the same; "NaN", "Infinity", "-Infinity"
 *   decimal                 string of its exact digits (JsonOptions.decimal)
 *   text, other             string
 *   json                    as it is: it is JSON already
 *   bytes                   string, base64 (RFC 4648 §4)
 *   uuid                    string, 8-4-4-4-12
 *   date                    "2026-01-31"
 *   time                    "23:59:59.000001"; MySQL's go from "-838:59:59.999999" to "838:59:59.999999"
 *   timestamp               "2026-01-31T23:59:59.000001"
 *   timestamptz             "2026-01-31T23:59:59.000001Z"
 *   interval                "P1Y2M3DT4H5M6.7S", each part with its own sign (ISO 8601-2 §4.4.1.9)
 *   list                    array; one that only its source can write (not one-dimensional) a string
 *   null                    null; also what a json column's own null looks like
 *
 * Times have six digits of fraction always, so that they sort as text. Years outside 0000–9999 are
 * written with sign and at least six digits (ISO 8601-1 §4.3.2, as JavaScript's Date reads them),
 * year 0 being 1 BC. The infinities of dates, timestamps and intervals are "infinity" and "-infinity".
 */
import type { Batch } from './batch.ts'
import { civilDate } from './calendar.ts'
import { isNull, type Column, type DictionaryColumn } from './column.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from './types.ts'
import {
  bytesAt,
  dayAndTime,
  float32Text,
  floatText,
  intervalAt,
  intervalInfinity,
  numberAt,
  textAt,
  type Interval,
} from './value.ts'

export interface JsonOptions {
  /** `auto`: a string beyond ±(2^53 − 1); `string`: always; `number`: never, for readers that are exact. */
  readonly int64: 'auto' | 'string' | 'number'
  /** `number`: the exact digits without quotes, for readers that are exact. */
  readonly decimal: 'string' | 'number'
}

export const jsonDefaults: JsonOptions = { int64: 'auto', decimal: 'string' }

/** A value of one column as JSON text, by row. */
export type JsonColumn = (row: number) => string

/**
 * The rows of a batch as JSON objects without spaces, one call a row: `{"id":1,"name":"a"}`.
 * `fields` are indexes into the schema's fields, in the order wanted; all when absent.
 * Throws TypeError for a text that is not UTF-8: JSON cannot hold it.
 */
export function jsonRows(
  batch: Batch,
  fields: readonly number[] = batch.schema.fields.map((_, index) => index),
  options: JsonOptions = jsonDefaults,
): JsonColumn {
  const names: string[] = []
  const values: JsonColumn[] = []
  for (const index of fields) {
    const field = batch.schema.fields[index]!
    names.push(`${names.length === 0 ? '{' : ','}${JSON.stringify(field.name)}:`)
    values.push(jsonColumn(field.type, batch.columns[index]!, options))
  }
  if (names.length === 0) return () => '{}'
  return (row) => {
    let text = ''
    for (let i = 0; i < names.length; i++) text += names[i]! + values[i]!(row)
    return `${text}}`
  }
}

export function jsonColumn(type: LogicalType, column: Column, options: JsonOptions): JsonColumn {
  const write = valueWriter(type, column, options)
  if (column.validity === null) return write
  return (row) => (isNull(column, row) ? 'null' : write(row))
}

function valueWriter(type: LogicalType, column: Column, options: JsonOptions): JsonColumn {
  // Each distinct value of a dictionary is written once a batch.
  if (column.encoding === 'dictionary') return dictionaryWriter(type, column, options)
  switch (type.kind) {
    case 'bool':
      return (row) => (numberAt(column, row) === 0 ? 'false' : 'true')
    case 'int16':
    case 'int32':
      return (row) => String(numberAt(column, row))
    case 'int64':
    case 'uint64':
      return (row) => integerJson(numberAt(column, row), options)
    case 'float32':
      return (row) => numberJson(float32Text(Number(numberAt(column, row))))
    case 'float64':
      return (row) => numberJson(floatText(Number(numberAt(column, row))))
    case 'decimal':
      return (row) => {
        const digits = textAt(type, column, row)!
        return options.decimal === 'number' ? numberJson(digits) : `"${digits}"`
      }
    case 'date':
      return (row) => `"${dateJson(Number(numberAt(column, row)))}"`
    case 'time':
      return (row) => `"${clock(Number(numberAt(column, row)))}"`
    case 'timestamp':
      return (row) => `"${isoTimestamp(numberAt(column, row), '')}"`
    case 'timestamptz':
      return (row) => `"${isoTimestamp(numberAt(column, row), 'Z')}"`
    case 'uuid':
      return (row) => `"${textAt(type, column, row)!}"`
    case 'interval':
      return (row) => `"${isoInterval(intervalAt(column, row))}"`
    case 'json':
      return (row) => utf8(bytesAt(column, row))
    case 'bytes':
      return (row) => `"${bufferOf(bytesAt(column, row)).toString('base64')}"`
    case 'list':
      return listWriter(type.element, column, options)
    case 'text':
    case 'other':
      return (row) => JSON.stringify(utf8(bytesAt(column, row)))
  }
}

function dictionaryWriter(
  type: LogicalType,
  column: DictionaryColumn,
  options: JsonOptions,
): JsonColumn {
  const write = valueWriter(type, column.dictionary, options)
  const written: (string | undefined)[] = []
  return (row) => {
    const code = column.codes[row]!
    return (written[code] ??= write(code))
  }
}

function listWriter(element: LogicalType, column: Column, options: JsonOptions): JsonColumn {
  if (column.encoding !== 'list') return (row) => JSON.stringify(utf8(bytesAt(column, row)))
  const { offsets } = column
  const write = jsonColumn(element, column.child, options)
  return (row) => {
    const parts: string[] = []
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) parts.push(write(i))
    return `[${parts.join(',')}]`
  }
}

function integerJson(value: number | bigint, { int64 }: JsonOptions): string {
  const quoted = int64 === 'string' || (int64 === 'auto' && !Number.isSafeInteger(Number(value)))
  return quoted ? `"${value}"` : String(value)
}

/** Number text as JSON: as it is where JSON's grammar (RFC 8259 §6) has it, else as a string. */
function numberJson(text: string): string {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? text : `"${text}"`
}

/** µs since 1970 as ISO 8601, followed by `zone`: `2026-01-31T23:59:59.000001Z`. */
export function isoTimestamp(us: number | bigint, zone: '' | 'Z'): string {
  if (us === Infinity || us === timestampInfinity) return 'infinity'
  if (us === -Infinity || us === timestampNegativeInfinity) return '-infinity'
  const [day, timeUs] = dayAndTime(us)
  return `${isoDate(day)}T${clock(timeUs)}${zone}`
}

function dateJson(day: number): string {
  if (day === dateInfinity) return 'infinity'
  return day === dateNegativeInfinity ? '-infinity' : isoDate(day)
}

export function isoDate(dayNumber: number): string {
  const { year, month, day } = civilDate(dayNumber)
  const digits = String(Math.abs(year))
  const shown =
    year >= 0 && year <= 9999
      ? digits.padStart(4, '0')
      : `${year < 0 ? '-' : '+'}${digits.padStart(6, '0')}`
  return `${shown}-${two(month)}-${two(day)}`
}

export function clock(us: number): string {
  if (us < 0) return `-${clock(-us)}`
  const seconds = Math.floor(us / 1e6)
  const fraction = String(us - seconds * 1e6).padStart(6, '0')
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${fraction}`
}

export function isoInterval(interval: Interval): string {
  const infinite = intervalInfinity(interval)
  if (infinite !== 0) return infinite > 0 ? 'infinity' : '-infinity'
  const { months, days, us } = interval
  const negative = us < 0n
  const size = negative ? -us : us
  const sign = negative ? '-' : ''
  const part = (count: number | bigint, unit: string): string =>
    Number(count) === 0 ? '' : `${count}${unit}`
  const date = part(Math.trunc(months / 12), 'Y') + part(months % 12, 'M') + part(days, 'D')
  const hours = size / 3_600_000_000n
  const minutes = (size / 60_000_000n) % 60n
  const fraction = (size % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '')
  const seconds = `${(size / 1_000_000n) % 60n}${fraction === '' ? '' : `.${fraction}`}`
  const time =
    part(negative ? -hours : hours, 'H') +
    part(negative ? -minutes : minutes, 'M') +
    (seconds === '0' ? '' : `${sign}${seconds}S`)
  if (time !== '') return `P${date}T${time}`
  return date === '' ? 'PT0S' : `P${date}`
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 as a string, byte order mark and all. Throws TypeError where it is not UTF-8. */
function utf8(bytes: Uint8Array): string {
  const text = bufferOf(bytes).toString('utf8')
  // Buffer replaces what it cannot read, and says nothing; the slow decoder tells the two apart.
  return text.includes('\uFFFD') ? strict.decode(bytes) : text
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
