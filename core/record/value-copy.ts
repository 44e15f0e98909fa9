/**
 * Copying single values from columns into a builder: one value has several encodings (column.ts), and
 * the copy has the one that the builder's batch needs. Not for hot loops over whole columns, which
 * `selectColumn` and `concatColumns` do by buffers.
 */
import { builderFor, type AnyBuilder } from './builder.ts'
import { BytesBuilder } from './bytes-builder.ts'
import { isNull, type Column } from './column.ts'
import { DecimalBuilder } from './decimal-builder.ts'
import { ListBuilder } from './list-builder.ts'
import type { LogicalType } from './types.ts'
import { bytesAt, numberAt, textAt } from './value.ts'

/** The column whose row i is row `rows[i]` of `columns[from[i]]`; null where `from[i]` is −1. All of one type. */
export function gatherColumn(
  type: LogicalType,
  columns: readonly Column[],
  from: Int32Array,
  rows: Int32Array,
): Column {
  const builder = builderForCopies(type, columns)
  for (let i = 0; i < rows.length; i++) {
    const source = from[i]!
    if (source < 0) builder.appendNull()
    else appendValue(builder, type, columns[source]!, rows[i]!)
  }
  return builder.finish()
}

/** A builder that holds values of all those columns: exact texts where one of them has lists as texts. */
export function builderForCopies(type: LogicalType, columns: readonly Column[]): AnyBuilder {
  if (type.kind === 'list' && columns.some((column) => hasListTexts(type, column)))
    return new BytesBuilder()
  return builderFor(type)
}

/** Whether a column of lists has some, at any depth, as exact texts instead. */
export function hasListTexts(type: LogicalType, column: Column): boolean {
  if (type.kind !== 'list' || column.length === 0) return false
  return column.encoding !== 'list' || hasListTexts(type.element, column.child)
}

/** Appends the value of a row to a builder of its type (`builderForCopies`). */
export function appendValue(
  builder: AnyBuilder,
  type: LogicalType,
  column: Column,
  row: number,
): void {
  if (isNull(column, row)) return builder.appendNull()
  switch (column.encoding) {
    case 'bytes':
    case 'dictionary':
      return appendBytes(builder, column, row)
    case 'fixed16': {
      if (!('reserve' in builder) || builder instanceof BytesBuilder) throw misfit(type, column)
      const at = builder.reserve()
      builder.bytes.set(column.data.subarray(row * 16, row * 16 + 16), at)
      return
    }
    case 'list': {
      if (builder instanceof BytesBuilder) return builder.appendString(textAt(type, column, row)!)
      if (!(builder instanceof ListBuilder) || type.kind !== 'list') throw misfit(type, column)
      const end = column.offsets[row + 1]!
      for (let i = column.offsets[row]!; i < end; i++) {
        appendValue(builder.child as AnyBuilder, type.element, column.child, i)
      }
      return builder.endList()
    }
    default:
      return appendNumber(builder, type, column, row)
  }
}

function appendNumber(builder: AnyBuilder, type: LogicalType, column: Column, row: number): void {
  const value = numberAt(column, row)
  if (builder instanceof DecimalBuilder) return builder.appendScaled(value)
  // An unbounded decimal is never packed as a number: it has no scale to read it with.
  if (!('append' in builder) || builder instanceof BytesBuilder) throw misfit(type, column)
  if (typeof value === 'number') builder.append(value)
  else if ('appendBigInt' in builder) builder.appendBigInt(value)
  else throw misfit(type, column)
}

function appendBytes(builder: AnyBuilder, column: Column, row: number): void {
  if (column.encoding === 'dictionary')
    return appendBytes(builder, column.dictionary, column.codes[row]!)
  if (column.encoding !== 'bytes') throw new TypeError(`no bytes in a ${column.encoding} column`)
  const start = column.offsets[row]!
  const end = column.offsets[row + 1]!
  if (builder instanceof BytesBuilder) builder.append(column.data, start, end)
  else if (builder instanceof DecimalBuilder) builder.appendText(column.data, start, end)
  else throw new TypeError('bytes for a builder of numbers')
}

/** A value as bytes: exact bytes of `bytes`, exact text (`textAt`) of every other type; null when it is null. */
export function exactBytesAt(type: LogicalType, column: Column, row: number): Uint8Array | null {
  if (isNull(column, row)) return null
  if (column.encoding === 'bytes' || column.encoding === 'dictionary') return bytesAt(column, row)
  return Buffer.from(textAt(type, column, row)!)
}

function misfit(type: LogicalType, column: Column): TypeError {
  return new TypeError(`a ${column.encoding} column does not go into this builder of ${type.kind}`)
}
