/**
 * Logical types as ClickHouse columns. A column type is chosen so that it holds every value of the
 * logical type exactly; where no type does (dates before 1900, NaN in a decimal), screen.ts sets the
 * row aside instead of letting the server clamp it.
 *
 *   bool, int16…int64, uint64     Bool, Int16, Int32, Int64, UInt64
 *   float32, float64              Float32, Float64
 *   decimal(p ≤ 76, s)            Decimal(p, s); wider or unbounded: String
 *   text, json, bytes, other      String; list and interval: String, PostgreSQL's text
 *   uuid                          UUID
 *   date, timestamp(tz)           Date32, DateTime64(6, 'UTC'), or String
 *   time                          Int64, µs since midnight (Time64 is newer than the oldest server
 *                                 supported, and does not hold 24:00:00)
 *
 * Arrays stay text because Array(T) can hold neither NULL in place of the list nor two dimensions.
 */
import type { LogicalType } from '../../core/record/types.ts'
import type { Field } from '../../core/record/schema.ts'
import type { ClickHouseConfig } from './config.ts'

export type Storage =
  | { readonly kind: 'bool' | 'int16' | 'int32' | 'int64' | 'uint64' | 'float32' | 'float64' }
  | { readonly kind: 'uuid' | 'date' | 'timestamp' }
  /** The column's own bytes, or the value's exact text. */
  | { readonly kind: 'string' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }

export interface ColumnType {
  /** As `system.columns.type` spells it, Nullable included. */
  readonly name: string
  readonly nullable: boolean
  readonly storage: Storage
}

type TypeOptions = Pick<ClickHouseConfig, 'nullable' | 'unbounded_numeric' | 'timestamps'>

/** Precision of ClickHouse's widest Decimal. */
const decimalPrecisionMax = 76

export function columnType(field: Field, options: TypeOptions): ColumnType {
  const [name, storage] = plainType(field.type, options)
  const nullable = field.nullable && options.nullable === 'keep'
  return { name: nullable ? `Nullable(${name})` : name, nullable, storage }
}

const simple = {
  bool: 'Bool',
  int16: 'Int16',
  int32: 'Int32',
  int64: 'Int64',
  uint64: 'UInt64',
  float32: 'Float32',
  float64: 'Float64',
} as const

const string: [string, Storage] = ['String', { kind: 'string' }]

function plainType(type: LogicalType, options: TypeOptions): [string, Storage] {
  switch (type.kind) {
    case 'bool':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'float32':
    case 'float64':
      return [simple[type.kind], { kind: type.kind }]
    case 'time':
      return ['Int64', { kind: 'int64' }]
    case 'uuid':
      return ['UUID', { kind: 'uuid' }]
    case 'date':
      return options.timestamps === 'string' ? string : ['Date32', { kind: 'date' }]
    case 'timestamp':
    case 'timestamptz':
      return options.timestamps === 'string' ? string : [timestampTypeName, { kind: 'timestamp' }]
    case 'decimal':
      return decimalType(type.precision, type.scale ?? 0, options)
    case 'text':
    case 'json':
    case 'bytes':
    case 'other':
    case 'interval':
    case 'list':
      return string
  }
}

export const timestampTypeName = "DateTime64(6, 'UTC')"

/** PostgreSQL allows scales below zero and above the precision; ClickHouse wants 0 ≤ s ≤ p. */
function decimalType(
  precision: number | null,
  scale: number,
  options: TypeOptions,
): [string, Storage] {
  if (precision === null) {
    return options.unbounded_numeric === 'string' ? string : decimal(decimalPrecisionMax, 38)
  }
  const digits = Math.max(precision, scale, precision - scale)
  return digits > decimalPrecisionMax ? string : decimal(digits, Math.max(scale, 0))
}

function decimal(precision: number, scale: number): [string, Storage] {
  return [`Decimal(${precision}, ${scale})`, { kind: 'decimal', precision, scale }]
}

/** Bytes of one value of Decimal(precision, …): Decimal32, 64, 128, 256. */
export function decimalBytes(precision: number): 4 | 8 | 16 | 32 {
  return precision <= 9 ? 4 : precision <= 18 ? 8 : precision <= 38 ? 16 : 32
}

/** Whether every value of a column type can be held, unchanged, by another: then the server converts. */
export function widens(from: string, to: string): boolean {
  const source = unwrap(from)
  const target = unwrap(to)
  if (source.nullable && !target.nullable) return false
  return source.name === target.name || widensPlain(source.name, target.name)
}

const wider: Readonly<Record<string, readonly string[]>> = {
  Bool: [],
  Int16: ['Int32', 'Int64', 'String'],
  Int32: ['Int64', 'String'],
  Int64: ['String'],
  UInt64: ['String'],
  Float32: ['Float64'],
  UUID: ['String'],
}

function widensPlain(from: string, to: string): boolean {
  if (wider[from]?.includes(to) === true) return true
  if (from === timestampTypeName) return /^DateTime64\(6(, '[^']*')?\)$/.test(to)
  const source = /^Decimal\((\d+), (\d+)\)$/.exec(from)
  const target = /^Decimal\((\d+), (\d+)\)$/.exec(to)
  if (source === null || target === null) return false
  const whole = Number(source[1]) - Number(source[2])
  return whole <= Number(target[1]) - Number(target[2]) && Number(source[2]) <= Number(target[2])
}

/** LowCardinality only changes how a column is stored. */
export function unwrap(type: string): { readonly name: string; readonly nullable: boolean } {
  const name = /^LowCardinality\((.*)\)$/.exec(type)?.[1] ?? type
  const inner = /^Nullable\((.*)\)$/.exec(name)?.[1]
  return { name: inner ?? name, nullable: inner !== undefined }
}
