/**
 * Endpoint: every attempt of one sink goes through here, whatever topic it is for. It bounds the
 * requests under way, pauses when the endpoint asks for it, stops when the endpoint only fails, signs,
 * sends, and says what the outcome means.
 *
 * Pauses up to `patienceMs` are waited for; a longer one is thrown as a transient error with the time
 * it needs, so that the topic shows why it is not moving.
 */
import { backoffMs, type Backoff } from '../../core/connector/backoff.ts'
import { CircuitBreaker } from '../../core/connector/circuit-breaker.ts'
import type { Context } from '../../core/connector/context.ts'
import { Semaphore } from '../../core/connector/semaphore.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { NoAnswer, type HttpSender } from './http.ts'
import { outcomeOfAnswer, outcomeOfFailure, type Outcome, type RetryOutcome } from './outcome.ts'
import { SendWindow } from './send-window.ts'
import { signature } from './sign.ts'
import type { Target } from './target.ts'

const patienceMs = 10_000
/** Failures in a row, over all events, after which the endpoint is only probed. */
const failuresMax = 10
const probing: Backoff = { baseMs: 5000, maxMs: 300_000 }

export interface EndpointOptions {
  readonly inFlightMax: number
  readonly reject: ReadonlySet<number>
  /** Waits between throttled attempts when the endpoint does not say how long. */
  readonly backoff: Backoff
}

export class Endpoint {
  readonly #target: Target
  readonly #http: HttpSender
  readonly #options: EndpointOptions
  readonly #ctx: Context
  readonly #slots: Semaphore
  readonly #window: SendWindow
  readonly #breaker: CircuitBreaker
  #pausedUntilMs = 0
  #pauses = 0
  #lastPauseMs = -Infinity
  #lastFailure = ''

  constructor(target: Target, http: HttpSender, options: EndpointOptions, ctx: Context) {
    this.#target = target
    this.#http = http
    this.#options = options
    this.#ctx = ctx
    this.#window = new SendWindow(options.inFlightMax)
    this.#slots = new Semaphore(options.inFlightMax)
    this.#breaker = new CircuitBreaker({
      failuresMax,
      open: probing,
      nowMs: () => ctx.clock.nowMs(),
    })
  }

  get host(): string {
    return this.#target.host
  }

  /**
   * One attempt. `waiting` ends the wait for a turn; `signal` also ends a request that was sent.
   * Throws their reasons, or a transient SluiceError when the endpoint needs a longer pause.
   */
  async attempt(
    id: string,
    body: Buffer,
    waiting: AbortSignal,
    signal: AbortSignal,
  ): Promise<Outcome> {
    await this.#slots.acquire(waiting)
    try {
      await this.#pass(waiting)
      const { generation } = this.#breaker
      const startMs = this.#ctx.clock.nowMs()
      try {
        const outcome = await this.#send(id, body, startMs, signal)
        this.#learn(outcome, startMs, generation)
        return outcome
      } catch (thrown) {
        this.#breaker.cancel(generation)
        throw thrown
      }
    } finally {
      this.#slots.release()
    }
  }

  async #pass(waiting: AbortSignal): Promise<void> {
    for (;;) {
      const pauseMs = this.#pausedUntilMs - this.#ctx.clock.nowMs()
      if (pauseMs > patienceMs) throw this.#pause('sink.webhook.throttled', pauseMs)
      if (pauseMs > 0) {
        await this.#ctx.clock.sleep(pauseMs, waiting)
        continue
      }
      const waitMs = this.#breaker.admit()
      if (waitMs === 0) return
      throw this.#pause('sink.webhook.failing', Number.isFinite(waitMs) ? waitMs : probing.baseMs)
    }
  }

  #pause(code: 'sink.webhook.throttled' | 'sink.webhook.failing', waitMs: number): SluiceError {
    return new SluiceError(code, {
      message: `${this.#target.host} ${this.#lastFailure}; trying again in ${Math.ceil(waitMs / 1000)} s`,
      retryAfterMs: waitMs,
    })
  }

  async #send(id: string, body: Buffer, nowMs: number, signal: AbortSignal): Promise<Outcome> {
    const timestampS = Math.floor(nowMs / 1000)
    const headers = [
      ...this.#target.headers,
      'webhook-id',
      id,
      'webhook-timestamp',
      String(timestampS),
      'webhook-signature',
      signature(this.#target.keys, id, timestampS, body),
    ]
    try {
      const answer = await this.#http.post(headers, body, signal)
      return outcomeOfAnswer(answer, this.#options.reject, this.#ctx.clock.nowMs())
    } catch (thrown) {
      if (thrown instanceof NoAnswer) return outcomeOfFailure(thrown.failure)
      throw thrown
    }
  }

  #learn(outcome: Outcome, startMs: number, generation: number): void {
    const { metrics } = this.#ctx
    metrics.count('webhook_requests_total', 1, { sink: this.#ctx.name, outcome: outcome.kind })
    metrics.observe('webhook_request_seconds', (this.#ctx.clock.nowMs() - startMs) / 1000, {
      sink: this.#ctx.name,
    })
    if (outcome.kind === 'retry') this.#failed(outcome, startMs, generation)
    else {
      // Also a refusal is an answer: the endpoint is there and does its work.
      this.#breaker.success()
      this.#pauses = 0
      this.#window.grow()
    }
    this.#slots.slots = this.#window.size
  }

  #failed(outcome: RetryOutcome, startMs: number, generation: number): void {
    this.#lastFailure = outcome.reason
    this.#breaker.failure(generation)
    if (this.#breaker.generation !== generation) this.#window.collapse()
    // Requests that were under way when the endpoint asked for a pause say nothing new.
    if (!outcome.throttle || startMs < this.#lastPauseMs) return
    this.#pauses++
    const { backoff } = this.#options
    const pauseMs = outcome.retryAfterMs ?? backoffMs(this.#pauses, backoff, this.#ctx.random)
    this.#lastPauseMs = this.#ctx.clock.nowMs()
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#lastPauseMs + pauseMs)
    this.#window.halve()
  }
}
