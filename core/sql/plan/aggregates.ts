/** Aggregates: which there are, what they take, and the type of their result, as in PostgreSQL. */
import type { LogicalType } from '../../record/types.ts'
import { sqlError } from '../parse/span.ts'
import type { CallSyntax } from '../parse/syntax.ts'
import { cast } from './casts.ts'
import { isUnknown, type Expr } from './expr.ts'
import type { AggregateCall, AggregateName } from './plan.ts'
import {
  comparableRemedy,
  decimalFor,
  decimalType,
  isFloat,
  isScaled,
  orderingOf,
  simple,
  sqlName,
  unboundedDecimal,
} from './types.ts'

const functions: ReadonlyMap<string, AggregateName> = new Map([
  ['count', 'count'],
  ['sum', 'sum'],
  ['avg', 'avg'],
  ['min', 'min'],
  ['max', 'max'],
  ['bool_and', 'boolAnd'],
  ['every', 'boolAnd'],
  ['bool_or', 'boolOr'],
])

export const aggregateNames: ReadonlySet<string> = new Set(functions.keys())

export function bindAggregate(
  expr: CallSyntax,
  args: readonly Expr[],
  filter: Expr | null,
): AggregateCall {
  const { name, span, distinct } = expr
  const fn = functions.get(name)!
  const wrong = (type: string): Error =>
    sqlError('sql.unknown_function', span, `There is no aggregate ${name}(${type})`)
  if (expr.star) {
    if (fn !== 'count') throw wrong('*')
    return {
      fn,
      arg: null,
      distinct: false,
      filter,
      type: simple('int64'),
      nullable: false,
      ordering: null,
    }
  }
  const [given] = args
  if (given === undefined || args.length > 1)
    throw wrong(args.map((arg) => sqlName(arg.type)).join(', '))
  const text = isUnknown(given) ? cast(given, simple('text'), span) : given
  const arg = accumulated(fn, text)
  const type = resultType(fn, arg.type)
  if (type === null) throw wrong(sqlName(arg.type))
  const ordering = orderingOf(arg.type)
  if (distinct && ordering === null)
    throw sqlError('sql.type', span, `Values of type ${sqlName(arg.type)} cannot be compared`, {
      remedy: comparableRemedy(arg.type, 'COUNT(DISTINCT value::text)'),
    })
  // DISTINCT changes nothing for these.
  const plain = fn === 'min' || fn === 'max' || fn === 'boolAnd' || fn === 'boolOr'
  return {
    fn,
    arg,
    distinct: distinct && !plain,
    filter,
    type,
    nullable: fn !== 'count',
    ordering,
  }
}

/** Sums whose scaled result would need too many digits run on unbounded decimals. */
function accumulated(fn: AggregateName, arg: Expr): Expr {
  if (fn !== 'sum' || !isScaled(arg.type) || isScaled(sumType(arg.type.precision, arg.type.scale)))
    return arg
  return cast(arg, unboundedDecimal, { start: 0, end: 0 })
}

/** 19 more digits hold the sum of 2^63 values, which is more rows than there can be. */
function sumType(precision: number, scale: number): LogicalType {
  return decimalType(precision <= 19 ? 38 : precision + 19, scale)
}

function resultType(fn: AggregateName, arg: LogicalType): LogicalType | null {
  switch (fn) {
    case 'count':
      return simple('int64')
    case 'boolAnd':
    case 'boolOr':
      return arg.kind === 'bool' ? arg : null
    case 'min':
    case 'max':
      return orderingOf(arg) === null || arg.kind === 'bool' ? null : arg
    case 'sum':
      if (arg.kind === 'int16' || arg.kind === 'int32') return simple('int64')
      if (isFloat(arg) || arg.kind === 'interval') return arg
      return sumOfDecimal(decimalFor(arg))
    case 'avg':
      if (isFloat(arg)) return simple('float64')
      if (arg.kind === 'interval') return arg
      return decimalFor(arg) === null ? null : unboundedDecimal
  }
}

function sumOfDecimal(type: LogicalType | null): LogicalType | null {
  if (type === null) return null
  return isScaled(type) ? sumType(type.precision, type.scale) : unboundedDecimal
}
