/**
 * Operators: + - * / % ^, comparisons, || and the json arrows, resolved as PostgreSQL does: quoted
 * literals take the other side's type, numbers meet on the ladder, times have their own table.
 */
import type { LogicalType } from '../../record/types.ts'
import { sqlError, type Span } from '../parse/span.ts'
import type { ScalarName } from '../scalar/functions.ts'
import { cast, fold } from './casts.ts'
import { boolType, call, isUnknown, type CompareExpr, type Expr } from './expr.ts'
import {
  commonType,
  comparableRemedy,
  decimalFor,
  decimalType,
  isFloat,
  isInteger,
  isNumeric,
  isScaled,
  orderingOf,
  simple,
  sqlName,
  unboundedDecimal,
} from './types.ts'

const text = simple('text')
const float64 = simple('float64')

function noOperator(operator: string, left: Expr, right: Expr, span: Span): Error {
  const name = (expr: Expr): string => (isUnknown(expr) ? 'unknown' : sqlName(expr.type))
  return sqlError('sql.type', span, `There is no operator ${name(left)} ${operator} ${name(right)}`)
}

/** Both sides as one type; literals without a type become text beside one another. */
export function unify(left: Expr, right: Expr, span: Span): readonly [Expr, Expr] | null {
  if (isUnknown(left) && isUnknown(right)) return [cast(left, text, span), cast(right, text, span)]
  if (isUnknown(left)) return [cast(left, right.type, span), right]
  if (isUnknown(right)) return [left, cast(right, left.type, span)]
  const type = commonType(left.type, right.type)
  return type === null ? null : [cast(left, type, span), cast(right, type, span)]
}

export function comparison(
  operator: CompareExpr['operator'],
  left: Expr,
  right: Expr,
  span: Span,
): Expr {
  const sides = unify(left, right, span)
  if (sides === null) throw noOperator(operator, left, right, span)
  const ordering = orderingOf(sides[0].type)
  if (ordering === null)
    throw sqlError(
      'sql.type',
      span,
      `Values of type ${sqlName(sides[0].type)} cannot be compared`,
      {
        remedy: comparableRemedy(sides[0].type),
      },
    )
  const nullable = sides[0].nullable || sides[1].nullable
  return {
    op: 'compare',
    operator,
    ordering,
    left: sides[0],
    right: sides[1],
    type: boolType,
    nullable,
  }
}

export function arithmetic(operator: string, left: Expr, right: Expr, span: Span): Expr {
  const timed = timeArithmetic(operator, left, right, span)
  if (timed !== null) return fold(timed)
  const sides = unify(left, right, span)
  if (sides === null || !isNumeric(sides[0].type)) throw noOperator(operator, left, right, span)
  const type = sides[0].type
  if (operator === '^')
    return fold(
      call(
        'floatPower',
        sides.map((side) => cast(side, float64, span)),
        float64,
      ),
    )
  if (isFloat(type)) return fold(floatArithmetic(operator, sides, type, span))
  if (type.kind === 'decimal')
    return fold(
      decimalArithmetic(
        operator,
        original(left, sides[0], span),
        original(right, sides[1], span),
        span,
      ),
    )
  const fn = integerFunctions[operator]
  if (fn === undefined) throw noOperator(operator, left, right, span)
  if (type.kind === 'uint64')
    return arithmetic(
      operator,
      cast(sides[0], decimalType(20, 0), span),
      cast(sides[1], decimalType(20, 0), span),
      span,
    )
  return fold(call(type.kind as ScalarName, [fold(call(fn, sides, type))], type))
}

/** A decimal operand with its own scale, not brought to the other side's: 2-digit × 3-digit has 5 digits. */
function original(given: Expr, unified: Expr, span: Span): Expr {
  const own = isUnknown(given) ? null : decimalFor(given.type)
  return own === null ? unified : cast(given, own, span)
}

const integerFunctions: Readonly<Record<string, ScalarName>> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '%': 'remainder',
}
const floatFunctions: Readonly<Record<string, ScalarName>> = {
  '+': 'floatAdd',
  '-': 'floatSubtract',
  '*': 'floatMultiply',
  '/': 'floatDivide',
}
const decimalFunctions: Readonly<Record<string, ScalarName>> = {
  '+': 'decimalAdd',
  '-': 'decimalSubtract',
  '*': 'decimalMultiply',
  '/': 'decimalDivide',
  '%': 'decimalRemainder',
}

function floatArithmetic(
  operator: string,
  sides: readonly [Expr, Expr],
  type: LogicalType,
  span: Span,
): Expr {
  const fn = floatFunctions[operator]
  if (fn === undefined) throw noOperator(operator, sides[0], sides[1], span)
  const value = call(fn, sides, type)
  return type.kind === 'float32' ? call('float32', [value], type) : value
}

function decimalArithmetic(operator: string, left: Expr, right: Expr, span: Span): Expr {
  const fn = integerFunctions[operator]
  if (fn === undefined) throw noOperator(operator, left, right, span)
  const a = left.type
  const b = right.type
  if (!isScaled(a) || !isScaled(b) || operator === '/') {
    const sides = [cast(left, unboundedDecimal, span), cast(right, unboundedDecimal, span)]
    return call(decimalFunctions[operator]!, sides, unboundedDecimal)
  }
  if (operator === '*') {
    const type = decimalType(a.precision + b.precision, a.scale + b.scale)
    return isScaled(type)
      ? call(fn, [left, right], type)
      : decimalArithmetic(operator, cast(left, unboundedDecimal, span), right, span)
  }
  const scale = Math.max(a.scale, b.scale)
  const whole = Math.max(a.precision - a.scale, b.precision - b.scale)
  const type = decimalType(whole + scale + (operator === '%' ? 0 : 1), scale)
  if (!isScaled(type))
    return decimalArithmetic(operator, cast(left, unboundedDecimal, span), right, span)
  return call(fn, [cast(left, type, span), cast(right, type, span)], type)
}

/** `left operator right` of times: result kind and function; `swap` calls it with the sides exchanged. */
const timeTable: Readonly<Record<string, readonly [LogicalType['kind'], ScalarName, 'swap'?]>> = {
  'date + int32': ['date', 'dateAddDays'],
  'int32 + date': ['date', 'dateAddDays', 'swap'],
  'date - int32': ['date', 'dateSubtractDays'],
  'date - date': ['int32', 'dateSubtract'],
  'date + time': ['timestamp', 'dateAddTime'],
  'time + date': ['timestamp', 'dateAddTime', 'swap'],
  'timestamp + interval': ['timestamp', 'timestampAdd'],
  'interval + timestamp': ['timestamp', 'timestampAdd', 'swap'],
  'timestamp - interval': ['timestamp', 'timestampSubtractInterval'],
  'timestamp - timestamp': ['interval', 'timestampSubtract'],
  'timestamptz + interval': ['timestamptz', 'timestampAdd'],
  'interval + timestamptz': ['timestamptz', 'timestampAdd', 'swap'],
  'timestamptz - interval': ['timestamptz', 'timestampSubtractInterval'],
  'timestamptz - timestamptz': ['interval', 'timestampSubtract'],
  'time + interval': ['time', 'timeAdd'],
  'interval + time': ['time', 'timeAdd', 'swap'],
  'time - interval': ['time', 'timeSubtractInterval'],
  'time - time': ['interval', 'timeSubtract'],
  'interval + interval': ['interval', 'intervalAdd'],
  'interval - interval': ['interval', 'intervalSubtract'],
  'interval * float64': ['interval', 'intervalMultiply'],
  'float64 * interval': ['interval', 'intervalMultiply', 'swap'],
  'interval / float64': ['interval', 'intervalDivide'],
}

function timeArithmetic(operator: string, left: Expr, right: Expr, span: Span): Expr | null {
  const [a, b] = timeSides(operator, left, right, span)
  const entry = timeTable[`${a.type.kind} ${operator} ${b.type.kind}`]
  if (entry === undefined) return null
  const [kind, fn, swap] = entry
  return call(fn, swap === undefined ? [a, b] : [b, a], { kind } as LogicalType)
}

/** Brings both sides to kinds the table has. */
function timeSides(operator: string, left: Expr, right: Expr, span: Span): readonly [Expr, Expr] {
  const times = ['date', 'time', 'timestamp', 'timestamptz', 'interval']
  const leftTime = times.includes(left.type.kind)
  const rightTime = times.includes(right.type.kind)
  if (!leftTime && !rightTime) return [left, right]
  let a = left
  let b = right
  // An untyped literal beside a time: PostgreSQL takes the same type; beside + and a timestamp, an interval.
  if (isUnknown(b))
    b = cast(b, operator === '+' && a.type.kind !== 'date' ? simple('interval') : a.type, span)
  if (isUnknown(a))
    a = cast(a, operator === '+' && b.type.kind !== 'date' ? simple('interval') : b.type, span)
  if (a.type.kind === 'interval' && isNumeric(b.type)) b = cast(b, float64, span)
  if (b.type.kind === 'interval' && isNumeric(a.type)) a = cast(a, float64, span)
  if (a.type.kind === 'date' && b.type.kind === 'interval') a = cast(a, simple('timestamp'), span)
  if (b.type.kind === 'date' && a.type.kind === 'interval') b = cast(b, simple('timestamp'), span)
  if (a.type.kind === 'int16') a = cast(a, simple('int32'), span)
  if (b.type.kind === 'int16') b = cast(b, simple('int32'), span)
  const type = a.type.kind === b.type.kind ? null : commonType(a.type, b.type)
  return type === null ? [a, b] : [cast(a, type, span), cast(b, type, span)]
}

/** -x. */
export function negated(arg: Expr, span: Span): Expr {
  const { type } = arg
  if (isUnknown(arg)) return negated(cast(arg, float64, span), span)
  if (isFloat(type)) return fold(call('floatNegate', [arg], type))
  if (type.kind === 'interval') return fold(call('intervalNegate', [arg], type))
  if (type.kind === 'decimal')
    return fold(call(isScaled(type) ? 'negate' : 'decimalNegate', [arg], type))
  if (!isInteger(type)) throw sqlError('sql.type', span, `There is no operator - ${sqlName(type)}`)
  return fold(call(type.kind as ScalarName, [fold(call('negate', [arg], type))], type))
}

/** ||: text with anything; nulls make it null. */
export function concatenation(left: Expr, right: Expr, span: Span): Expr {
  const isText = (expr: Expr): boolean => isUnknown(expr) || expr.type.kind === 'text'
  if (!isText(left) && !isText(right)) throw noOperator('||', left, right, span)
  return fold(call('concat', [cast(left, text, span), cast(right, text, span)], text))
}

/** -> ->> #> #>>. */
export function jsonArrow(operator: string, left: Expr, right: Expr, span: Span): Expr {
  if (!isUnknown(left) && left.type.kind !== 'json') throw noOperator(operator, left, right, span)
  const json = cast(left, simple('json'), span)
  const asText = operator.endsWith('>>')
  const type = asText ? text : simple('json')
  if (operator.startsWith('#'))
    return call(asText ? 'jsonPathText' : 'jsonPath', [json, cast(right, text, span)], type, true)
  if (isInteger(right.type) && !isUnknown(right))
    return call(asText ? 'jsonElementText' : 'jsonElement', [json, right], type, true)
  if (!isUnknown(right) && right.type.kind !== 'text') throw noOperator(operator, left, right, span)
  return call(asText ? 'jsonFieldText' : 'jsonField', [json, cast(right, text, span)], type, true)
}
