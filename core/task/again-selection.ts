/** Which rows of the log a replay sends: all, those that a condition matches, those of some keys. */
import { Op, type Batch } from '../record/batch.ts'
import { rowKey } from '../record/key.ts'
import type { NamedLetter } from './requests.ts'
import type { RowFilter } from './row-filter.ts'

/** Which rows of a batch; `base` is the offset of its first row. Asked in the log's order. */
export type Selection = (batch: Batch, base: number) => Selected

/** Indexes of rows, ascending. */
export interface Selected {
  readonly rows: Int32Array
  /** Rows that are left out because nobody can tell whether they are meant. */
  readonly undecided: Int32Array
}

const none = new Int32Array(0)

/** The old row of an update, which its new one follows. */
export function isOldHalf(batch: Batch, row: number): boolean {
  return batch.weights[row]! < 0 && batch.ops[row] === Op.update
}

export const everyRow: Selection = (batch) => ({
  rows: Int32Array.from({ length: batch.rows }, (_, row) => row),
  undecided: none,
})

/** What the condition matches; of an update both halves, when one of them does. */
export function matchingRows(filter: RowFilter): Selection {
  return (batch) => {
    const marks = new Uint8Array(batch.rows)
    const { rows, failed } = filter.matching(batch)
    for (const row of rows) marks[row] = 1
    for (let row = 0; row + 1 < batch.rows; row++) {
      const pair =
        isOldHalf(batch, row) && batch.weights[row + 1]! > 0 && batch.ops[row + 1] === Op.update
      if (pair) marks[row] = marks[row + 1] = marks[row]! | marks[row + 1]!
    }
    return {
      rows: Int32Array.from(marks.keys()).filter((row) => marks[row] === 1),
      undecided: failed.filter((row) => marks[row] === 0),
    }
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
    return { rows: Int32Array.from(rows), undecided: none }
  }
}
