/**
 * LogGuard: finds the store that was filled from another log. A log that was deleted and begun anew
 * counts offsets from 0 again; against the old ones all its rows would seem older and go without a word.
 *
 * The store keeps for each view how far live batches have come (ViewEnds). A batch is planned before it
 * is sent, and after a crash sent again as planned, so that the first one of a process ends there or
 * behind it, and one that ends before it is of another log. Asked at that first one only; beside rows
 * that are sent once more it says nothing.
 */
import { renamedSink } from '../../core/connector/place-by-name.ts'
import type { SinkBatch } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { ViewEnds } from './target.ts'
import type { FeatureView } from './view.ts'

export class LogGuard {
  readonly #ends: ViewEnds | null
  /** Views whose store is known to be of this log, by their names in it. */
  readonly #met = new Set<string>()

  /** null: the store has no place for it, and nothing is looked for. */
  constructor(ends: ViewEnds | null) {
    this.#ends = ends
  }

  /** Before anything of the batch is written. Throws `sink.feast.store_ahead`. */
  async meet(views: readonly FeatureView[], sent: SinkBatch, signal: AbortSignal): Promise<void> {
    if (this.#ends === null || !isLive(sent)) return
    for (const view of views) {
      if (this.#met.has(view.stored)) continue
      const there = await this.#ends.read(view, signal)
      if (endOf(sent) < there) throw storeAhead(view, sent, there, this.#ends)
      this.#met.add(view.stored)
    }
  }

  /** When all of the batch is written. */
  async passed(views: readonly FeatureView[], sent: SinkBatch, signal: AbortSignal): Promise<void> {
    const ends = this.#ends
    if (ends === null || !isLive(sent)) return
    const raised = views.map((view) => ends.raise(view, endOf(sent), signal))
    // None of them goes on for nobody.
    for (const one of await Promise.allSettled(raised)) {
      if (one.status === 'rejected') throw one.reason
    }
  }
}

function isLive({ origin }: SinkBatch): boolean {
  return origin === undefined || origin === 'live'
}

/** Of all pieces of one delivery the same. */
function endOf({ upTo, offset, batch }: SinkBatch): number {
  return upTo ?? offset + batch.rows
}

function storeAhead(
  view: FeatureView,
  sent: SinkBatch,
  there: number,
  ends: ViewEnds,
): SluiceError {
  const { store, emptying } = ends.describe(view)
  return new SluiceError('sink.feast.store_ahead', {
    message: `${store} has view ${view.name} up to offset ${there} of topic ${sent.topic}, and the next batch ends at ${endOf(sent)} already.`,
    remedy: `${renamedSink} If the log was begun anew or its cursor set back: ${emptying} Or give the sink another \`project\`. \`sluice run\` goes on by itself at its next try.`,
  })
}
