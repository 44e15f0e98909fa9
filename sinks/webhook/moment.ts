/**
 * Moment: how long an answer is waited for that others could come before. Ten times what answers of all
 * endpoints take on the average, so that an endpoint far off is not taken for one that stalls, and one
 * that stalls among near ones holds a slot no longer than ten of them would.
 */
const leastMs = 100
const mostMs = 2000
/** Weight of the newest answer. */
const newest = 0.02

export class Moment {
  #averageMs = 50

  /** An answer took so long. */
  seen(ms: number): void {
    // One that stalled says nothing of the others.
    this.#averageMs += newest * (Math.min(ms, this.ms) - this.#averageMs)
  }

  get ms(): number {
    return Math.min(mostMs, Math.max(leastMs, 10 * this.#averageMs))
  }
}
