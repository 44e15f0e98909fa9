/**
 * Batch → one block of ClickHouse's Native format, straight from the columns. Hot.
 *
 *   block    = columns:varint rows:varint column*
 *   column   = name:string type:string [ 1:u64 ] [ nulls ] values
 *   1        = only of JSON: the documents follow as strings (nested.ts)
 *   nulls    = rows × u8, 1 = NULL (only where the type is Nullable)
 *   string   = length:varint bytes
 *   values   = rows × value; integers, floats and scaled decimals little-endian, String as string,
 *              Date32 i32 days, DateTime64(6) and Time64(6) i64 µs, UUID two u64, the high half first;
 *              Array and Map as in nested.ts
 *
 * (ClickHouse docs, Formats, Native; revision 0, as over HTTP: no block info and no serialisation
 * flags.) Native is columnar as a Batch is, so each column is one loop and no row is touched twice;
 * docs/decisions/0005 has the measurement against RowBinary.
 */
import type { Batch } from '../../core/record/batch.ts'
import type { Column } from '../../core/record/column.ts'
import { NativeWriter } from './native-writer.ts'
import { writeJsonVersion, writeNulls } from './nested.ts'
import type { PlannedColumn, ServiceName, TablePlan } from './plan.ts'
import { writeValues } from './values.ts'

/**
 * The block of the rows named, in that order. `offset` is the topic offset of the batch's row 0. The
 * rows must have passed screen.ts: a value that does not fit its column is not noticed here.
 */
export function encodeNative(
  plan: TablePlan,
  batch: Batch,
  rows: Int32Array,
  offset: number,
): Uint8Array {
  const out = new NativeWriter(batch.byteLength + rows.length * 24 + 4096)
  out.varint(plan.columns.length + plan.service.length)
  out.varint(rows.length)
  const keyOnly = keyOnlyRows(plan, batch, rows)
  for (let i = 0; i < plan.columns.length; i++) {
    const planned = plan.columns[i]!
    const column = batch.columns[i]!
    out.raw(planned.head)
    const blank = blankRows(planned, column, rows, keyOnly)
    if (planned.type.storage.kind === 'json') writeJsonVersion(out)
    if (planned.type.nullable) writeNulls(out, rows.length, blank)
    writeValues(out, { column, rows, blank, type: plan.schema.fields[i]!.type }, planned.type)
  }
  for (const { name, head } of plan.service) {
    out.raw(head)
    writeService(out, name, { batch, rows, offset })
  }
  return out.finish()
}

/** Marks the −1 rows of which only the key is written; null when there are none. */
function keyOnlyRows(plan: TablePlan, batch: Batch, rows: Int32Array): Uint8Array | null {
  // A keyless or append table shows the old image of a retract topic; a tombstone never does.
  if (plan.mode === 'append' && plan.schema.changelog !== 'upsert') return null
  const { weights } = batch
  let marks: Uint8Array | null = null
  for (let i = 0; i < rows.length; i++) {
    if (weights[rows[i]!]! < 0) {
      marks ??= new Uint8Array(rows.length)
      marks[i] = 1
    }
  }
  return marks
}

/** 1 where the column is written as NULL or, where it cannot be, as its type's default. */
function blankRows(
  planned: PlannedColumn,
  column: Column,
  rows: Int32Array,
  keyOnly: Uint8Array | null,
): Uint8Array | null {
  const { validity } = column
  const marks = planned.isKey ? null : keyOnly
  if (validity === null) return marks
  const blank = new Uint8Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    blank[i] = (validity[row >> 3]! & (1 << (row & 7))) === 0 ? 1 : marks === null ? 0 : marks[i]!
  }
  return blank
}

interface ServiceRows {
  readonly batch: Batch
  readonly rows: Int32Array
  readonly offset: number
}

function writeService(out: NativeWriter, name: ServiceName, from: ServiceRows): void {
  const { batch, rows, offset } = from
  const count = rows.length
  out.ensure(count * 8)
  const { view, bytes } = out
  let { at } = out
  switch (name) {
    case '_sluice_version':
    case '_sluice_offset': {
      const base = name === '_sluice_version' ? offset + 1 : offset
      for (let i = 0; i < count; i++, at += 8) putInt64(view, at, base + rows[i]!)
      break
    }
    case '_sluice_ts':
      for (let i = 0; i < count; i++, at += 8) putInt64(view, at, batch.timesUs[rows[i]!]!)
      break
    case '_sluice_deleted':
      for (let i = 0; i < count; i++) bytes[at++] = batch.weights[rows[i]!]! < 0 ? 1 : 0
      break
    case '_sluice_weight':
      for (let i = 0; i < count; i++) bytes[at++] = batch.weights[rows[i]!]! & 0xff
      break
    case '_sluice_op':
      for (let i = 0; i < count; i++) bytes[at++] = batch.ops[rows[i]!]!
      break
  }
  out.at = at
}

/** A safe integer as 64 bits, without a BigInt. */
function putInt64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  view.setInt32(at + 4, high, true)
  view.setUint32(at, value - high * 0x1_0000_0000, true)
}
