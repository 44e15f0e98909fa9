/**
 * Requests a second that a topic takes: a bucket that fills at the rate and holds one second of it, so that
 * a short burst goes through.
 */
export class RateLimit {
  readonly #perMs: number
  readonly #tokensMax: number
  #tokens: number
  #atMs = 0

  constructor(perSecond: number) {
    this.#perMs = perSecond / 1000
    this.#tokensMax = Math.max(1, perSecond)
    this.#tokens = this.#tokensMax
  }

  /** 0: go on. Otherwise the seconds after which a request may come again. */
  take(nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#atMs)
    this.#atMs = nowMs
    this.#tokens = Math.min(this.#tokensMax, this.#tokens + passedMs * this.#perMs)
    if (this.#tokens >= 1) {
      this.#tokens--
      return 0
    }
    return Math.max(1, Math.ceil((1 - this.#tokens) / this.#perMs / 1000))
  }
}
