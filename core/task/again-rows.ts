/**
 * Rows that are delivered once more, in steps: what one commit plans and the next one passes. A step
 * is cut into runs, because a sink is told that row i of a batch has offset + i.
 */
import type { DeadLetter } from './dead-letters.ts'
import type { Batch } from '../record/batch.ts'

/** Rows of one schema whose offsets follow one another. */
export interface Run {
  readonly from: number
  readonly batch: Batch
}

export interface Step {
  readonly runs: readonly Run[]
  /** Place after the step. */
  readonly to: number
  /** Letters that were over already. */
  readonly skipped: number
  /** Rows of the step that are left out because nobody can tell whether they are meant. */
  readonly undecided: number
  /** Letters that cannot be sent, each with the reason. */
  readonly unsendable: readonly DeadLetter[]
}

export interface AgainRows extends AsyncDisposable {
  /** Where the rows begin. */
  readonly start: number
  /**
   * The step from `place` on, which is `start` or the `to` of an earlier step; exactly up to `until`
   * where that was planned before. null when there is nothing more.
   */
  read(place: number, until: number | null, signal: AbortSignal): Promise<Step | null>
}

export interface StepLimits {
  readonly rowsMax: number
  readonly bytesMax: number
}

/** Batches of one step: each is a request to the sink, and all of them are sent again after a crash. */
export const runsMax = 200
