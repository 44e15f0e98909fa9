/**
 * Looks at a batch before it is encoded: which rows are sent, and which hold a value that their column
 * cannot (invariant 9: refused, never changed). A server would take an out-of-range number in a
 * binary format as it comes and show another one. Hot.
 */
import type { Batch } from '../../core/record/batch.ts'
import type { BytesColumn, Column } from '../../core/record/column.ts'
import type { RowProblem, SinkBatch } from '../../core/connector/sink.ts'
import { decimalFits } from './decimal.ts'
import type { TablePlan } from './plan.ts'

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

/** Range of Date32 and DateTime64 on every server supported; 26.7 holds more, older ones clamp. */
const dayMin = -25_567
const dayMax = 120_529
const timeMinUs = dayMin * 86_400_000_000
const timeEndUs = (dayMax + 1) * 86_400_000_000

export function screen(plan: TablePlan, batch: Batch): Screened {
  const bad = new Int32Array(batch.rows).fill(-1)
  for (let i = 0; i < plan.columns.length; i++) markColumn(plan, batch, i, bad)
  const rows = new Int32Array(batch.rows)
  const refused: RefusedRow[] = []
  let count = 0
  for (let row = 0; row < batch.rows; row++) {
    if (bad[row]! >= 0) refused.push({ row, column: bad[row]! })
    else if (plan.mode === 'append' || !replacedAtOnce(batch, row)) rows[count++] = row
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
      ? `The value of ${column} is NULL, and the topic's schema says that it never is.`
      : `The value of ${column} does not fit ${type.name} of table ${plan.table}${hint}.`,
    attempts: sent.attempt,
  }
}

/**
 * A −1 row directly before the +1 of its own key is the old image of an update: the new version
 * hides it anyway, and half the inserted rows of an update stream would be tombstones.
 */
function replacedAtOnce(batch: Batch, row: number): boolean {
  const next = row + 1
  return (
    batch.weights[row]! < 0 &&
    next < batch.rows &&
    batch.weights[next]! > 0 &&
    sameKey(batch, row, next)
  )
}

/** Whether two rows have one key. Answers no where it is not cheap to tell, which only costs a tombstone. */
function sameKey({ schema, columns }: Batch, a: number, b: number): boolean {
  for (let i = 0; i < schema.key.length; i++) {
    if (!sameValue(columns[schema.key[i]!]!, a, b)) return false
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
  const { storage } = planned.type
  switch (storage.kind) {
    case 'date':
      return markOutside(column, { above: dayMin - 1, below: dayMax + 1 }, { index, weights, bad })
    case 'timestamp':
      return markOutside(
        column,
        { above: timeMinUs - 1, below: timeEndUs },
        { index, weights, bad },
      )
    case 'decimal': {
      if (column.encoding === 'bytes' || column.encoding === 'dictionary') {
        return markDecimals(column, storage, { index, weights, bad })
      }
      // Scaled integers have p ≤ 18 digits, and powers of ten up to 10^22 are exact doubles.
      const limit = 10 ** storage.precision
      return markOutside(column, { above: -limit, below: limit }, { index, weights, bad })
    }
    default:
      return
  }
}

interface Marks {
  readonly index: number
  readonly weights: Int32Array | null
  readonly bad: Int32Array
}

function counts(weights: Int32Array | null, row: number): boolean {
  return weights === null || weights[row]! > 0
}

/** Marks what does not lie between the bounds. NaN never does; a null's slot holds 0, which always does. */
function markOutside(
  column: Column,
  { above, below }: { readonly above: number; readonly below: number },
  { index, weights, bad }: Marks,
): void {
  if (column.encoding === 'int64') {
    const bigAbove = BigInt(above)
    const bigBelow = BigInt(below)
    const { values } = column
    for (let row = 0; row < bad.length; row++) {
      const value = values[row]!
      if (!(value > bigAbove && value < bigBelow) && counts(weights, row)) bad[row] = index
    }
    return
  }
  if (column.encoding !== 'float64' && column.encoding !== 'int32') return
  const { values } = column
  for (let row = 0; row < bad.length; row++) {
    const value = values[row]!
    if (!(value > above && value < below) && counts(weights, row)) bad[row] = index
  }
}

function markDecimals(
  column: Column,
  type: { readonly precision: number; readonly scale: number },
  { index, weights, bad }: Marks,
): void {
  if (column.encoding === 'dictionary') {
    const fits = fitting(column.dictionary, type)
    for (let row = 0; row < bad.length; row++) {
      if (fits[column.codes[row]!] !== 1 && !isNull(column, row) && counts(weights, row)) {
        bad[row] = index
      }
    }
  } else if (column.encoding === 'bytes') {
    const fits = fitting(column, type)
    for (let row = 0; row < bad.length; row++) {
      if (fits[row] !== 1 && !isNull(column, row) && counts(weights, row)) bad[row] = index
    }
  }
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
