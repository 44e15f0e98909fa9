/**
 * What Debezium's values mean, in our types: those that our own PostgreSQL and MySQL sources give the same
 * columns, so that who changes from one to the other finds the values that were there before.
 *
 *   Date                                date        Time, MicroTime, NanoTime, IsoTime      time
 *   Timestamp, MicroTimestamp, …        timestamp   ZonedTimestamp                          timestamptz
 *   ZonedTime                           other(timetz)
 *   MicroDuration, Interval             interval    Year                                    int16
 *   Decimal                             decimal(p,s)  VariableScaleDecimal                  decimal
 *   Json                                json        Uuid                                    uuid
 *   Enum, EnumSet                       text        Xml, Ltree, TsVector                    other(xml), …
 *   Bits                                uint64      geometries                              bytes (EWKB)
 *
 * Wall clocks (`timestamp`, `datetime`) are written as if they were UTC, whatever the name of the type
 * says about that; only ZonedTimestamp is an instant. Names are those of Debezium 3.6 (io.debezium.time,
 * io.debezium.data) and Kafka 4.3 (org.apache.kafka.connect.data).
 */
import type { EpochUnit } from '../../../core/connector/format/epoch.ts'
import type { LogicalType, SimpleKind } from '../../../core/record/types.ts'
import type { ConnectKind, ConnectType } from './connect-type.ts'

export interface Meaning {
  readonly type: LogicalType
  /** What numbers count that stand for a time. */
  readonly unit: EpochUnit | null
}

/** The database below, where it makes a difference and is known. */
export type Dialect = 'postgres' | 'mysql' | null

export function meaningOf(type: ConnectType, dialect: Dialect): Meaning {
  return named(type, dialect) ?? { type: plainType(type, dialect), unit: null }
}

const plainKinds: Readonly<Partial<Record<ConnectKind, SimpleKind>>> = {
  boolean: 'bool',
  int8: 'int16',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float32: 'float32',
  float64: 'float64',
  string: 'text',
  bytes: 'bytes',
}

function plainType(type: ConnectType, dialect: Dialect): LogicalType {
  const kind = plainKinds[type.kind]
  if (kind !== undefined) return isUnsigned64(type) ? { kind: 'uint64' } : { kind }
  if (type.kind !== 'array' || type.items === null) return { kind: 'json' }
  const element = meaningOf(type.items, dialect).type
  return element.kind === 'json' && type.items.kind !== 'string'
    ? { kind: 'json' }
    : { kind: 'list', element }
}

/** Known where Debezium was told to pass the columns' types on (`column.propagate.source.type`). */
export function isUnsigned64({ kind, parameters }: ConnectType): boolean {
  const column = parameters['__debezium.source.column.type']
  return kind === 'int64' && column !== undefined && /^bigint unsigned/i.test(column)
}

interface Named {
  /** Of which it is, or it is something else by the same name. */
  readonly kinds: readonly ConnectKind[]
  readonly type: LogicalType
  readonly unit?: EpochUnit
}

const integers: readonly ConnectKind[] = ['int8', 'int16', 'int32', 'int64']
const count = (kind: SimpleKind, unit: EpochUnit): Named => ({
  kinds: integers,
  type: { kind },
  unit,
})
const text = (kind: SimpleKind): Named => ({ kinds: ['string'], type: { kind } })
const other = (name: string): Named => ({ kinds: ['string'], type: { kind: 'other', name } })

const names: Readonly<Record<string, Named>> = {
  'io.debezium.time.Date': { kinds: integers, type: { kind: 'date' } },
  'io.debezium.time.IsoDate': text('date'),
  'io.debezium.time.Time': count('time', 'ms'),
  'io.debezium.time.MicroTime': count('time', 'us'),
  'io.debezium.time.NanoTime': count('time', 'ns'),
  'io.debezium.time.IsoTime': text('time'),
  'io.debezium.time.Timestamp': count('timestamp', 'ms'),
  'io.debezium.time.MicroTimestamp': count('timestamp', 'us'),
  'io.debezium.time.NanoTimestamp': count('timestamp', 'ns'),
  'io.debezium.time.IsoTimestamp': text('timestamp'),
  'io.debezium.time.ZonedTimestamp': text('timestamptz'),
  'io.debezium.time.ZonedTime': other('timetz'),
  'io.debezium.time.MicroDuration': count('interval', 'us'),
  'io.debezium.time.NanoDuration': count('interval', 'ns'),
  'io.debezium.time.Interval': text('interval'),
  'io.debezium.time.Year': { kinds: integers, type: { kind: 'int16' } },
  'io.debezium.data.Json': text('json'),
  'io.debezium.data.Uuid': text('uuid'),
  'io.debezium.data.Xml': other('xml'),
  'io.debezium.data.Ltree': other('ltree'),
  'io.debezium.data.TsVector': other('tsvector'),
  'org.apache.kafka.connect.data.Date': { kinds: integers, type: { kind: 'date' } },
  'org.apache.kafka.connect.data.Time': count('time', 'ms'),
  'org.apache.kafka.connect.data.Timestamp': count('timestamp', 'ms'),
}

export const decimalName = 'org.apache.kafka.connect.data.Decimal'
export const variableDecimalName = 'io.debezium.data.VariableScaleDecimal'
export const bitsName = 'io.debezium.data.Bits'
const geometryNames = /^io\.debezium\.data\.geometry\.(Geometry|Geography|Point)$/

function named(type: ConnectType, dialect: Dialect): Meaning | null {
  const { name, kind, parameters } = type
  if (name === '') return null
  const found = Object.hasOwn(names, name) ? names[name]! : null
  if (found !== null)
    return found.kinds.includes(kind) ? { type: found.type, unit: found.unit ?? null } : null
  if (kind === 'bytes' && name === decimalName) {
    return { type: decimalType(parameters), unit: null }
  }
  if (kind === 'bytes' && name === bitsName) {
    const bits = Number(parameters['length'] ?? NaN)
    return { type: { kind: bits <= 64 ? 'uint64' : 'bytes' }, unit: null }
  }
  if (kind !== 'struct') return null
  if (name === variableDecimalName) {
    return { type: { kind: 'decimal', precision: null, scale: null }, unit: null }
  }
  const shape = geometryNames.exec(name)?.[1]
  if (shape === undefined) return null
  return { type: geometryType(shape, dialect), unit: null }
}

function decimalType(parameters: Readonly<Record<string, string>>): LogicalType {
  const precision = Number(parameters['connect.decimal.precision'] ?? NaN)
  const scale = Number(parameters['scale'] ?? NaN)
  const isKnown = Number.isInteger(precision) && Number.isInteger(scale) && precision > 0
  return isKnown
    ? { kind: 'decimal', precision, scale }
    : { kind: 'decimal', precision: null, scale: null }
}

/** PostgreSQL's own point, and what PostGIS has, are text there; MySQL's geometries are bytes. */
function geometryType(shape: string, dialect: Dialect): LogicalType {
  if (dialect !== 'postgres') return { kind: 'bytes' }
  return { kind: 'other', name: shape.toLowerCase() }
}
