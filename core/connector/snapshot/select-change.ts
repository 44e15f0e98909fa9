/**
 * Some rows of a change, with all that is said beside its batch: what was unchanged, what was edited,
 * and where the old key of a row is. Joining such changes again, for rows that are kept for a while.
 */
import { concatBatches, selectRows } from '../../record/batch-ops.ts'
import { makeBatch, type Batch } from '../../record/batch.ts'
import { bitAt, bitmapBytes, setBit } from '../../record/bitmap.ts'
import { makeSchema, type Schema } from '../../record/schema.ts'
import { sameType } from '../../record/types.ts'
import type { RowsChange, ValueEdit } from '../source.ts'

type Marks = readonly (Uint8Array | null)[]

/**
 * The rows named, in rising order. A row whose old key's row is not among them says of none: where it
 * also has unchanged values the caller must not select it, for nothing tells what they are then.
 */
export function selectChange(change: RowsChange, rows: Int32Array): RowsChange {
  const { topic, batch, previous } = change
  if (rows.length === batch.rows) return change
  const selected = selectRows(batch, rows)
  const unchanged = change.unchanged?.map((bits) => selectMarks(bits, rows))
  if (unchanged === undefined || unchanged.every((bits) => bits === null)) {
    return { topic, batch: selected }
  }
  const edits = change.edits?.map((edits) => selectEdits(edits, rows))
  const moved = previous === undefined ? null : selectPrevious(previous, rows)
  return {
    topic,
    batch: selected,
    unchanged,
    ...(edits === undefined || edits.every((map) => map === null) ? {} : { edits }),
    ...(moved === null ? {} : { previous: moved }),
  }
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
export function hasUnchanged(unchanged: Marks | undefined, row: number): boolean {
  return unchanged?.some((bits) => bits !== null && bitAt(bits, row)) === true
}

/**
 * One schema for rows of both: they have the same fields, key and meaning, and at most differ in which
 * fields may be null. null = they are of two different tables, or of one before and after a change of it.
 */
export function commonSchema(a: Schema, b: Schema): Schema | null {
  if (a.id === b.id) return a
  const same =
    a.changelog === b.changelog &&
    a.key.join() === b.key.join() &&
    a.fields.length === b.fields.length &&
    a.fields.every(({ name, type }, i) => {
      const other = b.fields[i]!
      return name === other.name && sameType(type, other.type)
    })
  if (!same) return null
  if (a.fields.every(({ nullable }, i) => nullable || !b.fields[i]!.nullable)) return a
  if (b.fields.every(({ nullable }, i) => nullable || !a.fields[i]!.nullable)) return b
  return makeSchema(
    a.fields.map((field, i) => (b.fields[i]!.nullable ? { ...field, nullable: true } : field)),
    a.key,
    a.changelog,
  )
}

/** The batch under a schema that its rows fit too (commonSchema). */
export function withSchema(batch: Batch, schema: Schema): Batch {
  if (batch.schema.id === schema.id) return batch
  return makeBatch(schema, batch.columns, batch.weights, batch.ops, batch.timesUs)
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
