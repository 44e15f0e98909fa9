import type { z } from 'zod'
import type { Code } from '../errors/codes.ts'
import type { Batch } from '../record/batch.ts'
import type { Schema } from '../record/schema.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import type { SinkContext } from './context.ts'
import type { FeatureTools } from './feature-tools.ts'
import type { Problem } from './problem.ts'
import type { SinkResync } from './resync.ts'
import type { RowWait, Timers, WaitedBefore, WaitingPlaces } from './waiting.ts'

export interface SinkConnector<C> {
  readonly kind: string
  readonly config: z.ZodType<C>
  /** What a replay of the same batch means in the target. */
  readonly delivery: 'transactional' | 'idempotent' | 'at-least-once'
  /** What the target can be made to follow; the policy is the user's (`on_schema_change`). */
  readonly schemaChanges: SchemaAbilities
  /** Configurations whose target can follow other changes than those of `schemaChanges`. */
  readonly schemaVariants?: readonly SchemaVariant<C>[]
  /** How large batches may grow and how often they may be sent; see Batching. */
  batching(config: C): Batching
  /** Preflight: every problem at once, each with its remedy. */
  check(config: C, ctx: SinkContext): Promise<readonly Problem[]>
  /** `topics` are those known now; more may come with their first batch. */
  open(config: C, topics: readonly TopicInfo[], ctx: SinkContext): Promise<Sink>
  /**
   * Pure: the topics that the configuration names beside `from`, absent where it names none. Lets
   * `validate` find one that the sink never receives, without a network.
   */
  topicsNamed?(config: C): readonly NamedTopic[]
  /** Whether its sinks have `resync`, so that asking for one is refused at once where they have not. */
  readonly resyncs?: boolean
  /** What `sluice features …` can do with this sink; absent for those that keep no features. */
  readonly features?: FeatureTools<C>
}

/**
 * Per kind of change, what the sink does with it:
 * - `applies`: it alters the target (ALTER TABLE … DROP COLUMN);
 * - `absorbs`: the target has no shape of its own, every row says what it holds (a webhook's JSON);
 * - `refuses`: it cannot; told to, it throws a `config` error with the cure, and the topic is parked.
 *
 * Of a truncate: `absorbs` keeps what was there (a tombstone, an event, a marker), `applies` removes rows
 * for good, which takes a written yes.
 */
export type SchemaAbilities = Readonly<
  Record<SchemaChange['kind'] | 'truncate', 'applies' | 'absorbs' | 'refuses'>
>

export interface SchemaVariant<C> {
  /** In the docs, behind the name of the sink: `push`. */
  readonly name: string
  /** Pure. */
  matches(config: C): boolean
  readonly abilities: SchemaAbilities
}

/** What the target of this configuration can be made to follow. */
export function abilitiesOf<C>(connector: SinkConnector<C>, config: C): SchemaAbilities {
  const variant = connector.schemaVariants?.find((one) => one.matches(config))
  return variant?.abilities ?? connector.schemaChanges
}

/** Of a sink whose target takes any row as it comes; a truncate is one more thing that it is told. */
export const absorbsAll: SchemaAbilities = {
  add: 'absorbs',
  widen: 'absorbs',
  narrow: 'absorbs',
  rename: 'absorbs',
  drop: 'absorbs',
  key: 'absorbs',
  truncate: 'absorbs',
}

/** A topic's rows have another shape from now on. */
export interface SchemaStep {
  /** What the sink was last told; null at its first step in this process. */
  readonly from: Schema | null
  /** The shape of all rows that follow; the caller has brought them into it. */
  readonly to: Schema
  /**
   * What was decided since the target was last known to fit, in order. A sink adds what is missing and
   * widens by itself; it renames, drops and narrows only what stands here, because somebody said yes.
   */
  readonly agreed: readonly SchemaChange[]
}

/**
 * Batch borders are chosen by the deliver loop and written in its commits; the sink only says what
 * suits it. When idle, the first rows go at once; under load the pause between two batches of a
 * topic grows from `pauseMsMin` towards `pauseMsMax` as batches fill, and beyond it, up to 30 s,
 * while the sink answers with errors that carry `retryAfterMs`.
 */
export interface Batching {
  readonly rowsMax: number
  readonly bytesMax: number
  readonly pauseMsMin: number
  readonly pauseMsMax: number
  /**
   * Further batches of a topic that may be sent while the oldest is not over yet; 0 when absent. A
   * sink that takes some keeps by itself the order it promises, so that one key that is held up does
   * not hold up the others. None is sent across a new schema or a truncate.
   */
  readonly ahead?: number
}

export interface NamedTopic {
  /** Where it stands in the configuration. */
  readonly path: readonly (string | number)[]
  /** Whether the name is the last key of `path`, or its value. */
  readonly as: 'key' | 'value'
  /** null: none is named there, so that the sink must receive one topic only. */
  readonly topic: string | null
  /** `tail`: its last parts are enough while they are unique. */
  readonly match: 'full' | 'tail'
}

export interface TopicInfo {
  /** Full name: `shop.public.orders`, or a transform's name. */
  readonly name: string
  /** Newest known schema; null when no row was ever committed. */
  readonly schema: Schema | null
}

export interface Sink extends AsyncDisposable {
  /**
   * Called before the first batch of a new schema, also after each start (`from` is null), and never
   * beside a `write` of the same topic but for rows that waited. Idempotent: a step is told again after a crash, when all or a
   * part of it may have been done.
   */
  evolve(topic: string, step: SchemaStep, signal: AbortSignal): Promise<void>
  /**
   * Durable on return. May run at the same time for different topics; for one topic only as far as
   * `Batching.ahead` allows, called first in the order of the offsets.
   * Throws for the whole batch (the fault decides: `transient` is retried with the same id, `config`
   * parks the topic); returns single rejected rows, which become dead letters.
   * Abort: give up promptly; the same batch is sent again later.
   */
  write(batch: SinkBatch, signal: AbortSignal): Promise<SinkResult>
  /** All rows of the topic before this offset are gone. Idempotent, ordered with `write`. */
  truncate(
    topic: string,
    at: { readonly id: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<void>
  /**
   * Of rows that wait: ms until one more of the group may be tried, beside `under` of them that are under
   * way; 0 = now. Now, when absent. Asked again as soon as one of them ends.
   */
  readyMs?(group: string, under: number): number
  /** Wake those that wait; without them the caller keeps timers of its own. The sink disposes of them. */
  readonly timers?: Timers
  /** Building a topic's target anew beside the one in use; absent where the sink cannot (`resyncs`). */
  readonly resync?: SinkResync
}

export interface SinkBatch {
  /** The same on every retry, also after a restart: use it to deduplicate. */
  readonly id: string
  readonly topic: string
  readonly batch: Batch
  /** Offset in the topic of the first row; row i has `offset + i`. Strictly increasing per topic, for ever. */
  readonly offset: number
  /**
   * Where a delivery goes in several batches, because rows between them were set aside: the offset after
   * its last one. Rows up to there may be in the target from before a restart, beyond this batch.
   */
  readonly upTo?: number
  /** 1 on the first attempt of this process. */
  readonly attempt: number
  /**
   * `live` when absent: rows at the cursor. `retry`: rows that were rejected before. `replay`: rows that
   * may have been delivered before. Those two lie behind the cursor, so a sink must not conclude from
   * an offset that it has them already, nor let them take the place of newer ones.
   */
  readonly origin?: 'live' | 'retry' | 'replay' | 'resync'
  /** Where rows may be set aside to wait; absent where they may not. See waiting.ts. */
  readonly waiting?: WaitingPlaces
  /** These rows waited, and are due now. */
  readonly waited?: WaitedBefore
}

export interface SinkResult {
  readonly rejected: readonly RowProblem[]
  /** Rows to be sent again later, only as many as there were places for. */
  readonly waiting?: readonly RowWait[]
  /**
   * What is worth remembering of this delivery (attempts, answers, times), one append row each: it
   * becomes the topic `<sink>.deliveries` in the commit that moves the cursor.
   */
  readonly journal?: Batch
}

export interface RowProblem {
  /** Index of the row in the batch. */
  readonly row: number
  readonly code: Code
  readonly message: string
  readonly attempts: number
}
