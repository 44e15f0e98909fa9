/**
 * Dates, times and timestamps from text: ISO 8601 and the forms PostgreSQL prints. Other spellings
 * that datetime input of PostgreSQL guesses at (DateStyle) are refused, because the guess depends on
 * a setting.
 *
 *   date = [y]yyyy-mm-dd [' BC'] | 'infinity' | '-infinity' | 'epoch'
 *   time = hh:mm[:ss[.ffffff]]
 *   zone = 'Z' | [±]hh[[:]mm[:ss]] | 'UTC'
 */
import { SluiceError } from '../../errors/error.ts'
import { dayNumber, dayUs } from '../../record/calendar.ts'
import { dateInfinity, dateNegativeInfinity } from '../../record/types.ts'
import { dateText, timestampText, timeText } from '../../record/value.ts'
import { narrow, type Int } from './integer.ts'
import { roundEven } from './float.ts'
import { checkDate, checkTimestamp, timestampToDate } from './time.ts'

const pattern =
  /^\s*(\d{4,6})-(\d{1,2})-(\d{1,2})(?:[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2})(\.\d*)?)?)?\s*(Z|UTC|[+-]\d{1,2}(?::?\d{2}(?::\d{2})?)?)?\s*(BC|AD)?\s*$/i
const timePattern = /^\s*(\d{1,2}):(\d{2})(?::(\d{2})(\.\d*)?)?\s*$/

function invalid(type: string): SluiceError {
  return new SluiceError('sql.invalid_value', { message: `Invalid input syntax for type ${type}` })
}

function special(text: string): number | null {
  switch (text.trim().toLowerCase()) {
    case 'infinity':
    case '+infinity':
      return Infinity
    case '-infinity':
      return -Infinity
    case 'epoch':
      return 0
    default:
      return null
  }
}

/** `zoned`: whether a zone shifts the value (timestamptz) or is ignored (timestamp). */
function parse(text: string, zoned: boolean, type: string): Int {
  const match = pattern.exec(text)
  if (match === null) {
    const value = special(text)
    if (value === null) throw invalid(type)
    return value
  }
  const [
    ,
    year = '',
    month = '',
    day = '',
    hours = '0',
    minutes = '0',
    seconds = '0',
    fraction = '',
  ] = match
  const y = /^bc$/i.test(match[9] ?? '') ? 1 - Number(year) : Number(year)
  const date = dayOf(y, Number(month), Number(day), type)
  const clock = clockUs(Number(hours), Number(minutes), Number(seconds), fraction, type)
  const shift = zoned ? zoneUs(match[8]) : 0
  return checkTimestamp(narrow(BigInt(date) * BigInt(dayUs) + BigInt(clock - shift)))
}

function dayOf(year: number, month: number, day: number, type: string): number {
  const number = dayNumber(year, month, day)
  const next = month === 12 ? dayNumber(year + 1, 1, 1) : dayNumber(year, month + 1, 1)
  if (month < 1 || month > 12 || day < 1 || number >= next)
    throw new SluiceError('sql.invalid_value', { message: `Field value out of range for ${type}` })
  return number
}

function clockUs(h: number, m: number, s: number, fraction: string, type: string): number {
  const us = h * 3.6e9 + m * 6e7 + s * 1e6 + roundEven(Number(`0${fraction}`) * 1e6)
  if (m > 59 || s > 60 || us > dayUs)
    throw new SluiceError('sql.invalid_value', { message: `Field value out of range for ${type}` })
  return us
}

function zoneUs(zone: string | undefined): number {
  if (zone === undefined || /^(?:z|utc)$/i.test(zone)) return 0
  const [, sign, hours = '0', minutes = '0', seconds = '0'] =
    /^([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?$/.exec(zone) ?? []
  const us = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6
  return sign === '-' ? -us : us
}

export function timestampFromText(text: string): Int {
  return parse(text, false, 'timestamp')
}
export function timestamptzFromText(text: string): Int {
  return parse(text, true, 'timestamp with time zone')
}
export function dateFromText(text: string): number {
  const value = special(text)
  if (value === Infinity) return dateInfinity
  if (value === -Infinity) return dateNegativeInfinity
  return checkDate(timestampToDate(parse(text, false, 'date')))
}
export function timeFromText(text: string): number {
  const match = timePattern.exec(text)
  if (match === null) throw invalid('time')
  const [, hours = '0', minutes = '0', seconds = '0', fraction = ''] = match
  return clockUs(Number(hours), Number(minutes), Number(seconds), fraction, 'time')
}

export function timestampToText(us: Int): string {
  return timestampText(us, '')
}
export function timestamptzToText(us: Int): string {
  return timestampText(us, '+00')
}
export { dateText, timeText }
