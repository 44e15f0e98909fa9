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
  readonly #waiting = new Set<Waiter>()
  /**
   * The waiters of each signal. One listener a signal: hundreds of waiters share one, and adding and
   * removing a listener costs more than everything else here.
   */
  readonly #bySignal = new Map<AbortSignal, SignalWaiters>()

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
      if (this.tryAcquire()) return resolve()
      const waiter: Waiter = { signal, resolve, reject }
      this.#waiting.add(waiter)
      this.#listen(signal).waiters.add(waiter)
    })
  }

  /** Takes a slot that is free now, and that nobody waits for. */
  tryAcquire(): boolean {
    if (this.#held >= this.#slots || this.#waiting.size > 0) return false
    this.#held++
    return true
  }

  release(): void {
    if (this.#held === 0) throw new RangeError('released a slot that nobody holds')
    this.#held--
    this.#wake()
  }

  #wake(): void {
    for (const waiter of this.#waiting) {
      if (this.#held >= this.#slots) return
      this.#waiting.delete(waiter)
      this.#forget(waiter)
      this.#held++
      waiter.resolve()
    }
  }

  #listen(signal: AbortSignal): SignalWaiters {
    let entry = this.#bySignal.get(signal)
    if (entry === undefined) {
      entry = { waiters: new Set(), stop: () => this.#abort(signal) }
      this.#bySignal.set(signal, entry)
      signal.addEventListener('abort', entry.stop, { once: true })
    }
    return entry
  }

  #forget(waiter: Waiter): void {
    const { signal } = waiter
    const entry = this.#bySignal.get(signal)
    if (entry === undefined) return
    entry.waiters.delete(waiter)
    if (entry.waiters.size > 0) return
    this.#bySignal.delete(signal)
    signal.removeEventListener('abort', entry.stop)
  }

  #abort(signal: AbortSignal): void {
    const waiters = this.#bySignal.get(signal)?.waiters ?? []
    this.#bySignal.delete(signal)
    for (const waiter of waiters) {
      this.#waiting.delete(waiter)
      waiter.reject(signal.reason as Error)
    }
  }
}

interface Waiter {
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (reason: Error) => void
}

interface SignalWaiters {
  readonly waiters: Set<Waiter>
  readonly stop: () => void
}
