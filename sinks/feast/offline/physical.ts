/**
 * Columns to the values that the Parquet writer takes: one array a column, null where there is none.
 * No row becomes an object; texts and bytes are views on the column's own memory, and those of a
 * dictionary are made once a value.
 */
import { dayUs } from '../../../core/record/calendar.ts'
import { isNull, type Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { bytesAt, numberAt, textAt } from '../../../core/record/value.ts'
import type { ParquetType, Physical } from './parquet-types.ts'

export type PhysicalValue =
  null | boolean | number | bigint | Uint8Array | readonly (PhysicalValue | undefined)[]

/** Values of `rows` in that order; −1 gives null. They must be ones that the type holds (fit.ts). */
export function physicalValues(
  { logical, column }: { readonly logical: LogicalType; readonly column: Column },
  type: ParquetType,
  rows: Int32Array,
): PhysicalValue[] {
  const valueAt = reader(logical, column, type)
  return Array.from(rows, (row) => (row < 0 || isNull(column, row) ? null : valueAt(row)))
}

type ValueAt = (row: number) => PhysicalValue

function reader(logical: LogicalType, column: Column, type: ParquetType): ValueAt {
  if (type.physical === 'list') {
    if (logical.kind !== 'list' || column.encoding !== 'list') {
      throw new TypeError(`a ${column.encoding} column where a list was expected`)
    }
    const { offsets, child } = column
    const read = reader(logical.element, child, type.element)
    return (row) => {
      const list: PhysicalValue[] = []
      for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
        list.push(isNull(child, i) ? null : read(i))
      }
      return list
    }
  }
  if (column.encoding !== 'dictionary') return scalarReader(logical, column, type.physical)
  const { codes, dictionary } = column
  const read = scalarReader(logical, dictionary, type.physical)
  const values: PhysicalValue[] = []
  return (row) => (values[codes[row]!] ??= read(codes[row]!))
}

function scalarReader(logical: LogicalType, column: Column, physical: Physical): ValueAt {
  switch (physical) {
    case 'bool':
      return (row) => numberAt(column, row) !== 0
    case 'int32':
    case 'double':
    case 'float':
      return (row) => Number(numberAt(column, row))
    case 'int64':
      if (logical.kind === 'decimal') return (row) => unscaledAt(logical, column, row)
      if (logical.kind === 'date') return (row) => BigInt(Number(numberAt(column, row)) * dayUs)
      return (row) => BigInt(numberAt(column, row))
    case 'uint64':
      return (row) => BigInt(numberAt(column, row))
    case 'fixed16':
      return (row) => bigEndian16(unscaledAt(logical, column, row))
    case 'text':
    case 'bytes':
      if (column.encoding === 'bytes') return (row) => bytesAt(column, row)
      return (row) => Buffer.from(textAt(logical, column, row)!)
  }
}

/** A decimal × 10^scale; an integer as it is. */
function unscaledAt(logical: LogicalType, column: Column, row: number): bigint {
  if (column.encoding !== 'bytes') return BigInt(numberAt(column, row))
  const scale = logical.kind === 'decimal' ? (logical.scale ?? 0) : 0
  const value = unscaled(textAt(logical, column, row)!, scale)
  if (value === null) throw new TypeError('a decimal that its type cannot hold')
  return value
}

/** null: the text has more fraction digits than the scale, or is NaN or infinite. */
export function unscaled(text: string, scale: number): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d*?)0*)?$/.exec(text)
  if (match === null) return null
  const [, sign, whole, fraction = ''] = match
  if (fraction.length > scale) return null
  return BigInt(`${sign}${whole}${fraction.padEnd(scale, '0')}`)
}

export function bigEndian16(value: bigint): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigInt64(0, value >> 64n)
  view.setBigUint64(8, BigInt.asUintN(64, value))
  return bytes
}
