/**
 * Semaphore: at most `slots` holders at a time; the others wait in the order they came. `slots` may
 * change while it is in use: a smaller number takes effect as slots are given back.
 *
 *   await semaphore.acquire(signal)
 *   try { … } finally { semaphore.release() }
 */
export class Semaphore {
  #slots: number
  #held = 0
  /** A Set keeps the order of arrival and forgets an aborted waiter in constant time. */
  readonly #waiting = new Set<() => void>()

  constructor(slots: number) {
    this.#slots = slots
  }

  get slots(): number {
    return this.#slots
  }
  set slots(slots: number) {
    this.#slots = slots
    this.#wake()
  }
  get held(): number {
    return this.#held
  }

  /** Waits for a slot; rejects with the signal's reason when it is aborted first, and then holds nothing. */
  acquire(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      if (this.#held < this.#slots && this.#waiting.size === 0) {
        this.#held++
        return resolve()
      }
      const go = (): void => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const stop = (): void => {
        this.#waiting.delete(go)
        reject(signal.reason as Error)
      }
      this.#waiting.add(go)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  release(): void {
    if (this.#held === 0) throw new RangeError('released a slot that nobody holds')
    this.#held--
    this.#wake()
  }

  #wake(): void {
    for (const go of this.#waiting) {
      if (this.#held >= this.#slots) return
      this.#waiting.delete(go)
      this.#held++
      go()
    }
  }
}
