/**
 * Casts between types: which exist, and the expression that does them. Implicit casts are those that
 * PostgreSQL does by itself; explicit ones need CAST or `::`.
 */
import type { LogicalType } from '../../record/types.ts'
import { sameType } from '../../record/types.ts'
import { SluiceError } from '../../errors/error.ts'
import { sqlError, type Span } from '../parse/span.ts'
import { scalars, type Scalar, type ScalarName } from '../scalar/functions.ts'
import { powerOfTen, type Int } from '../scalar/integer.ts'
import { call, constant, isUnknown, type Expr } from './expr.ts'
import {
  decimalFor,
  decimalType,
  isFloat,
  isInteger,
  isScaled,
  simple,
  sqlName,
  unboundedDecimal,
} from './types.ts'

const int32Type = simple('int32')

/** The expression as `type`. Throws `sql.type` where PostgreSQL has no such cast. */
export function cast(expr: Expr, type: LogicalType, span: Span): Expr {
  if (expr.op === 'const' && isUnknown(expr)) return literalAs(expr.value, type, span)
  const from = expr.type
  if (sameType(from, type)) return expr
  if (expr.op === 'const' && expr.value === null) return constant(null, type)
  const result = tryCast(expr, from, type)
  if (result === null)
    throw sqlError('sql.type', span, `Cannot cast ${sqlName(from)} to ${sqlName(type)}`)
  return fold(result)
}

function tryCast(expr: Expr, from: LogicalType, to: LogicalType): Expr | null {
  if (to.kind === 'text') return textOf(expr)
  if (from.kind === 'text') return fromText(expr, to)
  if (to.kind === 'decimal') return toDecimal(expr, to)
  if (isInteger(to) || to.kind === 'uint64') return toInteger(expr, to)
  if (isFloat(to)) return toFloat(expr, to)
  const fn = simpleCasts[`${from.kind} ${to.kind}`]
  if (fn === undefined) return null
  if (fn === 'same') return { ...expr, type: to }
  return call(fn, [expr], to, fn === 'timestampToTime')
}

const simpleCasts: Readonly<Record<string, ScalarName | 'same'>> = {
  'date timestamp': 'dateToTimestamp',
  'date timestamptz': 'dateToTimestamp',
  'timestamp date': 'timestampToDate',
  'timestamptz date': 'timestampToDate',
  'timestamp timestamptz': 'same',
  'timestamptz timestamp': 'same',
  'timestamp time': 'timestampToTime',
  'timestamptz time': 'timestampToTime',
  'time interval': 'timeToInterval',
  'interval time': 'intervalToTime',
  'int32 bool': 'intToBool',
}

const intChecks: Readonly<Record<string, ScalarName>> = {
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  uint64: 'uint64',
}

function toInteger(expr: Expr, to: LogicalType): Expr | null {
  const from = expr.type
  const check = intChecks[to.kind]!
  if (from.kind === 'bool') return to.kind === 'int32' ? call('boolToInt', [expr], to) : null
  if (isInteger(from) || from.kind === 'uint64') {
    const widens = isInteger(from) && isInteger(to) && rank(from) <= rank(to)
    return widens ? { ...expr, type: to } : call(check, [expr], to)
  }
  if (from.kind === 'decimal') {
    const whole = isScaled(from)
      ? call('dropDigits', [expr, constant(from.scale, int32Type)], from)
      : call('decimalToScaled', [expr, constant(0, int32Type)], from)
    return call(check, [call('finite', [whole], to)], to)
  }
  if (!isFloat(from)) return null
  if (to.kind === 'int16') return call('floatToInt16', [expr], to)
  return to.kind === 'int32'
    ? call('floatToInt32', [expr], to)
    : call(check, [call('floatToInt64', [expr], to)], to)
}

function rank(type: LogicalType): number {
  return ['int16', 'int32', 'int64'].indexOf(type.kind)
}

/** To numeric or numeric(p,s): rounds half away from zero, then p must hold the digits. */
export function toDecimal(expr: Expr, to: LogicalType): Expr | null {
  const from = expr.type
  if (isFloat(from)) {
    const digits = constant(from.kind === 'float32' ? 6 : 15, int32Type)
    return toDecimal(call('floatToDecimal', [expr, digits], unboundedDecimal), to)
  }
  const exact = decimalFor(from)
  if (exact === null) return null
  if (!isScaled(to)) {
    if (!isScaled(exact)) return boundedByText(expr, to)
    const value = call('decimalOf', [expr, constant(exact.scale, int32Type)], unboundedDecimal)
    return boundedByText(value, to)
  }
  if (!isScaled(exact)) {
    const scaled = call('decimalToScaled', [expr, constant(to.scale, int32Type)], to)
    return limited(scaled, to.precision)
  }
  return rescale(expr, exact, to)
}

/** numeric(p,s) with p > 76 is kept as unbounded digits, rounded to s. */
function boundedByText(expr: Expr, to: LogicalType): Expr {
  if (to.kind !== 'decimal' || to.precision === null) return { ...expr, type: unboundedDecimal }
  return call('decimalRound', [expr, constant(to.scale ?? 0, int32Type)], unboundedDecimal)
}

function rescale(
  expr: Expr,
  from: { precision: number; scale: number },
  to: LogicalType & { precision: number; scale: number },
): Expr {
  const shift = to.scale - from.scale
  let value: Expr = { ...expr, type: to }
  if (shift > 0) value = call('multiply', [expr, constant(powerOfTen(shift), simple('int64'))], to)
  if (shift < 0) value = call('dropDigits', [expr, constant(-shift, int32Type)], to)
  const wholeDigits = from.precision - from.scale + (shift < 0 ? 1 : 0)
  return wholeDigits <= to.precision - to.scale ? value : limited(value, to.precision)
}

function limited(expr: Expr, precision: number): Expr {
  return call('checkPrecision', [expr, constant(powerOfTen(precision), simple('int64'))], expr.type)
}

function toFloat(expr: Expr, to: LogicalType): Expr | null {
  const from = expr.type
  const value = doubleOf(expr, from)
  if (value === null) return null
  return to.kind === 'float32' && from.kind !== 'float32'
    ? call('float32', [value], to)
    : { ...value, type: to }
}
function doubleOf(expr: Expr, from: LogicalType): Expr | null {
  const double = simple('float64')
  if (isFloat(from)) return expr
  if (isInteger(from) || from.kind === 'uint64') return call('intToFloat', [expr], double)
  if (from.kind !== 'decimal') return null
  return isScaled(from)
    ? call('scaledToFloat', [expr, constant(from.scale, int32Type)], double)
    : call('decimalToFloat', [expr], double)
}

const textFunctions: Readonly<Record<string, ScalarName>> = {
  bool: 'boolText',
  int16: 'intText',
  int32: 'intText',
  int64: 'intText',
  uint64: 'intText',
  float32: 'float4Text',
  float64: 'float8Text',
  date: 'dateText',
  time: 'timeText',
  timestamp: 'timestampToText',
  timestamptz: 'timestamptzToText',
  interval: 'intervalText',
  bytes: 'bytesText',
}

function textOf(expr: Expr): Expr | null {
  const { type } = expr
  const text = simple('text')
  if (['uuid', 'json', 'other', 'text'].includes(type.kind)) return { ...expr, type: text }
  if (type.kind === 'decimal')
    return isScaled(type)
      ? call('scaledText', [expr, constant(type.scale, int32Type)], text)
      : call('decimalText', [expr], text)
  const fn = textFunctions[type.kind]
  return fn === undefined ? null : call(fn, [expr], text)
}

const parsers: Readonly<Record<string, ScalarName>> = {
  bool: 'boolFromText',
  float64: 'floatFromText',
  date: 'dateFromText',
  time: 'timeFromText',
  timestamp: 'timestampFromText',
  timestamptz: 'timestamptzFromText',
  interval: 'intervalFromText',
  uuid: 'uuidFromText',
  json: 'jsonFromText',
}

function fromText(expr: Expr, to: LogicalType): Expr | null {
  if (isInteger(to)) return call(intChecks[to.kind]!, [call('intFromText', [expr], to)], to)
  if (to.kind === 'float32') return call('float32', [call('floatFromText', [expr], to)], to)
  if (to.kind === 'decimal')
    return toDecimal(call('decimalFromAnyText', [expr], unboundedDecimal), to)
  const fn = parsers[to.kind]
  return fn === undefined ? null : call(fn, [expr], to)
}

/** A quoted literal takes the type of its surroundings; a value that does not fit is an error now. */
function literalAs(value: Scalar, type: LogicalType, span: Span): Expr {
  if (value === null) return constant(null, type)
  if (type.kind === 'text' || type.kind === 'other') return constant(value, type)
  const parsed = fromText(constant(value, simple('text')), type)
  if (parsed === null)
    throw sqlError('sql.type', span, `A quoted literal cannot be read as ${sqlName(type)}`)
  const folded = fold(parsed)
  if (folded.op === 'const') return folded
  try {
    evaluate(parsed)
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    throw sqlError('sql.type', span, error.message)
  }
  return parsed
}

/** Calls on constants are computed now; one that fails is left to fail for each row it is asked for. */
export function fold(expr: Expr): Expr {
  if (expr.op !== 'call' || !expr.args.every((arg) => arg.op === 'const')) return expr
  try {
    return constant(evaluate(expr), expr.type)
  } catch (error) {
    if (error instanceof SluiceError) return expr
    throw error
  }
}

/** The value of constants and of calls on them. */
function evaluate(expr: Expr): Scalar {
  if (expr.op === 'const') return expr.value
  if (expr.op !== 'call') throw new TypeError(`not a constant: ${expr.op}`)
  const args = expr.args.map(evaluate)
  if (args.includes(null)) return null
  const fn = scalars[expr.fn] as unknown as (...values: readonly Scalar[]) => Scalar
  return fn(...args)
}

/** A numeric literal: integers by size, everything else an exact decimal. */
export function numberLiteral(text: string): Expr {
  if (/^-?\d+$/.test(text)) {
    const value: Int = BigInt(text)
    const small = value >= -0x80000000n && value <= 0x7fffffffn
    if (small) return constant(Number(value), int32Type)
    if (value === BigInt.asIntN(64, value))
      return constant(Number.isSafeInteger(Number(value)) ? Number(value) : value, simple('int64'))
  }
  const parsed = scalars.decimalFromDigits(text)
  if (typeof parsed === 'number') return constant(parsed, unboundedDecimal)
  const digits = parsed.digits.toString().replace('-', '').length
  const type = decimalType(Math.max(digits, parsed.scale, 1), parsed.scale)
  return constant(isScaled(type) ? scalars.decimalToScaled(parsed, parsed.scale) : parsed, type)
}
