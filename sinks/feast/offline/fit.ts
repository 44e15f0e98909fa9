/**
 * Rows that the offline log cannot hold although the online store can: decimals that Parquet's DECIMAL
 * has no place for. Everything else is judged before, once for both stores (../screen.ts).
 */
import type { RowProblem } from '../../../core/connector/sink.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { isNull, type Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { numberAt, textAt } from '../../../core/record/value.ts'
import type { OfflineLayout } from './layout.ts'
import type { ParquetType } from './parquet-types.ts'
import { unscaled } from './physical.ts'

/** `rows` are rows of the batch; of those with 1 in `deleted` no feature is looked at. */
export function unfitRows(
  { view, fields }: OfflineLayout,
  batch: Batch,
  rows: Int32Array,
  deleted: Uint8Array,
): RowProblem[] {
  const problems = new Map<number, RowProblem>()
  for (const { name, index, logical } of view.features) {
    const { type } = fields.find((field) => field.name === name)!
    const fits = fitsType(logical, batch.columns[index]!, type)
    if (fits === null) continue
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      if (deleted[i] === 1 || fits(row) || problems.has(row)) continue
      const message = `feature ${name} of view ${view.name}: the offline log has no place for its value`
      problems.set(row, { row, code: 'sink.feast.offline_unfit', message, attempts: 1 })
    }
  }
  return [...problems.values()].toSorted((a, b) => a.row - b.row)
}

/** null: every value does. */
function fitsType(
  logical: LogicalType,
  column: Column,
  type: ParquetType,
): ((row: number) => boolean) | null {
  if (type.physical === 'list') {
    if (logical.kind !== 'list' || column.encoding !== 'list') return null
    const { offsets, child } = column
    const fits = fitsType(logical.element, child, type.element)
    if (fits === null) return null
    return (row) => {
      for (let i = offsets[row]!; i < offsets[row + 1]!; i++) if (!fits(i)) return false
      return true
    }
  }
  if (type.annotation.converted_type !== 'DECIMAL' || logical.kind !== 'decimal') return null
  const { precision = 0, scale = 0 } = type.annotation
  const limit = 10n ** BigInt(precision)
  if (column.encoding === 'bytes' || column.encoding === 'dictionary') {
    return (row) => {
      if (isNull(column, row)) return true
      const value = unscaled(textAt(logical, column, row)!, scale)
      return value !== null && value < limit && value > -limit
    }
  }
  // A scaled integer within the column's precision, or NaN or ±Infinity as itself.
  return (row) => isNull(column, row) || Number.isFinite(Number(numberAt(column, row)))
}
