/** Slicing and selecting columns. Inputs are never changed; outputs may share their buffers. */
import { allSet, bitAt, clearBit, sliceBitmap } from './bitmap.ts'
import type { BytesColumn, Column, ListColumn } from './column.ts'

/** Rows [from, to). Shares the value buffers. */
export function sliceColumn(column: Column, from: number, to: number): Column {
  const length = to - from
  const validity = sliceBitmap(column.validity, from, to)
  switch (column.encoding) {
    case 'bool':
      return { ...column, length, validity, values: column.values.subarray(from, to) }
    case 'int32':
      return { ...column, length, validity, values: column.values.subarray(from, to) }
    case 'float64':
      return { ...column, length, validity, values: column.values.subarray(from, to) }
    case 'int64':
      return { ...column, length, validity, values: column.values.subarray(from, to) }
    case 'uint64':
      return { ...column, length, validity, values: column.values.subarray(from, to) }
    case 'dictionary':
      return { ...column, length, validity, codes: column.codes.subarray(from, to) }
    case 'fixed16':
      return { ...column, length, validity, data: column.data.subarray(from * 16, to * 16) }
    case 'bytes': {
      const start = column.offsets[from]!
      const end = column.offsets[to]!
      const offsets = column.offsets.slice(from, to + 1).map((offset) => offset - start)
      return { ...column, length, validity, offsets, data: column.data.subarray(start, end) }
    }
    case 'list': {
      const start = column.offsets[from]!
      const end = column.offsets[to]!
      const offsets = column.offsets.slice(from, to + 1).map((offset) => offset - start)
      return { ...column, length, validity, offsets, child: sliceColumn(column.child, start, end) }
    }
  }
}

/** The rows named, in that order; an index may occur more than once, −1 gives null. */
export function selectColumn(column: Column, rows: Int32Array): Column {
  const length = rows.length
  const validity = selectValidity(column, rows)
  switch (column.encoding) {
    case 'bool':
      return {
        ...column,
        length,
        validity,
        values: pick(column.values, new Uint8Array(length), rows),
      }
    case 'int32':
      return {
        ...column,
        length,
        validity,
        values: pick(column.values, new Int32Array(length), rows),
      }
    case 'float64':
      return {
        ...column,
        length,
        validity,
        values: pick(column.values, new Float64Array(length), rows),
      }
    case 'int64':
      return {
        ...column,
        length,
        validity,
        values: pickWide(column.values, new BigInt64Array(length), rows),
      }
    case 'uint64':
      return {
        ...column,
        length,
        validity,
        values: pickWide(column.values, new BigUint64Array(length), rows),
      }
    case 'dictionary':
      return {
        ...column,
        length,
        validity,
        codes: pick(column.codes, new Int32Array(length), rows),
      }
    case 'fixed16': {
      const data = new Uint8Array(length * 16)
      for (let i = 0; i < length; i++) {
        const row = rows[i]!
        if (row >= 0) data.set(column.data.subarray(row * 16, row * 16 + 16), i * 16)
      }
      return { ...column, length, validity, data }
    }
    case 'bytes':
      return { ...selectBytes(column, rows), validity }
    case 'list':
      return { ...selectList(column, rows), validity }
  }
}

function selectValidity(column: Column, rows: Int32Array): Uint8Array | null {
  let bits: Uint8Array | null = null
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row >= 0 && (column.validity === null || bitAt(column.validity, row))) continue
    bits ??= allSet(rows.length)
    clearBit(bits, i)
  }
  return bits
}

type Numbers = Uint8Array | Int32Array | Float64Array
function pick<T extends Numbers>(from: T, into: T, rows: Int32Array): T {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row >= 0) into[i] = from[row]!
  }
  return into
}
function pickWide<T extends BigInt64Array | BigUint64Array>(from: T, into: T, rows: Int32Array): T {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row >= 0) into[i] = from[row]!
  }
  return into
}

function selectList(column: ListColumn, rows: Int32Array): ListColumn {
  const offsets = new Int32Array(rows.length + 1)
  const children: number[] = []
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row >= 0) {
      for (let c = column.offsets[row]!; c < column.offsets[row + 1]!; c++) children.push(c)
    }
    offsets[i + 1] = children.length
  }
  const child = selectColumn(column.child, Int32Array.from(children))
  return { encoding: 'list', length: rows.length, validity: null, offsets, child }
}

function selectBytes(column: BytesColumn, rows: Int32Array): BytesColumn {
  const offsets = new Int32Array(rows.length + 1)
  let bytes = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row >= 0) bytes += column.offsets[row + 1]! - column.offsets[row]!
    offsets[i + 1] = bytes
  }
  const data = new Uint8Array(bytes)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row < 0) continue
    data.set(column.data.subarray(column.offsets[row]!, column.offsets[row + 1]!), offsets[i]!)
  }
  return { encoding: 'bytes', length: rows.length, validity: null, offsets, data }
}
