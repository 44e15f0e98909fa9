/** Rows for the offline log, by day, and as the bytes of a file. */
import type { Batch } from '../../../core/record/batch.ts'
import type { OfflineLayout } from './layout.ts'
import { ParquetOut } from './parquet-file.ts'
import { physicalValues, type PhysicalValue } from './physical.ts'

export interface OfflineRows {
  readonly batch: Batch
  /** Offset of the batch's first row. */
  readonly offset: number
  /** Rows of the batch that go into the log, ascending; those below by index in here. */
  readonly rows: Int32Array
  /** 1: the entity's values go; its features are null. */
  readonly deleted: Uint8Array
  /** Event time: seconds since 1970, and the rest in nanoseconds. */
  readonly seconds: Float64Array
  readonly nanos: Int32Array
}

/** Values of one row group: what is held as JavaScript values at a time. */
export const groupValuesMax = 500_000
const groupRowsMin = 1000
const secondsADay = 86_400

/** Rows of a row group of so many columns. */
export function groupRows(columns: number): number {
  return Math.max(groupRowsMin, Math.floor(groupValuesMax / columns))
}

/** Indexes into `rows.rows` by day since 1970, ascending. */
export function byDay({ seconds }: OfflineRows): Map<number, Int32Array> {
  const count = seconds.length
  const days = new Int32Array(count)
  const sizes = new Map<number, number>()
  for (let i = 0; i < count; i++) {
    const day = Math.floor(seconds[i]! / secondsADay)
    days[i] = day
    sizes.set(day, (sizes.get(day) ?? 0) + 1)
  }
  const parts = new Map<number, Int32Array>()
  const ends = new Map<number, number>()
  for (const [day, size] of sizes) parts.set(day, new Int32Array(size))
  for (let i = 0; i < count; i++) {
    const end = ends.get(days[i]!) ?? 0
    parts.get(days[i]!)![end] = i
    ends.set(days[i]!, end + 1)
  }
  return parts
}

/** A file of the rows at `indexes`; the same rows give the same bytes. */
export function rowsFile(
  layout: OfflineLayout,
  rows: OfflineRows,
  indexes: Int32Array,
): Uint8Array {
  const out = new ParquetOut(layout.elements, layout.schemaId)
  const step = groupRows(layout.fields.length)
  for (let from = 0; from < indexes.length; from += step) {
    out.rowGroup(groupColumns(layout, rows, indexes.subarray(from, from + step)))
  }
  return out.finish()
}

/** In the order of `offlineLayout`. */
function groupColumns(
  { view, fields }: OfflineLayout,
  { batch, offset, rows, deleted, seconds, nanos }: OfflineRows,
  indexes: Int32Array,
): PhysicalValue[][] {
  const present = indexes.map((index) => rows[index]!)
  const features = indexes.map((index) => (deleted[index] === 1 ? -1 : rows[index]!))
  const valuesOf = (field: number, column: number, picked: Int32Array): PhysicalValue[] => {
    const { type: logical } = batch.schema.fields[column]!
    return physicalValues({ logical, column: batch.columns[column]! }, fields[field]!.type, picked)
  }
  const own = (valueAt: (index: number) => PhysicalValue): PhysicalValue[] =>
    Array.from(indexes, valueAt)
  const { entities } = view
  const firstFeature = entities.length + 2
  return [
    ...entities.map(({ index }, i) => valuesOf(i, index, present)),
    own((index) => BigInt(seconds[index]!) * 1_000_000n + BigInt(nanos[index]!) / 1000n),
    own((index) => BigInt(batch.timesUs[rows[index]!]!)),
    ...view.features.map(({ index }, i) => valuesOf(firstFeature + i, index, features)),
    own((index) => BigInt(offset + rows[index]!)),
    own((index) => deleted[index] === 1),
  ]
}
