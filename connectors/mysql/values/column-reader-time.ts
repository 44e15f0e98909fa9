/**
 * date, time, datetime and timestamp. The formats of before 5.6 (codes 7, 11, 12) are still written for
 * tables that were never rebuilt, and by MariaDB under mysql56_temporal_format=OFF.
 *
 *   date                    3 bytes, little-endian: year × 512 + month × 32 + day
 *   time2, datetime2,       big-endian; fractions of 1–2, 3–4, 5–6 digits in 1, 2, 3 bytes after it:
 *   timestamp2                1/100 s, 1/10000 s, µs
 *     time2                 24 bits: 0x800000 + (hour × 4096 + minute × 64 + second); with the fraction one
 *                           number, of which the negative ones lie below 0x80…
 *     datetime2             40 bits: 0x8000000000 + ((year × 13 + month) × 32 + day) × 2^17 +
 *                           hour × 4096 + minute × 64 + second
 *     timestamp2            32 bits: seconds since 1970; 0 = the zero date
 *   time, datetime (old)    little-endian: hhmmss in 3 bytes, signed; YYYYMMDDhhmmss in 8
 *   timestamp (old)         4 bytes, little-endian: seconds since 1970
 *   result set              as printed under time_zone '+00:00': 'YYYY-MM-DD', '[-]hh[h]:mm:ss[.f]', both
 *
 * mysys/my_time.cc (MySQL 9.7): my_time_packed_from_binary, my_datetime_packed_from_binary.
 */
import { Int32Builder, NumberBuilder } from '../../../core/record/builder.ts'
import { dayUs } from '../../../core/record/calendar.ts'
import { readHiresDatetime, readHiresTime, hiresBytes } from './column-reader-time-hires.ts'
import type { ColumnReader } from '../types.ts'
import { fractionBytes, fractionUs, Moment, realDay, zeroDate } from './values-time.ts'
import { ascii, badImage, badText, digitsAt } from './values.ts'

export type ZeroDates = 'stop' | 'null'

const maxHours = 838

/** Reads a date; `moment` gets it. */
export function readDate(source: Uint8Array, at: number, moment: Moment): void {
  const packed = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)
  moment.year = packed >> 9
  moment.month = (packed >> 5) & 15
  moment.day = packed & 31
  moment.clockUs = 0
}

/** 'YYYY-MM-DD' at `at`; false when it is none. */
export function parseDate(source: Uint8Array, at: number, moment: Moment): boolean {
  moment.year = digitsAt(source, at, 4)
  moment.month = digitsAt(source, at + 5, 2)
  moment.day = digitsAt(source, at + 8, 2)
  moment.clockUs = 0
  const dashes = source[at + 4] === ascii.minus && source[at + 7] === ascii.minus
  return dashes && (moment.year | moment.month | moment.day) >= 0
}

export class DateReader implements ColumnReader {
  readonly builder = new Int32Builder()
  readonly #zeroDates: ZeroDates
  readonly #moment = new Moment()
  constructor(zeroDates: ZeroDates) {
    this.#zeroDates = zeroDates
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    if (at + 3 > end) throw badImage('date')
    readDate(source, at, this.#moment)
    this.#append()
    return at + 3
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + 3 > end) throw badImage('date')
    return at + 3
  }
  text(source: Uint8Array, start: number, end: number): void {
    if (end - start !== 10 || !parseDate(source, start, this.#moment)) throw badText('date')
    this.#append()
  }
  appendNull(): void {
    this.builder.appendNull()
  }
  #append(): void {
    const { year, month, day } = this.#moment
    const number = realDay(year, month, day)
    if (!Number.isNaN(number)) return this.builder.append(number)
    if (this.#zeroDates === 'stop') throw zeroDate()
    this.builder.appendNull()
  }
}

/** How a time, datetime or timestamp lies in a row image. */
export interface TimeFormat {
  /** `old`: hhmmss; `hires`: MariaDB's own with a fraction; `packed`: all newer ones. */
  readonly form: 'old' | 'hires' | 'packed'
  readonly fraction: number
}

/** µs of a time in a row image, `bytes` long. */
function timeUs(source: Uint8Array, at: number, { form, fraction }: TimeFormat): number {
  if (form === 'hires') return readHiresTime(source, at, fraction)
  if (form === 'old') {
    const packed = ((source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)) << 8) >> 8
    const size = Math.abs(packed)
    const us = hmsUs(Math.floor(size / 10_000), Math.floor(size / 100) % 100, size % 100)
    return packed < 0 ? -us : us
  }
  const bytes = fractionBytes(fraction)
  let value = 0
  for (let i = at; i < at + 3 + bytes; i++) value = value * 256 + source[i]!
  const unit = 256 ** bytes
  value -= 0x800000 * unit
  const size = Math.abs(value)
  const hms = Math.floor(size / unit)
  const part = size - hms * unit
  const us = hmsUs(hms >> 12, (hms >> 6) & 63, hms & 63) + partUs(part, bytes)
  return value < 0 ? -us : us
}

function partUs(part: number, bytes: number): number {
  const us = bytes === 0 ? 0 : bytes === 1 ? part * 10_000 : bytes === 2 ? part * 100 : part
  if (us > 999_999) throw badImage('time')
  return us
}

function hmsUs(hours: number, minutes: number, seconds: number): number {
  if (hours > maxHours || minutes > 59 || seconds > 59) throw badImage('time')
  return (hours * 3600 + minutes * 60 + seconds) * 1e6
}

/** Bytes of a time in a row image. */
function timeBytes({ form, fraction }: TimeFormat): number {
  return form === 'hires' ? hiresBytes.time[fraction]! : 3 + fractionBytes(fraction)
}

export class TimeReader implements ColumnReader {
  readonly builder = new NumberBuilder()
  readonly #format: TimeFormat
  readonly #bytes: number
  readonly #moment = new Moment()
  constructor(format: TimeFormat) {
    this.#format = format
    this.#bytes = timeBytes(format)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('time')
    this.builder.append(timeUs(source, at, this.#format))
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('time')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    const negative = source[start] === ascii.minus
    const first = negative ? start + 1 : start
    const digits = source[first + 3] === ascii.colon ? 3 : 2
    const hours = digitsAt(source, first, digits)
    const moment = this.#moment
    const isClock = moment.readClock(hours, source, first + digits + 1, end)
    if (!isClock || hours > maxHours) throw badText('time')
    this.builder.append(negative ? 0 - moment.clockUs : moment.clockUs)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** Bytes of a datetime in a row image. */
export function datetimeBytes({ form, fraction }: TimeFormat): number {
  if (form === 'hires') return hiresBytes.datetime[fraction]!
  return form === 'old' ? 8 : 5 + fractionBytes(fraction)
}

/** Reads a datetime of a row image, all of whose bytes are there. */
export function readDatetime(
  source: Uint8Array,
  at: number,
  { form, fraction }: TimeFormat,
  moment: Moment,
): void {
  if (form === 'packed') {
    const high = (source[at]! << 8) | source[at + 1]!
    const low = (source[at + 2]! << 16) | (source[at + 3]! << 8) | source[at + 4]!
    // 40 bits: sign 1, year × 13 + month 17, day 5, hour 5, minute 6, second 6.
    if ((high & 0x8000) === 0) throw badImage('datetime')
    const yearMonth = ((high & 0x7fff) << 2) | (low >> 22)
    moment.year = Math.floor(yearMonth / 13)
    moment.month = yearMonth - moment.year * 13
    moment.day = (low >> 17) & 31
    const us = hmsUs((low >> 12) & 31, (low >> 6) & 63, low & 63)
    const part = fractionUs(source, at + 5, fractionBytes(fraction))
    if (part > 999_999 || us >= dayUs || moment.year > 9999) throw badImage('datetime')
    moment.clockUs = us + part
  } else if (form === 'hires') readHiresDatetime(source, at, fraction, moment)
  else readOldDatetime(source, at, moment)
}

function readOldDatetime(source: Uint8Array, at: number, moment: Moment): void {
  let value = 0
  for (let i = at + 7; i >= at; i--) value = value * 256 + source[i]!
  if (value > 99_991_231_235_959) throw badImage('datetime')
  const date = Math.floor(value / 1e6)
  const clock = value - date * 1e6
  moment.year = Math.floor(date / 10_000)
  moment.month = Math.floor(date / 100) % 100
  moment.day = date % 100
  moment.clockUs = hmsUs(Math.floor(clock / 10_000), Math.floor(clock / 100) % 100, clock % 100)
}

/** 'YYYY-MM-DD hh:mm:ss[.f]'; false when it is none. */
export function parseDatetime(
  source: Uint8Array,
  start: number,
  end: number,
  moment: Moment,
): boolean {
  if (end - start < 19 || !parseDate(source, start, moment)) return false
  const hours = digitsAt(source, start + 11, 2)
  const isClock = moment.readClock(hours, source, start + 14, end)
  return isClock && source[start + 10] === ascii.space && hours < 24
}

/** datetime, and the texts of timestamps. */
export class DatetimeReader implements ColumnReader {
  readonly builder = new NumberBuilder()
  readonly #zeroDates: ZeroDates
  readonly #format: TimeFormat
  readonly #bytes: number
  readonly #moment = new Moment()
  constructor(format: TimeFormat, zeroDates: ZeroDates) {
    this.#format = format
    this.#zeroDates = zeroDates
    this.#bytes = datetimeBytes(format)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('datetime')
    readDatetime(source, at, this.#format, this.#moment)
    appendMoment(this.builder, this.#moment, this.#zeroDates)
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('datetime')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    if (!parseDatetime(source, start, end, this.#moment)) throw badText('datetime')
    appendMoment(this.builder, this.#moment, this.#zeroDates)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** Beyond this many days from 1970, µs may leave the range in which doubles hold every integer. */
const exactDaysMax = 104_000

function appendMoment(builder: NumberBuilder, moment: Moment, zeroDates: ZeroDates): void {
  const day = realDay(moment.year, moment.month, moment.day)
  if (day < exactDaysMax && day > -exactDaysMax) builder.append(day * dayUs + moment.clockUs)
  else if (!Number.isNaN(day)) {
    builder.appendBigInt(BigInt(day) * BigInt(dayUs) + BigInt(moment.clockUs))
  } else if (zeroDates === 'null') builder.appendNull()
  else throw zeroDate()
}

/** Bytes of a timestamp in a row image. */
export function timestampBytes({ form, fraction }: TimeFormat): number {
  return form === 'old' ? 4 : 4 + fractionBytes(fraction)
}

/** µs since 1970 of a timestamp in a row image; NaN for the zero date. */
export function timestampUs(
  source: Uint8Array,
  at: number,
  { form, fraction }: TimeFormat,
): number {
  const seconds =
    form === 'old'
      ? source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)
      : (source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!
  if (seconds === 0) return NaN
  const bytes = fractionBytes(fraction)
  let part = fractionUs(source, at + 4, bytes)
  // MariaDB's own format counts in units of the last digit, not of whole bytes.
  if (form === 'hires' && (fraction & 1) === 1) part *= 10
  if (part > 999_999) throw badImage('timestamp')
  return (seconds >>> 0) * 1e6 + part
}

export class TimestampReader implements ColumnReader {
  readonly builder = new NumberBuilder()
  readonly #zeroDates: ZeroDates
  readonly #format: TimeFormat
  readonly #bytes: number
  readonly #moment = new Moment()
  constructor(format: TimeFormat, zeroDates: ZeroDates) {
    this.#format = format
    this.#zeroDates = zeroDates
    this.#bytes = timestampBytes(format)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('timestamp')
    const us = timestampUs(source, at, this.#format)
    if (!Number.isNaN(us)) this.builder.append(us)
    else if (this.#zeroDates === 'null') this.builder.appendNull()
    else throw zeroDate()
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('timestamp')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    if (!parseDatetime(source, start, end, this.#moment)) throw badText('timestamp')
    appendMoment(this.builder, this.#moment, this.#zeroDates)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}
