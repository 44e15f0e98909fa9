/**
 * SendWindow: how many requests may be under way at a time, as TCP finds it out (RFC 5681 §3.1): one
 * more for each success up to the size that was last too much for the endpoint, from there on one more
 * for each window of successes; half as many when the endpoint says it has too many.
 */
export class SendWindow {
  readonly #max: number
  #size: number
  #calm: number

  constructor(max: number) {
    this.#max = max
    this.#size = max
    this.#calm = max
  }

  /** Whole requests, from 1 to the maximum. */
  get size(): number {
    return Math.floor(this.#size)
  }

  grow(): void {
    const step = this.#size < this.#calm ? 1 : 1 / this.#size
    this.#size = Math.min(this.#max, this.#size + step)
  }

  /** The endpoint is overloaded. */
  halve(): void {
    this.#calm = Math.max(1, this.#size / 2)
    this.#size = this.#calm
  }

  /** The endpoint is down: one probe at a time. */
  collapse(): void {
    this.#calm = Math.max(1, this.#size / 2)
    this.#size = 1
  }
}
