/**
 * Whose request is next, and how many there are at a time. `OwnTurns`: of the only endpoint of a sink.
 * `SharedTurns`: of one of many, which share the sink's slots: an endpoint that has as many requests as
 * it may have holds no slot for those that wait, and gives its own on to them as they end, so that slots
 * are neither idle nor kept from the others.
 */
import { Semaphore } from '../../core/connector/semaphore.ts'

export interface Turns {
  /** Requests under way, those included that nobody waits for. */
  readonly running: number
  /** How many there may be. */
  capacity: number
  /** Takes a turn that is free now; false when none is, or others wait for one. */
  tryEnter(): boolean
  /** Waits for a turn; false when that would take longer than `patienceMs`. Rejects with the signal's reason. */
  enter(signal: AbortSignal, patienceMs: number | null): Promise<boolean | void>
  /** A request is over. */
  leave(ms: number): void
  /** A request goes on while nobody waits for it: others may use the sink's slot, not the endpoint's. */
  lend(): void
  /** A request that nobody waited for is over. */
  returned(): void
}

export class OwnTurns implements Turns {
  readonly #slots: Semaphore

  constructor(max: number) {
    this.#slots = new Semaphore(max)
  }

  get running(): number {
    return this.#slots.held
  }
  get capacity(): number {
    return this.#slots.slots
  }
  set capacity(capacity: number) {
    this.#slots.slots = capacity
  }

  tryEnter(): boolean {
    return this.#slots.tryAcquire()
  }

  enter(signal: AbortSignal): Promise<void> {
    return this.#slots.acquire(signal)
  }

  leave(): void {
    this.#slots.release()
  }

  lend(): void {
    // There is nobody else to lend it to.
  }

  returned(): void {
    this.#slots.release()
  }
}

interface Waiter {
  readonly go: (entered: boolean) => void
  readonly signal: AbortSignal
}

/** Weight of the newest request in the average. */
const newest = 0.2

export class SharedTurns implements Turns {
  readonly #slots: Semaphore
  readonly #waiting = new Set<Waiter>()
  #capacity: number
  #running = 0
  #lent = 0
  /** How long requests take, on the average. */
  #averageMs = 0

  constructor(max: number, slots: Semaphore) {
    this.#capacity = max
    this.#slots = slots
  }

  get running(): number {
    return this.#running
  }
  get capacity(): number {
    return this.#capacity
  }
  set capacity(capacity: number) {
    this.#capacity = capacity
  }

  tryEnter(): boolean {
    if (this.#running >= this.#capacity || !this.#slots.tryAcquire()) return false
    this.#running++
    return true
  }

  async enter(signal: AbortSignal, patienceMs: number | null): Promise<boolean> {
    await this.#slots.acquire(signal)
    if (this.#running < this.#capacity) {
      this.#running++
      return true
    }
    this.#slots.release()
    if (patienceMs !== null && this.#waitMs > patienceMs) return false
    return this.#wait(signal)
  }

  leave(ms: number): void {
    this.#averageMs += newest * (ms - this.#averageMs)
    this.#running--
    if (!this.#passOn()) this.#slots.release()
  }

  lend(): void {
    this.#lent++
    this.#slots.release()
    // Those behind it would only find out the same.
    for (const waiter of this.#waiting) waiter.go(false)
    this.#waiting.clear()
  }

  returned(): void {
    this.#lent--
    this.#running--
    // It held no slot that it could give on.
    for (const waiter of this.#waiting) waiter.go(false)
    this.#waiting.clear()
  }

  /** How long one that comes now would wait. */
  get #waitMs(): number {
    if (this.#lent > 0) return Infinity
    return (this.#waiting.size / Math.max(1, this.#capacity)) * this.#averageMs
  }

  /** Gives turn and slot to the one who waits longest; false when nobody does, or nobody may go. */
  #passOn(): boolean {
    if (this.#running >= this.#capacity) return false
    const [next] = this.#waiting
    if (next === undefined) return false
    this.#waiting.delete(next)
    this.#running++
    next.go(true)
    return true
  }

  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const stop = (): void => {
        this.#waiting.delete(waiter)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = {
        signal,
        go: (entered) => {
          signal.removeEventListener('abort', stop)
          resolve(entered)
        },
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.add(waiter)
    })
  }
}
