/** Which rows of the log a replay sends: all, those that a condition matches, those of some keys. */
import { Op, type Batch } from '../record/batch.ts'
import { rowKey } from '../record/key.ts'
import type { NamedLetter } from './requests.ts'
import type { RowFilter } from './row-filter.ts'

/** Which rows of a batch, ascending; `base` is the offset of its first row. Asked in the log's order. */
export type Selection = (batch: Batch, base: number) => Int32Array

/** Offsets from `from` up to `end`, and not that one. */
export interface OffsetRange {
  readonly from: number
  readonly end: number
}

/** The old row of an update, which its new one follows. */
export function isOldHalf(batch: Batch, row: number): boolean {
  return batch.weights[row]! < 0 && batch.ops[row] === Op.update
}

export const everyRow: Selection = (batch) =>
  Int32Array.from({ length: batch.rows }, (_, row) => row)

/** What the condition matches; of an update both halves, when one of them does. Only `range` is wanted. */
export function matchingRows(filter: RowFilter, { from, end }: OffsetRange): Selection {
  return (batch, base) => {
    const marks = new Uint8Array(batch.rows)
    for (const row of filter.matching(batch, from - base, end - base)) marks[row] = 1
    for (let row = 0; row + 1 < batch.rows; row++) {
      const pair =
        isOldHalf(batch, row) && batch.weights[row + 1]! > 0 && batch.ops[row + 1] === Op.update
      if (pair) marks[row] = marks[row + 1] = marks[row]! | marks[row + 1]!
    }
    return Int32Array.from(marks.keys()).filter((row) => marks[row] === 1)
  }
}

/** The rows of the letters' keys, each from its letter on. */
export function rowsOfKeys(letters: readonly NamedLetter[]): Selection {
  const offsets = new Set(letters.map(([, offset]) => offset))
  const from = new Map<string, number>()
  return (batch, base) => {
    const rows: number[] = []
    for (let row = 0; row < batch.rows; row++) {
      const key = rowKey(batch, row)
      if (offsets.has(base + row) && !from.has(key)) from.set(key, base + row)
      if ((from.get(key) ?? Infinity) <= base + row) rows.push(row)
    }
    return Int32Array.from(rows)
  }
}
