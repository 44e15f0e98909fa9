/**
 * Dates and times: the calendar check that MySQL does not make, and its texts.
 *
 * MySQL keeps days that no calendar has: 0000-00-00, a month or day of 0, and under
 * ALLOW_INVALID_DATES 2020-02-31 too. What happens to them the user decides (`zero_dates`). The year 0
 * with a real month and day is a real date: the year before the year 1, as in ISO 8601.
 */
import { SluiceError } from '../../../core/errors/error.ts'
import { civilDate, dayNumber, dayUs } from '../../../core/record/calendar.ts'
import { ascii, digitsAt, writeDigits } from './values.ts'

const monthDays = Uint8Array.of(0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

/** Day number of a date, NaN when no calendar has it. */
export function realDay(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1) return NaN
  const leapDay = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0
  return day > monthDays[month]! + leapDay ? NaN : dayNumber(year, month, day)
}

export function zeroDate(): SluiceError {
  return new SluiceError('source.mysql.zero_date', {
    message: 'The column holds a date that no calendar has, such as 0000-00-00.',
  })
}

const fractionScale = Float64Array.of(1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1)

/** Bytes of a fraction of so many digits. */
export function fractionBytes(fraction: number): number {
  return (fraction + 1) >> 1
}

/** µs a unit of a stored fraction: one byte counts 1/100 s, two 1/10000 s, three µs. */
const unitUs = Float64Array.of(0, 10_000, 100, 1)

/** Row image: the fraction at `at`, in µs. */
export function fractionUs(source: Uint8Array, at: number, bytes: number): number {
  let value = 0
  for (let i = at; i < at + bytes; i++) value = value * 256 + source[i]!
  return value * unitUs[bytes]!
}

/** A date or date and time taken apart, reused from value to value. */
export class Moment {
  year = 0
  month = 0
  day = 0
  /** µs since midnight. */
  clockUs = 0

  /** Sets it to the wall clock of `us` µs since 1970 in UTC. */
  setInstant(us: number): void {
    const days = Math.floor(us / dayUs)
    const date = civilDate(days)
    this.year = date.year
    this.month = date.month
    this.day = date.day
    this.clockUs = us - days * dayUs
  }

  /**
   * Sets the clock to hh:mm:ss[.f], whose minutes begin at `at`, `hours` read already; false when it is
   * none. MM, SS and up to six digits of fraction. Set and not returned: a double that a function
   * returns has memory of its own.
   */
  readClock(hours: number, source: Uint8Array, at: number, end: number): boolean {
    const minutes = digitsAt(source, at, 2)
    const seconds = digitsAt(source, at + 3, 2)
    const isClock = source[at - 1] === ascii.colon && source[at + 2] === ascii.colon
    // −1 is none, too.
    if (!isClock || hours < 0 || minutes >>> 0 > 59 || seconds >>> 0 > 59) return false
    this.clockUs = (hours * 3600 + minutes * 60 + seconds) * 1e6
    const digits = end - at - 6
    if (digits === -1) return true
    if (digits < 1 || digits > 6 || source[at + 5] !== ascii.point) return false
    const fraction = digitsAt(source, at + 6, digits)
    this.clockUs += fraction * fractionScale[digits]!
    return fraction >= 0
  }

  clear(): void {
    this.year = 0
    this.month = 0
    this.day = 0
    this.clockUs = 0
  }

  writeDate(into: Uint8Array, at: number): number {
    let to = writeDigits(into, at, this.year, 4)
    into[to++] = ascii.minus
    to = writeDigits(into, to, this.month, 2)
    into[to++] = ascii.minus
    return writeDigits(into, to, this.day, 2)
  }

  /** `2026-01-31 23:59:59.123`, with exactly `fraction` digits. */
  writeDatetime(into: Uint8Array, at: number, fraction: number): number {
    const to = this.writeDate(into, at)
    into[to] = ascii.space
    return writeClock(into, to + 1, this.clockUs, fraction)
  }
}

/** `-838:59:59.000000`: at least two digits of hours and exactly `fraction` of fraction. */
export function writeClock(into: Uint8Array, at: number, us: number, fraction: number): number {
  let to = at
  if (us < 0) into[to++] = ascii.minus
  const size = Math.abs(us)
  const seconds = Math.floor(size / 1e6)
  const hours = Math.floor(seconds / 3600)
  to = writeDigits(into, to, hours, hours > 99 ? 3 : 2)
  into[to++] = ascii.colon
  to = writeDigits(into, to, Math.floor(seconds / 60) % 60, 2)
  into[to++] = ascii.colon
  to = writeDigits(into, to, seconds % 60, 2)
  if (fraction === 0) return to
  into[to++] = ascii.point
  const digits = Math.floor((size - seconds * 1e6) / fractionScale[fraction]!)
  return writeDigits(into, to, digits, fraction)
}
