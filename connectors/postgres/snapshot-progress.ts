/**
 * How far the first copy of the tables is. It travels in every position, because the position in the
 * log is the only memory there is: which tables were copied, up to which key, under which database
 * snapshots. docs/decisions/0003-postgres-snapshot.md has the argument why this makes the join with
 * the stream exact.
 */

/** A database snapshot under which rows were read: what `pg_current_snapshot()` said, and where the WAL was. */
export interface Generation {
  /** Transactions below are finished; 64-bit, in decimal. */
  readonly xmin: string
  /** Transactions from here on were not started. */
  readonly xmax: string
  /** In between, those in progress (top-level only, as in Begin and Stream Start messages). */
  readonly xip: readonly string[]
  /** WAL insert position taken after the snapshot: what commits beyond it is not in the snapshot. `X/Y`. */
  readonly lsn: string
}

/** Rows read in key order: this range begins after the one before it and ends with `upTo`. */
export interface KeyRange {
  /** Index into `generations`. */
  readonly generation: number
  /** The last key read, each column as the server prints it; null = to the end of the table. */
  readonly upTo: readonly string[] | null
}

export interface TableProgress {
  readonly oid: number
  readonly ranges: readonly KeyRange[]
}

export interface SnapshotProgress {
  /**
   * Topic to table oid: copied, and the stream needs no filter for it. Kept for ever: a table of the
   * configuration that is not here (or here with another oid) has yet to be copied.
   */
  readonly done: Readonly<Record<string, number>>
  /** Empty once the stream has passed the `lsn` of the last one. */
  readonly generations: readonly Generation[]
  /** Topic to table: being copied, or copied under generations that the stream has not passed. */
  readonly tables: Readonly<Record<string, TableProgress>>
}

export const nothingCopied: SnapshotProgress = { done: {}, generations: [], tables: {} }

/** Whether the whole table was read. */
export function isComplete(table: TableProgress): boolean {
  return table.ranges.at(-1)?.upTo === null
}

/** The same progress with the last range of a table moved on to `upTo`, under `generation`. */
export function advance(
  progress: SnapshotProgress,
  topic: string,
  oid: number,
  range: KeyRange,
): SnapshotProgress {
  const before = progress.tables[topic]?.ranges ?? []
  const last = before.at(-1)
  const kept = last?.generation === range.generation ? before.slice(0, -1) : before
  const table = { oid, ranges: [...kept, range] }
  return { ...progress, tables: { ...progress.tables, [topic]: table } }
}
