/**
 * Looks at a batch before it is encoded: which rows are sent, and which hold a value that their column
 * cannot (invariant 9: refused, never changed). A server would take an out-of-range number in a
 * binary format as it comes and show another one. Hot.
 */
import type { Batch } from '../../core/record/batch.ts'
import type { BytesColumn, Column } from '../../core/record/column.ts'
import type { RowProblem, SinkBatch } from '../../core/connector/sink.ts'
import { decimalFits } from './decimal.ts'
import { HstoreReader } from './hstore.ts'
import { JsonDocuments } from './json-document.ts'
import type { TablePlan } from './plan.ts'
import type { Storage } from './types.ts'

export interface Screened {
  /** Rows to send, ascending. The same for the same batch, whenever it is asked. */
  readonly rows: Int32Array
  /** Rows that cannot be sent: row and index of the first column that does not fit. */
  readonly refused: readonly RefusedRow[]
}
export interface RefusedRow {
  readonly row: number
  readonly column: number
}

interface Days {
  readonly first: number
  readonly last: number
}
/** 1900-01-01 to 2299-12-31: Date32 and DateTime64 on every server supported, which clamp the rest. */
const usualDays: Days = { first: -25_567, last: 120_529 }
/** 0001-01-01 to 9999-12-31, on servers that hold them. */
const wideDays: Days = { first: -719_162, last: 2_932_896 }
const dayUs = 86_400_000_000n

/** `unreadable` as lists.ts found it, by column. */
export function screen(
  plan: TablePlan,
  batch: Batch,
  unreadable?: ReadonlyMap<number, readonly number[]>,
): Screened {
  const bad = new Int32Array(batch.rows).fill(-1)
  for (let i = 0; i < plan.columns.length; i++) {
    markColumn(plan, batch, i, bad)
    for (const row of unreadable?.get(i) ?? []) bad[row] = i
  }
  const keys = keyColumns(plan)
  const rows = new Int32Array(batch.rows)
  const refused: RefusedRow[] = []
  let count = 0
  for (let row = 0; row < batch.rows; row++) {
    if (bad[row]! >= 0) refused.push({ row, column: bad[row]! })
    else if (plan.mode === 'append' || !replacedAtOnce(batch, row, keys)) rows[count++] = row
  }
  return { rows: rows.subarray(0, count), refused }
}

/** What a refused row's dead letter says; the column and its type, never the value. */
export function refusedProblem(plan: TablePlan, refused: RefusedRow, sent: SinkBatch): RowProblem {
  const { name, type } = plan.columns[refused.column]!
  const column = `column ${JSON.stringify(name)}`
  const absent = isNull(sent.batch.columns[refused.column]!, refused.row)
  const temporal = type.storage.kind === 'date' || type.storage.kind === 'timestamp'
  const hint = temporal ? '; timestamps: string holds it' : ''
  return {
    row: refused.row,
    code: 'sink.clickhouse.value_out_of_range',
    message: absent
      ? `The value of ${column} is NULL, ${whyNotNull(type.storage)}.`
      : `The value of ${column} does not fit ${type.name} of table ${plan.table}${hint}.`,
    attempts: sent.attempt,
  }
}

function whyNotNull({ kind }: Storage): string {
  if (kind === 'array') return 'which Array does not have; arrays: array_or_empty stores []'
  if (kind === 'map') return 'which Map does not have; nullable: default stores {}'
  return "and the topic's schema says that it never is"
}

/**
 * A −1 row directly before the +1 of its own key is the old image of an update: the new version
 * hides it anyway, and half the inserted rows of an update stream would be tombstones.
 */
function replacedAtOnce(batch: Batch, row: number, keys: readonly number[]): boolean {
  const next = row + 1
  return (
    batch.weights[row]! < 0 &&
    next < batch.rows &&
    batch.weights[next]! > 0 &&
    sameKey(batch, row, next, keys)
  )
}

/** Columns by which rows replace each other: an update that moves a row among them leaves a tombstone. */
function keyColumns({ columns }: TablePlan): readonly number[] {
  return columns.flatMap(({ isKey }, index) => (isKey ? [index] : []))
}

/** Whether two rows have one key. Answers no where it is not cheap to tell, which only costs a tombstone. */
function sameKey({ columns }: Batch, a: number, b: number, keys: readonly number[]): boolean {
  for (let i = 0; i < keys.length; i++) {
    if (!sameValue(columns[keys[i]!]!, a, b)) return false
  }
  return true
}

function sameValue(column: Column, a: number, b: number): boolean {
  const absent = isNull(column, a)
  if (absent || isNull(column, b)) return absent && isNull(column, b)
  switch (column.encoding) {
    case 'bytes':
      return sameBytes(column.data, column.offsets, a, b)
    case 'dictionary':
      return column.codes[a] === column.codes[b]
    case 'fixed16':
      for (let i = 0; i < 16; i++)
        if (column.data[a * 16 + i] !== column.data[b * 16 + i]) return false
      return true
    case 'list':
      return false
    default:
      return column.values[a] === column.values[b]
  }
}

function sameBytes(data: Uint8Array, offsets: Int32Array, a: number, b: number): boolean {
  const length = offsets[a + 1]! - offsets[a]!
  if (length !== offsets[b + 1]! - offsets[b]!) return false
  for (let i = 0; i < length; i++) if (data[offsets[a]! + i] !== data[offsets[b]! + i]) return false
  return true
}

function markColumn(plan: TablePlan, batch: Batch, index: number, bad: Int32Array): void {
  const planned = plan.columns[index]!
  const column = batch.columns[index]!
  // Where only the key of a −1 row is written, nothing else of it can be wrong.
  const keyOnly = plan.mode === 'upsert' || plan.schema.changelog === 'upsert'
  const weights = keyOnly && !planned.isKey ? batch.weights : null
  if (!planned.nullable && column.validity !== null) {
    for (let row = 0; row < bad.length; row++) {
      if ((column.validity[row >> 3]! & (1 << (row & 7))) === 0 && counts(weights, row)) {
        bad[row] = index
      }
    }
  }
  markValues(planned.type.storage, column, { index, weights, bad, wide: plan.wideTimes })
}

/** Marks the values that the storage does not hold. */
function markValues(storage: Storage, column: Column, marks: Marks): void {
  const { first, last } = marks.wide ? wideDays : usualDays
  switch (storage.kind) {
    case 'date':
      return markOutside(column, { above: first - 1, below: last + 1 }, marks)
    case 'timestamp':
      return markOutside(
        column,
        { above: BigInt(first) * dayUs - 1n, below: BigInt(last + 1) * dayUs },
        marks,
      )
    case 'json':
      return markTexts(column, documentsOf, marks)
    case 'map':
      return markTexts(column, hstoresOf, marks)
    case 'array':
      return markElements(storage.element.storage, column, marks)
    case 'decimal': {
      if (column.encoding === 'bytes' || column.encoding === 'dictionary') {
        return markTexts(column, (texts) => fitting(texts, storage), marks)
      }
      // Scaled integers have p ≤ 18 digits, and powers of ten up to 10^22 are exact doubles.
      const limit = 10 ** storage.precision
      return markOutside(column, { above: -limit, below: limit }, marks)
    }
    default:
      return
  }
}

interface Marks {
  readonly index: number
  readonly weights: Int32Array | null
  readonly bad: Int32Array
  readonly wide: boolean
}

/** A list with an element that does not fit is refused whole. */
function markElements(storage: Storage, column: Column, marks: Marks): void {
  if (column.encoding !== 'list') return
  const { offsets, child } = column
  const { index, weights, bad, wide } = marks
  const inside = new Int32Array(child.length).fill(-1)
  markValues(storage, child, { index, weights: null, bad: inside, wide })
  for (let row = 0; row < bad.length; row++) {
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) {
      if (inside[at] === index && counts(weights, row)) bad[row] = index
    }
  }
}

function counts(weights: Int32Array | null, row: number): boolean {
  return weights === null || weights[row]! > 0
}

/** Marks what does not lie between the bounds. NaN never does; a null's slot holds 0, which always does. */
function markOutside(
  column: Column,
  bounds: { readonly above: number | bigint; readonly below: number | bigint },
  { index, weights, bad }: Marks,
): void {
  if (column.encoding === 'int64') {
    const bigAbove = BigInt(bounds.above)
    const bigBelow = BigInt(bounds.below)
    const { values } = column
    for (let row = 0; row < bad.length; row++) {
      const value = values[row]!
      if (!(value > bigAbove && value < bigBelow) && counts(weights, row)) bad[row] = index
    }
    return
  }
  if (column.encoding !== 'float64' && column.encoding !== 'int32') return
  // Whole numbers of a double column lie within ±2^53, so that bounds beyond need not be exact.
  const above = Number(bounds.above)
  const below = Number(bounds.below)
  const { values } = column
  for (let row = 0; row < bad.length; row++) {
    const value = values[row]!
    if (!(value > above && value < below) && counts(weights, row)) bad[row] = index
  }
}

/** Marks the texts that do not fit, each of a dictionary looked at once. */
function markTexts(
  column: Column,
  fitting: (texts: BytesColumn) => Uint8Array,
  { index, weights, bad }: Marks,
): void {
  if (column.encoding === 'dictionary') {
    const fits = fitting(column.dictionary)
    for (let row = 0; row < bad.length; row++) {
      if (fits[column.codes[row]!] !== 1 && !isNull(column, row) && counts(weights, row)) {
        bad[row] = index
      }
    }
  } else if (column.encoding === 'bytes') {
    const fits = fitting(column)
    for (let row = 0; row < bad.length; row++) {
      if (fits[row] !== 1 && !isNull(column, row) && counts(weights, row)) bad[row] = index
    }
  }
}

function documentsOf({ offsets, data, length }: BytesColumn): Uint8Array {
  const documents = new JsonDocuments()
  const fits = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    fits[i] = documents.fits(data, offsets[i]!, offsets[i + 1]!) ? 1 : 0
  }
  return fits
}

function hstoresOf({ offsets, data, length }: BytesColumn): Uint8Array {
  const fits = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    fits[i] = HstoreReader.fits(data.subarray(offsets[i], offsets[i + 1])) ? 1 : 0
  }
  return fits
}

function fitting(
  { offsets, data, length }: BytesColumn,
  type: { readonly precision: number; readonly scale: number },
): Uint8Array {
  const fits = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    fits[i] = decimalFits(data, offsets[i]!, offsets[i + 1]!, type) ? 1 : 0
  }
  return fits
}

function isNull({ validity }: Column, row: number): boolean {
  return validity !== null && (validity[row >> 3]! & (1 << (row & 7))) === 0
}
