/** The values of one column, as encode.ts's grammar says. One loop a storage and encoding. Hot. */
import type { BytesColumn, DictionaryColumn } from '../../core/record/column.ts'
import { textAt } from '../../core/record/value.ts'
import type { Cells } from './cells.ts'
import { DecimalReader } from './decimal.ts'
import type { NativeWriter } from './native-writer.ts'
import { writeArrays, writeJson, writeMaps } from './nested.ts'
import { decimalBytes, type ColumnType } from './types.ts'

export function writeValues(out: NativeWriter, cells: Cells, { storage }: ColumnType): void {
  switch (storage.kind) {
    case 'bool':
      return writeInts(out, cells, 1)
    case 'int16':
      return writeInts(out, cells, 2)
    case 'int32':
    case 'date':
      return writeInts(out, cells, 4)
    case 'int64':
    case 'uint64':
    case 'timestamp':
    case 'time':
      return writeInts(out, cells, 8)
    case 'float32':
    case 'float64':
      return writeFloats(out, cells, storage.kind === 'float32' ? 4 : 8)
    case 'uuid':
      return writeUuids(out, cells)
    case 'string':
      return writeStrings(out, cells)
    case 'decimal':
      return cells.column.encoding === 'bytes' || cells.column.encoding === 'dictionary'
        ? writeDecimals(out, cells, storage.precision, storage.scale)
        : writeInts(out, cells, decimalBytes(storage.precision))
    case 'json':
      return writeJson(out, cells)
    case 'array':
      return writeArrays(out, cells, storage, writeValues)
    case 'map':
      return writeMaps(out, cells)
  }
}

function writeInts(out: NativeWriter, cells: Cells, bytes: number): void {
  const { column, rows, blank } = cells
  const count = rows.length
  out.ensure(count * bytes)
  const { view } = out
  const start = out.at
  out.at += count * bytes
  switch (column.encoding) {
    case 'bool':
      for (let i = 0; i < count; i++) {
        out.bytes[start + i] = blank !== null && blank[i] !== 0 ? 0 : column.values[rows[i]!]!
      }
      return
    case 'int32':
    case 'float64':
      return writeNumbers(view, start, column.values, { rows, blank, bytes })
    case 'int64':
      if (bytes === 4) return writeNarrowed(view, start, column.values, cells)
      for (let i = 0, at = start; i < count; i++, at += 8) {
        view.setBigInt64(at, blank !== null && blank[i] !== 0 ? 0n : column.values[rows[i]!]!, true)
      }
      return
    case 'uint64':
      for (let i = 0, at = start; i < count; i++, at += 8) {
        const value = blank !== null && blank[i] !== 0 ? 0n : column.values[rows[i]!]!
        view.setBigUint64(at, value, true)
      }
      return
    default:
      throw new TypeError(`no integers in a ${column.encoding} column`)
  }
}

/** A short decimal whose batch went wide for a value that screen.ts has set aside. */
function writeNarrowed(
  view: DataView,
  start: number,
  values: BigInt64Array,
  { rows, blank }: Cells,
): void {
  for (let i = 0, at = start; i < rows.length; i++, at += 4) {
    view.setInt32(at, blank !== null && blank[i] !== 0 ? 0 : Number(values[rows[i]!]!), true)
  }
}

interface NumberRows {
  readonly rows: Int32Array
  readonly blank: Uint8Array | null
  readonly bytes: number
}

function writeNumbers(
  view: DataView,
  start: number,
  values: Int32Array | Float64Array,
  { rows, blank, bytes }: NumberRows,
): void {
  const count = rows.length
  if (bytes === 8) {
    for (let i = 0, at = start; i < count; i++, at += 8) {
      const value = blank !== null && blank[i] !== 0 ? 0 : values[rows[i]!]!
      const high = Math.floor(value / 0x1_0000_0000)
      view.setInt32(at + 4, high, true)
      view.setUint32(at, value - high * 0x1_0000_0000, true)
    }
  } else if (bytes === 4) {
    for (let i = 0, at = start; i < count; i++, at += 4) {
      view.setInt32(at, blank !== null && blank[i] !== 0 ? 0 : values[rows[i]!]!, true)
    }
  } else {
    for (let i = 0, at = start; i < count; i++, at += 2) {
      view.setInt16(at, blank !== null && blank[i] !== 0 ? 0 : values[rows[i]!]!, true)
    }
  }
}

function writeFloats(out: NativeWriter, { column, rows, blank }: Cells, bytes: 4 | 8): void {
  if (column.encoding !== 'float64') throw new TypeError(`no floats in a ${column.encoding} column`)
  const { values } = column
  const count = rows.length
  out.ensure(count * bytes)
  const { view } = out
  let { at } = out
  for (let i = 0; i < count; i++, at += bytes) {
    const value = blank !== null && blank[i] !== 0 ? 0 : values[rows[i]!]!
    if (bytes === 8) view.setFloat64(at, value, true)
    else view.setFloat32(at, value, true)
  }
  out.at = at
}

function writeUuids(out: NativeWriter, { column, rows, blank }: Cells): void {
  if (column.encoding !== 'fixed16') throw new TypeError(`no uuids in a ${column.encoding} column`)
  const { data } = column
  const count = rows.length
  out.ensure(count * 16)
  const { bytes } = out
  let { at } = out
  for (let i = 0; i < count; i++, at += 16) {
    if (blank !== null && blank[i] !== 0) {
      bytes.fill(0, at, at + 16)
      continue
    }
    // Each half is a little-endian integer: its bytes stand in the reverse of text order.
    const from = rows[i]! * 16
    for (let byte = 0; byte < 8; byte++) {
      bytes[at + byte] = data[from + 7 - byte]!
      bytes[at + 8 + byte] = data[from + 15 - byte]!
    }
  }
  out.at = at
}

function writeStrings(out: NativeWriter, cells: Cells): void {
  const { column, rows, blank, type } = cells
  if (column.encoding === 'bytes') return writeBytes(out, column, rows, blank)
  if (column.encoding === 'dictionary') return writeDictionary(out, column, rows, blank)
  // Intervals, lists and temporal values asked for as text: formatted one by one, which the types
  // that carry the load never are.
  const encoder = new TextEncoder()
  for (let i = 0; i < rows.length; i++) {
    const text = blank !== null && blank[i] !== 0 ? null : textAt(type, column, rows[i]!)
    const encoded = encoder.encode(text ?? '')
    out.varint(encoded.length)
    out.raw(encoded)
  }
}

/** Below this length a loop over the bytes beats the call into native code. */
const shortCopyBytes = 32

function writeBytes(
  out: NativeWriter,
  { offsets, data }: BytesColumn,
  rows: Int32Array,
  blank: Uint8Array | null,
): void {
  for (let i = 0; i < rows.length; i++) {
    if (blank !== null && blank[i] !== 0) {
      out.varint(0)
      continue
    }
    const row = rows[i]!
    copyValue(out, data, offsets[row]!, offsets[row + 1]!)
  }
}

function writeDictionary(
  out: NativeWriter,
  { codes, dictionary }: DictionaryColumn,
  rows: Int32Array,
  blank: Uint8Array | null,
): void {
  const { offsets, data } = dictionary
  for (let i = 0; i < rows.length; i++) {
    if (blank !== null && blank[i] !== 0) {
      out.varint(0)
      continue
    }
    const code = codes[rows[i]!]!
    copyValue(out, data, offsets[code]!, offsets[code + 1]!)
  }
}

function copyValue(out: NativeWriter, data: Uint8Array, start: number, end: number): void {
  const length = end - start
  out.ensure(length + 10)
  if (length > shortCopyBytes) {
    out.varint(length)
    out.bytes.set(data.subarray(start, end), out.at)
    out.at += length
    return
  }
  const { bytes } = out
  let { at } = out
  bytes[at++] = length
  for (let from = start; from < end; from++) bytes[at++] = data[from]!
  out.at = at
}

function writeDecimals(out: NativeWriter, cells: Cells, precision: number, scale: number): void {
  const { column, rows, blank } = cells
  if (column.encoding !== 'bytes' && column.encoding !== 'dictionary') return
  const codes = column.encoding === 'dictionary' ? column.codes : null
  const { offsets, data } = column.encoding === 'dictionary' ? column.dictionary : column
  const bytes = decimalBytes(precision)
  const reader = new DecimalReader()
  out.ensure(rows.length * bytes)
  const { view } = out
  let { at } = out
  for (let i = 0; i < rows.length; i++, at += bytes) {
    if (blank !== null && blank[i] !== 0) {
      out.bytes.fill(0, at, at + bytes)
      continue
    }
    const value = codes === null ? rows[i]! : codes[rows[i]!]!
    reader.read(data, offsets[value]!, offsets[value + 1]!, scale)
    reader.write(view, at, bytes)
  }
  out.at = at
}
