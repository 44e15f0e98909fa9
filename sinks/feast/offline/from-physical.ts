/**
 * Values as a file has them, back to columns: what physical.ts did, the other way. A file from before a
 * column was widened has values of another type; they are brought into the new one.
 */
import type { SchemaElement } from 'hyparquet'
import { builderFor, Int32Builder, type AnyBuilder } from '../../../core/record/builder.ts'
import { BoolBuilder, NumberBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder, scaledText } from '../../../core/record/decimal-builder.ts'
import type { Column } from '../../../core/record/column.ts'
import { ListBuilder } from '../../../core/record/list-builder.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import type { ParquetType } from './parquet-types.ts'
import { bigEndian16, type PhysicalValue } from './physical.ts'

/** What the values of a file mean: a uuid, a date as text and the like are the text that stands there. */
export function logicalOf(type: ParquetType): LogicalType {
  if (type.physical === 'list') return { kind: 'list', element: logicalOf(type.element) }
  const { converted_type, precision = 0, scale = 0 } = type.annotation
  if (converted_type === 'DECIMAL') return { kind: 'decimal', precision, scale }
  if (converted_type === 'TIMESTAMP_MICROS') return { kind: 'timestamptz' }
  switch (type.physical) {
    case 'bool':
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'text':
    case 'bytes':
      return { kind: type.physical }
    case 'float':
      return { kind: 'float32' }
    case 'double':
      return { kind: 'float64' }
    case 'fixed16':
      throw new TypeError('16 bytes that are no decimal')
  }
}

export function columnOf(type: ParquetType, values: readonly PhysicalValue[]): Column {
  const builder = builderFor(logicalOf(type))
  for (const value of values) append(builder, type, value)
  return builder.finish()
}

/**
 * A value of a file's column as the type that the column has now: integers and decimals to decimals of no
 * smaller scale, numbers to texts, small numbers to large ones. null for what has no such form: the type
 * was narrowed, or is another one. `from`: the innermost element of the column in the file.
 */
export function widened(value: PhysicalValue, from: SchemaElement, to: ParquetType): PhysicalValue {
  if (value === null) return null
  if (to.physical === 'list') {
    if (!Array.isArray(value)) return null
    const items = value as readonly (PhysicalValue | undefined)[]
    return items.map((item) => widened(item ?? null, from, to.element))
  }
  if (Array.isArray(value)) return null
  const isDecimal = from.converted_type === 'DECIMAL'
  const scale = isDecimal ? (from.scale ?? 0) : 0
  const isInteger = !isDecimal && (from.type === 'INT32' || from.type === 'INT64')
  if (to.annotation.converted_type === 'DECIMAL') {
    if (!isDecimal && !isInteger) return null
    const more = (to.annotation.scale ?? 0) - scale
    if (more < 0) return null
    const unscaled = integerOf(value) * 10n ** BigInt(more)
    return to.physical === 'fixed16' ? bigEndian16(unscaled) : unscaled
  }
  if (to.physical === 'text' && from.type !== 'BYTE_ARRAY') {
    return Buffer.from(isDecimal ? scaledText(integerOf(value), scale) : String(value))
  }
  if (isDecimal) return null
  const isText = value instanceof Uint8Array
  return isText === (to.physical === 'text' || to.physical === 'bytes') ? value : null
}

function integerOf(value: PhysicalValue): bigint {
  if (value instanceof Uint8Array) return bigOf(value)
  return typeof value === 'bigint' ? value : BigInt(Number(value))
}

function append(builder: AnyBuilder, type: ParquetType, value: PhysicalValue | undefined): void {
  if (value === null || value === undefined) return builder.appendNull()
  if (builder instanceof ListBuilder && type.physical === 'list' && Array.isArray(value)) {
    const items = value as readonly (PhysicalValue | undefined)[]
    for (const item of items) append(builder.child as AnyBuilder, type.element, item)
    return builder.endList()
  }
  if (builder instanceof BytesBuilder && value instanceof Uint8Array) {
    // A decimal of more than 18 digits is kept as its digits.
    if (type.physical !== 'fixed16') return builder.append(value, 0, value.length)
    return builder.appendString(scaledText(bigOf(value), type.annotation.scale ?? 0))
  }
  if (builder instanceof DecimalBuilder && typeof value === 'bigint') {
    return builder.appendScaled(Number.isSafeInteger(Number(value)) ? Number(value) : value)
  }
  if (builder instanceof BoolBuilder) return builder.append(value === true ? 1 : 0)
  if (builder instanceof Int32Builder) return builder.append(Number(value))
  if (builder instanceof NumberBuilder) {
    return typeof value === 'bigint' ? builder.appendBigInt(value) : builder.append(Number(value))
  }
  throw new TypeError(`a ${typeof value} in a column of ${type.physical}`)
}

function bigOf(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return (view.getBigInt64(0) << 64n) | view.getBigUint64(8)
}
