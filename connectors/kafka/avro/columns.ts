/**
 * Which reader reads values written as one Avro type into the column of another (Apache Avro 1.12,
 * "Schema Resolution"). Where Avro lets a value change (long to double), it may not here: a value that
 * the column cannot hold is a fault of its record.
 *
 *   written    column of                          written           column of
 *   int        int, long, double; float*          string            string, bytes; uuid*
 *   long       long; float*, double*              bytes             bytes, string*
 *   float      float, double                      enum              enum, string
 *   decimal    decimal*                           fixed             fixed, bytes
 *   anything   what becomes json                  * = not every value
 *
 * Of one plain type, the column's logical type counts where the writer had none or the column has none;
 * where both have one they have to be the same but for the unit of a time.
 */
import { sameType } from '../../../core/record/types.ts'
import { readDecimal } from './decimal.ts'
import { columnType } from './logical.ts'
import type { ColumnReader, Read } from './reader.ts'
import * as read from './readers.ts'
import { branchesOf, type AvroDecimal, type AvroLogical, type AvroType } from './types.ts'

interface Way {
  readonly read: Read
  readonly isLossless: boolean
  readonly type?: AvroType
  readonly element?: ColumnReader
  readonly scaleBy?: number
}

/** null: values written so have no place in that column. */
export function columnReader(written: AvroType, column: AvroType): ColumnReader | null {
  const type = columnType(column)
  if (type.kind === 'json') {
    // The writer of JSON reads the union itself.
    return readerOf(written, { read: read.readJson, isLossless: true, type: written })
  }
  const branches = branchesOf(written)
  if (branches.length === 0) {
    return unionOf(written, readerOf(written, { read: read.readNull, isLossless: true }))
  }
  const [value] = branches
  const [target] = branchesOf(column)
  if (branches.length > 1 || value === undefined || target === undefined) return null
  const way = wayOf(value, target)
  if (way === null) return null
  const decimal = type.kind === 'decimal' ? type : null
  return unionOf(written, {
    ...readerOf(value, way),
    precision: decimal?.precision ?? 0,
    scale: decimal?.scale ?? 0,
  })
}

function readerOf(written: AvroType, way: Way): ColumnReader {
  return {
    read: way.read,
    type: way.type ?? written,
    nullBranch: -1,
    valueBranch: -1,
    element: way.element ?? null,
    scaleBy: way.scaleBy ?? 0,
    scale: 0,
    precision: 0,
    isLossless: way.isLossless,
  }
}

function unionOf(written: AvroType, reader: ColumnReader): ColumnReader {
  if (written.kind !== 'union') return reader
  const { branches } = written
  return {
    ...reader,
    nullBranch: branches.findIndex(({ kind }) => kind === 'null'),
    valueBranch: branches.findIndex(({ kind }) => kind !== 'null'),
  }
}

function wayOf(written: AvroType, column: AvroType): Way | null {
  switch (column.kind) {
    case 'boolean':
      return written.kind === 'boolean' ? lossless(read.readBoolean) : null
    case 'int':
    case 'long':
      return integerWay(written, column.kind, column.logical)
    case 'float':
    case 'double':
      return floatWay(written, column.kind)
    case 'string':
      return textWay(written, column.logical)
    case 'enum':
      return textWay(written, null)
    case 'bytes':
      return bytesWay(written)
    case 'decimal':
      return decimalWay(written, column)
    case 'fixed':
      return fixedWay(written, column)
    case 'array':
      return listWay(written, column)
    default:
      return null
  }
}

function lossless(way: Read): Way {
  return { read: way, isLossless: true }
}

function checked(way: Read): Way {
  return { read: way, isLossless: false }
}

const logicalReads: Readonly<Partial<Record<AvroLogical, Read>>> = {
  date: read.readDate,
  'time-millis': read.readTimeMillis,
  'time-micros': read.readTimeMicros,
  'timestamp-millis': read.readTimestampMillis,
  'timestamp-micros': read.readTimestampMicros,
  'local-timestamp-millis': read.readTimestampMillis,
  'local-timestamp-micros': read.readTimestampMicros,
}

function integerWay(
  written: AvroType,
  kind: 'int' | 'long',
  logical: AvroLogical | null,
): Way | null {
  if (written.kind !== 'int' && written.kind !== 'long') return null
  const plain = { kind, logical: null } as const
  const asked = columnType({ kind, logical })
  if (sameType(asked, columnType(plain))) {
    if (written.kind === 'int')
      return lossless(kind === 'int' ? read.readInt : read.readIntAsNumber)
    return kind === 'long' ? lossless(read.readLong) : null
  }
  // A column of days, times or instants: by the unit of who wrote it, if that says one.
  const unit = written.logical ?? (written.kind === kind ? logical : null)
  if (unit === null || !sameType(asked, columnType({ kind: written.kind, logical: unit })))
    return null
  const way = logicalReads[unit]
  return way === undefined ? null : lossless(way)
}

function floatWay(written: AvroType, kind: 'float' | 'double'): Way | null {
  const isDouble = kind === 'double'
  switch (written.kind) {
    case 'float':
      return lossless(read.readFloat)
    case 'double':
      return isDouble ? lossless(read.readDouble) : null
    case 'int':
      return isDouble ? lossless(read.readIntAsNumber) : checked(read.readLongAsFloat)
    case 'long':
      return checked(isDouble ? read.readLongAsDouble : read.readLongAsFloat)
    default:
      return null
  }
}

function textWay(written: AvroType, logical: AvroLogical | null): Way | null {
  if (logical === 'uuid') {
    if (written.kind === 'fixed' && written.logical === 'uuid') return lossless(read.readUuidFixed)
    if (written.kind !== 'string') return null
    return written.logical === 'uuid' ? lossless(read.readUuidText) : checked(read.readUuidText)
  }
  if (written.kind === 'string') return lossless(read.readText)
  if (written.kind === 'enum') return lossless(read.readEnum)
  return written.kind === 'bytes' ? checked(read.readText) : null
}

function bytesWay(written: AvroType): Way | null {
  if (written.kind === 'bytes' || written.kind === 'string') return lossless(read.readBytes)
  return written.kind === 'fixed' && written.logical === null ? lossless(read.readFixed) : null
}

function decimalWay(written: AvroType, column: AvroDecimal): Way | null {
  const type =
    written.kind === 'bytes' && column.size === null
      ? { ...column, size: null }
      : written.kind === 'decimal'
        ? written
        : null
  if (type === null) return null
  const scaleBy = column.scale - type.scale
  const wholeBy = column.precision - type.precision - scaleBy
  const isLossless = scaleBy >= 0 && wholeBy >= 0
  return { read: readDecimal, isLossless, type, scaleBy }
}

function fixedWay(written: AvroType, column: AvroType): Way | null {
  if (column.kind !== 'fixed') return null
  if (column.logical === 'uuid') return textWay(written, 'uuid')
  if (column.logical === null) return bytesWay(written)
  const isDuration = written.kind === 'fixed' && written.logical === 'duration'
  return isDuration ? lossless(read.readDuration) : null
}

function listWay(written: AvroType, column: AvroType): Way | null {
  if (written.kind !== 'array' || column.kind !== 'array') return null
  const element = columnReader(written.items, column.items)
  if (element === null) return null
  return { read: read.readList, isLossless: element.isLossless, element }
}
