/**
 * How far the copy of the tables beside the stream is. It travels in every position, because the
 * position in the log is the only memory there is.
 */
import type { KeyText } from './reader.ts'

export interface TableProgress {
  /** SnapshotTable.id and .key of the table that was read. */
  readonly id: string
  readonly key: readonly string[]
  /** The last key whose row is in the log, and all before it; null = none yet. Absent once the table is copied. */
  readonly upTo?: KeyText | null
  /** Keys within what is copied whose rows are not in the log: they have yet to be read by themselves. */
  readonly waiting?: readonly KeyText[]
  /** What the configuration said when the copy was asked for (`resnapshot`); another text asks for another copy. */
  readonly asked?: string
}

export interface SnapshotProgress {
  /** Counts the changes of this progress: the order of two positions that no key could give without the server. */
  readonly steps: number
  /** By topic; a followed topic that is not here has yet to be copied. */
  readonly tables: Readonly<Record<string, TableProgress>>
}

export const nothingCopied: SnapshotProgress = { steps: 0, tables: {} }

/** The same progress with another state of one table. */
export function withTable(
  progress: SnapshotProgress,
  topic: string,
  table: TableProgress,
): SnapshotProgress {
  return { steps: progress.steps + 1, tables: { ...progress.tables, [topic]: table } }
}

/** What is in the topic's log is void; it is emptied before anything of the table gets into it again. */
export const voidTable: TableProgress = { id: '', key: [], upTo: null }

type Identity = Pick<TableProgress, 'id' | 'key'>

/** Whether both are one table, whose keys have one order. */
export function isSameTable(a: Identity, b: Identity): boolean {
  return a.id === b.id && a.key.join('\n') === b.key.join('\n')
}

/** Whether what was copied is of the table as it is now, and no other copy of it was asked for since. */
export function isCopyOf(before: TableProgress, now: Identity, asked: string | undefined): boolean {
  return isSameTable(before, now) && (asked === undefined || asked === before.asked)
}
