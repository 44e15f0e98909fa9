/**
 * SQL types over the logical types of core/record: names, the numeric ladder, and the exact
 * precision and scale of decimal results. A decimal of known precision and scale is a scaled integer
 * at run time; every other decimal carries its own scale (scalar/decimal.ts).
 */
import { isScaledDecimal, sameType, type LogicalType } from '../../record/types.ts'
import type { TypeSyntax } from '../parse/syntax.ts'
import { unsupported } from '../parse/expression.ts'
import { sqlError } from '../parse/span.ts'
import type { Ordering } from './expr.ts'

export type DecimalType = {
  readonly kind: 'decimal'
  readonly precision: number
  readonly scale: number
}
export const unboundedDecimal: LogicalType = { kind: 'decimal', precision: null, scale: null }

/** Wider results become unbounded; ClickHouse's widest Decimal has 76 digits as well. */
const precisionMax = 76

export function simple(
  kind: Exclude<LogicalType['kind'], 'decimal' | 'list' | 'other'>,
): LogicalType {
  return { kind }
}

/** Whether values of this type are scaled integers at run time. */
export function isScaled(type: LogicalType): type is DecimalType {
  if (type.kind !== 'decimal' || type.precision === null) return false
  const scale = type.scale ?? 0
  return scale >= 0 && scale <= type.precision && type.precision <= precisionMax
}

export function decimalType(precision: number, scale: number): LogicalType {
  return precision > precisionMax || scale > precision
    ? unboundedDecimal
    : { kind: 'decimal', precision, scale }
}

/** The decimal that holds every value of an integer type; null for other types. */
export function decimalFor(type: LogicalType): LogicalType | null {
  switch (type.kind) {
    case 'int16':
      return decimalType(5, 0)
    case 'int32':
      return decimalType(10, 0)
    case 'int64':
      return decimalType(19, 0)
    case 'uint64':
      return decimalType(20, 0)
    case 'decimal':
      return type
    default:
      return null
  }
}

/** The smallest decimal that holds the values of both. */
export function decimalUnion(a: LogicalType, b: LogicalType): LogicalType {
  if (!isScaled(a) || !isScaled(b)) return unboundedDecimal
  const scale = Math.max(a.scale, b.scale)
  return decimalType(Math.max(a.precision - a.scale, b.precision - b.scale) + scale, scale)
}

const numericLadder = ['int16', 'int32', 'int64', 'uint64', 'decimal', 'float32', 'float64']
/** Place on the ladder of implicit numeric casts; −1 for other types. */
export function numericRank(type: LogicalType): number {
  return numericLadder.indexOf(type.kind)
}
export function isNumeric(type: LogicalType): boolean {
  return numericRank(type) >= 0
}
export function isInteger(type: LogicalType): boolean {
  return type.kind === 'int16' || type.kind === 'int32' || type.kind === 'int64'
}
export function isFloat(type: LogicalType): boolean {
  return type.kind === 'float32' || type.kind === 'float64'
}

/** What to do where values of a type without an order would have to be compared. */
export function comparableRemedy(type: LogicalType, example = 'value::text'): string {
  return type.kind === 'list'
    ? 'Leave the array out: arrays cannot be compared here.'
    : `Cast to text, as in ${example}.`
}

const encodingFamilies = [
  ['int16', 'int32', 'date'],
  ['float32', 'float64'],
  ['timestamp', 'timestamptz'],
  ['text', 'json', 'other'],
]
/**
 * Whether each encoding that may hold a column of `from` may hold one of `to` as well (the table in
 * core/record/column.ts), so that a cast between them can hand the column on as it is. A sink that
 * meets an encoding its field cannot have would write nonsense.
 */
export function sharesEncodings(from: LogicalType, to: LogicalType): boolean {
  if (sameType(from, to)) return true
  if (from.kind === 'decimal' && to.kind === 'decimal') {
    if (!isScaledDecimal(from) || !isScaledDecimal(to))
      return !isScaledDecimal(from) && !isScaledDecimal(to)
    return from.scale === to.scale && from.precision <= to.precision
  }
  return encodingFamilies.some((family) => family.includes(from.kind) && family.includes(to.kind))
}

/** The type both sides of an operator, or all branches of a CASE, are brought to; null when there is none. */
export function commonType(a: LogicalType, b: LogicalType): LogicalType | null {
  if (isNumeric(a) && isNumeric(b)) return commonNumeric(a, b)
  if (a.kind === b.kind) {
    if (a.kind === 'list' || b.kind === 'list') return null
    return a.kind === 'other' && b.kind === 'other' && a.name !== b.name ? null : a
  }
  const ladder = ['date', 'timestamp', 'timestamptz']
  const high = Math.max(ladder.indexOf(a.kind), ladder.indexOf(b.kind))
  if (Math.min(ladder.indexOf(a.kind), ladder.indexOf(b.kind)) >= 0)
    return high === 2 ? simple('timestamptz') : simple('timestamp')
  return null
}

function commonNumeric(a: LogicalType, b: LogicalType): LogicalType {
  const high = numericRank(a) >= numericRank(b) ? a : b
  if (isFloat(high)) return isFloat(a) && isFloat(b) ? high : simple('float64')
  if (isInteger(high) || (a.kind === 'uint64' && b.kind === 'uint64')) return high
  return decimalUnion(decimalFor(a) ?? unboundedDecimal, decimalFor(b) ?? unboundedDecimal)
}

/** How values of the type compare; null when PostgreSQL has no order for it either. */
export function orderingOf(type: LogicalType): Ordering | null {
  switch (type.kind) {
    case 'bool':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return 'number'
    case 'float32':
    case 'float64':
      return 'nan'
    case 'decimal':
      return isScaled(type) ? 'nan' : 'decimal'
    case 'text':
    case 'uuid':
    case 'bytes':
      return 'text'
    case 'interval':
      return 'interval'
    default:
      return null
  }
}

const typeNames: Readonly<Record<string, LogicalType>> = {
  bool: { kind: 'bool' },
  boolean: { kind: 'bool' },
  int2: { kind: 'int16' },
  smallint: { kind: 'int16' },
  int4: { kind: 'int32' },
  int: { kind: 'int32' },
  int8: { kind: 'int64' },
  bigint: { kind: 'int64' },
  float4: { kind: 'float32' },
  float8: { kind: 'float64' },
  text: { kind: 'text' },
  varchar: { kind: 'text' },
  name: { kind: 'text' },
  bytea: { kind: 'bytes' },
  uuid: { kind: 'uuid' },
  json: { kind: 'json' },
  jsonb: { kind: 'json' },
  date: { kind: 'date' },
  time: { kind: 'time' },
  timestamp: { kind: 'timestamp' },
  timestamptz: { kind: 'timestamptz' },
  interval: { kind: 'interval' },
}

/** Names that casts may use, as people write them. */
export const castNames: readonly string[] = [...Object.keys(typeNames), 'numeric', 'decimal']

/** The type a cast names. */
export function typeFromSyntax({ name, modifiers, span }: TypeSyntax): LogicalType {
  if (name === 'numeric' || name === 'decimal') {
    const [precision, scale = 0] = modifiers
    if (precision === undefined) return unboundedDecimal
    if (precision < 1 || precision > 1000 || scale < 0 || scale > precision)
      throw unsupported(span, 'numeric(p,s) needs 1 ≤ p ≤ 1000 and 0 ≤ s ≤ p here')
    return { kind: 'decimal', precision, scale }
  }
  const type = typeNames[name]
  if (type !== undefined) return type
  if (name === 'bpchar') throw unsupported(span, 'char(n) is not supported', 'Use text.')
  throw sqlError('sql.unsupported', span, `The type ${name} is not supported in casts`)
}

const sqlNames: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int16: 'smallint',
  int32: 'integer',
  int64: 'bigint',
  uint64: 'unsigned bigint',
  float32: 'real',
  float64: 'double precision',
  bytes: 'bytea',
}
/** The type as PostgreSQL calls it, for messages. */
export function sqlName(type: LogicalType): string {
  if (type.kind === 'decimal')
    return type.precision === null ? 'numeric' : `numeric(${type.precision},${type.scale ?? 0})`
  if (type.kind === 'list') return `${sqlName(type.element)}[]`
  if (type.kind === 'other') return type.name
  return sqlNames[type.kind] ?? type.kind
}
