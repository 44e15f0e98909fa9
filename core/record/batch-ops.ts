/** Slicing, selecting and joining batches; see column-ops.ts. */
import { makeBatch, type Batch } from './batch.ts'
import { builderFor } from './builder.ts'
import { concatColumns } from './column-concat.ts'
import { selectColumn, sliceColumn } from './column-ops.ts'
import type { Schema } from './schema.ts'

/** A batch of no rows: it announces a topic's schema. */
export function emptyBatch(schema: Schema): Batch {
  const columns = schema.fields.map((field) => builderFor(field.type).finish())
  return makeBatch(schema, columns, new Int32Array(0), new Uint8Array(0), new Float64Array(0))
}

/** Rows [from, to). Shares the value buffers. */
export function sliceBatch(batch: Batch, from: number, to: number): Batch {
  if (from === 0 && to === batch.rows) return batch
  return makeBatch(
    batch.schema,
    batch.columns.map((column) => sliceColumn(column, from, to)),
    batch.weights.subarray(from, to),
    batch.ops.subarray(from, to),
    batch.timesUs.subarray(from, to),
  )
}

/** The rows named, in that order. */
export function selectRows(batch: Batch, rows: Int32Array): Batch {
  const weights = new Int32Array(rows.length)
  const ops = new Uint8Array(rows.length)
  const timesUs = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    weights[i] = batch.weights[rows[i]!]!
    ops[i] = batch.ops[rows[i]!]!
    timesUs[i] = batch.timesUs[rows[i]!]!
  }
  const columns = batch.columns.map((column) => selectColumn(column, rows))
  return makeBatch(batch.schema, columns, weights, ops, timesUs)
}

/** Batches of one schema, one after the other; at least one. */
export function concatBatches(batches: readonly Batch[]): Batch {
  const first = batches[0]
  if (first === undefined) throw new RangeError('concatBatches needs at least one batch')
  if (batches.length === 1) return first
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
  const weights = new Int32Array(rows)
  const ops = new Uint8Array(rows)
  const timesUs = new Float64Array(rows)
  let at = 0
  for (const batch of batches) {
    if (batch.schema.id !== first.schema.id)
      throw new TypeError('batches of two schemas cannot be joined')
    weights.set(batch.weights, at)
    ops.set(batch.ops, at)
    timesUs.set(batch.timesUs, at)
    at += batch.rows
  }
  const columns = first.schema.fields.map((field, i) =>
    concatColumns(
      field.type,
      batches.map((batch) => batch.columns[i]!),
    ),
  )
  return makeBatch(first.schema, columns, weights, ops, timesUs)
}
