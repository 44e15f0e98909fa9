/**
 * Dates and timestamps. A date is a day number, a timestamp µs since 1970 as an Int (±Infinity are
 * themselves); the session's time zone is UTC, so that timestamp and timestamptz hold equal numbers.
 * Rules: PostgreSQL 18, src/backend/utils/adt/timestamp.c and date.c, facts only.
 */
import { SluiceError } from '../../errors/error.ts'
import { civilDate, dayNumber, dayUs } from '../../record/calendar.ts'
import { dayAndTime } from '../../record/value.ts'
import { dateInfinity, dateNegativeInfinity } from '../../record/types.ts'
import { add, narrow, outOfRange, subtract, type Int } from './integer.ts'
import { roundEven } from './float.ts'
import { makeInterval, type Interval } from './interval.ts'

/** 4714-11-24 BC and 294277-01-01, the ends of PostgreSQL's timestamps; dates go further. */
const timestampMin = -210_866_803_200_000_000n
const timestampEnd = 9_224_318_016_000_000_000n
const dateMin = -2_440_588
const dateEnd = 2_145_042_541

export function checkTimestamp(us: Int): Int {
  if (us === Infinity || us === -Infinity) return us
  if (us >= timestampMin && us < timestampEnd) return us
  throw outOfRange('timestamp')
}
export function checkDate(day: number): number {
  if (day === dateInfinity || day === dateNegativeInfinity) return day
  if (day >= dateMin && day < dateEnd) return day
  throw outOfRange('date')
}
export function isInfinite(us: Int): boolean {
  return us === Infinity || us === -Infinity
}

export function dateToTimestamp(day: number): Int {
  if (day === dateInfinity) return Infinity
  if (day === dateNegativeInfinity) return -Infinity
  return checkTimestamp(narrow(BigInt(day) * 86_400_000_000n))
}
export function timestampToDate(us: Int): number {
  if (us === Infinity) return dateInfinity
  if (us === -Infinity) return dateNegativeInfinity
  return dayAndTime(us)[0]
}
export function timestampToTime(us: Int): number | null {
  return isInfinite(us) ? null : dayAndTime(us)[1]
}
/** date + integer. */
export function dateAddDays(day: number, days: Int): number {
  if (day === dateInfinity || day === dateNegativeInfinity) return day
  return checkDate(Number(add(day, days)))
}
/** date - integer. */
export function dateSubtractDays(day: number, days: Int): number {
  return dateAddDays(day, subtract(0, days))
}
export function dateSubtract(a: number, b: number): number {
  if (Math.abs(a) >= dateInfinity || Math.abs(b) >= dateInfinity)
    throw new SluiceError('sql.out_of_range', { message: 'Cannot subtract infinite dates' })
  return a - b
}
/** date + time. */
export function dateAddTime(day: number, timeUs: number): Int {
  return checkTimestamp(add(dateToTimestamp(day), timeUs))
}

/** Months first (the day is cut to the month's length), then days, then the time. */
export function timestampAdd(us: Int, { months, days, us: timeUs }: Interval): Int {
  if (isInfinite(us)) return us
  let result = us
  if (months !== 0) result = addMonths(result, months)
  if (days !== 0) result = add(result, narrow(BigInt(days) * 86_400_000_000n))
  return checkTimestamp(add(result, narrow(timeUs)))
}
function addMonths(us: Int, months: number): Int {
  const [day, timeUs] = dayAndTime(us)
  const date = civilDate(day)
  const count = date.year * 12 + date.month - 1 + months
  const year = Math.floor(count / 12)
  const month = count - year * 12 + 1
  const moved = dayNumber(year, month, Math.min(date.day, monthLength(year, month)))
  return add(narrow(BigInt(moved) * 86_400_000_000n), timeUs)
}
function monthLength(year: number, month: number): number {
  return month === 12 ? 31 : dayNumber(year, month + 1, 1) - dayNumber(year, month, 1)
}
export function timestampSubtractInterval(us: Int, interval: Interval): Int {
  return timestampAdd(us, makeInterval(-interval.months, -interval.days, -interval.us))
}
/** Whole days become days, the rest time. */
export function timestampSubtract(a: Int, b: Int): Interval {
  if (isInfinite(a) || isInfinite(b))
    throw new SluiceError('sql.out_of_range', { message: 'Cannot subtract infinite timestamps' })
  const us = BigInt(subtract(a, b))
  const days = us / 86_400_000_000n
  return makeInterval(0, Number(days), us - days * 86_400_000_000n)
}
/** time ± interval wraps around midnight. */
export function timeAdd(timeUs: number, interval: Interval): number {
  const sum = (BigInt(timeUs) + interval.us) % 86_400_000_000n
  return Number(sum < 0n ? sum + 86_400_000_000n : sum)
}
export function timeSubtractInterval(timeUs: number, interval: Interval): number {
  return timeAdd(timeUs, makeInterval(0, 0, -interval.us))
}
export function timeSubtract(a: number, b: number): Interval {
  return makeInterval(0, 0, BigInt(a - b))
}
export function timeToInterval(timeUs: number): Interval {
  return makeInterval(0, 0, BigInt(timeUs))
}
export function intervalToTime(interval: Interval): number {
  return timeAdd(0, interval)
}

/** to_timestamp(seconds). */
export function timestampFromSeconds(seconds: number): Int {
  if (!Number.isFinite(seconds)) {
    if (Number.isNaN(seconds)) throw outOfRange('timestamp: NaN,')
    return seconds
  }
  // As float8_timestamptz: whole seconds are kept apart so that the fraction keeps its digits.
  const us = roundEven(seconds * 1e6)
  return checkTimestamp(Number.isSafeInteger(us) ? us + 0 : narrow(BigInt(us)))
}

/** The start of the window of `sizeUs` that holds `us`: floors, also before 1970. */
export function windowStart(us: Int, sizeUs: number, offsetUs: number): Int {
  if (typeof us === 'number') {
    if (!Number.isFinite(us)) return us
    const start = Math.floor((us - offsetUs) / sizeUs) * sizeUs + offsetUs
    // The quotient may round up to a whole number just below the next window's start.
    if (start <= us && us < start + sizeUs && Number.isSafeInteger(start)) return start + 0
  }
  const size = BigInt(sizeUs)
  const offset = BigInt(offsetUs)
  const rest = (((BigInt(us) - offset) % size) + size) % size
  return narrow(BigInt(us) - rest)
}
export function windowEnd(start: Int, sizeUs: number): Int {
  return add(start, sizeUs)
}

const unitsUs: Readonly<Record<string, number>> = {
  microseconds: 1,
  milliseconds: 1e3,
  second: 1e6,
  minute: 6e7,
  hour: 3.6e9,
  day: dayUs,
}

/** date_trunc; `unit` is one of `truncationUnits`. */
export function timestampTruncate(unit: string, us: Int): Int {
  const size = unitsUs[unit]
  if (isInfinite(us)) return us
  if (size !== undefined) return windowStart(us, size, 0)
  const [day] = dayAndTime(us)
  if (unit === 'week') return dateToTimestamp(day - ((((day + 3) % 7) + 7) % 7))
  const { year, month } = civilDate(day)
  return dateToTimestamp(dayNumber(truncatedYear(unit, year), truncatedMonth(unit, month), 1))
}
function truncatedMonth(unit: string, month: number): number {
  if (unit === 'month') return month
  return unit === 'quarter' ? month - ((month - 1) % 3) : 1
}
function truncatedYear(unit: string, year: number): number {
  switch (unit) {
    case 'decade':
      return Math.floor(year / 10) * 10
    case 'century':
      return year > 0
        ? Math.floor((year + 99) / 100) * 100 - 99
        : -Math.floor((99 - year + 1) / 100) * 100 + 1
    case 'millennium':
      return year > 0
        ? Math.floor((year + 999) / 1000) * 1000 - 999
        : -Math.floor((999 - year + 1) / 1000) * 1000 + 1
    default:
      return year
  }
}

/** The unit's own name for every spelling PostgreSQL takes; undefined when there is none. */
export const truncationUnits: Readonly<Record<string, string>> = {
  microsecond: 'microseconds',
  microseconds: 'microseconds',
  us: 'microseconds',
  millisecond: 'milliseconds',
  milliseconds: 'milliseconds',
  ms: 'milliseconds',
  second: 'second',
  seconds: 'second',
  sec: 'second',
  minute: 'minute',
  minutes: 'minute',
  min: 'minute',
  hour: 'hour',
  hours: 'hour',
  day: 'day',
  days: 'day',
  week: 'week',
  weeks: 'week',
  month: 'month',
  months: 'month',
  mon: 'month',
  quarter: 'quarter',
  year: 'year',
  years: 'year',
  decade: 'decade',
  century: 'century',
  millennium: 'millennium',
}
