/**
 * A chunk's rows and the late changes of its keys → the rows as the stream's place has them: a key that
 * no late change touched as it was read, any other in its last state. Every row once, as a snapshot's.
 */
import { makeBatch, Op, type Batch } from '../../record/batch.ts'
import { concatBatches, selectRows } from '../../record/batch-ops.ts'
import { BytesBuilder } from '../../record/bytes-builder.ts'
import type { Column } from '../../record/column.ts'
import { rowKey } from '../../record/key.ts'
import type { Schema } from '../../record/schema.ts'
import type { LogicalType } from '../../record/types.ts'
import { exactBytesAt, gatherColumn } from '../../record/value-copy.ts'
import type { ValueEdit } from '../source.ts'
import { chunkRow, gone, isUnsent, unknown, type LateRows } from './late-rows.ts'
import { commonSchema, withSchema } from './common-schema.ts'

export interface Woven {
  readonly batches: readonly Batch[]
  /** Keys (rowKey) whose state cannot be told from these: they have to be read by themselves. */
  readonly unknown: readonly string[]
}

/** A row, or a value, of a batch that was read. */
interface Place {
  readonly batch: Batch
  readonly row: number
}

/**
 * `seen`: the schema of the topic's last streamed rows, if any came. null = the rows are of different
 * tables, or of one before and after a change of its columns: read again.
 */
export function weave(
  batches: readonly Batch[],
  late: LateRows,
  seen: Schema | null,
): Woven | null {
  if (late.mixed) return null
  const schema = schemaOf(batches, late, seen)
  if (schema === null) return null
  if (schema === undefined) return { batches: [], unknown: [...keysIn(late, unknown)] }
  const own = new Map<string, Place>()
  const kept = batches.map((batch) => withSchema(untouched(batch, late, own), schema))
  const finals: number[] = []
  const unknownKeys: string[] = []
  const bases = new Map<number, Place>()
  for (const [key, state] of late.states) {
    if (state === gone) continue
    const base = own.get(key)
    if (state === unknown || (restsOnChunk(late, state) && base === undefined)) {
      unknownKeys.push(key)
      continue
    }
    finals.push(state)
    if (base !== undefined) bases.set(state, base)
  }
  if (finals.length > 0) kept.push(lastStates(finals, schema, late, bases))
  return { batches: kept.filter((batch) => batch.rows > 0), unknown: unknownKeys }
}

/** undefined = there are no rows at all. */
function schemaOf(
  batches: readonly Batch[],
  late: LateRows,
  seen: Schema | null,
): Schema | null | undefined {
  let common = seen ?? undefined
  for (const { schema } of [...batches, ...late.pieces.map((piece) => piece.batch)]) {
    const next = common === undefined ? schema : commonSchema(common, schema)
    if (next === null) return null
    common = next
  }
  return common
}

function* keysIn(late: LateRows, wanted: number): Generator<string> {
  for (const [key, state] of late.states) if (state === wanted) yield key
}

/** The rows of keys without a late state; where those with one are is put into `own`. */
function untouched(batch: Batch, late: LateRows, own: Map<string, Place>): Batch {
  if (late.size === 0) return batch
  const rows = new Int32Array(batch.rows)
  let count = 0
  for (let row = 0; row < batch.rows; row++) {
    const key = rowKey(batch, row)
    if (late.states.has(key)) own.set(key, { batch, row })
    else rows[count++] = row
  }
  return count === batch.rows ? batch : selectRows(batch, rows.slice(0, count))
}

function restsOnChunk(late: LateRows, state: number): boolean {
  let at = state
  while (at >= 0) at = late.olderOf(at)
  return at === chunkRow
}

/** The rows of these entries, each with all its values. */
function lastStates(
  finals: number[],
  schema: Schema,
  late: LateRows,
  bases: ReadonlyMap<number, Place>,
): Batch {
  const byPiece = new Map(late.pieces.map((piece) => [piece, [] as number[]]))
  for (const entry of finals) byPiece.get(late.pieceOf(entry))!.push(entry)
  const parts: Batch[] = []
  const order: number[] = []
  for (const [piece, entries] of byPiece) {
    if (entries.length === 0) continue
    order.push(...entries)
    const rows = Int32Array.from(entries, (entry) => late.rowOf(entry))
    parts.push(withSchema(selectRows(piece.batch, rows), schema))
  }
  const joined = concatBatches(parts)
  const columns = joined.columns.map((column, field) =>
    filled(column, field, schema.fields[field]!.type, sentWhere(order, field, late, bases)),
  )
  const ops = new Uint8Array(joined.rows).fill(Op.snapshot)
  return makeBatch(schema, columns, joined.weights, ops, joined.timesUs)
}

/** What an unsent value is: that of another row, with the edits made to it since, oldest first. */
interface Origin {
  readonly place: Place
  readonly edits: readonly ValueEdit[]
}

/** Per row (place in `order`) whose value of the field was not sent: where it comes from. */
function sentWhere(
  order: readonly number[],
  field: number,
  late: LateRows,
  bases: ReadonlyMap<number, Place>,
): ReadonlyMap<number, Origin> {
  const origins = new Map<number, Origin>()
  for (const [i, entry] of order.entries()) {
    if (!isUnsent(late.pieceOf(entry), field, late.rowOf(entry))) continue
    const edits: ValueEdit[] = []
    let at = entry
    while (at >= 0 && isUnsent(late.pieceOf(at), field, late.rowOf(at))) {
      const edit = late.pieceOf(at).edits?.[field]?.get(late.rowOf(at))
      if (edit !== undefined) edits.unshift(edit)
      at = late.olderOf(at)
    }
    const place =
      at >= 0 ? { batch: late.pieceOf(at).batch, row: late.rowOf(at) } : bases.get(entry)!
    origins.set(i, { place, edits })
  }
  return origins
}

/** The column with those values in their places. */
function filled(
  column: Column,
  field: number,
  type: LogicalType,
  origins: ReadonlyMap<number, Origin>,
): Column {
  if (origins.size === 0) return column
  const columns: Column[] = [column]
  const from = new Int32Array(column.length)
  const rows = Int32Array.from({ length: column.length }, (_, row) => row)
  const placeOf = new Map<Batch, number>()
  const edited = new BytesBuilder()
  const editedRows: number[] = []
  for (const [row, { place, edits }] of origins) {
    const { batch } = place
    const source = batch.columns[field]!
    if (edits.length === 0) {
      if (!placeOf.has(batch)) placeOf.set(batch, columns.push(source) - 1)
      from[row] = placeOf.get(batch)!
      rows[row] = place.row
    } else {
      const before = exactBytesAt(type, source, place.row)
      const value = edits.reduce((value, edit) => edit(value), before)
      rows[row] = editedRows.push(row) - 1
      if (value === null) edited.appendNull()
      else edited.append(value, 0, value.length)
    }
  }
  for (const row of editedRows) from[row] = columns.length
  if (editedRows.length > 0) columns.push(edited.finish())
  return gatherColumn(type, columns, from, rows)
}
