/**
 * How far a task is behind, for whoever looks: while rows wait, the age of the oldest; right after
 * they are done, how old it was then, so that a reader who looks between two rounds of a busy task
 * does not see it idle; 0 once nothing has come for a while.
 */
import type { Clock } from '../connector/context.ts'

/** Longer than the pause between two rounds under load. */
const holdMs = 1000

export class Lag {
  readonly #clock: Clock
  #sinceMs: number | null = null
  #heldMs = 0
  #heldUntilMs = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Rows of `sinceMs` (milliseconds since 1970) wait, perhaps behind older ones. */
  begin(sinceMs: number): void {
    this.#sinceMs = Math.min(sinceMs, this.#sinceMs ?? Infinity)
  }

  /** They are done. */
  end(): void {
    if (this.#sinceMs === null) return
    const nowMs = this.#clock.nowMs()
    this.#heldMs = nowMs - this.#sinceMs
    this.#heldUntilMs = nowMs + holdMs
    this.#sinceMs = null
  }

  /** What comes is not known any more: from now on the task falls behind. */
  lost(): void {
    const lagMs = this.read()
    this.#sinceMs = this.#clock.nowMs() - lagMs
  }

  /** Milliseconds; for `report({ lagMs: … })`. */
  readonly read = (): number => {
    const nowMs = this.#clock.nowMs()
    // The source's clock may be ahead of ours.
    if (this.#sinceMs !== null) return Math.max(0, nowMs - this.#sinceMs)
    return nowMs < this.#heldUntilMs ? Math.max(0, this.#heldMs) : 0
  }
}
