/**
 * Arrays as PostgreSQL's binary format has them, so that a batch goes out as a handful of parameters
 * without a text of any value (server: src/backend/utils/adt/arrayfuncs.c, array_recv). Big-endian.
 *
 *   array   = i32 dimensions (1, or 0 when empty) · i32 has nulls · u32 element type
 *             [ i32 size · i32 lower bound (1) ] · element*
 *   element = i32 length (−1: null) · bytes
 *
 * The driver sends a Buffer in binary; the casts in the statement say what it holds.
 */
import type { EncodedValues } from '../target.ts'

/** pg_type.dat */
const byteaType = 17
const textType = 25
const timestamptzType = 1184
const float8Type = 701
const headBytes = 20
const emptyHeadBytes = 12
/** 2000-01-01, where PostgreSQL's timestamps begin, in seconds since 1970. */
const epochSeconds = 946_684_800

/** Places of values in one run of bytes: value i is data[from[i], end[i]); −1 in `from`: null. */
export interface Spans {
  readonly data: Uint8Array
  readonly from: Int32Array
  readonly end: Int32Array
}

/** The values at `rows`, in that order. */
export function spansOf({ data, offsets }: EncodedValues, rows: Int32Array): Spans {
  return {
    data,
    from: rows.map((row) => offsets[row]!),
    end: rows.map((row) => offsets[row + 1]!),
  }
}

export function byteaArray(spans: Spans): Buffer {
  return spanArray(spans, byteaType)
}

/** UTF-8. */
export function textArray(spans: Spans): Buffer {
  return spanArray(spans, textType)
}

function spanArray({ data, from, end }: Spans, type: number): Buffer {
  const count = from.length
  let bytes = 0
  for (let i = 0; i < count; i++) bytes += 4 + (from[i]! < 0 ? 0 : end[i]! - from[i]!)
  const array = withHead(type, count, bytes)
  let at = headBytes
  for (let i = 0; i < count; i++) {
    const start = from[i]!
    if (start < 0) {
      at = array.writeInt32BE(-1, at)
      continue
    }
    const length = end[i]! - start
    at = array.writeInt32BE(length, at)
    array.set(data.subarray(start, start + length), at)
    at += length
  }
  return array
}

export function timestamptzArray(
  seconds: Float64Array,
  nanos: Int32Array,
  rows: Int32Array,
): Buffer {
  const array = withHead(timestamptzType, rows.length, rows.length * 12)
  let at = headBytes
  for (const row of rows) {
    const us =
      BigInt(seconds[row]! - epochSeconds) * 1_000_000n + BigInt(Math.trunc(nanos[row]! / 1000))
    at = array.writeInt32BE(8, at)
    at = array.writeBigInt64BE(us, at)
  }
  return array
}

/** NaN stands for null. */
export function float8Array(values: Float64Array): Buffer {
  const nulls = values.reduce((sum, value) => sum + (Number.isNaN(value) ? 1 : 0), 0)
  const array = withHead(float8Type, values.length, values.length * 12 - nulls * 8)
  let at = headBytes
  for (const value of values) {
    if (Number.isNaN(value)) at = array.writeInt32BE(-1, at)
    else at = array.writeDoubleBE(value, array.writeInt32BE(8, at))
  }
  return array
}

function withHead(type: number, count: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(count === 0 ? emptyHeadBytes : headBytes + bytes)
  array.writeInt32BE(count === 0 ? 0 : 1, 0)
  // "Has nulls" is only a hint: the server looks for itself.
  array.writeInt32BE(0, 4)
  array.writeUInt32BE(type, 8)
  if (count === 0) return array
  array.writeInt32BE(count, 12)
  array.writeInt32BE(1, 16)
  return array
}
