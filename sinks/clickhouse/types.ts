/**
 * Logical types as ClickHouse columns. A column type is chosen so that it holds every value of the
 * logical type exactly; where no type does (NaN in a decimal, a list without a dimension), screen.ts
 * sets the row aside instead of letting the server clamp it.
 *
 *   bool, int16…int64, uint64     Bool, Int16, Int32, Int64, UInt64
 *   float32, float64              Float32, Float64
 *   decimal(p ≤ 76, s)            Decimal(p, s); wider or unbounded: String
 *   text, json, bytes, other      String; list and interval: String, PostgreSQL's text
 *   uuid                          UUID
 *   date, timestamp(tz)           Date32, DateTime64(6, 'UTC'), or String
 *   time                          Int64, µs since midnight, or Time64(6)
 *   other(enum)                   LowCardinality(String)
 *   by option: json               JSON
 *              list<t>            Array(Nullable(T)), other(set) Array(String)
 *              other(hstore)      Map(String, Nullable(String))
 */
import type { LogicalType } from '../../core/record/types.ts'
import type { Field } from '../../core/record/schema.ts'
import type { ClickHouseConfig } from './config.ts'

export type Storage =
  | { readonly kind: 'bool' | 'int16' | 'int32' | 'int64' | 'uint64' | 'float32' | 'float64' }
  | { readonly kind: 'uuid' | 'date' | 'timestamp' | 'time' }
  /** The column's own bytes, or the value's exact text. */
  | { readonly kind: 'string' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  /** A document as its text; the server takes it apart. */
  | { readonly kind: 'json' }
  | { readonly kind: 'array'; readonly element: ColumnType; readonly of: LogicalType }
  /** hstore's text as pairs. */
  | { readonly kind: 'map' }

export interface ColumnType {
  /** As `system.columns.type` spells it, Nullable included. */
  readonly name: string
  /** As a Native block spells it: the server makes a LowCardinality of plain values itself. */
  readonly wire: string
  readonly nullable: boolean
  readonly storage: Storage
}

export type TypeOptions = Pick<
  ClickHouseConfig,
  'nullable' | 'unbounded_numeric' | 'timestamps' | 'times' | 'json' | 'arrays' | 'hstore'
>

/** Precision of ClickHouse's widest Decimal. */
const decimalPrecisionMax = 76

/** `lowCardinality`: the user says that a text has few distinct values. */
export function columnType(
  field: Field,
  options: TypeOptions,
  lowCardinality: boolean = false,
): ColumnType {
  const [name, storage] = plainType(field.type, options)
  const nullable = field.nullable && options.nullable === 'keep' && mayBeNullable(storage)
  const wire = nullable ? `Nullable(${name})` : name
  const few = storage.kind === 'string' && (lowCardinality || isNamed(field.type, 'enum'))
  return { name: few ? `LowCardinality(${wire})` : wire, wire, nullable, storage }
}

/** Array and Map have no NULL of their own (ClickHouse docs, Nullable). */
export function mayBeNullable({ kind }: Storage): boolean {
  return kind !== 'array' && kind !== 'map'
}

function isNamed(type: LogicalType, name: string): boolean {
  return type.kind === 'other' && type.name === name
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
      return options.times === 'time64'
        ? [timeTypeName, { kind: 'time' }]
        : ['Int64', { kind: 'int64' }]
    case 'uuid':
      return ['UUID', { kind: 'uuid' }]
    case 'date':
      return options.timestamps === 'string' ? string : ['Date32', { kind: 'date' }]
    case 'timestamp':
    case 'timestamptz':
      return options.timestamps === 'string' ? string : [timestampTypeName, { kind: 'timestamp' }]
    case 'decimal':
      return decimalType(type.precision, type.scale ?? 0, options)
    case 'list':
      return options.arrays === 'string' ? string : arrayType(type.element, options)
    case 'json':
      return options.json === 'string' ? string : ['JSON', { kind: 'json' }]
    case 'other':
      if (type.name === 'hstore' && options.hstore === 'map') return [mapTypeName, { kind: 'map' }]
      return type.name === 'set' && options.arrays !== 'string'
        ? arrayType({ kind: 'text' }, options, false)
        : string
    case 'text':
    case 'bytes':
    case 'interval':
      return string
  }
}

/**
 * Elements may be NULL in PostgreSQL whatever the column says; MySQL's sets have none that is. A
 * document inside stays text: of JSON there is one column, not one of elements.
 */
function arrayType(
  of: LogicalType,
  options: TypeOptions,
  nullable: boolean = true,
): [string, Storage] {
  const inner = { ...options, nullable: 'keep', json: 'string', hstore: 'string' } as const
  const element = columnType({ name: '', type: of, nullable }, inner)
  // LowCardinality inside an array would need another form on the wire.
  return [
    `Array(${element.wire})`,
    { kind: 'array', element: { ...element, name: element.wire }, of },
  ]
}

export const timeTypeName = 'Time64(6)'
export const mapTypeName = 'Map(String, Nullable(String))'
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
