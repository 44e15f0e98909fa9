/**
 * Intervals: months, days and microseconds, kept apart as in PostgreSQL, compared as if a month had
 * 30 days and a day 24 hours. Rules: PostgreSQL 18, src/backend/utils/adt/timestamp.c, facts only.
 */
import { SluiceError } from '../../errors/error.ts'
import { timeText } from '../../record/value.ts'
import { divisionByZero, outOfRange } from './integer.ts'
import { roundEven } from './float.ts'

export class Interval {
  readonly months: number
  readonly days: number
  readonly us: bigint
  constructor(months: number, days: number, us: bigint) {
    this.months = months
    this.days = days
    this.us = us
  }
}

export const dayLengthUs = 86_400_000_000n

/** Throws where a field does not fit. */
export function makeInterval(months: number, days: number, us: bigint): Interval {
  if (Math.abs(months) > 0x7fffffff || Math.abs(days) > 0x7fffffff || us !== BigInt.asIntN(64, us))
    throw outOfRange('interval')
  return new Interval(months + 0, days + 0, us)
}

/** The length with 30-day months, by which intervals compare. */
export function intervalSpan({ months, days, us }: Interval): bigint {
  return (BigInt(months) * 30n + BigInt(days)) * dayLengthUs + us
}
export function intervalCompare(a: Interval, b: Interval): number {
  const left = intervalSpan(a)
  const right = intervalSpan(b)
  return left < right ? -1 : left > right ? 1 : 0
}
export function intervalAdd(a: Interval, b: Interval): Interval {
  return makeInterval(a.months + b.months, a.days + b.days, a.us + b.us)
}
export function intervalSubtract(a: Interval, b: Interval): Interval {
  return makeInterval(a.months - b.months, a.days - b.days, a.us - b.us)
}
export function intervalNegate(a: Interval): Interval {
  return makeInterval(-a.months, -a.days, -a.us)
}

/** Fractions of months spill into days, fractions of days into the time (interval_mul). */
export function intervalMultiply(a: Interval, factor: number): Interval {
  if (!Number.isFinite(factor)) throw outOfRange('interval')
  return scaled(a, (value) => value * factor)
}
export function intervalDivide(a: Interval, divisor: number): Interval {
  if (divisor === 0) throw divisionByZero()
  if (Number.isNaN(divisor)) throw outOfRange('interval')
  return scaled(a, (value) => value / divisor)
}

function scaled(a: Interval, by: (value: number) => number): Interval {
  const exactMonths = by(a.months)
  const exactDays = by(a.days)
  const months = Math.trunc(exactMonths)
  let days = Math.trunc(exactDays)
  let monthRestDays = toUs((exactMonths - months) * 30)
  let seconds = toUs((exactDays - days + monthRestDays - Math.trunc(monthRestDays)) * 86_400)
  if (Math.abs(seconds) >= 86_400) {
    days += Math.trunc(seconds / 86_400)
    seconds -= Math.trunc(seconds / 86_400) * 86_400
  }
  monthRestDays = Math.trunc(monthRestDays)
  days += monthRestDays
  const us = roundEven(by(Number(a.us)) + seconds * 1e6)
  if (!Number.isFinite(us)) throw outOfRange('interval')
  return makeInterval(months, days, BigInt(us))
}
/** Rounds away what is below a microsecond (TSROUND). */
function toUs(value: number): number {
  return roundEven(value * 1e6) / 1e6
}

const units: Readonly<Record<string, readonly [months: number, days: number, us: number]>> = {
  microsecond: [0, 0, 1],
  us: [0, 0, 1],
  usec: [0, 0, 1],
  millisecond: [0, 0, 1e3],
  ms: [0, 0, 1e3],
  msec: [0, 0, 1e3],
  second: [0, 0, 1e6],
  sec: [0, 0, 1e6],
  s: [0, 0, 1e6],
  minute: [0, 0, 6e7],
  min: [0, 0, 6e7],
  m: [0, 0, 6e7],
  hour: [0, 0, 3.6e9],
  hr: [0, 0, 3.6e9],
  h: [0, 0, 3.6e9],
  day: [0, 1, 0],
  d: [0, 1, 0],
  week: [0, 7, 0],
  w: [0, 7, 0],
  month: [1, 0, 0],
  mon: [1, 0, 0],
  year: [12, 0, 0],
  yr: [12, 0, 0],
  y: [12, 0, 0],
  decade: [120, 0, 0],
  dec: [120, 0, 0],
  century: [1200, 0, 0],
  cent: [1200, 0, 0],
  c: [1200, 0, 0],
  millennium: [12_000, 0, 0],
  mil: [12_000, 0, 0],
}

const field = /\s*(?:([+-]?)(\d+):(\d{2})(?::(\d{2})(\.\d*)?)?|([+-]?)(\d*)(\.\d*)?\s*([a-z]*))/iy

/** `unit` is the unit of a number without one (INTERVAL '5' MINUTE); seconds unless told. */
export function intervalFromText(text: string, unit = 'second'): Interval {
  const body = text
    .trim()
    .replace(/\s+ago$/i, '')
    .replace(/^@\s*/, '')
  const ago = /\s+ago\s*$/i.test(text)
  let result = new Interval(0, 0, 0n)
  let at = 0
  if (body === '') throw invalid()
  while (at < body.length) {
    field.lastIndex = at
    const match = field.exec(body)
    if (match === null || match[0].trim() === '') throw invalid()
    at = field.lastIndex
    while (/\s/.test(body.charAt(at))) at++
    result = intervalAdd(result, match[2] === undefined ? unitPart(match, unit) : clockPart(match))
  }
  return ago ? intervalNegate(result) : result
}

function clockPart(match: RegExpExecArray): Interval {
  const [, sign, hours = '0', minutes = '0', seconds = '0', fraction = ''] = match
  const us =
    BigInt(hours) * 3_600_000_000n +
    BigInt(minutes) * 60_000_000n +
    BigInt(seconds) * 1_000_000n +
    BigInt(roundEven(Number(`0${fraction}`) * 1e6))
  return new Interval(0, 0, sign === '-' ? -us : us)
}

function unitPart(match: RegExpExecArray, unit: string): Interval {
  const [, , , , , , sign, digits = '', fraction = '', name = ''] = match
  if (digits === '' && fraction.length < 2) throw invalid()
  const word = (name === '' ? unit : name).toLowerCase()
  const size = units[word] ?? units[word.replace(/s$/, '')]
  if (size === undefined) throw invalid()
  const whole = Number(digits === '' ? '0' : digits)
  const rest = fraction.length < 2 ? 0 : Number(fraction)
  let part = makeInterval(size[0] * whole, size[1] * whole, BigInt(size[2]) * BigInt(whole))
  if (rest !== 0) part = intervalAdd(part, fractionOf(size, rest))
  return sign === '-' ? intervalNegate(part) : part
}

/** Fractions of years become whole months, of months days, of days time. */
function fractionOf([months, days, us]: readonly [number, number, number], rest: number): Interval {
  if (months >= 12) return makeInterval(roundEven(months * rest), 0, 0n)
  const exactDays = months * 30 * rest + days * rest
  const wholeDays = Math.trunc(exactDays)
  const dayRestUs = roundEven((exactDays - wholeDays) * 86_400e6)
  return makeInterval(0, wholeDays, BigInt(dayRestUs) + BigInt(roundEven(us * rest)))
}

function invalid(): SluiceError {
  return new SluiceError('sql.invalid_value', { message: 'Invalid input syntax for type interval' })
}

/** IntervalStyle postgres. */
export function intervalText({ months, days, us }: Interval): string {
  const parts: string[] = []
  let negative = false
  const part = (count: number, unit: string): void => {
    if (count === 0) return
    parts.push(`${negative && count > 0 ? '+' : ''}${count} ${unit}${count === 1 ? '' : 's'}`)
    negative = count < 0
  }
  part(Math.trunc(months / 12), 'year')
  part(months % 12, 'mon')
  part(days, 'day')
  if (us !== 0n || parts.length === 0) {
    const size = us < 0n ? -us : us
    const hours = size / 3_600_000_000n
    const rest = timeText(Number(size - hours * 3_600_000_000n)).slice(2)
    parts.push(`${us < 0n ? '-' : negative ? '+' : ''}${hours.toString().padStart(2, '0')}${rest}`)
  }
  return parts.join(' ')
}
