/**
 * EXTRACT and date_part: fields of timestamps, dates, times and intervals, each as an integer at the
 * field's own scale (seconds have six digits, milliseconds three), which is how PostgreSQL prints them.
 */
import { civilDate, dayNumber } from '../../record/calendar.ts'
import { dateInfinity, dateNegativeInfinity } from '../../record/types.ts'
import { dayAndTime } from '../../record/value.ts'
import { dayLengthUs, type Interval } from './interval.ts'
import { narrow, type Int } from './integer.ts'

/** Digits after the point of each field that has any. */
export const fieldScales: Readonly<Record<string, number>> = {
  epoch: 6,
  second: 6,
  milliseconds: 3,
}

/** Every spelling of a field; units of date_trunc come from time.ts. */
export const extraFields: Readonly<Record<string, string>> = {
  epoch: 'epoch',
  dow: 'dow',
  isodow: 'isodow',
  doy: 'doy',
  isoyear: 'isoyear',
}

/** Fields that an infinite timestamp has: those that grow without end. */
const endless = new Set(['epoch', 'year', 'isoyear', 'decade', 'century', 'millennium'])

export function extractTimestamp(field: string, us: Int): Int | null {
  if (us === Infinity || us === -Infinity) return endless.has(field) ? us : null
  if (field === 'epoch') return us
  const [day, timeUs] = dayAndTime(us)
  return extractTime(field, timeUs) ?? extractDay(field, day)
}

/** `epoch` of a date has no fraction. */
export function extractDate(field: string, day: number): Int | null {
  if (day === dateInfinity) return endless.has(field) ? Infinity : null
  if (day === dateNegativeInfinity) return endless.has(field) ? -Infinity : null
  return field === 'epoch' ? day * 86_400 : extractDay(field, day)
}

export function extractTime(field: string, timeUs: number): Int | null {
  switch (field) {
    case 'epoch':
      return timeUs
    case 'hour':
      return Math.floor(timeUs / 3.6e9)
    case 'minute':
      return Math.floor(timeUs / 6e7) % 60
    case 'second':
    case 'milliseconds':
    case 'microseconds':
      return timeUs % 6e7
    default:
      return null
  }
}

function extractDay(field: string, day: number): Int | null {
  const { year, month, day: dayOfMonth } = civilDate(day)
  switch (field) {
    case 'day':
      return dayOfMonth
    case 'dow':
      return mod(day + 4, 7)
    case 'isodow':
      return mod(day + 3, 7) + 1
    case 'doy':
      return day - dayNumber(year, 1, 1) + 1
    case 'week':
      return isoWeek(day)[1]
    case 'isoyear':
      return shown(isoWeek(day)[0])
    case 'month':
      return month
    case 'quarter':
      return Math.floor((month - 1) / 3) + 1
    case 'year':
      return shown(year)
    case 'decade':
      return Math.floor(year / 10)
    case 'century':
      return year > 0 ? Math.floor((year + 99) / 100) : -Math.floor((100 - year) / 100)
    case 'millennium':
      return year > 0 ? Math.floor((year + 999) / 1000) : -Math.floor((1000 - year) / 1000)
    default:
      return null
  }
}

/** There is no year 0: 1 BC is −1. */
function shown(year: number): number {
  return year > 0 ? year : year - 1
}
function mod(value: number, by: number): number {
  return ((value % by) + by) % by
}
/** Year and number of the ISO week: the one that holds the year's first Thursday is week 1. */
function isoWeek(day: number): [year: number, week: number] {
  const thursday = day - mod(day + 3, 7) + 3
  const { year } = civilDate(thursday)
  return [year, Math.floor((thursday - dayNumber(year, 1, 1)) / 7) + 1]
}

export function extractInterval(field: string, { months, days, us }: Interval): Int | null {
  switch (field) {
    case 'epoch': {
      // A year counts 365.25 days, a month of the rest 30 (interval_part in timestamp.c).
      const years = BigInt(Math.trunc(months / 12))
      const rest = BigInt(months % 12)
      const whole = (years * 36_525n * dayLengthUs) / 100n
      return narrow(whole + (rest * 30n + BigInt(days)) * dayLengthUs + us)
    }
    case 'year':
      return Math.trunc(months / 12)
    case 'quarter':
      return Math.trunc((months % 12) / 3) + 1
    case 'month':
      return months % 12
    case 'day':
      return days
    case 'hour':
      return narrow(us / 3_600_000_000n)
    case 'minute':
      return Number((us / 60_000_000n) % 60n)
    case 'second':
    case 'milliseconds':
    case 'microseconds':
      return Number(us % 60_000_000n)
    default:
      return null
  }
}
