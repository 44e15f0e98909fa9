/**
 * Values of the field that grows (`since`): read off a column, compared, and written as a request wants
 * them. Integers and times are bigints, exact to the microsecond; anything else is compared as text.
 */
import { isNull, type Column } from '../../core/record/column.ts'
import { timestampInfinity, timestampNegativeInfinity } from '../../core/record/types.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { dateText, numberAt, textAt } from '../../core/record/value.ts'

export type SinceValue = bigint | string
export type SinceFormat = 'iso' | 's' | 'ms' | 'us'

export interface SinceOrder {
  /** Whether values are bigints, so that so much before one is one too. */
  readonly overlaps: boolean
  /** Whether what is before is said in ms, and not in the field's own unit. */
  readonly isTime: boolean
  /** Of times: µs that what is now may read later than it is in UTC. */
  readonly aheadUs: bigint
  /** null: the row has none. */
  at(column: Column, row: number): SinceValue | null
  /** Of `start`; null = it is none. */
  parse(text: string): SinceValue | null
  /** The smallest value that is written as this one is: what is asked for begins there. */
  floor(value: SinceValue, format: SinceFormat): SinceValue
  /** For the request. */
  write(value: SinceValue, format: SinceFormat): string
}

/** A value as a position has it: the text of the bigint, or the text. */
export function restoredSince(order: SinceOrder, text: string): SinceValue | null {
  if (!order.overlaps) return text
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : null
}

export function isGreater(a: SinceValue, b: SinceValue): boolean {
  return typeof a === 'bigint' && typeof b === 'bigint' ? a > b : String(a) > String(b)
}

/** null: values of the type are in no order that a request could ask by. */
export function orderOf(type: LogicalType): SinceOrder | null {
  switch (type.kind) {
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
      return integers
    case 'timestamp':
    case 'timestamptz':
      return times(type.kind === 'timestamptz')
    case 'date':
      return dates
    case 'text':
      return { ...texts, at: (column, row) => textAt(type, column, row) }
    default:
      return null
  }
}

const unitUs = { iso: 1n, us: 1n, ms: 1000n, s: 1_000_000n } as const
const dayUs = 86_400_000_000n
/** Where no zone is said: nobody is further ahead of UTC (Kiribati). */
const zoneAheadUs = 14n * 3_600_000_000n
const digits = /^-?\d{1,19}$/

const integers: SinceOrder = {
  overlaps: true,
  isTime: false,
  aheadUs: 0n,
  at: (column, row) => (isNull(column, row) ? null : BigInt(numberAt(column, row))),
  parse: (text) => (digits.test(text) ? BigInt(text) : null),
  floor: (value) => value,
  write: String,
}

const dates: SinceOrder = {
  overlaps: true,
  isTime: true,
  aheadUs: zoneAheadUs,
  // As the µs of its midnight, so that an overlap is a duration here too.
  at: (column, row) => {
    const day = isNull(column, row) ? null : Number(numberAt(column, row))
    return day === null || Math.abs(day) > 100_000_000 ? null : BigInt(day) * dayUs
  },
  parse: parseTime,
  floor: (value) => floorTo(BigInt(value), dayUs),
  write: (value) => dateText(Number(floorTo(BigInt(value), dayUs) / dayUs)),
}

const texts = {
  overlaps: false,
  isTime: false,
  aheadUs: 0n,
  parse: (text: string) => text,
  floor: (value: SinceValue) => value,
  write: String,
}

function times(isUtc: boolean): SinceOrder {
  return {
    overlaps: true,
    isTime: true,
    aheadUs: isUtc ? 0n : zoneAheadUs,
    at: (column, row) => {
      if (isNull(column, row)) return null
      const us = numberAt(column, row)
      if (us === timestampInfinity || us === timestampNegativeInfinity) return null
      return typeof us === 'bigint' || Number.isFinite(us) ? BigInt(us) : null
    },
    parse: parseTime,
    floor: (value, format) => floorTo(BigInt(value), unitUs[format]),
    write: (value, format) => timeText(BigInt(value), format, isUtc),
  }
}

/** ISO 8601; without a zone it is in UTC. */
function parseTime(text: string): SinceValue | null {
  const iso = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(
    text,
  )
  if (iso === null) return null
  const zoned = text.replace(' ', 'T') + (iso[1] === undefined && text.length > 10 ? 'Z' : '')
  const ms = Date.parse(zoned)
  return Number.isNaN(ms) ? null : BigInt(ms) * 1000n
}

function timeText(us: bigint, format: SinceFormat, isUtc: boolean): string {
  if (format === 'us') return String(us)
  if (format === 'ms') return String(floorTo(us, 1000n) / 1000n)
  if (format === 's') return String(floorTo(us, 1_000_000n) / 1_000_000n)
  const ms = floorTo(us, 1000n) / 1000n
  const text = new Date(Number(ms)).toISOString()
  const rest = us - ms * 1000n
  const exact = rest === 0n ? text : text.replace('Z', `${String(rest).padStart(3, '0')}Z`)
  return isUtc ? exact : exact.replace('Z', '')
}

/** The largest multiple that is not greater. */
function floorTo(value: bigint, unit: bigint): bigint {
  const rest = value % unit
  return rest < 0n ? value - rest - unit : value - rest
}
