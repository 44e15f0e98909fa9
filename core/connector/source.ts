import type { z } from 'zod'
import type { Batch } from '../record/batch.ts'
import type { Column } from '../record/column.ts'
import type { Context, SourceContext } from './context.ts'
import type { Decoded, RejectedRecords } from './format/format.ts'
import type { LetterBudget } from './letter-budget.ts'
import type { Problem } from './problem.ts'
import type { SchemaProposal, SchemaQuestion } from './schema-proposal.ts'

/**
 * Place in the source (LSN, GTID set, Kafka offsets), opaque to core: text that only its connector
 * reads. Stored in every commit.
 */
export type Position = string & { readonly __position: never }

/** The one place where text becomes a Position: connectors and the log's reader call it. */
export function position(text: string): Position {
  return text as Position
}

export interface SourceConnector<C> {
  readonly kind: string
  readonly config: z.ZodType<C>
  /** Preflight: every problem at once. Throws only when it cannot look at all (`transient` or `config`). */
  check(config: C, ctx: Context): Promise<readonly Problem[]>
  /** Builds the source; connects at the first `read`. */
  open(config: C, ctx: SourceContext): Promise<Source>
  /** Pure partial order of this connector's positions: a is at or after b. */
  atOrAfter(a: Position, b: Position): boolean
  /**
   * Pure: the topics that the configuration alone tells, without the source's name; `*` in one stands
   * for any characters. null, or no such method: known only once the source is asked. Lets `validate`
   * find a misspelt topic without a network.
   */
  topics?(config: C): readonly string[] | null
  /**
   * Pure: whether a topic (without the source's name) is what the source writes for itself, only beside
   * `transaction: null`. Its rows are not counted as rows that came, and go only where it is named in full. None
   * without it.
   */
  isBookkeeping?(topic: string): boolean
  /** How many records may be rejected before the source waits; the usual budget without it. */
  letterBudget?(config: C): LetterBudget
  /**
   * Looks at some records and proposes their schema; changes nothing anywhere. Of sources whose records
   * do not say what they are made of. Throws what keeps it from looking.
   */
  inferSchema?(
    config: C,
    question: SchemaQuestion,
    ctx: Context,
    signal: AbortSignal,
  ): Promise<SchemaProposal>
}

export interface Source extends AsyncDisposable {
  /**
   * Changes after `after` (null = from the beginning: the snapshot first). Pulling is the
   * back-pressure: the next batch is asked for when this one is staged. Called once per Source.
   * The first thing a source yields for each topic is its schema, if need be as a batch of no rows.
   * Ends only by abort (which rejects or returns promptly) or by throwing a SluiceError.
   */
  read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch>
  /**
   * Everything up to `position` is durable; the source may forget it. Called after the commit that
   * holds it, only forwards, while `read` is being consumed; must not wait for the network for long.
   */
  ack(position: Position): Promise<void>
  /**
   * Decodes once more what was rejected: rows of `RejectedRecords.batch`, whose dead letters are to be
   * tried again. Called before `read`, or while it is being consumed. null: the topic is none of this source any
   * more. Throws what keeps it from trying (a registry that does not answer); the letters stay as they are
   * then. A source without it rejects nothing.
   */
  decodeAgain?(topic: string, batch: Batch, signal: AbortSignal): Promise<Decoded | null>
}

export interface SourceBatch {
  /** In order within a topic; none at all = heartbeat. */
  readonly changes: readonly TopicChange[]
  /**
   * null: the batch holds only whole transactions (or the source has none).
   * Otherwise all of it belongs to this transaction, of which more may follow; transactions may
   * interleave. `part` names the sub-transaction ('' = the transaction itself). No id is ever used
   * for two transactions.
   */
  readonly transaction: { readonly id: string; readonly part: string } | null
  /** End of `transaction`, or, on abort with a `part`, of that part alone. */
  readonly end: 'commit' | 'abort' | null
  /** Set when everything yielded before and with this batch (except open transactions) may be committed with it. */
  readonly position: Position | null
  /**
   * Records that do not fit their topic: they become dead letters of this source, in the same commit as
   * the position that passes them. Only beside `transaction: null`.
   */
  readonly rejected?: readonly RejectedRecords[]
}

export type TopicChange = RowsChange | TruncateChange

export interface RowsChange {
  /** Without the source's name: `public.orders`. Core prefixes it. */
  readonly topic: string
  readonly batch: Batch
  /** The source keeps nothing of the batch: its memory is given back as soon as its rows are encoded. */
  readonly owned?: boolean
  /**
   * The third state beside value and null: per column a bitmap (least significant bit first) of rows
   * whose value the source did not send because it did not change, or null. Such slots are null in
   * `batch`; ingest fills them from our own state before anything is committed.
   */
  readonly unchanged?: readonly (Uint8Array | null)[]
  /**
   * Beside `unchanged`: where the source sent a change of the value instead of the value (MySQL's
   * partial JSON), per field by row index what makes the new value of the one before, as exact text.
   * Such slots are marked in `unchanged` too.
   */
  readonly edits?: readonly (ReadonlyMap<number, ValueEdit> | null)[]
  /**
   * Beside `unchanged`: per field a column of one row, the value that rows have which were written
   * before the field was added to the table (MySQL's ADD COLUMN … DEFAULT, which changes all rows and
   * sends none), or null where the source does not know it. Used where our own state has the row and
   * not the field.
   */
  readonly defaults?: readonly (Column | null)[]
  /**
   * Beside `unchanged`, where a row's key changed with it: per row, the index of the row in this
   * batch that carries the old key (its −1), or −1 when the row's own key is the one to look under.
   */
  readonly previous?: Int32Array
}

/** The new value from the one before (null = a null). Throws a SluiceError when it does not fit. */
export type ValueEdit = (before: Uint8Array | null) => Uint8Array | null

export interface TruncateChange {
  readonly topic: string
  readonly truncate: true
}
