import { ceilingMs, type Backoff } from './backoff.ts'

/**
 * CircuitBreaker: stops sending to an endpoint that only fails, and finds out when it is back.
 *
 *   closed     everything goes; `failuresMax` failures in a row open it
 *   open       nothing goes for a while that doubles each time it is opened again
 *   half-open  the while is over: one attempt goes as a probe and decides
 *
 * It holds no timer: the caller asks with `admit` before each attempt and tells the outcome of every
 * attempt that was admitted. The clock is the caller's, so that a simulation can own it.
 */
export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failuresMax: number
  /** How long it stays open: `baseMs` the first time, doubled at each failed probe, up to `maxMs`. */
  readonly open: Backoff
  readonly nowMs: () => number
}

export type CircuitState = 'closed' | 'open' | 'half-open'

export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions
  #failures = 0
  /** Times it was opened since it was last closed; 0 = closed. */
  #openings = 0
  #openUntilMs = 0
  #probing = false
  #generation = 0

  constructor(options: CircuitBreakerOptions) {
    this.#options = options
  }

  get state(): CircuitState {
    if (this.#openings === 0) return 'closed'
    return this.#options.nowMs() < this.#openUntilMs ? 'open' : 'half-open'
  }

  /** Counts the openings, for ever. */
  get generation(): number {
    return this.#generation
  }

  /** Milliseconds until a probe may go; 0 when closed, or when one may go or is under way. */
  get waitMs(): number {
    return this.#openings === 0 ? 0 : Math.max(0, this.#openUntilMs - this.#options.nowMs())
  }

  /**
   * 0: go, and report the outcome. More: do not go, ask again in so many milliseconds; `Infinity`
   * while a probe is under way, whose outcome decides.
   */
  admit(): number {
    if (this.#openings === 0) return 0
    if (this.#probing) return Infinity
    const waitMs = this.#openUntilMs - this.#options.nowMs()
    if (waitMs > 0) return waitMs
    this.#probing = true
    return 0
  }

  /** The endpoint did its work. */
  success(): void {
    this.#failures = 0
    this.#openings = 0
    this.#probing = false
  }

  /**
   * The attempt failed in a way that speaks against the endpoint. `generation` is what it was when
   * the attempt was admitted: one that was under way when the circuit opened says nothing new, and
   * must not be taken for the probe's failure.
   */
  failure(generation: number): void {
    if (generation !== this.#generation) return
    if (this.#probing) return this.#open()
    this.#failures++
    if (this.#failures >= this.#options.failuresMax) this.#open()
  }

  /** The attempt was given up and says nothing about the endpoint: another may be the probe. */
  cancel(generation: number): void {
    if (generation === this.#generation) this.#probing = false
  }

  #open(): void {
    this.#probing = false
    this.#generation++
    this.#openings++
    this.#openUntilMs = this.#options.nowMs() + ceilingMs(this.#openings, this.#options.open)
  }
}
