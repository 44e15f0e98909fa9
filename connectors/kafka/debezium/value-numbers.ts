/**
 * Numbers that are more than numbers: days, times and instants counted since midnight or 1970, durations,
 * and 64-bit integers that somebody wrote without their sign.
 */
import type { EpochUnit } from '../../../core/connector/format/epoch.ts'
import { smallInteger } from '../../../core/connector/format/cell-number.ts'
import { latin1 } from '../../../core/connector/format/cell.ts'
import { failed, numberEnd } from '../../../core/connector/format/json-scan.ts'
import type {
  AnyBuilder,
  BoolBuilder,
  Fixed16Builder,
  Int32Builder,
  NumberBuilder,
} from '../../../core/record/builder.ts'
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from '../../../core/record/types.ts'
import { integerRanges } from '../../../core/record/value-convert.ts'
import type { AvroInput } from '../avro/input.ts'
import type { AvroType } from '../avro/types.ts'
import { misfit, type ValueReader } from './value-reader.ts'

/** Appends an integer as its column has it; false: it has no place there. */
export type PutInteger = (builder: AnyBuilder, value: number | bigint) => boolean

export class IntegerReader implements ValueReader {
  readonly wanted: string
  readonly #put: PutInteger

  constructor(put: PutInteger, wanted: string) {
    this.#put = put
    this.wanted = wanted
  }

  json(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const byte = bytes[at]!
    if (byte !== 0x2d && (byte < 0x30 || byte > 0x39)) return misfit
    const last = numberEnd(bytes, at, end)
    if (last === failed) return failed
    const small = smallInteger(bytes, at, last)
    const value = Number.isNaN(small) ? wideInteger(latin1(bytes, at, last)) : small
    return value !== null && this.#put(builder, value) ? last : misfit
  }

  avro(input: AvroInput, builder: AnyBuilder, type: AvroType): void {
    if (type.kind !== 'int' && type.kind !== 'long') return void input.fail(this.wanted)
    const value = input.long()
    if (input.fault !== null) return
    if (!this.#put(builder, Number.isNaN(value) ? input.wide : value)) input.fail(this.wanted)
  }
}

/** Connect's integers have at most 64 bits. */
function wideInteger(text: string): number | bigint | null {
  if (!/^-?\d{1,20}$/.test(text)) return null
  const wide = BigInt(text)
  const value = Number(wide)
  return Number.isSafeInteger(value) ? value : wide
}

const unsignedRange = 1n << 64n

/** int16 to uint64, decimals and bool (0 and 1); null: the column takes no integers. */
export function integerInto(type: LogicalType): PutInteger | null {
  if (type.kind === 'decimal') return decimalPut(type.precision, type.scale ?? 0)
  if (type.kind === 'bool') {
    return (builder, value) => {
      if (value !== 0 && value !== 1) return false
      ;(builder as BoolBuilder).append(value)
      return true
    }
  }
  const range = integerRanges[type.kind]
  if (range === undefined) return null
  const [min, max] = range
  if (type.kind === 'int16' || type.kind === 'int32') {
    return (builder, value) => {
      if (typeof value === 'bigint' || value < min || value > max) return false
      ;(builder as Int32Builder).append(value)
      return true
    }
  }
  const isUnsigned = type.kind === 'uint64'
  return (builder, value) => {
    // Debezium passes an unsigned 64-bit integer on as the signed one of the same bits.
    const own = isUnsigned && value < 0 ? BigInt(value) + unsignedRange : value
    if (own < min || own > max) return false
    if (typeof own === 'number') (builder as NumberBuilder).append(own)
    else (builder as NumberBuilder).appendBigInt(own)
    return true
  }
}

function decimalPut(precision: number | null, scale: number): PutInteger {
  const limit = precision === null ? null : 10n ** BigInt(Math.max(0, precision - scale))
  return (builder, value) => {
    const size = value < 0 ? -BigInt(value) : BigInt(value)
    if (limit !== null && size >= limit) return false
    if (builder instanceof DecimalBuilder) {
      const scaled = BigInt(value) * 10n ** BigInt(scale)
      const number = Number(scaled)
      builder.appendScaled(Number.isSafeInteger(number) ? number : scaled)
    } else (builder as BytesBuilder).appendString(String(value))
    return true
  }
}

/** Days are the same in the proleptic Gregorian calendar; before this one neither database has any. */
const firstDay = -2_500_000

export const putDate: PutInteger = (builder, value) => {
  if (typeof value === 'bigint') return false
  const day = value < firstDay ? infiniteDay(value) : value
  // In a column these two stand for ±infinity.
  if (day === value && (day <= dateNegativeInfinity || day >= dateInfinity)) return false
  ;(builder as Int32Builder).append(day)
  return true
}

/**
 * What Debezium 3.6 makes of PostgreSQL's dates `infinity` and `-infinity`: in the first copy days from
 * java.sql.Date, which wrap around and depend on the time zone by one; in the stream the 32 bits that the
 * server has for them, moved by the 10,957 days between 1970 and 2000.
 */
function infiniteDay(day: number): number {
  if (day === -2_147_472_691 || Math.abs(day + 625_821_272) <= 1) return dateNegativeInfinity
  if (day === -2_147_472_692 || Math.abs(day + 622_191_234) <= 1) return dateInfinity
  return day
}

/** Units of a microsecond, and microseconds of a unit; one of them is 1. */
const perUs: Readonly<Record<EpochUnit, number>> = { s: 1, ms: 1, us: 1, ns: 1000 }
const usOf: Readonly<Record<EpochUnit, number>> = { s: 1_000_000, ms: 1000, us: 1, ns: 1 }

/** Of MySQL, times are durations too: to ±838:59:59.999999. */
const timeUsMax = (838 * 3600 + 59 * 60 + 59) * 1_000_000 + 999_999

/** Nanoseconds that are no whole microseconds have no place in a column, and are refused. */
export function timeInto(unit: EpochUnit): PutInteger {
  const [factor, divisor] = [usOf[unit], perUs[unit]]
  return (builder, value) => {
    if (typeof value === 'bigint' || value % divisor !== 0) return false
    const us = (value * factor) / divisor
    if (!(us >= -timeUsMax && us <= timeUsMax)) return false
    ;(builder as NumberBuilder).append(us === 0 ? 0 : us)
    return true
  }
}

/**
 * PostgreSQL's ±infinity as Debezium 3.6 writes it, whatever the unit: the instants that pgjdbc has for
 * them (PGStatement.DATE_POSITIVE_INFINITY and its negative), a thousandth of them in milliseconds.
 */
const infinityUs = 9_223_372_036_825_200_000n
const negativeInfinityUs = -9_223_372_036_832_400_000n

export function timestampInto(unit: EpochUnit): PutInteger {
  const [factor, divisor] = [usOf[unit], perUs[unit]]
  const safeMax = Number.MAX_SAFE_INTEGER / factor
  return (builder, value) => {
    const numbers = builder as NumberBuilder
    if (typeof value === 'number' && divisor === 1 && value <= safeMax && value >= -safeMax) {
      numbers.append(value * factor)
      return true
    }
    const count = BigInt(value)
    if (count % BigInt(divisor) !== 0n) return false
    const us = (count * BigInt(factor)) / BigInt(divisor)
    if (us === infinityUs || us === negativeInfinityUs) {
      numbers.append(us > 0n ? Infinity : -Infinity)
      return true
    }
    if (us <= timestampNegativeInfinity || us >= timestampInfinity) return false
    numbers.appendBigInt(us)
    return true
  }
}

/** A duration that has lost its months and days: they went into it at their average length. */
export function intervalInto(unit: EpochUnit): PutInteger {
  const [factor, divisor] = [BigInt(usOf[unit]), BigInt(perUs[unit])]
  return (builder, value) => {
    const count = BigInt(value)
    if (count % divisor !== 0n) return false
    const us = (count * factor) / divisor
    if (us <= timestampNegativeInfinity || us >= timestampInfinity) return false
    const intervals = builder as Fixed16Builder
    const at = intervals.reserve()
    intervals.bytes.fill(0, at, at + 8)
    const { buffer, byteOffset } = intervals.bytes
    new DataView(buffer, byteOffset + at + 8, 8).setBigInt64(0, us, true)
    return true
  }
}
