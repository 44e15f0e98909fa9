/**
 * The words of the log. A *chain* is the sequence of commits of one task; a *commit* is one object
 * that holds rows of many topics, the source position or input cursors, the state change and the
 * writer's epoch, all or nothing.
 */
import type { Batch } from '../record/batch.ts'
import type { Schema } from '../record/schema.ts'

/** What goes into a commit for one topic, in its place in the topic's order. */
export type LogEntry =
  | {
      readonly kind: 'rows'
      readonly topic: string
      readonly batch: Batch
      /** The batch's memory is nobody else's: it is given back as soon as the rows are encoded. */
      readonly owned?: boolean
    }
  /** All rows of the topic before this are gone. Takes one offset, so that it has a place in the order. */
  | { readonly kind: 'truncate'; readonly topic: string }
  /** Rows written to `seg/` before: all blocks of the segment, in their order. */
  | { readonly kind: 'staged'; readonly segment: StagedSegment }

/** Rows that are encoded before their commit; see `ChainWriter.encode`. */
export interface EncodedRows {
  readonly kind: 'encoded'
  readonly block: Promise<FreshBlock>
}

/** A block that is encoded but has no place yet. */
export interface FreshBlock {
  readonly kind: 'fresh'
  readonly topic: string
  /** null for a truncate. */
  readonly schema: Schema | null
  readonly rows: number
  /** None for a truncate. */
  readonly bytes: Uint8Array
  readonly timeMinUs: number
  readonly timeMaxUs: number
}

/** An encoded segment in the store that no commit names yet; forgetting it is how it is aborted. */
export interface StagedSegment {
  readonly key: string
  readonly bytes: number
  readonly blocks: readonly StagedBlock[]
}
export interface StagedBlock {
  readonly topic: string
  readonly kind: 'rows' | 'truncate'
  readonly rows: number
  readonly schema: Schema | null
  readonly byteStart: number
  readonly byteEnd: number
  readonly crc32c: number
  readonly timeMinUs: number
  readonly timeMaxUs: number
}

/** How far a reader is: the commit to read next in each chain it follows. */
export type Cursors = Readonly<Record<string, number>>

export interface CommitDraft {
  /** In order within a topic. */
  readonly entries: readonly (LogEntry | EncodedRows)[]
  /** Ingest: the source's position after these rows; absent = as before. */
  readonly position?: string
  /** Transform and deliver: the next commit to read per input chain; absent = as before. */
  readonly cursors?: Cursors
  /** Any JSON value of the task: delivery plans, decisions; absent = as before. */
  readonly notes?: unknown
  /** Operator state: `full` replaces what was, `delta` follows it. */
  readonly state?: { readonly kind: 'full' | 'delta'; readonly bytes: Uint8Array }
}

/** A commit as read: everything but the rows, which `ChainReader.readBlock` brings. */
export interface Commit {
  readonly chain: string
  readonly seq: number
  readonly epoch: number
  readonly writer: string
  readonly commitId: string
  /** When the writer made it, ms since 1970. */
  readonly timeMs: number
  readonly position: string | null
  readonly cursors: Cursors
  readonly notes: unknown
  readonly blocks: readonly BlockInfo[]
  /** Bytes of the commit object and of the segments it names. */
  readonly bytes: number
}

export interface BlockInfo {
  readonly topic: string
  readonly kind: 'rows' | 'truncate'
  /** Offset of the first row in the topic. */
  readonly baseOffset: number
  /** Rows; 1 for a truncate; 0 rows announce a schema. */
  readonly rows: number
  /** null for a truncate. */
  readonly schema: Schema | null
  readonly timeMinUs: number
  readonly timeMaxUs: number
  readonly byteLength: number
}

/** What a chain says as a whole, up to and with commit `seq`. */
export interface ChainHead {
  /** Last commit; 0 when the chain is empty (commits count from 1). */
  readonly seq: number
  readonly epoch: number
  readonly position: string | null
  readonly cursors: Cursors
  readonly notes: unknown
  readonly topics: ReadonlyMap<string, TopicHead>
}
export interface TopicHead {
  /** Offset the next row gets. */
  readonly nextOffset: number
  /** Every schema the topic had, in the order in which they were last used: the newest is the last. */
  readonly schemas: readonly Schema[]
}
