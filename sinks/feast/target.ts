/**
 * OnlineTarget: where features are served from (Redis, Postgres, Feast's server), and FeatureRows, what
 * it is given: rows of one view, encoded, as columns.
 *
 * What all targets keep to (README, "The newest wins"): of one entity and view
 *
 *   - a deletion takes away every row before it in the log, whatever their event times;
 *   - of the rows after the last deletion, the newest by the view's order is what is seen;
 *   - a row that is there already may be written again.
 *
 * A target decides this atomically for each entity, since rows come twice, late and from several
 * processes at once.
 */
import type { Problem } from '../../core/connector/problem.ts'
import type { RowProblem } from '../../core/connector/sink.ts'
import type { FeatureView } from './view.ts'

export interface OnlineTarget extends AsyncDisposable {
  /**
   * Entities of a batch that it wants at a time; then the next are encoded while these are written, and
   * two calls of `write` for one view, of different entities, are under way. All at once when absent.
   */
  readonly entitiesAtOnce?: number
  /** Preflight: every problem at once. Throws when aborted. */
  check(signal: AbortSignal): Promise<readonly Problem[]>
  /**
   * Before the first rows of a view, after each start and for each new schema; never beside a `write`
   * of the same view. Idempotent.
   */
  evolve(view: FeatureView, signal: AbortSignal): Promise<void>
  /**
   * Taken by the store on return. May run at the same time for different views, and, with `replay` in
   * another process, for one. Throws for the whole of it, as `Sink.write`; what it refuses of single
   * entities it returns, by their row in the batch.
   */
  write(rows: FeatureRows, signal: AbortSignal): Promise<readonly TargetProblem[]>
  /**
   * Does `work`, which writes, and returns when that is as safe as the store was told to make it; where it throws,
   * the work is to be done again. Absent where `write` returns no earlier.
   */
  safely?<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
  /**
   * Removes the values of features that the view has no more. Idempotent. Absent where a store keeps
   * them; they are no longer written then.
   */
  forget?(view: FeatureView, features: readonly string[], signal: AbortSignal): Promise<void>
  /**
   * Moves the values of a feature to its new name, but where there is one under that already.
   * Idempotent. Absent where a store keeps them under the old name.
   */
  rename?(view: FeatureView, names: RenamedFeature, signal: AbortSignal): Promise<void>
  /** Takes away what rows of the view before this offset have left. Idempotent. */
  truncate(view: FeatureView, offset: number, signal: AbortSignal): Promise<void>
  /** Absent where a store has no place for it. */
  readonly ends?: ViewEnds
}

/** How far a store has come in the log, for each view; see other-log.ts. Kept in the store itself. */
export interface ViewEnds {
  /** Offset behind the newest live batch, or of a later truncate; 0: neither. Asked anew each time. */
  read(view: FeatureView, signal: AbortSignal): Promise<number>
  /** A live batch that ends there is written. Called again with the same offset, and with higher ones. */
  raise(view: FeatureView, end: number, signal: AbortSignal): Promise<void>
  /** Names the store, and says in a sentence how all of the view is taken out of it, this too. */
  describe(view: FeatureView): { readonly store: string; readonly emptying: string }
}

export interface RenamedFeature {
  readonly from: string
  readonly to: string
}

export type TargetProblem = Omit<RowProblem, 'attempts'>

export interface FeatureRows {
  readonly view: FeatureView
  /**
   * Whether they are rows from behind the cursor, sent once more; false when absent. Rows from before a
   * truncate of the topic among them are void.
   */
  readonly again?: boolean
  /** One for each entity: what the batch as a whole leaves of it. */
  readonly count: number
  /** Row in the batch of the newest row, or of the deletion. */
  readonly rows: Int32Array
  /** Values of `FeatureOp`. */
  readonly ops: Uint8Array
  /** Offset in the topic of that row. */
  readonly offsets: Float64Array
  /**
   * Offset of the last deletion of the entity in the batch; −1 where there is none. Of an entity with
   * `FeatureOp.delete` it is its own offset, of the others a lower one.
   */
  readonly deletedAt: Float64Array
  /** Event time: seconds since 1970 and the rest. */
  readonly seconds: Float64Array
  readonly nanos: Int32Array
  /** Entity keys without the project: key i is keys[keyOffsets[i], keyOffsets[i + 1]). */
  readonly keys: Uint8Array
  readonly keyOffsets: Int32Array
  /** One for each feature of the view. */
  readonly values: readonly EncodedValues[]
}

export const FeatureOp = { set: 0, delete: 1 } as const

/** `feast.types.Value` messages: value i is data[offsets[i], offsets[i + 1]); no bytes: null. */
export interface EncodedValues {
  readonly data: Uint8Array
  readonly offsets: Int32Array
}
