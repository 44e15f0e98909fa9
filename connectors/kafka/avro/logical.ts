/** Logical types of Avro: which are known on which type, and what column each type becomes. */
import type { LogicalType } from '../../../core/record/types.ts'
import { branchesOf, type AvroDecimal, type AvroLogical, type AvroType } from './types.ts'

const known: Readonly<Record<string, readonly AvroLogical[]>> = {
  int: ['date', 'time-millis'],
  long: [
    'time-micros',
    'timestamp-millis',
    'timestamp-micros',
    'timestamp-nanos',
    'local-timestamp-millis',
    'local-timestamp-micros',
    'local-timestamp-nanos',
  ],
  string: ['uuid'],
}

/** null: unknown, or not one of this type; the specification asks to read the plain type then. */
export function logicalOf(kind: string, name: unknown): AvroLogical | null {
  return known[kind]?.find((logical) => logical === name) ?? null
}

/** null: the attributes say no decimal, or one that the specification has to be forgotten. */
export function decimalOf(
  attributes: Readonly<Record<string, unknown>>,
  name: string,
  size: number | null,
): AvroDecimal | null {
  if (attributes['logicalType'] !== 'decimal') return null
  const { precision, scale = 0 } = attributes
  if (!isCount(precision) || !isCount(scale) || precision === 0 || scale > precision) return null
  // The digits that two's complement of that many bytes always has room for.
  if (size !== null && precision > Math.floor(Math.log10(2) * (8 * size - 1))) return null
  return { kind: 'decimal', name, size, precision, scale }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 100_000
}

/**
 * The column that holds every value of the type, NULL aside:
 *
 *   boolean, int, long, float, double   bool, int32, int64, float32, float64
 *   string, enum                        text            uuid (string, fixed of 16)      uuid
 *   bytes, fixed                        bytes           decimal (bytes, fixed)          decimal(p,s)
 *   date                                date            time-millis, time-micros        time
 *   timestamp-millis, -micros           timestamptz     local-timestamp-millis, -micros timestamp
 *   timestamp-nanos, local-…-nanos      int64: a timestamp's microseconds cannot hold them
 *   duration                            interval        array of any of these           list<…>
 *   record, map, other arrays, unions of more than one type but null                    json
 */
export function columnType(type: AvroType): LogicalType {
  const branches = branchesOf(type)
  const [only] = branches
  if (only === undefined || branches.length > 1) return { kind: 'json' }
  if (only.kind !== 'array') return scalarType(only) ?? { kind: 'json' }
  const items = branchesOf(only.items)
  const element = items[0] === undefined || items.length > 1 ? null : scalarType(items[0])
  return element === null ? { kind: 'json' } : { kind: 'list', element }
}

export function takesNull(type: AvroType): boolean {
  const branches = type.kind === 'union' ? type.branches : [type]
  return branches.some(({ kind }) => kind === 'null')
}

function scalarType(type: AvroType): LogicalType | null {
  switch (type.kind) {
    case 'boolean':
      return { kind: 'bool' }
    case 'int':
      if (type.logical === 'date') return { kind: 'date' }
      return { kind: type.logical === 'time-millis' ? 'time' : 'int32' }
    case 'long':
      return longType(type.logical)
    case 'float':
      return { kind: 'float32' }
    case 'double':
      return { kind: 'float64' }
    case 'bytes':
      return { kind: 'bytes' }
    case 'string':
      return { kind: type.logical === 'uuid' ? 'uuid' : 'text' }
    case 'enum':
      return { kind: 'text' }
    case 'decimal':
      return { kind: 'decimal', precision: type.precision, scale: type.scale }
    case 'fixed':
      if (type.logical === 'uuid') return { kind: 'uuid' }
      return { kind: type.logical === 'duration' ? 'interval' : 'bytes' }
    case 'null':
    case 'array':
    case 'map':
    case 'record':
    case 'union':
      return null
  }
}

function longType(logical: AvroLogical | null): LogicalType {
  switch (logical) {
    case 'time-micros':
      return { kind: 'time' }
    case 'timestamp-millis':
    case 'timestamp-micros':
      return { kind: 'timestamptz' }
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return { kind: 'timestamp' }
    default:
      return { kind: 'int64' }
  }
}
