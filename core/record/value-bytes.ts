/**
 * Single values as compact bytes, for state on disk: exact, and the same whatever encoding the value's
 * column had. Little-endian.
 *
 *   slot  = size:varint value      size = 0: null; else the bytes of value + 1
 *   value =
 *     bool                         u8
 *     int16, int32, date           i32
 *     int64, uint64                64 bits
 *     timestamp, timestamptz       i64 µs, ±infinity as in types.ts
 *     float32, float64, time       f64
 *     decimal, scaled              0x00 i64 (value × 10^scale)  |  0x01 text
 *     decimal, any other           text
 *     text, json, other, bytes     the bytes
 *     uuid, interval               16 bytes
 *     list                         0x00 slot*                   |  0x01 text
 *   text  = exact text, UTF-8 (value.ts)
 */
import { isNull, type Column } from './column.ts'
import { isScaledDecimal, timestampInfinity, timestampNegativeInfinity } from './types.ts'
import type { LogicalType } from './types.ts'
import { bytesAt, textAt } from './value.ts'
import { hasListTexts } from './value-copy.ts'

/** How a decimal or a list begins: packed, or its exact text. */
export const packed = 0
export const asText = 1
const two32 = 4_294_967_296

/** Appends values to one growing buffer. */
export class ValueWriter {
  end = 0
  #bytes: Uint8Array
  #view: DataView

  constructor(capacity = 64 * 1024) {
    this.#bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** What was written from `start` on: a view, good until the next write. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.end)
  }
  /** Begins anew, over what was written. */
  rewind(): void {
    this.end = 0
  }

  varint(value: number): void {
    this.#reserve(8)
    while (value >= 0x80) {
      this.#bytes[this.end++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    this.#bytes[this.end++] = value
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.end)
    this.end += bytes.length
  }

  /** The slot of one row of a column. */
  slot(type: LogicalType, column: Column, row: number): void {
    if (isNull(column, row)) return this.varint(0)
    switch (type.kind) {
      case 'bool':
      case 'int16':
      case 'int32':
      case 'date':
        return this.#small(type.kind, column, row)
      case 'int64':
      case 'uint64':
      case 'timestamp':
      case 'timestamptz':
        this.varint(9)
        return this.#integer(column, row)
      case 'float32':
      case 'float64':
      case 'time':
        if (column.encoding !== 'float64')
          throw new TypeError(`a ${column.encoding} column holds no ${type.kind}`)
        this.varint(9)
        this.#reserve(8)
        this.#view.setFloat64(this.end, column.values[row]!, true)
        this.end += 8
        return
      case 'decimal':
        return isScaledDecimal(type)
          ? this.#decimal(type, column, row)
          : this.#sized(bytesAt(column, row))
      case 'uuid':
      case 'interval':
        if (column.encoding !== 'fixed16')
          throw new TypeError(`a ${column.encoding} column holds no ${type.kind}`)
        return this.#sized(column.data.subarray(row * 16, row * 16 + 16))
      case 'list':
        return this.#list(type, column, row)
      case 'text':
      case 'json':
      case 'other':
      case 'bytes':
        return this.#sized(bytesAt(column, row))
    }
  }

  #small(kind: string, column: Column, row: number): void {
    this.#reserve(5)
    if (column.encoding === 'bool') {
      this.#bytes[this.end++] = 2
      this.#bytes[this.end++] = column.values[row]!
      return
    }
    if (column.encoding !== 'int32')
      throw new TypeError(`a ${column.encoding} column holds no ${kind}`)
    this.#bytes[this.end++] = 5
    this.#view.setInt32(this.end, column.values[row]!, true)
    this.end += 4
  }

  #integer(column: Column, row: number): void {
    this.#reserve(8)
    if (column.encoding === 'int64' || column.encoding === 'uint64') {
      this.#view.setBigInt64(this.end, BigInt.asIntN(64, column.values[row]!), true)
    } else if (column.encoding === 'float64') {
      this.#number(column.values[row]!)
    } else throw new TypeError(`a ${column.encoding} column holds no integers`)
    this.end += 8
  }

  #number(value: number): void {
    if (value === Infinity) this.#view.setBigInt64(this.end, timestampInfinity, true)
    else if (value === -Infinity) this.#view.setBigInt64(this.end, timestampNegativeInfinity, true)
    else {
      const high = Math.floor(value / two32)
      this.#view.setUint32(this.end, value - high * two32, true)
      this.#view.setInt32(this.end + 4, high, true)
    }
  }

  #decimal(type: LogicalType, column: Column, row: number): void {
    if (column.encoding === 'int64' || column.encoding === 'float64') {
      const value = column.values[row]!
      if (typeof value === 'bigint' || Number.isFinite(value)) {
        this.varint(10)
        this.#reserve(9)
        this.#bytes[this.end++] = packed
        return this.#integer(column, row)
      }
    }
    this.#text(Buffer.from(textAt(type, column, row)!))
  }

  #list(type: LogicalType & { readonly kind: 'list' }, column: Column, row: number): void {
    if (column.encoding !== 'list' || hasListTexts(type, column))
      return this.#text(Buffer.from(textAt(type, column, row)!))
    // The size comes first and is known last: a writer of its own.
    const inner = new ValueWriter(256)
    for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++) {
      inner.slot(type.element, column.child, i)
    }
    const bytes = inner.since(0)
    this.varint(bytes.length + 2)
    this.varint(packed)
    this.raw(bytes)
  }

  #text(bytes: Uint8Array): void {
    this.varint(bytes.length + 2)
    this.varint(asText)
    this.raw(bytes)
  }

  #sized(bytes: Uint8Array): void {
    this.varint(bytes.length + 1)
    this.raw(bytes)
  }

  #reserve(bytes: number): void {
    if (this.end + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.end + bytes))
    grown.set(this.#bytes.subarray(0, this.end))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
