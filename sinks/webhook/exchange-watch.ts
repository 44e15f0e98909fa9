/**
 * ExchangeWatch: gives up the requests under way whose time is over, or whose caller wants no more. One
 * timer for all of them, and one listener a signal: a timer and a listener of its own for each request
 * cost as much as reading its answer does.
 */
import { deadlineCode } from './outcome.ts'

export interface Watched {
  /** When it began, as `performance.now()` tells it. */
  readonly startMs: number
  /** Is called once, with why. */
  giveUp(reason: Error): void
}

class Deadline extends Error {
  readonly code = deadlineCode
}

export class ExchangeWatch implements Disposable {
  readonly #timeoutMs: number
  /** Of the signals that have requests under way. */
  readonly #groups = new Map<AbortSignal, WatchGroup>()
  readonly #over = (group: WatchGroup): void => void this.#groups.delete(group.signal)
  /** null: there was nothing under way when it rang last. */
  #timer: NodeJS.Timeout | null = null

  /** `timeoutMs`: how long a request may be under way. Real time: it is about real requests. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Where a request of this signal is to be added, at once. */
  of(signal: AbortSignal): WatchGroup {
    if (this.#timer === null) this.#wait(this.#timeoutMs)
    const known = this.#groups.get(signal)
    if (known !== undefined) return known
    const group = new WatchGroup(signal, this.#over)
    this.#groups.set(signal, group)
    return group
  }

  /** A request that is under way keeps the process by its socket. */
  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#sweep(), ms).unref()
  }

  #sweep(): void {
    this.#timer = null
    const oldestMs = performance.now() - this.#timeoutMs
    let nextMs = Infinity
    for (const group of this.#groups.values()) nextMs = Math.min(nextMs, group.expire(oldestMs))
    if (nextMs < Infinity) this.#wait(Math.max(1, Math.ceil(nextMs - oldestMs)))
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
  }
}

/** Requests that one signal ends. */
export class WatchGroup {
  readonly signal: AbortSignal
  readonly #over: (group: WatchGroup) => void
  /** Oldest first. */
  readonly #all = new Set<Watched>()
  readonly #stop = (): void => {
    for (const watched of this.#all) watched.giveUp(this.signal.reason as Error)
  }

  /** `over` hears when the last of its requests is. */
  constructor(signal: AbortSignal, over: (group: WatchGroup) => void) {
    this.signal = signal
    this.#over = over
    signal.addEventListener('abort', this.#stop, { once: true })
  }

  add(watched: Watched): void {
    this.#all.add(watched)
  }

  delete(watched: Watched): void {
    this.#all.delete(watched)
    if (this.#all.size > 0) return
    this.signal.removeEventListener('abort', this.#stop)
    this.#over(this)
  }

  /** Gives up those that began by then; returns when the oldest of the others did, Infinity without any. */
  expire(ms: number): number {
    for (const watched of this.#all) {
      if (watched.startMs > ms) return watched.startMs
      watched.giveUp(new Deadline())
    }
    return Infinity
  }
}
