/**
 * Dates, times and timestamps in ISO 8601, and as counts since 1970. Microseconds are exact over all of
 * 64 bits; digits behind them are rounded, half away from zero, as PostgreSQL does.
 *
 *   date        = year '-' mm '-' dd                 year: 4 digits, or sign and 4 to 6 (0000 is 1 BC)
 *   time        = hh ':' mm [ ':' ss [ ( '.' | ',' ) 1*digit ] ]       up to 24:00:00; :60 is the next minute
 *               | [ '-' ] 2*3 digits ':' mm ':' ss [ '.' 1*6 digits ]  a duration of MySQL's, up to 838:59:59
 *   zone        = 'Z' | 'z' | sign hh [ [ ':' ] mm [ [ ':' ] ss ] ]
 *   timestamp   = date [ ( 'T' | 't' | ' ' ) time ]
 *   timestamptz = date ( 'T' | 't' | ' ' ) time [ ' ' ] zone
 *   date, timestamp and timestamptz also: 'infinity' | '-infinity'
 *
 * A timestamp with a zone and a timestamptz without one are refused: either way a guess would move it.
 */
import type { AnyBuilder, Int32Builder, NumberBuilder } from '../../record/builder.ts'
import { dayNumber, dayUs } from '../../record/calendar.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  timestampInfinity,
  timestampNegativeInfinity,
} from '../../record/types.ts'
import { latin1, type CellReader } from './cell.ts'
import { colon, comma, look, minus, point, quote, zero } from './json-scan.ts'

const plus = 0x2b
const space = 0x20
const none = -1
/** Beyond so many days, µs since 1970 may leave the range in which doubles hold every integer. */
const exactDaysMax = 104_000

// What the functions below have read; they return where they stopped, or `none`.
let day = 0
let us = 0
let zoneSeconds = 0

/** Two digits; NaN when they are none. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - zero
  const ones = bytes[at + 1]! - zero
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN
}

const monthDays = Uint8Array.of(31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

/**
 * Dates that came before, by their ten bytes: a stream has few of them, and one is sooner compared than read. The index
 * is made of the last digits of month and day.
 */
const knownYears = new Int32Array(16)
const knownMonths = new Int32Array(16)
/** None yet: two bytes are never that. */
const knownDays = new Int32Array(16).fill(-1 << 16)
const known = new Int32Array(16)
const usualBytes = 10

/** Sets `day`. */
function readDate(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < usualBytes) return none
  const view = look(bytes)
  const year = view.getInt32(at, true)
  const month = view.getInt32(at + 4, true)
  const dayOfMonth = view.getInt16(at + 8, true)
  const index = ((month >>> 16) ^ (dayOfMonth >>> 8)) & 15
  if (
    knownYears[index] === year &&
    knownMonths[index] === month &&
    knownDays[index] === dayOfMonth
  ) {
    day = known[index]!
    return at + usualBytes
  }
  const last = readNewDate(bytes, at, end)
  if (last !== at + usualBytes) return last
  knownYears[index] = year
  knownMonths[index] = month
  knownDays[index] = dayOfMonth
  known[index] = day
  return last
}

function readNewDate(bytes: Uint8Array, at: number, end: number): number {
  const sign = bytes[at] === minus ? -1 : 1
  const signed = bytes[at] === minus || bytes[at] === plus
  if (signed) at++
  const from = at
  let year = 0
  while (at < end && bytes[at]! >= zero && bytes[at]! <= 0x39)
    year = year * 10 + bytes[at++]! - zero
  const digits = at - from
  if (digits < 4 || digits > (signed ? 6 : 4)) return none
  if (end - at < 6 || bytes[at] !== minus || bytes[at + 3] !== minus) return none
  const month = twoDigits(bytes, at + 1)
  const dayOfMonth = twoDigits(bytes, at + 4)
  if (!(month >= 1 && month <= 12 && dayOfMonth >= 1 && dayOfMonth <= monthDays[month - 1]!))
    return none
  year *= sign
  if (dayOfMonth === 29 && month === 2 && !isLeapYear(year)) return none
  day = dayNumber(year, month, dayOfMonth)
  return at + 6
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

/** Sets `us`, the microseconds since midnight. */
function readTime(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 5 || bytes[at + 2] !== colon) return none
  const hours = twoDigits(bytes, at)
  const minutes = twoDigits(bytes, at + 3)
  at += 5
  let seconds = 0
  let fraction = 0
  if (at < end && bytes[at] === colon) {
    if (end - at < 3) return none
    seconds = twoDigits(bytes, at + 1)
    at += 3
    if (at < end && (bytes[at] === point || bytes[at] === comma)) {
      const from = ++at
      let scale = 100_000
      for (; at < end; at++) {
        const digit = bytes[at]! - zero
        if (digit < 0 || digit > 9) break
        if (scale >= 1) fraction += digit * scale
        // The first digit behind the microseconds says where they are rounded to.
        else if (at === from + 6 && digit >= 5) fraction++
        scale /= 10
      }
      if (at === from) return none
    }
  }
  if (!(hours <= 24 && minutes <= 59 && seconds <= 60)) return none
  us = (hours * 3600 + minutes * 60 + seconds) * 1e6 + fraction
  return us <= dayUs ? at : none
}

/** Sets `zoneSeconds`, which local time is ahead of UTC. */
function readZone(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && bytes[at] === space) at++
  if (at >= end) return none
  zoneSeconds = 0
  const sign = bytes[at]!
  if (sign === 0x5a || sign === 0x7a) return at + 1
  if ((sign !== plus && sign !== minus) || end - at < 3) return none
  zoneSeconds = twoDigits(bytes, at + 1) * 3600
  at += 3
  for (let unit = 60; unit >= 1 && at < end; unit /= 60) {
    if (bytes[at] === colon) at++
    if (end - at < 2) return none
    const count = twoDigits(bytes, at)
    if (!(count <= 59)) return none
    zoneSeconds += count * unit
    at += 2
  }
  // The farthest that PostgreSQL takes; NaN is no zone either.
  if (!(zoneSeconds < 16 * 3600)) return none
  if (sign === minus) zoneSeconds = -zoneSeconds
  return at
}

/** 1 for 'infinity', −1 for '-infinity', 0 for anything else. */
function infinitySign(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 8 && end - start !== 9) return 0
  const text = latin1(bytes, start, end)
  return text === 'infinity' ? 1 : text === '-infinity' ? -1 : 0
}

export class DateCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const dates = builder as Int32Builder
    if (readDate(bytes, start, end) === end) dates.append(day)
    else {
      const sign = infinitySign(bytes, start, end)
      if (sign === 0) return false
      dates.append(sign > 0 ? dateInfinity : dateNegativeInfinity)
    }
    return true
  }
}

export class TimeCell implements CellReader {
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    if (readTime(bytes, start, end) !== end)
      return this.#appendDuration(builder as NumberBuilder, bytes, start, end)
    ;(builder as NumberBuilder).append(us)
    return true
  }

  /** MySQL's times are durations too: −838:59:59.999999 to 838:59:59.999999. */
  #appendDuration(builder: NumberBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const parts = /^(-?)(\d{2,3}):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?$/.exec(
      latin1(bytes, start, end),
    )
    if (parts === null) return false
    const [, sign, hours, minutes, seconds, fraction = ''] = parts
    if (Number(hours) > 838) return false
    const size =
      (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6 +
      Number(fraction.padEnd(6, '0'))
    builder.append(sign === '-' ? 0 - size : size)
    return true
  }
}

/** timestamp, timestamptz. */
export class TimestampCell implements CellReader {
  readonly #zoned: boolean
  constructor(kind: 'timestamp' | 'timestamptz') {
    this.#zoned = kind === 'timestamptz'
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#read(bytes, start, end) !== end) {
      return this.#appendInfinity(builder as NumberBuilder, bytes, start, end)
    }
    return appendInstant(builder as NumberBuilder, day, us - zoneSeconds * 1e6)
  }

  /**
   * Appends the timestamp that begins at `start` if a quote follows it, and returns where that is;
   * otherwise appends nothing and returns 0. Saves looking for the quote first.
   */
  appendPrefix(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): number {
    const last = this.#read(bytes, start, end)
    if (last === none || last === end || bytes[last] !== quote) return 0
    return appendInstant(builder as NumberBuilder, day, us - zoneSeconds * 1e6) ? last : 0
  }

  /** Where a timestamp that begins at `at` ends. */
  #read(bytes: Uint8Array, start: number, end: number): number {
    const at = readDate(bytes, start, end)
    if (at === none) return none
    us = 0
    zoneSeconds = 0
    if (at === end || ((bytes[at]! | 0x20) !== 0x74 && bytes[at] !== space)) {
      // A date alone is midnight, which without a zone could be anywhere.
      return this.#zoned ? none : at
    }
    const last = readTime(bytes, at + 1, end)
    return last === none || !this.#zoned ? last : readZone(bytes, last, end)
  }

  #appendInfinity(builder: NumberBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const sign = infinitySign(bytes, start, end)
    if (sign === 0) return false
    builder.append(sign * Infinity)
    return true
  }
}

function appendInstant(builder: NumberBuilder, day: number, timeUs: number): boolean {
  if (day < exactDaysMax && day > -exactDaysMax) {
    builder.append(day * dayUs + timeUs)
    return true
  }
  return appendWideUs(builder, BigInt(day) * BigInt(dayUs) + BigInt(timeUs))
}

/** Refuses what 64 bits do not hold, and the two that stand for the infinities. */
export function appendWideUs(builder: NumberBuilder, wide: bigint): boolean {
  if (wide >= timestampInfinity || wide <= timestampNegativeInfinity) return false
  builder.appendBigInt(wide)
  return true
}
