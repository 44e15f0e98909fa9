/** Joining columns of one logical type whose encodings may differ. */
import { allSet, clearBit } from './bitmap.ts'
import { builderFor } from './builder.ts'
import { isNull, type Column } from './column.ts'
import type { LogicalType } from './types.ts'
import { bytesAt, textAt } from './value.ts'

type Numbers = Uint8Array | Int32Array | Float64Array

/**
 * Columns of one logical type, one after the other. Where their encodings differ the result takes
 * the one that holds all: wide integers over doubles, bytes over a dictionary, exact text over
 * scaled integers and lists.
 */
export function concatColumns(type: LogicalType, columns: readonly Column[]): Column {
  if (columns.length === 1) return columns[0]!
  const builder = builderFor(type)
  const asText = needsText(type, columns)
  if (asText) return concatTexts(type, columns)
  const length = columns.reduce((sum, column) => sum + column.length, 0)
  const validity = concatValidity(columns, length)
  const first = columns[0]!
  const encodings = new Set(columns.map((column) => column.encoding))
  if (encodings.has('int64') || encodings.has('uint64'))
    return concatWide(columns, length, validity)
  switch (first.encoding) {
    case 'bool':
      return { encoding: 'bool', length, validity, values: join(columns, new Uint8Array(length)) }
    case 'int32':
      return { encoding: 'int32', length, validity, values: join(columns, new Int32Array(length)) }
    case 'float64':
      return {
        encoding: 'float64',
        length,
        validity,
        values: join(columns, new Float64Array(length)),
      }
    case 'fixed16': {
      const data = new Uint8Array(length * 16)
      let at = 0
      for (const column of columns) {
        if (column.encoding !== 'fixed16') throw mixed(type, columns)
        data.set(column.data, at)
        at += column.data.length
      }
      return { encoding: 'fixed16', length, validity, data }
    }
    case 'bytes':
    case 'dictionary':
      for (const column of columns) {
        for (let row = 0; row < column.length; row++) {
          if (isNull(column, row)) builder.appendNull()
          else if ('append' in builder && 'appendString' in builder) {
            const value = bytesAt(column, row)
            builder.append(value, 0, value.length)
          } else throw mixed(type, columns)
        }
      }
      return builder.finish()
    case 'list':
      return concatLists(type, columns, length, validity)
    default:
      throw mixed(type, columns)
  }
}

function mixed(type: LogicalType, columns: readonly Column[]): TypeError {
  return new TypeError(`cannot join ${columns.map((c) => c.encoding).join(', ')} as ${type.kind}`)
}

function needsText(type: LogicalType, columns: readonly Column[]): boolean {
  if (type.kind !== 'decimal' && type.kind !== 'list') return false
  if (columns.some((column) => column.encoding === 'bytes' || column.encoding === 'dictionary'))
    return true
  // 64-bit integers have no NaN.
  return type.kind === 'decimal' && columns.some(isWide) && columns.some(hasNonNumbers)
}

function isWide({ encoding }: Column): boolean {
  return encoding === 'int64'
}

function hasNonNumbers(column: Column): boolean {
  return column.encoding === 'float64' && !column.values.every(Number.isFinite)
}

function concatTexts(type: LogicalType, columns: readonly Column[]): Column {
  const builder = builderFor({ kind: 'text' })
  if (!('appendString' in builder)) throw mixed(type, columns)
  for (const column of columns) {
    for (let row = 0; row < column.length; row++) {
      const text = textAt(type, column, row)
      if (text === null) builder.appendNull()
      else builder.appendString(text)
    }
  }
  return builder.finish()
}

function concatValidity(columns: readonly Column[], length: number): Uint8Array | null {
  if (columns.every((column) => column.validity === null)) return null
  const bits = allSet(length)
  let at = 0
  for (const column of columns) {
    for (let row = 0; row < column.length; row++) if (isNull(column, row)) clearBit(bits, at + row)
    at += column.length
  }
  return bits
}

function concatWide(
  columns: readonly Column[],
  length: number,
  validity: Uint8Array | null,
): Column {
  const unsigned = columns.some((column) => column.encoding === 'uint64')
  const values = unsigned ? new BigUint64Array(length) : new BigInt64Array(length)
  let at = 0
  for (const column of columns) {
    if (!('values' in column))
      throw new TypeError(`cannot join ${column.encoding} with 64-bit integers`)
    for (const value of column.values)
      values[at++] = typeof value === 'bigint' ? value : wide(value)
  }
  return values instanceof BigUint64Array
    ? { encoding: 'uint64', length, validity, values }
    : { encoding: 'int64', length, validity, values }
}

function wide(value: number): bigint {
  if (value === Infinity) return 0x7fffffffffffffffn
  if (value === -Infinity) return -0x8000000000000000n
  return BigInt(value)
}

function join<T extends Numbers>(columns: readonly Column[], into: T): T {
  let at = 0
  for (const column of columns) {
    if (!('values' in column)) throw new TypeError(`cannot join ${column.encoding} with numbers`)
    for (const value of column.values) into[at++] = Number(value)
  }
  return into
}

function concatLists(
  type: LogicalType,
  columns: readonly Column[],
  length: number,
  validity: Uint8Array | null,
): Column {
  if (type.kind !== 'list') throw mixed(type, columns)
  const offsets = new Int32Array(length + 1)
  const children: Column[] = []
  let at = 0
  let base = 0
  for (const column of columns) {
    if (column.encoding !== 'list') throw mixed(type, columns)
    for (let row = 0; row < column.length; row++) offsets[++at] = base + column.offsets[row + 1]!
    base += column.child.length
    children.push(column.child)
  }
  return {
    encoding: 'list',
    length,
    validity,
    offsets,
    child: concatColumns(type.element, children),
  }
}
