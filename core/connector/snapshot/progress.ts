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
