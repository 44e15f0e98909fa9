/**
 * SendRate: at most so many requests a second, evenly, after a burst of as many as one second has; the
 * generic cell rate algorithm (ITU-T I.371, annex A), which is a bucket of tokens kept as one time.
 */
export class SendRate {
  readonly #spacingMs: number
  readonly #burstMs: number
  readonly #nowMs: () => number
  /** When the next request would be due at the steady rate. */
  #nextMs = -Infinity

  constructor(perSecond: number, nowMs: () => number) {
    this.#spacingMs = 1000 / perSecond
    // A rate below one a second has no burst to speak of.
    this.#burstMs = Math.max(0, 1000 - this.#spacingMs)
    this.#nowMs = nowMs
  }

  /** ms until one more may go; 0 = now. */
  get waitMs(): number {
    return Math.max(0, Math.ceil(this.#nextMs - this.#burstMs - this.#nowMs()))
  }

  /** One goes now. */
  take(): void {
    this.#nextMs = Math.max(this.#nextMs, this.#nowMs()) + this.#spacingMs
  }
}
