/** Rows read by single keys: how many in one statement, and which of the rows found were meant. */
import type { KeyText } from '../../../core/connector/snapshot/reader.ts'
import { selectRows } from '../../../core/record/batch-ops.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { keyOfTexts, rowKey } from '../../../core/record/key.ts'

const groupMax = 500
const groupBytesMax = 256 * 1024

/** Groups small enough for one statement each. */
export function keyGroups(keys: readonly KeyText[]): { readonly keys: readonly KeyText[] }[] {
  const groups: { keys: KeyText[] }[] = []
  let bytes = Infinity
  for (const key of keys) {
    if (bytes > groupBytesMax || groups.at(-1)!.keys.length === groupMax) {
      groups.push({ keys: [] })
      bytes = 0
    }
    groups.at(-1)!.keys.push(key)
    for (const text of key) bytes += 2 * text.length + 100
  }
  return groups
}

/** A collation finds `ABC` for the key `abc`: that is another key here, and not the one meant. */
export function keyRowsOnly(batches: readonly Batch[], keys: readonly KeyText[]): Batch[] {
  const wanted = new Set(keys.map(keyOfTexts))
  return batches.flatMap((batch) => {
    const rows: number[] = []
    for (let row = 0; row < batch.rows; row++) if (wanted.has(rowKey(batch, row))) rows.push(row)
    return rows.length === 0 ? [] : [selectRows(batch, Int32Array.from(rows))]
  })
}
