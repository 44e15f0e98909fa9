/**
 * Logical types: what a value means, whatever it is packed in. The physical encoding is chosen per
 * batch (see column.ts), so a schema never changes because a value happened to be large.
 *
 * `decimal` without precision is unbounded. `other` is a source type that has no meaning of its own
 * here; its value is the source's exact text and `name` is the source's name for the type.
 */
export type LogicalType =
  | { readonly kind: SimpleKind }
  | { readonly kind: 'decimal'; readonly precision: number | null; readonly scale: number | null }
  | { readonly kind: 'list'; readonly element: LogicalType }
  | { readonly kind: 'other'; readonly name: string }

export type SimpleKind =
  | 'bool'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint64'
  | 'float32'
  | 'float64'
  | 'text'
  | 'bytes'
  | 'uuid'
  | 'json'
  /** Days since 1970-01-01 in the proleptic Gregorian calendar. */
  | 'date'
  /**
   * Microseconds since midnight; 24:00:00 is 86 400 000 000. MySQL's are durations too: negative, and up
   * to ±838:59:59.999999.
   */
  | 'time'
  /** Microseconds since 1970-01-01 00:00:00 on a wall clock without a zone. */
  | 'timestamp'
  /** Microseconds since 1970-01-01 00:00:00 UTC. */
  | 'timestamptz'
  /** Months, days and microseconds, kept apart as in PostgreSQL. */
  | 'interval'

/** The largest precision whose scaled integers are exact in a double. */
export const decimalDoublePrecisionMax = 15
/** The largest precision whose scaled integers fit a signed 64-bit integer. */
export const decimalInt64PrecisionMax = 18

/** `date` columns: these two day numbers stand for ±infinity, as in PostgreSQL. */
export const dateInfinity = 0x7fffffff
export const dateNegativeInfinity = -0x80000000
/** `timestamp` columns packed as int64: these two stand for ±infinity; packed as doubles it is ±Infinity. */
export const timestampInfinity = 0x7fffffffffffffffn
export const timestampNegativeInfinity = -0x8000000000000000n

/** A type as people write it: `decimal(12,2)`, `list<int32>`, `other(inet)`. */
export function typeName(type: LogicalType): string {
  switch (type.kind) {
    case 'decimal':
      return type.precision === null ? 'decimal' : `decimal(${type.precision},${type.scale ?? 0})`
    case 'list':
      return `list<${typeName(type.element)}>`
    case 'other':
      return `other(${type.name})`
    default:
      return type.kind
  }
}

/** Whether two types are the same, parameters included. */
export function sameType(a: LogicalType, b: LogicalType): boolean {
  return typeName(a) === typeName(b)
}

/**
 * Whether values of this type can be packed as scaled integers: a decimal of known precision ≤ 18
 * whose scale lies within it. All others are kept as exact digits.
 */
export function isScaledDecimal(
  type: LogicalType,
): type is { kind: 'decimal'; precision: number; scale: number } {
  if (type.kind !== 'decimal' || type.precision === null) return false
  const scale = type.scale ?? 0
  return type.precision <= decimalInt64PrecisionMax && scale >= 0 && scale <= type.precision
}
