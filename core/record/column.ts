/**
 * Columns: physical encodings, laid out as in Arrow. A column's encoding is chosen per batch and may
 * differ between two batches of one schema.
 *
 *   logical type                 encodings that may hold it
 *   bool                         bool
 *   int16, int32, date           int32
 *   int64                        float64 (every value is a safe integer), else int64
 *   uint64                       float64 (every value is a safe integer), else uint64
 *   float32, float64             float64
 *   decimal, scaled (p ≤ 15)     float64 (value × 10^scale; NaN and ±Infinity as themselves), else bytes
 *   decimal, scaled (p ≤ 18)     float64 or int64 (value × 10^scale), else bytes
 *   decimal, any other           bytes, dictionary: exact digits as the source wrote them
 *   time                         float64
 *   timestamp, timestamptz       float64 (µs; ±Infinity as themselves), else int64 (µs; see types.ts)
 *   text, json, other            bytes, dictionary: UTF-8
 *   bytes                        bytes, dictionary
 *   uuid                         fixed16: the 16 bytes in text order
 *   interval                     fixed16: i32 months, i32 days, i64 µs, little-endian; ±infinity = all three at their extreme
 *   list                         list (one dimension, lower bound 1), else bytes: the source's exact text
 *
 * Nothing mutates a column after it is built. A row that is null has validity bit 0 and a zero (or
 * empty) value in its slot.
 */
export type Column =
  | BoolColumn
  | Int32Column
  | Float64Column
  | Int64Column
  | Uint64Column
  | BytesColumn
  | DictionaryColumn
  | Fixed16Column
  | ListColumn

export type Encoding = Column['encoding']

interface ColumnBase {
  /** Rows. */
  readonly length: number
  /** Bit i (least significant first) is 1 when row i has a value; null when all have. */
  readonly validity: Uint8Array | null
}
export interface BoolColumn extends ColumnBase {
  readonly encoding: 'bool'
  /** One byte a row, 0 or 1. */
  readonly values: Uint8Array
}
export interface Int32Column extends ColumnBase {
  readonly encoding: 'int32'
  readonly values: Int32Array
}
export interface Float64Column extends ColumnBase {
  readonly encoding: 'float64'
  readonly values: Float64Array
}
export interface Int64Column extends ColumnBase {
  readonly encoding: 'int64'
  readonly values: BigInt64Array
}
export interface Uint64Column extends ColumnBase {
  readonly encoding: 'uint64'
  readonly values: BigUint64Array
}
export interface BytesColumn extends ColumnBase {
  readonly encoding: 'bytes'
  /** `length + 1` places in `data`; value i is `data[offsets[i] .. offsets[i + 1])`; offsets[0] is 0. */
  readonly offsets: Int32Array
  readonly data: Uint8Array
}
export interface DictionaryColumn extends ColumnBase {
  readonly encoding: 'dictionary'
  /** Index into `dictionary`; 0 in a null row. */
  readonly codes: Int32Array
  /** Distinct values, none of them null. */
  readonly dictionary: BytesColumn
}
export interface Fixed16Column extends ColumnBase {
  readonly encoding: 'fixed16'
  /** 16 bytes a row. */
  readonly data: Uint8Array
}
export interface ListColumn extends ColumnBase {
  readonly encoding: 'list'
  /** `length + 1` places in `child`; offsets[0] is 0. */
  readonly offsets: Int32Array
  readonly child: Column
}

export function isNull(column: Column, row: number): boolean {
  const { validity } = column
  return validity !== null && (validity[row >> 3]! & (1 << (row & 7))) === 0
}

/** Bytes held in the column's buffers. */
export function columnBytes(column: Column): number {
  const own = column.validity?.byteLength ?? 0
  switch (column.encoding) {
    case 'bytes':
      return own + column.offsets.byteLength + column.data.byteLength
    case 'dictionary':
      return own + column.codes.byteLength + columnBytes(column.dictionary)
    case 'fixed16':
      return own + column.data.byteLength
    case 'list':
      return own + column.offsets.byteLength + columnBytes(column.child)
    default:
      return own + column.values.byteLength
  }
}
