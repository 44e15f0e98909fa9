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
  /**
   * The last key read, each column as the server prints it; null = to the end of the table; empty =
   * some rows in no order, as of a table without a usable key.
   */
  readonly upTo: readonly string[] | null
}

export interface TableProgress {
  readonly oid: number
  /** The columns that `upTo` speaks of, each with how it is ordered (key-order.ts, orderNames). */
  readonly key: readonly string[]
  /** None at all: what the topic holds is void, it begins anew with a truncate. */
  readonly ranges: readonly KeyRange[]
}

export interface SnapshotProgress {
  /**
   * Counts the changes of this progress, from the first generation on: the order of two positions
   * of the first copy, whose keys alone could not be compared without the catalog.
   */
  readonly steps: number
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

export const nothingCopied: SnapshotProgress = { steps: 0, done: {}, generations: [], tables: {} }

/** Whether the whole table was read. */
export function isComplete(table: TableProgress): boolean {
  return table.ranges.at(-1)?.upTo === null
}

/** Adds a generation, and forgets those under which no row was read. Returns its index too. */
export function withGeneration(
  progress: SnapshotProgress,
  generation: Generation,
): { readonly progress: SnapshotProgress; readonly index: number } {
  const used = new Set(
    Object.values(progress.tables).flatMap(({ ranges }) => ranges.map((range) => range.generation)),
  )
  const kept = progress.generations.map((_, i) => i).filter((i) => used.has(i))
  const tables = Object.entries(progress.tables).map(([topic, table]) => {
    const ranges = table.ranges.map((range) => ({
      ...range,
      generation: kept.indexOf(range.generation),
    }))
    return [topic, { ...table, ranges }] as const
  })
  const generations = [...kept.map((i) => progress.generations[i]!), generation]
  const next = {
    ...progress,
    steps: progress.steps + 1,
    generations,
    tables: Object.fromEntries(tables),
  }
  return { progress: next, index: kept.length }
}

/** The same progress with `range` read: it replaces the table's last range when that has its generation. */
export function withRange(
  progress: SnapshotProgress,
  topic: string,
  table: Pick<TableProgress, 'oid' | 'key'>,
  range: KeyRange,
): SnapshotProgress {
  const before = progress.tables[topic]?.ranges ?? []
  const kept = before.at(-1)?.generation === range.generation ? before.slice(0, -1) : before
  const next = { oid: table.oid, key: table.key, ranges: [...kept, range] }
  return {
    ...progress,
    steps: progress.steps + 1,
    tables: { ...progress.tables, [topic]: next },
  }
}

/** The same progress with the table to be copied anew, after a truncate of its topic. */
export function withoutRows(
  progress: SnapshotProgress,
  topic: string,
  table: Pick<TableProgress, 'oid' | 'key'>,
): SnapshotProgress {
  const { [topic]: _, ...done } = progress.done
  const next = { oid: table.oid, key: table.key, ranges: [] }
  return {
    ...progress,
    steps: progress.steps + 1,
    done,
    tables: { ...progress.tables, [topic]: next },
  }
}

/** The progress once the stream needs no filter any more: nothing to remember but what was copied. */
export function settled(progress: SnapshotProgress): SnapshotProgress {
  if (progress.generations.length === 0) return progress
  const done = { ...progress.done }
  const tables: Record<string, TableProgress> = {}
  for (const [topic, table] of Object.entries(progress.tables)) {
    if (isComplete(table)) done[topic] = table.oid
    else tables[topic] = table
  }
  return { steps: progress.steps + 1, done, generations: [], tables }
}
