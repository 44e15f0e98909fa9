/**
 * Which reader a column's values need: by what Connect says they are written as, and by the type that the
 * column is to have, which is what they mean unless the pipeline file says another one.
 */
import type { EpochUnit } from '../../../core/connector/format/epoch.ts'
import type { CellReader } from '../../../core/connector/format/cell.ts'
import { planOf } from '../../../core/connector/format/field-plan.ts'
import { builderFor } from '../../../core/record/builder.ts'
import type { Field } from '../../../core/record/schema.ts'
import { typeName, type LogicalType } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { bitsName, decimalName, meaningOf, variableDecimalName, type Dialect } from './meaning.ts'
import type { ConnectField, ConnectType } from './connect-type.ts'
import {
  BytesReader,
  decimalInto,
  GeometryReader,
  putBits,
  putBytes,
  ScaledStructReader,
  wholeInto,
} from './value-bytes.ts'
import {
  IntegerReader,
  integerInto,
  intervalInto,
  putDate,
  timeInto,
  timestampInto,
  type PutInteger,
} from './value-numbers.ts'
import {
  AnyReader,
  BoolReader,
  FloatReader,
  ListReader,
  LooseReader,
  TextReader,
  type ValueReader,
} from './value-reader.ts'
import { JsonTextCell, WallClockCell, ZonedTimeCell } from './value-texts.ts'

export interface ColumnShape {
  readonly field: Field
  readonly reader: ValueReader
  /** The default of the column, as exact text (value.ts). */
  readonly default?: string
}

/** What the pipeline file says of one column, where it does. */
export interface ColumnOverride {
  readonly field: Field
  readonly unit: EpochUnit | null
}

/** null: values written so cannot become what the pipeline file wants. */
export function columnShape(
  { name, type, default: json }: ConnectField,
  dialect: Dialect,
  override: ColumnOverride | null,
): ColumnShape | null {
  const meaning = meaningOf(type, dialect)
  const field = override?.field ?? { name, type: meaning.type, nullable: type.optional }
  const reader = readerFor(type, field, meaning.unit ?? override?.unit ?? null, dialect)
  if (reader === null) return null
  const text = json === undefined ? null : textOfJson(field.type, reader, json)
  return text === null ? { field, reader } : { field, reader, default: text }
}

/** The value that stands in JSON as exact text; null: it is none of the column. */
function textOfJson(type: LogicalType, reader: ValueReader, json: string): string | null {
  const builder = builderFor(type)
  const bytes = Buffer.from(json)
  const last = reader.json(builder, bytes, 0, bytes.length)
  return last === bytes.length ? textAt(type, builder.finish(), 0) : null
}

function readerFor(
  type: ConnectType,
  field: Field,
  unit: EpochUnit | null,
  dialect: Dialect,
): ValueReader | null {
  const target = field.type
  switch (type.kind) {
    case 'boolean':
      return target.kind === 'bool' ? new BoolReader() : null
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return countReader(field, unit)
    case 'float32':
    case 'float64':
      return floatReader(type, field)
    case 'string':
      return textReader(field, dialect)
    case 'bytes':
      return bytesReader(type, target)
    case 'array':
      return listReader(type, field, dialect)
    case 'struct':
    case 'map':
      return structReader(type, target)
  }
}

function countReader(field: Field, unit: EpochUnit | null): ValueReader | null {
  const put = putterFor(field.type, unit)
  return put === null ? null : new IntegerReader(put, wantedOf(field, unit))
}

function putterFor(type: LogicalType, unit: EpochUnit | null): PutInteger | null {
  switch (type.kind) {
    case 'date':
      return putDate
    case 'time':
      return timeInto(unit ?? 'us')
    case 'timestamp':
    case 'timestamptz':
      return timestampInto(unit ?? 'us')
    case 'interval':
      return intervalInto(unit ?? 'us')
    default:
      return integerInto(type)
  }
}

const unitWords: Readonly<Record<EpochUnit, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds, whole microseconds of them',
}

function wantedOf(field: Field, unit: EpochUnit | null): string {
  switch (field.type.kind) {
    case 'date':
      return 'expected date, as days since 1970'
    case 'time':
      return `expected time, as ${unitWords[unit ?? 'us']} since midnight`
    case 'timestamp':
    case 'timestamptz':
      return `expected ${field.type.kind}, as ${unitWords[unit ?? 'us']} since 1970`
    case 'interval':
      return `expected interval, as ${unitWords[unit ?? 'us']}`
    default:
      return planOf(field, null).wanted
  }
}

function floatReader(type: ConnectType, field: Field): ValueReader | null {
  const { kind } = field.type
  if (kind !== 'float64' && (kind !== 'float32' || type.kind !== 'float32')) return null
  return new FloatReader(planOf(field, null), kind === 'float32')
}

function textReader(field: Field, dialect: Dialect = null): ValueReader | null {
  const { type } = field
  const { cell, wanted } = planOf(field, null)
  if (type.kind === 'json')
    return new TextReader(new JsonTextCell(dialect === 'mysql'), 'expected json, in a text')
  return cell === null ? null : new TextReader(ownCell(type, cell), wanted)
}

function ownCell(type: LogicalType, cell: CellReader): CellReader {
  if (type.kind === 'date' || type.kind === 'time' || type.kind === 'timestamp')
    return new WallClockCell(cell)
  return type.kind === 'other' && type.name === 'timetz' ? new ZonedTimeCell() : cell
}

function bytesReader({ name, parameters }: ConnectType, target: LogicalType): ValueReader | null {
  const wanted = `expected ${typeName(target)}, in bytes`
  if (name === decimalName) {
    const scale = Number(parameters['scale'] ?? 0)
    if (!Number.isInteger(scale)) return null
    if (target.kind !== 'decimal') {
      const put = scale === 0 ? integerInto(target) : null
      return put === null ? null : new BytesReader(wholeInto(put), wanted)
    }
    const put = decimalInto(target)
    return new BytesReader((into, bytes, start, end) => put(into, bytes, start, end, scale), wanted)
  }
  if (target.kind === 'bytes') return new BytesReader(putBytes, wanted)
  return name === bitsName && target.kind === 'uint64' ? new BytesReader(putBits, wanted) : null
}

function listReader(type: ConnectType, field: Field, dialect: Dialect): ValueReader | null {
  if (field.type.kind === 'json') return new AnyReader()
  if (field.type.kind !== 'list' || type.items === null) return null
  const element = { name: field.name, type: field.type.element, nullable: true }
  const reader = readerFor(type.items, element, meaningOf(type.items, dialect).unit, dialect)
  return reader === null ? null : new ListReader(reader)
}

function structReader({ name }: ConnectType, target: LogicalType): ValueReader | null {
  if (target.kind === 'json') return new AnyReader()
  if (name === variableDecimalName)
    return target.kind === 'decimal' ? new ScaledStructReader(decimalInto(target)) : null
  const isGeometry = name.startsWith('io.debezium.data.geometry.')
  const takes = target.kind === 'bytes' || target.kind === 'other'
  return isGeometry && takes ? new GeometryReader(target) : null
}

/** How decimals are written where no schema says it: `decimal.handling.mode`. */
export type DecimalMode = 'precise' | 'text'

/** Reads a column of JSON without schemas, of which only the pipeline file says what it is. */
export function looseShape({ field, unit }: ColumnOverride, decimals: DecimalMode): ColumnShape {
  return { field, reader: looseReader(field, unit, decimals) }
}

function looseReader(field: Field, unit: EpochUnit | null, decimals: DecimalMode): ValueReader {
  const { type } = field
  switch (type.kind) {
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return new LooseReader({ text: textReader(field)!, rest: countReader(field, unit)! })
    case 'decimal':
      return looseDecimal(field, decimals)
    case 'json':
      return new LooseReader({ text: textReader(field)!, rest: new AnyReader() })
    case 'bytes': {
      const bytes = new BytesReader(putBytes, 'expected bytes, in base64')
      return new LooseReader({ text: bytes, object: new GeometryReader(type), rest: bytes })
    }
    case 'uint64': {
      const bits = new BytesReader(putBits, 'expected uint64, or bits in base64')
      return new LooseReader({ text: bits, rest: countReader(field, null)! })
    }
    case 'bool':
      return new LooseReader({ text: textReader(field)!, rest: new BoolOrBitReader(field) })
    case 'int16':
    case 'int32':
    case 'int64':
      return countReader(field, null)!
    case 'float32':
    case 'float64':
      return new FloatReader(planOf(field, null), type.kind === 'float32')
    case 'other': {
      const text = textReader(field)!
      return new LooseReader({ text, object: new GeometryReader(type), rest: text })
    }
    case 'list':
      return new ListReader(looseReader({ ...field, type: type.element }, unit, decimals))
    case 'text':
    case 'uuid':
      return textReader(field)!
  }
}

function looseDecimal(field: Field, decimals: DecimalMode): ValueReader {
  const type = field.type as LogicalType & { readonly kind: 'decimal' }
  const put = decimalInto(type)
  const wanted = planOf(field, null).wanted
  const text =
    decimals === 'text'
      ? textReader(field)!
      : new BytesReader(
          (into, bytes, start, end) => put(into, bytes, start, end, type.scale ?? 0),
          `${wanted}; in base64, or say debezium: {decimals: text}`,
        )
  const rest = new FloatReader(planOf(field, null), false)
  return new LooseReader({ text, object: new ScaledStructReader(put), rest })
}

/** true, false, and the 1 and 0 of a tinyint(1). */
class BoolOrBitReader extends BoolReader {
  readonly #bit: ValueReader
  constructor(field: Field) {
    super()
    this.#bit = countReader(field, null)!
  }
  override json(...args: Parameters<ValueReader['json']>): number {
    const [, bytes, at] = args
    const byte = bytes[at]
    return byte === 0x30 || byte === 0x31 ? this.#bit.json(...args) : super.json(...args)
  }
}
