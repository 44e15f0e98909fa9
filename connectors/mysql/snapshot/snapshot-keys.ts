/** Rows read by single keys: how many in one statement, and which of the rows found were meant. */
import type { KeyText } from '../../../core/connector/snapshot/reader.ts'
import { selectRows } from '../../../core/record/batch-ops.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { textAt } from '../../../core/record/value.ts'

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
  const wanted = new Set(keys.map((key) => JSON.stringify(key)))
  return batches.flatMap((batch) => {
    const { key, fields } = batch.schema
    const rows: number[] = []
    for (let row = 0; row < batch.rows; row++) {
      const texts = key.map((index) => textAt(fields[index]!.type, batch.columns[index]!, row))
      if (wanted.has(JSON.stringify(texts))) rows.push(row)
    }
    return rows.length === 0 ? [] : [selectRows(batch, Int32Array.from(rows))]
  })
}
