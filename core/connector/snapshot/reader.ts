/**
 * What a database gives for the first copy of its tables beside the running stream: chunks by key,
 * each read under a database snapshot, and the moment from which the stream holds nothing more that
 * the chunk shows. beside.ts joins them with the stream; docs/decisions/0007-snapshot-beside-stream.md
 * has the argument why nothing is missing and nothing is there twice.
 */
import { SluiceError } from '../../errors/error.ts'
import type { Batch } from '../../record/batch.ts'
import type { Position } from '../source.ts'

/**
 * Key values in the table's key order, which is the order of the key in the topic's schema, each as
 * `textAt` (core/record/value.ts) prints it: keys of streamed rows, of read rows and of bounds are
 * compared and kept in this one form.
 */
export type KeyText = readonly string[]

export interface SnapshotTable {
  readonly topic: string
  /** Which table this is; the same name with another one is another table, and copied anew. */
  readonly id: string
  /** What the order of keys means, a text a column; another order makes old bounds worthless. Empty = no key. */
  readonly key: readonly string[]
  /** The database's guess, for the status line; absent or 0 = none. */
  readonly rowsEstimate?: number
}

/**
 * The table is not the one that `describe` gave any more: another one has its name, it was emptied or
 * rewritten, or its columns are others. It is described and read again.
 */
export class SnapshotTableChanged extends SluiceError {
  constructor(topic: string, cause?: unknown) {
    super('source.snapshot.table_changed', {
      message: `The table of ${topic} was changed while it was being copied.`,
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

export interface Chunk {
  /** Rows that appear (+1, Op.snapshot), in no particular order of batches. */
  readonly batches: readonly Batch[]
  /** Whether the stream, having handed out everything up to `position`, has nothing left that the rows show. */
  isPassed(position: Position): boolean
}

/** Which rows: those after `after` (null = from the first) up to and with `upTo` (null = to the last), or those of some keys. */
export type ChunkRows =
  | { readonly after: KeyText | null; readonly upTo: KeyText | null }
  | { readonly keys: readonly KeyText[] }

export interface SnapshotReader {
  /** The table as it is now; null when it is not there. */
  describe(topic: string, signal: AbortSignal): Promise<SnapshotTable | null>
  /** Where the chunk that begins after `after` ends, so that it holds a few MiB; null = at the table's end. */
  split(table: SnapshotTable, after: KeyText | null, signal: AbortSignal): Promise<KeyText | null>
  /**
   * Reads rows under a snapshot that shows at least everything the stream has handed out up to `from`:
   * waits until the server shows it. Several calls may run at a time. Throws SnapshotTableChanged when
   * the table is not the one of `describe` any more.
   */
  read(table: SnapshotTable, rows: ChunkRows, from: Position, signal: AbortSignal): Promise<Chunk>
  /**
   * Per row named, whether its key comes at or before `upTo` in the table's order: 1 or 0. A promise
   * only where the server has to be asked (a collation).
   */
  isUpTo(
    table: SnapshotTable,
    batch: Batch,
    rows: Int32Array,
    upTo: KeyText,
    signal: AbortSignal,
  ): Uint8Array | Promise<Uint8Array>
  /** A table without a key, as a whole; see WholeTable. Absent: such tables are never asked for here. */
  readWhole?(table: SnapshotTable, signal: AbortSignal): Promise<WholeTable>
}

/**
 * All rows of a table without a key, under one snapshot. From the call on nobody writes to the table,
 * so that every change of it which the stream hands out before `isPassed` is shown by the snapshot and
 * none of those after it; then `release` lets writers go on and `batches` gives the rows, while the
 * stream waits. Writers are not kept waiting without an end: where the stream takes too long to come to
 * that place, the reader lets them go on by itself, `release` says so, and the table is read once more
 * when the stream has passed it.
 */
export interface WholeTable extends AsyncDisposable {
  isPassed(position: Position): boolean
  /** Whether the lock was held until now; if not, there is nothing to read. */
  release(): Promise<boolean>
  batches(signal: AbortSignal): AsyncIterable<Batch>
}
