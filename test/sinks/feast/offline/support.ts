/** What the tests of the offline log share: a view, batches written as short lists, and its rows read back. */
import type { FileStore } from '../../../../core/connector/file-store.ts'
import { makeSchema, type Schema } from '../../../../core/record/schema.ts'
import { listFiles } from '../../../../sinks/feast/offline/day-files.ts'
import type { OfflineView } from '../../../../sinks/feast/offline/layout.ts'
import { ParquetIn } from '../../../../sinks/feast/offline/parquet-file.ts'
import type { OfflineRows } from '../../../../sinks/feast/offline/rows.ts'
import { batchOf } from '../../../conformance/rows.ts'

export const signal = new AbortController().signal
/** 2026-01-01, in µs. */
export const newYearUs = 1_767_225_600_000_000

export const userSchema: Schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'score', type: { kind: 'int64' }, nullable: true },
  ],
  [0],
  'upsert',
)

export const userView: OfflineView = {
  name: 'users',
  topic: 'shop.users',
  entities: [
    {
      name: 'user_id',
      index: 0,
      logical: { kind: 'int64' },
      type: { kind: 'scalar', name: 'int64' },
    },
  ],
  features: [
    {
      name: 'score',
      index: 1,
      logical: { kind: 'int64' },
      type: { kind: 'scalar', name: 'int64' },
    },
  ],
}

export interface UserRow {
  readonly id: number
  /** µs. */
  readonly at: number
  /** null = deletion. */
  readonly score: number | null
}

/** Row i has the offset `offset + i` and was committed one second a row after the new year. */
export function userRows(offset: number, rows: readonly UserRow[]): OfflineRows {
  const batch = batchOf(
    userSchema,
    rows.map(({ id, score }, i) => ({
      weight: score === null ? -1 : 1,
      timeUs: newYearUs + (offset + i) * 1_000_000,
      values: { user_id: id, score },
    })),
  )
  return {
    batch,
    offset,
    rows: Int32Array.from(rows, (_, i) => i),
    deleted: Uint8Array.from(rows, ({ score }) => (score === null ? 1 : 0)),
    seconds: Float64Array.from(rows, ({ at }) => Math.floor(at / 1e6)),
    nanos: Int32Array.from(rows, ({ at }) => (at % 1e6) * 1000),
  }
}

export interface StoredRow extends UserRow {
  readonly offset: number
}

/** Every row of every file, in the order of offsets; a row that is there twice is there twice. */
export async function storedRows(files: FileStore, view = 'users'): Promise<StoredRow[]> {
  const rows: StoredRow[] = []
  for await (const { path } of listFiles(files, `${view}/`, signal)) {
    const file = new ParquetIn(path, (await files.get(path, signal))!.bytes)
    const [ids, scores, at, offsets, deleted] = await Promise.all(
      ['user_id', 'score', 'event_timestamp', '_sluice_offset', '_sluice_deleted'].map((name) =>
        file.column(name),
      ),
    )
    for (let i = 0; i < file.rows; i++) {
      rows.push({
        id: Number(ids![i]),
        at: Number(at![i]),
        score: deleted![i] === true ? null : Number(scores![i]),
        offset: Number(offsets![i]),
      })
    }
  }
  return rows.sort((a, b) => a.offset - b.offset)
}
