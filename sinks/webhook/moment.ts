/**
 * Moment: how long an answer is waited for that others could come before. Ten times what answers of all
 * endpoints take on the average, so that an endpoint far off is not taken for one that stalls, and one
 * that stalls among near ones holds a slot no longer than ten of them would.
 */
const leastMs = 50
const mostMs = 2000
/** Weight of the newest answer. */
const newest = 0.02

export class Moment {
  #averageMs = 50

  /** An answer took so long. */
  seen(ms: number): void {
    // One that stalled says nothing of the others.
    this.#averageMs += newest * (Math.min(ms, this.#ms) - this.#averageMs)
  }

  get #ms(): number {
    return Math.min(mostMs, Math.max(leastMs, 10 * this.#averageMs))
  }

  /**
   * Whether it is not over by then. Real time: it is about a request that is really under way. Where this
   * process was what was slow, answers that are here already are read before anything is said.
   */
  async outlasts(work: Promise<unknown>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => setImmediate(resolve, true), this.#ms)
    })
    const over = (): boolean => false
    try {
      return await Promise.race([work.then(over, over), late])
    } finally {
      clearTimeout(timer)
    }
  }
}
