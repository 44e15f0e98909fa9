/**
 * Building a topic's target anew beside the one in use: filled from the log while live rows go on into
 * the old one, and put into its place at once when it has caught up. For sinks whose target can change
 * places; the caller (core/task/resync.ts) reads the log and sees to it that nothing else of the topic
 * is under way during any of these calls.
 *
 * Rows are written with `origin: 'resync'`. Every call is idempotent: after a crash the same ones come
 * again, and what they find in the target decides.
 */
import type { Schema } from '../record/schema.ts'

export interface ResyncPoint {
  /** Of the request; the same on every call. */
  readonly id: string
  /** The shape of all rows. */
  readonly schema: Schema
}

export interface SinkResync {
  /**
   * Called before each step. `fresh`: an empty place was made, so that all rows come from the beginning;
   * also when the one there does not fit `schema` any more. `going`: rows written before are in it.
   * `over`: it is in the target's place already, and only `finish` has to be done with.
   * Throws a `config` error where the target cannot be built anew.
   */
  begin(topic: string, point: ResyncPoint, signal: AbortSignal): Promise<'fresh' | 'going' | 'over'>
  /** A truncate in its place among the rows. */
  truncate(
    topic: string,
    at: { readonly id: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<void>
  /** Puts it into the target's place, at once for whoever reads, and removes the old one. */
  finish(topic: string, point: ResyncPoint, signal: AbortSignal): Promise<void>
  /** It was given up: removes what was built. */
  abandon(topic: string, signal: AbortSignal): Promise<void>
}
