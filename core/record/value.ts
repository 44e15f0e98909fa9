/**
 * Reading single values out of columns: for sinks that need text, for `tap`, for tests. Not for hot
 * loops, which read the typed arrays.
 *
 * `textAt` gives the exact text PostgreSQL 18 would print with DateStyle ISO, TimeZone UTC,
 * IntervalStyle postgres and bytea_output hex, whatever source the value came from.
 */
import { civilDate, dayUs } from './calendar.ts'
import { isNull, type Column, type Fixed16Column } from './column.ts'
import { scaledText } from './decimal-builder.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from './types.ts'

// A leading byte order mark is part of the text.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The bytes of a value in a `bytes` or `dictionary` column (a view, not a copy). */
export function bytesAt(column: Column, row: number): Uint8Array {
  if (column.encoding === 'dictionary') return bytesAt(column.dictionary, column.codes[row]!)
  if (column.encoding !== 'bytes') throw new TypeError(`no bytes in a ${column.encoding} column`)
  return column.data.subarray(column.offsets[row]!, column.offsets[row + 1]!)
}

/** A number or bigint as packed: scaled for decimals, µs for times, days for dates. */
export function numberAt(column: Column, row: number): number | bigint {
  switch (column.encoding) {
    case 'bool':
    case 'int32':
    case 'float64':
    case 'int64':
    case 'uint64':
      return column.values[row]!
    default:
      throw new TypeError(`no numbers in a ${column.encoding} column`)
  }
}

/** The value as exact text; null when it is null. */
export function textAt(type: LogicalType, column: Column, row: number): string | null {
  if (isNull(column, row)) return null
  switch (type.kind) {
    case 'bool':
      return numberAt(column, row) === 0 ? 'f' : 't'
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
      return numberAt(column, row).toString()
    case 'float32':
      return float32Text(Number(numberAt(column, row)), 1e6)
    case 'float64':
      return floatText(Number(numberAt(column, row)))
    case 'decimal':
      return column.encoding === 'bytes' || column.encoding === 'dictionary'
        ? decoder.decode(bytesAt(column, row))
        : scaledText(numberAt(column, row), type.scale ?? 0)
    case 'date':
      return dateText(Number(numberAt(column, row)))
    case 'time':
      return timeText(Number(numberAt(column, row)))
    case 'timestamp':
      return timestampText(numberAt(column, row), '')
    case 'timestamptz':
      return timestampText(numberAt(column, row), '+00')
    case 'uuid':
      return uuidText(fixedOf(column), row)
    case 'interval':
      return intervalText(fixedOf(column), row)
    case 'bytes':
      return `\\x${hex(bytesAt(column, row))}`
    case 'list':
      return column.encoding === 'list'
        ? listText(type.element, column.child, column.offsets[row]!, column.offsets[row + 1]!)
        : decoder.decode(bytesAt(column, row))
    case 'text':
    case 'json':
    case 'other':
      return decoder.decode(bytesAt(column, row))
  }
}

function fixedOf(column: Column): Fixed16Column {
  if (column.encoding !== 'fixed16')
    throw new TypeError(`16-byte values in a ${column.encoding} column`)
  return column
}

/** Shortest text that reads back as the same double, as `float8out` prints it. */
export function floatText(value: number, exponentFrom = 1e15): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  if (Object.is(value, -0)) return '-0'
  const size = Math.abs(value)
  // float8out switches to exponents below 1e-4 and from 1e15 on; JavaScript at 1e-6 and 1e21.
  if (value !== 0 && (size < 1e-4 || size >= exponentFrom)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  }
  return String(value)
}

/**
 * Shortest text that reads back as the same 32-bit float; 9 digits always do (IEEE 754 §5.12.2).
 * `float4out` writes exponents from 1e6 on.
 */
export function float32Text(value: number, exponentFrom = 1e15): string {
  const single = Math.fround(value)
  if (!Number.isFinite(single) || single === 0) return floatText(single)
  let short = single
  for (let digits = 1; digits <= 9; digits++) {
    short = Number(single.toPrecision(digits))
    if (Math.fround(short) === single) break
  }
  return floatText(short, exponentFrom)
}

export function dateText(day: number): string {
  if (day === dateInfinity) return 'infinity'
  if (day === dateNegativeInfinity) return '-infinity'
  const { year, month, day: dayOfMonth } = civilDate(day)
  const bc = year <= 0
  const shown = String(bc ? 1 - year : year).padStart(4, '0')
  return `${shown}-${two(month)}-${two(dayOfMonth)}${bc ? ' BC' : ''}`
}

export function timeText(us: number): string {
  if (us < 0) return `-${timeText(-us)}`
  const seconds = Math.floor(us / 1e6)
  const fraction = us - seconds * 1e6
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}

/** µs since 1970 as `2026-01-01 00:00:00.5`, then `zone`, then ` BC` where it is. */
export function timestampText(us: number | bigint, zone: string): string {
  if (us === Infinity || us === timestampInfinity) return 'infinity'
  if (us === -Infinity || us === timestampNegativeInfinity) return '-infinity'
  const [day, rest] = dayAndTime(us)
  const date = dateText(day)
  return date.endsWith(' BC')
    ? `${date.slice(0, -3)} ${timeText(rest)}${zone} BC`
    : `${date} ${timeText(rest)}${zone}`
}

/** µs since 1970 split into a day number and µs since midnight. */
export function dayAndTime(us: number | bigint): [day: number, timeUs: number] {
  if (typeof us === 'number') {
    const day = Math.floor(us / dayUs)
    return [day, us - day * dayUs]
  }
  const size = BigInt(dayUs)
  const rest = ((us % size) + size) % size
  return [Number((us - rest) / size), Number(rest)]
}

function uuidText(column: Fixed16Column, row: number): string {
  const text = hex(column.data.subarray(row * 16, row * 16 + 16))
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`
}

export interface Interval {
  readonly months: number
  readonly days: number
  readonly us: bigint
}

export function intervalAt(column: Column, row: number): Interval {
  const { data } = fixedOf(column)
  const view = new DataView(data.buffer, data.byteOffset + row * 16, 16)
  return {
    months: view.getInt32(0, true),
    days: view.getInt32(4, true),
    us: view.getBigInt64(8, true),
  }
}

/** 1, −1 for ±infinity, 0 for every other interval. */
export function intervalInfinity({ months, days, us }: Interval): number {
  if (months === 0x7fffffff && days === 0x7fffffff && us === timestampInfinity) return 1
  if (months === -0x80000000 && days === -0x80000000 && us === timestampNegativeInfinity) return -1
  return 0
}

/** IntervalStyle postgres: `1 year 2 mons -3 days +04:05:06.7`. */
function intervalText(column: Column, row: number): string {
  const interval = intervalAt(column, row)
  const infinite = intervalInfinity(interval)
  if (infinite !== 0) return infinite > 0 ? 'infinity' : '-infinity'
  const parts: string[] = []
  let negativeBefore = false
  const part = (count: number, unit: string): void => {
    if (count === 0) return
    // A positive field after a negative one carries its sign, or it would read as negative.
    parts.push(`${negativeBefore && count > 0 ? '+' : ''}${count} ${unit}${count === 1 ? '' : 's'}`)
    negativeBefore = count < 0
  }
  part(Math.trunc(interval.months / 12), 'year')
  part(interval.months % 12, 'mon')
  part(interval.days, 'day')
  if (interval.us !== 0n || parts.length === 0) {
    const size = interval.us < 0n ? -interval.us : interval.us
    const hours = size / 3_600_000_000n
    const rest = timeText(Number(size - hours * 3_600_000_000n)).slice(2)
    const sign = interval.us < 0n ? '-' : negativeBefore ? '+' : ''
    parts.push(`${sign}${hours.toString().padStart(2, '0')}${rest}`)
  }
  return parts.join(' ')
}

function listText(element: LogicalType, child: Column, from: number, to: number): string {
  const parts: string[] = []
  for (let i = from; i < to; i++) {
    const text = textAt(element, child, i)
    parts.push(text === null ? 'NULL' : element.kind === 'list' ? text : listElementText(text))
  }
  return `{${parts.join(',')}}`
}

/** array_out quotes empty texts, the word NULL, and whatever would not read back as it is. */
function listElementText(text: string): string {
  if (text !== '' && !/[{}",\\\s]/.test(text) && text.toUpperCase() !== 'NULL') return text
  return `"${text.replace(/(["\\])/g, '\\$1')}"`
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}
