/**
 * Dates, times, timestamps and intervals under DateStyle ISO, TimeZone UTC, IntervalStyle iso_8601.
 *
 *   date        = year '-' mm '-' dd [ ' BC' ] | 'infinity' | '-infinity'      year: 4 digits or more
 *   time        = hh ':' mm ':' ss [ '.' 1*6 digits ]                          up to 24:00:00
 *   timestamp   = year '-' mm '-' dd ' ' time [ ' BC' ] | 'infinity' | '-infinity'
 *   timestamptz = year '-' mm '-' dd ' ' time '+00' [ ' BC' ] | 'infinity' | '-infinity'
 *
 * PostgreSQL 18, src/backend/utils/adt/datetime.c: EncodeDateOnly, EncodeDateTime, EncodeInterval.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { Fixed16Builder, Int32Builder, NumberBuilder } from '../../core/record/builder.ts'
import { dayNumber, dayUs } from '../../core/record/calendar.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from '../../core/record/types.ts'
import { badValue, type ValueDecoder } from './value-decoder.ts'

const minus = 0x2d
const colon = 0x3a
const point = 0x2e
const space = 0x20
const zero = 0x30
const letterC = 0x43
const letterI = 0x69

/** Digits that turn out to be none make the result NaN, which every caller checks once at the end. */
function twoDigits(source: Uint8Array, at: number): number {
  const tens = source[at]! - zero
  const ones = source[at + 1]! - zero
  return tens >>> 0 > 9 || ones >>> 0 > 9 ? NaN : tens * 10 + ones
}

/** Where the year of a date that starts at `start` ends; `end` when there is no '-'. */
function yearEnd(source: Uint8Array, start: number, end: number): number {
  let at = start + 4
  while (at < end && source[at] !== minus) at++
  return at
}

/** Day number of the date whose year is source[start, dash); NaN when it is none. */
function dayAt(source: Uint8Array, start: number, dash: number, bc: boolean): number {
  let year = 0
  for (let at = start; at < dash; at++) {
    const digit = source[at]! - zero
    if (digit >>> 0 > 9) return NaN
    year = year * 10 + digit
  }
  const month = twoDigits(source, dash + 1)
  const day = twoDigits(source, dash + 4)
  if (source[dash + 3] !== minus || !(month >= 1 && month <= 12)) return NaN
  return dayNumber(bc ? 1 - year : year, month, day)
}

const fractionScale = Float64Array.of(1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1)

/** µs since midnight; NaN when source[start, end) is no time. */
function clockUs(source: Uint8Array, start: number, end: number): number {
  if (source[start + 2] !== colon || source[start + 5] !== colon) return NaN
  const seconds =
    twoDigits(source, start) * 3600 +
    twoDigits(source, start + 3) * 60 +
    twoDigits(source, start + 6)
  const digits = end - start - 9
  if (digits === -1) return seconds * 1e6
  if (digits < 1 || digits > 6 || source[start + 8] !== point) return NaN
  let fraction = 0
  for (let at = start + 9; at < end; at++) {
    const digit = source[at]! - zero
    if (digit >>> 0 > 9) return NaN
    fraction = fraction * 10 + digit
  }
  return seconds * 1e6 + fraction * fractionScale[digits]!
}

/** 1 for 'infinity', −1 for '-infinity', 0 for anything else. */
function infinitySign(source: Uint8Array, start: number, end: number): number {
  if (end - start === 8 && source[start] === letterI) return 1
  return end - start === 9 && source[start] === minus && source[start + 1] === letterI ? -1 : 0
}

export class DateDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new Int32Builder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    const bc = source[end - 1] === letterC
    const dash = yearEnd(source, start, end)
    const dateEnd = bc ? end - 3 : end
    const day = dash + 6 === dateEnd ? dayAt(source, start, dash, bc) : NaN
    if (!Number.isNaN(day)) return this.builder.append(day)
    const sign = infinitySign(source, start, end)
    if (sign === 0) throw badValue(this.type)
    this.builder.append(sign > 0 ? dateInfinity : dateNegativeInfinity)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

export class TimeDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new NumberBuilder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    const us = clockUs(source, start, end)
    if (Number.isNaN(us)) throw badValue(this.type)
    this.builder.append(us)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** Beyond this many days, µs since 1970 may leave the range in which doubles hold every integer. */
const exactDaysMax = 104_000

export class TimestampDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new NumberBuilder()
  /** Bytes of '+00': under TimeZone UTC every instant has this offset. */
  readonly #zoneBytes: number
  constructor(type: LogicalType) {
    this.type = type
    this.#zoneBytes = type.kind === 'timestamptz' ? 3 : 0
  }
  append(source: Uint8Array, start: number, end: number): void {
    const bc = source[end - 1] === letterC
    const clockEnd = (bc ? end - 3 : end) - this.#zoneBytes
    const dash = yearEnd(source, start, end)
    const day = dayAt(source, start, dash, bc)
    const clock = clockUs(source, dash + 7, clockEnd)
    const zoned =
      this.#zoneBytes === 0 ||
      (source[clockEnd] === 0x2b && source[clockEnd + 1] === zero && source[clockEnd + 2] === zero)
    if (!zoned || source[dash + 6] !== space || Number.isNaN(day + clock)) {
      const sign = infinitySign(source, start, end)
      if (sign === 0) throw badValue(this.type)
      this.builder.append(sign * Infinity)
    } else if (day < exactDaysMax && day > -exactDaysMax) this.builder.append(day * dayUs + clock)
    else this.builder.appendBigInt(this.#wideUs(day, clock))
  }

  /**
   * The server counts from 2000, so its last 30 years, from 294247-01-10 on, do not fit into 64 bits of
   * µs since 1970. Such a value is refused: wrapped around, it would be another one.
   */
  #wideUs(day: number, clock: number): bigint {
    const us = BigInt(day) * BigInt(dayUs) + BigInt(clock)
    if (us < timestampInfinity && us > timestampNegativeInfinity) return us
    throw new SluiceError('source.postgres.value', {
      message: `A ${this.type.kind} value lies beyond 294247-01-10, the end of what can be held.`,
    })
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const designators = {
  y: 0x59,
  m: 0x4d,
  w: 0x57,
  d: 0x44,
  h: 0x48,
  s: 0x53,
  t: 0x54,
  p: 0x50,
} as const
/** A part that would take µs out of the exact doubles is added as a BigInt. */
const exactUsMax = 4e15

/**
 * interval = 'P' { number ( 'Y' | 'M' | 'D' ) } [ 'T' { number ( 'H' | 'M' | 'S' ) } ]
 *          | 'infinity' | '-infinity' (PostgreSQL 17+)
 * Every number has its own sign; only seconds have a fraction. Months, days and µs stay apart, as
 * the server keeps them, so that nothing is normalised away.
 */
export class IntervalDecoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new Fixed16Builder()
  constructor(type: LogicalType) {
    this.type = type
  }

  append(source: Uint8Array, start: number, end: number): void {
    const sign = infinitySign(source, start, end)
    if (sign !== 0) return this.#infinity(sign)
    if (source[start] !== designators.p || end - start < 3) throw badValue(this.type)
    let months = 0
    let days = 0
    let us = 0
    let wideUs = 0n
    let inTime = false
    for (let at = start + 1; at < end;) {
      if (source[at] === designators.t) {
        inTime = true
        at++
        continue
      }
      const unitAt = this.#numberEnd(source, at, end)
      const value = this.#value
      const unit = source[unitAt]
      if (!inTime && unit === designators.y) months += value * 12
      else if (!inTime && unit === designators.m) months += value
      else if (!inTime && unit === designators.d) days += value
      else if (inTime && unit === designators.h) {
        if (Math.abs(value) * 3.6e9 > exactUsMax) wideUs += BigInt(value) * 3_600_000_000n
        else us += value * 3.6e9
      } else if (inTime && unit === designators.m) us += value * 6e7
      else if (inTime && unit === designators.s) us += value * 1e6 + this.#fractionUs
      else throw badValue(this.type)
      at = unitAt + 1
    }
    this.#write(months, days, wideUs === 0n ? us : wideUs + BigInt(us))
  }

  appendNull(): void {
    this.builder.appendNull()
  }

  #value = 0
  #fractionUs = 0

  /** Reads a number into `#value` and `#fractionUs`; returns the place after it. */
  #numberEnd(source: Uint8Array, start: number, end: number): number {
    const negative = source[start] === minus
    let at = negative ? start + 1 : start
    const first = at
    let value = 0
    for (; at < end && (source[at]! - zero) >>> 0 <= 9; at++)
      value = value * 10 + source[at]! - zero
    if (at === first || at >= end) throw badValue(this.type)
    let fraction = 0
    if (source[at] === point) {
      let scale = 1e5
      for (at++; at < end && (source[at]! - zero) >>> 0 <= 9; at++) {
        fraction += (source[at]! - zero) * scale
        scale /= 10
      }
      if (scale < 0.05) throw badValue(this.type)
    }
    this.#value = negative ? -value : value
    this.#fractionUs = negative ? -fraction : fraction
    return at
  }

  /** All three fields at their extreme, as the server keeps it. */
  #infinity(sign: number): void {
    if (sign > 0) this.#write(0x7fffffff, 0x7fffffff, 0x7fffffffffffffffn)
    else this.#write(-0x80000000, -0x80000000, -0x8000000000000000n)
  }

  #write(months: number, days: number, us: number | bigint): void {
    const at = this.builder.reserve()
    const into = this.builder.bytes
    const wide = typeof us === 'bigint'
    const low = wide
      ? Number(BigInt.asUintN(32, us))
      : us - Math.floor(us / 4294967296) * 4294967296
    const high = wide ? Number(us >> 32n) : Math.floor(us / 4294967296)
    writeInt32(into, at, months)
    writeInt32(into, at + 4, days)
    writeInt32(into, at + 8, low)
    writeInt32(into, at + 12, high)
  }
}

/** Little-endian; only the low 32 bits of `value` count. */
function writeInt32(into: Uint8Array, at: number, value: number): void {
  into[at] = value
  into[at + 1] = value >> 8
  into[at + 2] = value >> 16
  into[at + 3] = value >> 24
}
