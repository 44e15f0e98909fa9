/**
 * Parts of a change, with all that is said beside its batch: what was unchanged, what was edited, and
 * where the old key of a row is. A slice shares the batch's values, and a change without such marks,
 * which is nearly every one, costs no more than its batch does.
 */
import { concatBatches, selectRows, sliceBatch } from '../record/batch-ops.ts'
import type { Batch } from '../record/batch.ts'
import { bitAt, bitmapBytes, setBit } from '../record/bitmap.ts'
import type { RowsChange, ValueEdit } from './source.ts'

export interface ChangeMarks {
  readonly unchanged: readonly (Uint8Array | null)[] | null
  readonly edits: readonly (ReadonlyMap<number, ValueEdit> | null)[] | null
  readonly previous: Int32Array | null
}

/** `edits` and `previous` say nothing without `unchanged`, and are left out then. */
export function changeOf(
  topic: string,
  batch: Batch,
  { unchanged, edits, previous }: ChangeMarks,
): RowsChange {
  if (unchanged === null || unchanged.every((bits) => bits === null)) return { topic, batch }
  return {
    topic,
    batch,
    unchanged,
    ...(edits === null || edits.every((rows) => rows === null) ? {} : { edits }),
    ...(previous === null ? {} : { previous }),
  }
}

/** The rows before `row`, and those from it on. */
export function splitChange(change: RowsChange, row: number): [RowsChange, RowsChange] {
  return [sliceChange(change, 0, row), sliceChange(change, row, change.batch.rows)]
}

function sliceChange(change: RowsChange, from: number, to: number): RowsChange {
  const batch = sliceBatch(change.batch, from, to)
  if (change.unchanged === undefined) return { topic: change.topic, batch }
  return withMarks(
    change,
    batch,
    Int32Array.from({ length: to - from }, (_, i) => from + i),
  )
}

/**
 * The rows named, in rising order. A row whose old key's row is not among them says of none: where it
 * also has unchanged values the caller must not select it, for nothing tells what they are then.
 */
export function selectChange(change: RowsChange, rows: Int32Array): RowsChange {
  if (rows.length === change.batch.rows) return change
  return withMarks(change, selectRows(change.batch, rows), rows)
}

/** These rows of the change, which are in `batch`, with what is said of them. */
function withMarks(change: RowsChange, batch: Batch, rows: Int32Array): RowsChange {
  const { topic, unchanged, edits, previous } = change
  return changeOf(topic, batch, {
    unchanged: unchanged?.map((bits) => selectMarks(bits, rows)) ?? null,
    edits: edits?.map((map) => selectEdits(map, rows)) ?? null,
    previous: previous === undefined ? null : selectPrevious(previous, rows),
  })
}

/** Changes of one schema, one after the other; at least one. `previous` is left out. */
export function concatChanges(changes: readonly RowsChange[]): RowsChange {
  const first = changes[0]!
  const { topic } = first
  const batch = concatBatches(changes.map((change) => change.batch))
  const fields = batch.schema.fields.map((_, field) => field)
  if (!changes.some((change) => change.unchanged !== undefined)) return { topic, batch }
  const unchanged = fields.map((field) => joinMarks(changes, field, batch.rows))
  if (!changes.some((change) => change.edits !== undefined)) return { topic, batch, unchanged }
  return { topic, batch, unchanged, edits: fields.map((field) => joinEdits(changes, field)) }
}

/** Whether some value of the row was not sent. */
export function hasUnchanged(unchanged: RowsChange['unchanged'], row: number): boolean {
  return unchanged?.some((bits) => bits !== null && bitAt(bits, row)) === true
}

function selectMarks(bits: Uint8Array | null, rows: Int32Array): Uint8Array | null {
  if (bits === null) return null
  let out: Uint8Array | null = null
  for (let i = 0; i < rows.length; i++) {
    if (!bitAt(bits, rows[i]!)) continue
    out ??= new Uint8Array(bitmapBytes(rows.length))
    setBit(out, i)
  }
  return out
}

function selectEdits(
  edits: ReadonlyMap<number, ValueEdit> | null,
  rows: Int32Array,
): ReadonlyMap<number, ValueEdit> | null {
  if (edits === null) return null
  const out = new Map<number, ValueEdit>()
  for (let i = 0; i < rows.length; i++) {
    const edit = edits.get(rows[i]!)
    if (edit !== undefined) out.set(i, edit)
  }
  return out.size === 0 ? null : out
}

/** null when no row says of another. */
function selectPrevious(previous: Int32Array, rows: Int32Array): Int32Array | null {
  const out = new Int32Array(rows.length).fill(-1)
  let some = false
  for (let i = 0; i < rows.length; i++) {
    const before = previous[rows[i]!]!
    // The old key's row comes before its new one, so that it is among those placed already.
    const place = before < 0 ? -1 : lastIndexOf(rows, before, i)
    out[i] = place
    some ||= place >= 0
  }
  return some ? out : null
}

/** Where `row` stands in rising `rows` before place `end`; −1 = nowhere. */
function lastIndexOf(rows: Int32Array, row: number, end: number): number {
  let low = 0
  let high = end - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const found = rows[middle]!
    if (found === row) return middle
    if (found < row) low = middle + 1
    else high = middle - 1
  }
  return -1
}

function joinMarks(changes: readonly RowsChange[], field: number, rows: number): Uint8Array | null {
  let out: Uint8Array | null = null
  let base = 0
  for (const { batch, unchanged } of changes) {
    const bits = unchanged?.[field] ?? null
    if (bits !== null) {
      out ??= new Uint8Array(bitmapBytes(rows))
      for (let row = 0; row < batch.rows; row++) if (bitAt(bits, row)) setBit(out, base + row)
    }
    base += batch.rows
  }
  return out
}

function joinEdits(
  changes: readonly RowsChange[],
  field: number,
): ReadonlyMap<number, ValueEdit> | null {
  const out = new Map<number, ValueEdit>()
  let base = 0
  for (const { batch, edits } of changes) {
    for (const [row, edit] of edits?.[field] ?? []) out.set(base + row, edit)
    base += batch.rows
  }
  return out.size === 0 ? null : out
}
