/** abs, round, ceil, floor, trunc, mod, sign: their result has the argument's type, or its scale cut. */
import type { LogicalType } from '../../record/types.ts'
import type { Span } from '../parse/span.ts'
import type { ScalarName } from '../scalar/functions.ts'
import { cast } from './casts.ts'
import { call, constant, isUnknown, type Expr } from './expr.ts'
import { arithmetic } from './operators.ts'
import {
  decimalType,
  isFloat,
  isInteger,
  isNumeric,
  isScaled,
  simple,
  unboundedDecimal,
  type DecimalType,
} from './types.ts'

const int32 = simple('int32')
const float64 = simple('float64')

/** null when the name is none of these, or not for these arguments. */
export function numericFunction(name: string, args: readonly Expr[], span: Span): Expr | null {
  const [first, second] = args
  if (first === undefined || !names.has(name)) return null
  if (name === 'mod') {
    return second === undefined || args.length > 2 ? null : arithmetic('%', first, second, span)
  }
  const arg = isUnknown(first) ? cast(first, float64, span) : first
  if (!isNumeric(arg.type)) return null
  if (args.length === 1) return unary(name, arg)
  if (second === undefined || (name !== 'round' && name !== 'trunc') || isFloat(arg.type))
    return null
  return toDigits(name, arg, cast(second, int32, span), span)
}
const names = new Set(['abs', 'round', 'ceil', 'ceiling', 'floor', 'trunc', 'mod', 'sign'])

function unary(name: string, arg: Expr): Expr | null {
  const { type } = arg
  if (name === 'abs') return absolute(arg)
  if (type.kind === 'decimal') {
    if (name === 'sign') return signOfDecimal(arg)
    return isScaled(type)
      ? scaledWhole(name, arg, type)
      : call(decimalWhole[name]!, wholeArgs(name, arg), type)
  }
  // PostgreSQL has these for float8 and numeric only, and prefers float8 for integers.
  const double = isFloat(type) ? { ...arg, type: float64 } : call('intToFloat', [arg], float64)
  return call(floatWhole[name]!, [double], float64)
}

const floatWhole: Readonly<Record<string, ScalarName>> = {
  round: 'floatRound',
  ceil: 'floatCeil',
  ceiling: 'floatCeil',
  floor: 'floatFloor',
  trunc: 'floatTrunc',
  sign: 'floatSign',
}
const decimalWhole: Readonly<Record<string, ScalarName>> = {
  round: 'decimalRound',
  ceil: 'decimalCeil',
  ceiling: 'decimalCeil',
  floor: 'decimalFloor',
  trunc: 'decimalTruncate',
}
function wholeArgs(name: string, arg: Expr): readonly Expr[] {
  return name === 'round' || name === 'trunc' ? [arg, constant(0, int32)] : [arg]
}

function absolute(arg: Expr): Expr {
  const { type } = arg
  if (isFloat(type)) return call('floatAbs', [arg], type)
  if (type.kind === 'decimal')
    return call(isScaled(type) ? 'absolute' : 'decimalAbsolute', [arg], type)
  return checkedInt(call('absolute', [arg], type), type)
}

/** The smallest negative integer has no positive one. */
export function checkedInt(expr: Expr, type: LogicalType): Expr {
  const check = isInteger(type) || type.kind === 'uint64' ? (type.kind as ScalarName) : null
  return check === null ? expr : call(check, [expr], type)
}

function signOfDecimal(arg: Expr): Expr {
  return isScaled(arg.type)
    ? call(
        'floatSign',
        [call('scaledToFloat', [arg, constant(0, int32)], float64)],
        decimalType(1, 0),
      )
    : call('decimalSign', [arg], unboundedDecimal)
}

function scaledWhole(name: string, arg: Expr, { precision, scale }: DecimalType): Expr {
  const type = decimalType(precision - scale + 1, 0)
  const digits = constant(scale, int32)
  if (name === 'round') return call('dropDigits', [arg, digits], type)
  if (name === 'trunc') return call('cutDigits', [arg, digits], type)
  return call('floorDigits', [arg, digits, constant(name !== 'floor', simple('bool'))], type)
}

/** round(x, n) and trunc(x, n): a constant n fixes the result's scale. */
function toDigits(name: string, arg: Expr, digits: Expr, span: Span): Expr {
  const value = isInteger(arg.type) ? cast(arg, decimalOfInteger(arg.type), span) : arg
  const { type } = value
  if (isScaled(type) && digits.op === 'const' && typeof digits.value === 'number') {
    const to = digits.value
    if (to >= 0 && to <= type.scale) {
      const cut = decimalType(type.precision - type.scale + 1 + to, to)
      const fn = name === 'round' ? 'dropDigits' : 'cutDigits'
      return call(fn, [value, constant(type.scale - to, int32)], cut)
    }
  }
  const free = cast(value, unboundedDecimal, span)
  return call(
    name === 'round' ? 'decimalRound' : 'decimalTruncate',
    [free, digits],
    unboundedDecimal,
  )
}

function decimalOfInteger(type: LogicalType): LogicalType {
  return decimalType(type.kind === 'int64' ? 19 : 10, 0)
}
