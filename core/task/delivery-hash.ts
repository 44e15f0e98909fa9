/**
 * CRC32C over the buffers of a delivery's rows: what a plan's rows are known by. It depends on the
 * encodings that the log chose and on where a batch was cut, both of which a restart finds again.
 */
import { crc32c } from '@node-rs/crc32'
import type { Batch } from '../record/batch.ts'
import type { Column } from '../record/column.ts'
import type { Delivery } from './topic-feed.ts'

/** 0 for a truncate, which has no rows. */
export function deliveryHash(delivery: Delivery): number {
  return delivery.kind === 'rows' ? batchHash(delivery.batch) : 0
}

/** Of several batches together. */
export function combinedHash(batches: readonly Batch[]): number {
  return batches.reduce((hash, batch) => batchHash(batch, hash), 0)
}

function batchHash(batch: Batch, before = 0): number {
  let hash = hashed(batch.weights, before)
  hash = hashed(batch.ops, hash)
  hash = hashed(batch.timesUs, hash)
  for (const column of batch.columns) hash = columnHash(column, hash)
  return hash
}

function columnHash(column: Column, before: number): number {
  const hash = column.validity === null ? before : hashed(column.validity, before)
  switch (column.encoding) {
    case 'bytes':
      return hashed(column.data, hashed(column.offsets, hash))
    case 'dictionary':
      return columnHash(column.dictionary, hashed(column.codes, hash))
    case 'fixed16':
      return hashed(column.data, hash)
    case 'list':
      return columnHash(column.child, hashed(column.offsets, hash))
    default:
      return hashed(column.values, hash)
  }
}

function hashed(values: ArrayBufferView, before: number): number {
  return crc32c(Buffer.from(values.buffer, values.byteOffset, values.byteLength), before)
}
