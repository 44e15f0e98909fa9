/**
 * The rows of a topic that are alive just before one of its offsets, folded from the log. Needed
 * where a truncate has to be told to something that does not remember rows: a rare event, so that a
 * scan is cheaper than remembering.
 */
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { Batch } from '../record/batch.ts'
import { concatBatches, selectRows, sliceBatch } from '../record/batch-ops.ts'
import { rowKey } from '../record/key.ts'
import type { Schema } from '../record/schema.ts'

interface Place {
  readonly batch: Batch
  readonly row: number
}

/** Rows with their weights (+1, more than once for equal rows of a keyless topic), one batch per schema. */
export async function survivingRows(
  log: Log,
  chain: string,
  topic: string,
  beforeOffset: number,
  signal: AbortSignal,
): Promise<Batch[]> {
  const rows = new Map<string, Place[]>()
  await using reader = ChainReader.open(log, chain, 1)
  for (let offset = 0; offset < beforeOffset;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) break
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic || block.baseOffset >= beforeOffset) continue
      const whole = await reader.readBlock(commit, index, signal)
      if (whole === null) rows.clear()
      else fold(rows, sliceBatch(whole, 0, Math.min(whole.rows, beforeOffset - block.baseOffset)))
      offset = block.baseOffset + block.rows
    }
  }
  const byBatch = new Map<Batch, number[]>()
  for (const places of rows.values()) {
    for (const { batch, row } of places) {
      const known = byBatch.get(batch)
      if (known === undefined) byBatch.set(batch, [row])
      else known.push(row)
    }
  }
  const bySchema = new Map<Schema['id'], Batch[]>()
  for (const [batch, alive] of byBatch) {
    const selected = selectRows(batch, Int32Array.from(alive))
    const batches = bySchema.get(batch.schema.id)
    if (batches === undefined) bySchema.set(batch.schema.id, [selected])
    else batches.push(selected)
  }
  return [...bySchema.values()].map(concatBatches)
}

function fold(rows: Map<string, Place[]>, batch: Batch): void {
  const upsert = batch.schema.changelog === 'upsert'
  for (let row = 0; row < batch.rows; row++) {
    const key = rowKey(batch, row)
    const before = rows.get(key)
    if (batch.weights[row]! > 0) {
      if (before === undefined || upsert) rows.set(key, [{ batch, row }])
      else before.push({ batch, row })
    } else if (before === undefined || before.length <= 1 || upsert) rows.delete(key)
    else if (batch.schema.key.length === 0) before.pop()
    else before.splice(goingOf(before, { batch, row }), 1)
  }
}

/**
 * A key has two rows while a transaction moves it from one to the other: the new one may come before the old one
 * goes. Where none is equal, as the old half may have another schema than its row had, the one that came first goes.
 */
function goingOf(places: readonly Place[], gone: Place): number {
  const text = wholeRow(gone)
  return Math.max(
    0,
    places.findIndex((place) => wholeRow(place) === text),
  )
}

function wholeRow({ batch, row }: Place): string {
  return rowKey({ ...batch, schema: { ...batch.schema, key: [] } }, row)
}
