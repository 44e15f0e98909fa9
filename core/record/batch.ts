import { columnBytes, type Column } from './column.ts'
import type { Schema } from './schema.ts'

/**
 * Batch: rows as columns, the only currency between source and sink. Immutable once built; its
 * buffers may be transferred between threads.
 */
export interface Batch {
  readonly schema: Schema
  readonly rows: number
  /** Bytes of all buffers, for the byte bounds of queues. */
  readonly byteLength: number
  /** One per field, each `rows` long. */
  readonly columns: readonly Column[]
  /** +1 a row appears, −1 a row goes. */
  readonly weights: Int32Array
  /** What the source said, one of `Op`. */
  readonly ops: Uint8Array
  /** Commit or record time, µs since 1970 (exact until 2255). */
  readonly timesUs: Float64Array
}

/** Values of `Batch.ops`. An update's −1 row (old image or old key) also says `update`. */
export const Op = { insert: 0, update: 1, delete: 2, snapshot: 3 } as const
export const opNames = ['insert', 'update', 'delete', 'snapshot'] as const

export function makeBatch(
  schema: Schema,
  columns: readonly Column[],
  weights: Int32Array,
  ops: Uint8Array,
  timesUs: Float64Array,
): Batch {
  let byteLength = weights.byteLength + ops.byteLength + timesUs.byteLength
  for (const column of columns) byteLength += columnBytes(column)
  return { schema, rows: weights.length, byteLength, columns, weights, ops, timesUs }
}
