/**
 * Suspicions: what would stop the source is believed only when it was seen again and again. A broker that
 * has just started answers before it knows all topics (before Kafka 3.3, whose controller tells it them one
 * by one), and one that lags behind names the topic of before under a name that was given anew.
 */
export interface SuspicionBounds {
  /** Of seeing it without a break. */
  readonly forMs: number
  readonly times: number
}

export class Suspicions {
  readonly #bounds: SuspicionBounds
  readonly #seen = new Map<string, { readonly sinceMs: number; times: number }>()

  constructor(bounds: SuspicionBounds) {
    this.#bounds = bounds
  }

  /** Whether any is open. */
  get any(): boolean {
    return this.#seen.size > 0
  }

  /** It is seen now; returns whether it is to be believed. */
  see(what: string, nowMs: number): boolean {
    const before = this.#seen.get(what) ?? { sinceMs: nowMs, times: 0 }
    before.times++
    this.#seen.set(what, before)
    return before.times >= this.#bounds.times && nowMs - before.sinceMs >= this.#bounds.forMs
  }

  /** It is not so (any more). */
  clear(what: string): void {
    this.#seen.delete(what)
  }
}
