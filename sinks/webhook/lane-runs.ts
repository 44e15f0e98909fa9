/**
 * LaneRuns: the lanes of one batch, each run to its end; the first error halts the others and is thrown
 * when all have ended.
 *
 * Where all go to one endpoint, only as many are begun as it takes requests: the others would only wait
 * there with their bodies written, and hundreds of them that wait cost more, in the garbage collector,
 * than everything else. One that waits for more than its turn frees its place for the next.
 * Where rows say which endpoint they are for, none may wait for another's: all are begun, a few at a
 * time, so that the first requests go out before the last bodies are written, and the writing does not
 * keep the event loop from everything else.
 */
export interface RunLimits {
  /** Lanes that are under way and have not freed their place, or begun in one turn of the event loop. */
  readonly lanesMax: number
  /** Which of the two. */
  readonly bounded: boolean
}

export class LaneRuns {
  readonly #signal: AbortSignal
  readonly #limits: RunLimits
  // Not AbortSignal.any: the caller's lives as long as the task, and would remember every batch.
  readonly #halt = new AbortController()

  constructor(signal: AbortSignal, limits: RunLimits) {
    this.#signal = signal
    this.#limits = limits
  }

  /** Ends what the lanes wait for: the caller's signal, or the first error. */
  get halted(): AbortSignal {
    return this.#halt.signal
  }

  /** `begin` runs the lane of an index, and has `free` called once: at its end, or from when it only waits. */
  async all(
    count: number,
    begin: (index: number, free: () => void) => Promise<void>,
  ): Promise<void> {
    const signal = this.#signal
    signal.throwIfAborted()
    const stop = (): void => this.#halt.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    await this.#run(count, begin)
    signal.removeEventListener('abort', stop)
    this.halted.throwIfAborted()
  }

  #run(count: number, begin: (index: number, free: () => void) => Promise<void>): Promise<void> {
    const { lanesMax, bounded } = this.#limits
    const { halted } = this
    let begun = 0
    let ended = 0
    /** Places that are taken. */
    let taken = 0
    let isBeginning = false
    return new Promise((resolve) => {
      const more = (): void => {
        isBeginning = true
        while (begun < count && taken < lanesMax && !halted.aborted) {
          taken++
          begin(begun++, free).then(over, failed)
        }
        isBeginning = false
        if (ended === begun && (begun === count || halted.aborted)) resolve()
        else if (!bounded && begun < count && !halted.aborted) setImmediate(nextTurn)
      }
      const nextTurn = (): void => {
        taken = 0
        more()
      }
      const free = (): void => {
        if (!bounded) return
        taken--
        if (!isBeginning && begun < count) more()
      }
      const over = (): void => {
        ended++
        if (ended === begun && (begun === count || halted.aborted)) resolve()
      }
      const failed = (thrown: unknown): void => {
        this.#halt.abort(thrown)
        over()
      }
      more()
    })
  }
}
