/**
 * Every scalar function the generated code may call, by name. All are pure, take and give values (no
 * nulls, unless they say so), and throw a SluiceError of fault `row` for the row's own failure.
 */
import { scaledText } from '../../record/decimal-builder.ts'
import type { Decimal } from './decimal.ts'
import type { Interval } from './interval.ts'
import * as decimal from './decimal.ts'
import * as extract from './extract.ts'
import * as float from './float.ts'
import * as integer from './integer.ts'
import * as interval from './interval.ts'
import * as json from './json.ts'
import * as like from './like.ts'
import * as text from './text.ts'
import * as time from './time.ts'
import * as timeText from './time-text.ts'
import { SluiceError } from '../../errors/error.ts'

/**
 * A value in the engine. bool: boolean; integers, times, scaled decimals: Int; other decimals:
 * Decimal or a special number; uuid: its text; bytes: one character a byte; all other text: string.
 */
export type Scalar = null | boolean | number | bigint | string | Decimal | Interval

function intFromText(value: string): integer.Int {
  const match = /^\s*([+-]?\d+)\s*$/.exec(value)
  if (match === null)
    throw new SluiceError('sql.invalid_value', { message: 'Invalid input syntax for type integer' })
  return integer.narrow(BigInt(match[1]!.replace(/^\+/, '')))
}
function decimalFromAnyText(value: string): decimal.Numeric {
  const parsed = decimal.decimalFromText(value)
  if (parsed === null)
    throw new SluiceError('sql.invalid_value', { message: 'Invalid input syntax for type numeric' })
  return parsed
}
/** numeric → integer types: half away from zero; NaN and infinities have no integer. */
function finite(value: integer.Int): integer.Int {
  if (typeof value === 'number' && !Number.isFinite(value)) throw integer.outOfRange('integer')
  return value
}
function intText(value: integer.Int): string {
  return value.toString()
}
function boolToInt(value: boolean): number {
  return value ? 1 : 0
}
function intToBool(value: integer.Int): boolean {
  return value !== 0
}
function floatRound(value: number): number {
  return Number.isFinite(value) ? float.roundEven(value) : value
}
function bytesText(value: string): string {
  return `\\x${Buffer.from(value, 'latin1').toString('hex')}`
}
export const scalars = {
  ...integer,
  ...decimal,
  ...float,
  ...interval,
  ...json,
  ...like,
  ...text,
  ...time,
  ...timeText,
  ...extract,
  scaledText,
  intFromText,
  decimalFromAnyText,
  finite,
  intText,
  boolToInt,
  intToBool,
  floatRound,
  floatFloor: Math.floor,
  floatCeil: Math.ceil,
  floatTrunc: Math.trunc,
  floatAbs: Math.abs,
  bytesText,
}

export type ScalarName = keyof typeof scalars
