/**
 * FieldPlan: all that reading a field's values needs to know, worked out once a schema, so that the hot
 * loops compare small numbers instead of names.
 */
import type { Field } from '../../record/schema.ts'
import { isScaledDecimal, typeName, type LogicalType } from '../../record/types.ts'
import { integerRanges } from '../../record/value-convert.ts'
import { EpochCell } from './cell-epoch.ts'
import { DigitsCell, FloatCell, Int32Cell, Int64Cell, ScaledDecimalCell } from './cell-number.ts'
import { Base64Cell, BoolCell, IntervalCell, TextCell, UuidCell } from './cell-text.ts'
import { DateCell, TimeCell, TimestampCell } from './cell-time.ts'
import type { CellReader } from './cell.ts'
import type { EpochUnit, EpochUnits } from './epoch.ts'

/** How values are read in JSON, which tells scalars of several kinds apart. */
export const Kind = {
  bool: 0,
  /** int16, int32. */
  int32: 1,
  /** int64, uint64. */
  int64: 2,
  float: 3,
  /** decimal in scaled integers. */
  scaled: 4,
  /** decimal in exact digits. */
  digits: 5,
  text: 6,
  json: 7,
  list: 8,
  timestamp: 9,
  /** A text in JSON: uuid, bytes, date, time, interval. */
  quoted: 10,
} as const

export interface FieldPlan {
  readonly name: string
  readonly kind: number
  readonly nullable: boolean
  /** What a value that does not fit should have been: `expected int16, a whole number from …`. */
  readonly wanted: string
  /** Reads the value as plain text; null: only JSON has it (json, list). */
  readonly cell: CellReader | null
  /** Reads numbers that stand for a time; null: they do not. */
  readonly epoch: EpochCell | null
  /** Of lists. */
  readonly element: FieldPlan | null
}

/** `unit`: how numbers are read as the field's time; null = not at all. */
export function planOf({ name, type, nullable }: Field, unit: EpochUnit | null): FieldPlan {
  const isTime = type.kind === 'timestamp' || type.kind === 'timestamptz'
  return {
    name,
    kind: kindOf(type),
    nullable,
    wanted: `expected ${wantedOf(type, unit)}`,
    cell: cellOf(type),
    epoch: isTime && unit !== null ? new EpochCell(unit) : null,
    element:
      type.kind === 'list' ? planOf({ name, type: type.element, nullable: true }, unit) : null,
  }
}

/** `units`: of one unit for all, or one for each of the columns named; null = numbers are no times. */
export function plansOf(fields: readonly Field[], units: EpochUnits | null): readonly FieldPlan[] {
  return fields.map((field) => {
    const unit = typeof units === 'string' || units === null ? units : units[field.name]
    return planOf(field, unit ?? null)
  })
}

function kindOf(type: LogicalType): number {
  switch (type.kind) {
    case 'bool':
    case 'text':
    case 'json':
    case 'list':
    case 'timestamp':
    case 'int32':
    case 'int64':
      return Kind[type.kind]
    case 'int16':
      return Kind.int32
    case 'uint64':
      return Kind.int64
    case 'float32':
    case 'float64':
      return Kind.float
    case 'other':
      return Kind.text
    case 'timestamptz':
      return Kind.timestamp
    case 'decimal':
      return isScaledDecimal(type) ? Kind.scaled : Kind.digits
    default:
      return Kind.quoted
  }
}

function cellOf(type: LogicalType): CellReader | null {
  switch (type.kind) {
    case 'bool':
      return new BoolCell()
    case 'int16':
    case 'int32':
      return new Int32Cell(type.kind)
    case 'int64':
    case 'uint64':
      return new Int64Cell(type.kind)
    case 'float32':
    case 'float64':
      return new FloatCell(type.kind)
    case 'decimal':
      return isScaledDecimal(type)
        ? new ScaledDecimalCell(type.precision, type.scale ?? 0)
        : new DigitsCell(type.precision, type.scale ?? 0)
    case 'text':
    case 'other':
      return new TextCell()
    case 'bytes':
      return new Base64Cell()
    case 'uuid':
      return new UuidCell()
    case 'date':
      return new DateCell()
    case 'time':
      return new TimeCell()
    case 'timestamp':
    case 'timestamptz':
      return new TimestampCell(type.kind)
    case 'interval':
      return new IntervalCell()
    case 'json':
    case 'list':
      return null
  }
}

function wantedOf(type: LogicalType, unit: EpochUnit | null): string {
  const range = integerRanges[type.kind]
  if (range !== undefined) return `${type.kind}, a whole number from ${range[0]} to ${range[1]}`
  switch (type.kind) {
    case 'bool':
      return 'bool, true or false'
    case 'float32':
    case 'float64':
      return `${type.kind}, a number that is not too large for it`
    case 'decimal':
      return decimalWords(type.precision, type.scale ?? 0)
    case 'text':
    case 'other':
      return `${typeName(type)}, a scalar in valid Unicode (objects and arrays need a json column)`
    case 'bytes':
      return 'bytes, as text in base64'
    case 'uuid':
      return 'uuid, 32 hex digits as 8-4-4-4-12'
    case 'json':
      return 'json, any value'
    case 'date':
      return 'date, such as 2026-01-31'
    case 'time':
      return 'time, such as 23:59:59.000001'
    case 'timestamp':
      return `timestamp, such as 2026-01-31T23:59:59, without a zone (with one it is a timestamptz)${epochWords(unit)}`
    case 'timestamptz':
      return `timestamptz, such as 2026-01-31T23:59:59Z, with a zone (without one it is a timestamp)${epochWords(unit)}`
    case 'interval':
      return 'interval, an ISO 8601 duration such as P1DT2H'
    case 'list':
      return `${typeName(type)}, an array`
    default:
      return typeName(type)
  }
}

function decimalWords(precision: number | null, scale: number): string {
  if (precision === null) return 'decimal, a number'
  return `decimal(${precision},${scale}), a number of at most ${precision - scale} digits before and ${scale} after the point`
}

const unitWords: Readonly<Record<EpochUnit, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
}

function epochWords(unit: EpochUnit | null): string {
  if (unit === null) return '; for numbers `epoch` says what they count'
  return `, or the ${unitWords[unit]} since 1970 as a number`
}
