/**
 * Endpoint: every attempt at one address goes through here, whatever topic it is for. It bounds the
 * requests under way and their rate, pauses when the endpoint asks for it, stops when the endpoint only
 * fails, signs, sends, and says what the outcome means.
 *
 * A sink with one endpoint waits for it: pauses up to `patienceMs` here, longer ones as a transient error
 * with the time it needs, so that the topic shows why it is not moving. Where the row says which endpoint
 * it is for (`many`), nobody waits: what cannot go within moments is told to come later, a request that
 * is not answered soon is left to itself (`#pending`) and its outcome is kept for the next attempt.
 */
import { backoffMs, type Backoff } from '../../core/connector/backoff.ts'
import { CircuitBreaker } from '../../core/connector/circuit-breaker.ts'
import type { Context } from '../../core/connector/context.ts'
import type { Semaphore } from '../../core/connector/semaphore.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Route } from './address-template.ts'
import type { Moment } from './moment.ts'
import type { HttpSender } from './http.ts'
import { outcomeOfAnswer, outcomeOfFailure, type Outcome, type RetryOutcome } from './outcome.ts'
import { SendRate } from './send-rate.ts'
import { SendWindow } from './send-window.ts'
import { signature } from './sign.ts'
import type { Target } from './target.ts'
import { OwnTurns, SharedTurns, type Turns } from './turns.ts'

const patienceMs = 10_000
/** How long an event of many endpoints waits for one of them before it is told to come later. */
const momentMs = 1000
/** Failures in a row, over all events, after which the endpoint is only probed. */
const failuresMax = { one: 10, many: 3 }
/** Outcomes of requests that nobody waited for, kept for each endpoint. */
const pendingMax = 1000
const probing: Backoff = { baseMs: 5000, maxMs: 300_000 }

/** What all endpoints of a sink have in common. */
export interface Outbound {
  readonly target: Target
  readonly http: HttpSender
  readonly ctx: Context
  /** Requests of all endpoints together; null when there is one. */
  readonly slots: Semaphore | null
  /** Requests beside those, that nobody waits for any more. */
  readonly late: Semaphore
  readonly options: EndpointOptions
  readonly moment: Moment
  /** One of many endpoints gets nothing more. */
  readonly onDisabled: (reason: string) => void
}

export interface EndpointOptions {
  /** Requests at a time to one endpoint. */
  readonly inFlightMax: number
  readonly ratePerS: number | null
  readonly reject: ReadonlySet<number>
  /** Waits between throttled attempts when the endpoint does not say how long. */
  readonly backoff: Backoff
  readonly disableAfterMs: number
}

/** One request, before it is signed. */
export interface Message {
  readonly id: string
  /** Ids of its events. */
  readonly events: readonly string[]
  readonly route: Route
  readonly headers: readonly string[]
  readonly body: Buffer
  /** When its event was committed at the source, as ISO 8601. */
  readonly time?: string
}

export type Attempt =
  | {
      readonly kind: 'tried'
      readonly outcome: Outcome
      readonly status: number | null
      readonly atMs: number
      readonly ms: number
    }
  /** Not sent, or not answered yet: to be tried again, at no cost to the event. */
  | {
      readonly kind: 'later'
      readonly dueMs: number
      readonly code: 'sink.webhook.failing' | 'sink.webhook.busy'
      readonly reason: string
    }
  | { readonly kind: 'disabled'; readonly reason: string }

export type Tried = Extract<Attempt, { kind: 'tried' }>

/** A request that was sent. */
interface Sending {
  readonly atMs: number
  readonly ms: number
  /** Of the circuit, when it was. */
  readonly generation: number
}

interface Pending {
  readonly sending: Promise<Tried>
  /** Its request has other events too. */
  readonly shared: boolean
}

export interface Patience {
  /** Ends the wait for a turn. */
  readonly waiting: AbortSignal
  /** Also ends a request that was sent. */
  readonly signal: AbortSignal
  /**
   * hold: wait for the endpoint, however long; an error says so where that is long. moment: do not wait,
   * not even for an answer, since the event can come again. stay: wait for the answer, but no pause.
   */
  readonly mode: 'hold' | 'moment' | 'stay'
}

export class Endpoint {
  readonly name: string
  readonly host: string
  readonly #out: Outbound
  readonly #turns: Turns
  readonly #window: SendWindow
  readonly #rate: SendRate | null
  readonly #breaker: CircuitBreaker
  /** Requests that nobody waits for any more, by the ids of their events. */
  readonly #pending = new Map<string, Pending>()
  #pausedUntilMs = 0
  #pauses = 0
  #lastPauseMs = -Infinity
  #lastFailure = ''
  #failingSinceMs: number | null = null
  #succeeded = false
  #disabled: string | null = null

  constructor({ name, host }: Pick<Route, 'name' | 'host'>, out: Outbound) {
    const { options, ctx } = out
    const nowMs = (): number => ctx.clock.nowMs()
    this.name = name
    this.host = host
    this.#out = out
    this.#window = new SendWindow(options.inFlightMax)
    const { inFlightMax } = options
    this.#turns =
      out.slots === null ? new OwnTurns(inFlightMax) : new SharedTurns(inFlightMax, out.slots)
    this.#rate = options.ratePerS === null ? null : new SendRate(options.ratePerS, nowMs)
    const most = out.slots === null ? failuresMax.one : failuresMax.many
    this.#breaker = new CircuitBreaker({ failuresMax: most, open: probing, nowMs })
  }

  /** Nothing is known of it that a new one would not find out. */
  get isIdle(): boolean {
    return this.#turns.running === 0 && this.#pending.size === 0
  }

  get isDisabled(): boolean {
    return this.#disabled !== null
  }

  /** ms until one more attempt may be made beside `under`; 0 = now. */
  readyMs(under: number): number {
    if (this.#disabled !== null) return 0
    const { ctx } = this.#out
    const pauseMs = Math.max(this.#pausedUntilMs - ctx.clock.nowMs(), this.#breaker.waitMs, 0)
    if (pauseMs > 0) return pauseMs
    const room = this.#breaker.state === 'closed' ? this.#window.size : 1
    if (Math.max(under, this.#turns.running) >= room) return momentMs
    return this.#rate?.waitMs ?? 0
  }

  /** An event waits since then, for an endpoint that has not answered well since. */
  failsSince(ms: number): void {
    if (this.#succeeded) return
    this.#failingSinceMs = Math.min(this.#failingSinceMs ?? ms, ms)
  }

  /** One attempt. Rejects with the signals' reasons, or, of the only endpoint, why the topic has to wait. */
  attempt(message: Message, patience: Patience): Promise<Attempt> {
    const { mode, waiting, signal } = patience
    if (mode === 'moment' || !this.#isClear || waiting.aborted || !this.#turns.tryEnter()) {
      return this.#attemptInTurn(message, patience)
    }
    return this.#try(message, signal, true)
  }

  /** Nothing is in the way of a request but its turn. */
  get #isClear(): boolean {
    return (
      this.#breaker.state === 'closed' &&
      this.#disabled === null &&
      this.#rate === null &&
      this.#pending.size === 0 &&
      (this.#pausedUntilMs === 0 || this.#out.ctx.clock.nowMs() >= this.#pausedUntilMs)
    )
  }

  async #attemptInTurn(message: Message, patience: Patience): Promise<Attempt> {
    const isKnown = this.#pending.size > 0 && message.events.length === 1
    const known = isKnown ? await this.outcomeOf(message.id) : null
    if (known !== null) return known.tried
    if (this.#disabled !== null) return { kind: 'disabled', reason: this.#disabled }
    const { mode } = patience
    const turn = await this.#turns.enter(patience.waiting, mode === 'moment' ? momentMs : null)
    if (turn === false) return this.#later(momentMs)
    const startMs = this.#out.ctx.clock.nowMs()
    let left = false
    try {
      // Who was before may have found out that it is gone.
      if (this.#disabled !== null) return { kind: 'disabled', reason: this.#disabled }
      const isFree =
        startMs >= this.#pausedUntilMs && this.#rate === null && this.#breaker.admit() === 0
      const waitMs = isFree ? 0 : await this.#pass(patience.waiting, mode !== 'hold')
      if (waitMs > 0) return this.#later(waitMs)
      left = mode !== 'moment'
      const sending = this.#try(message, patience.signal, left)
      if (left || !(await this.#out.moment.outlasts(sending))) return await sending
      // Too many go on by themselves already: this one keeps its slot.
      if (!this.#out.late.tryAcquire()) return await sending
      left = true
      this.#leave(message, sending)
      return this.#later(0)
    } finally {
      if (!left) this.#turns.leave(this.#out.ctx.clock.nowMs() - startMs)
    }
  }

  /** What became of an event since its request was left to itself; told once. */
  async outcomeOf(id: string): Promise<{ readonly tried: Tried; readonly shared: boolean } | null> {
    const pending = this.#pending.get(id)
    if (pending === undefined) return null
    this.#pending.delete(id)
    return { tried: await pending.sending, shared: pending.shared }
  }

  /** Nobody waits for the request any more; its outcome is kept for those who come to try again. */
  #leave({ events }: Message, sending: Promise<Tried>): void {
    this.#turns.lend()
    const end = (): void => {
      this.#turns.returned()
      this.#out.late.release()
    }
    sending.then(end, () => {
      end()
      for (const id of events)
        if (this.#pending.get(id)?.sending === sending) this.#pending.delete(id)
    })
    const shared = events.length > 1
    for (const id of events) this.#pending.set(id, { sending, shared })
    for (const id of this.#pending.keys()) {
      if (this.#pending.size <= pendingMax) break
      this.#pending.delete(id)
    }
  }

  #later(ms: number): Attempt {
    const dueMs = this.#out.ctx.clock.nowMs() + ms
    if (this.#failingSinceMs === null || this.#lastFailure === '') {
      const reason = 'has as many requests under way as it takes'
      return { kind: 'later', dueMs, code: 'sink.webhook.busy', reason }
    }
    return { kind: 'later', dueMs, code: 'sink.webhook.failing', reason: this.#lastFailure }
  }

  /** Waits until a request may go. Returns 0, or, of many, how long it would have to wait. */
  async #pass(waiting: AbortSignal, many: boolean): Promise<number> {
    const { clock } = this.#out.ctx
    for (;;) {
      const pauseMs = this.#pausedUntilMs - clock.nowMs()
      if (many && pauseMs > 0) return pauseMs
      if (pauseMs > patienceMs) throw this.#pause('sink.webhook.throttled', pauseMs)
      if (pauseMs > 0) {
        await clock.sleep(pauseMs, waiting)
        continue
      }
      const rateMs = this.#rate?.waitMs ?? 0
      if (many && rateMs > momentMs) return rateMs
      if (rateMs > 0) {
        await clock.sleep(rateMs, waiting)
        continue
      }
      // Last of all: whoever is admitted may be the probe, and must not give up before it was sent.
      const waitMs = this.#breaker.admit()
      if (waitMs > 0) {
        const ms = Number.isFinite(waitMs) ? waitMs : probing.baseMs
        if (many) return ms
        throw this.#pause('sink.webhook.failing', ms)
      }
      this.#rate?.take()
      return 0
    }
  }

  #pause(code: 'sink.webhook.throttled' | 'sink.webhook.failing', waitMs: number): SluiceError {
    const what = `${this.host} ${this.#lastFailure}`
    if (this.#failsTooLong()) {
      return new SluiceError('sink.webhook.disabled', {
        message: `${what}, and has failed since ${timeText(this.#failingSinceMs!)}`,
      })
    }
    return new SluiceError(code, {
      message: `${what}; trying again in ${Math.ceil(waitMs / 1000)} s`,
      retryAfterMs: waitMs,
    })
  }

  /** `leaves`: gives the turn back with the answer. */
  async #try(message: Message, signal: AbortSignal, leaves: boolean): Promise<Tried> {
    const { http, options, ctx, moment } = this.#out
    const { generation } = this.#breaker
    const atMs = ctx.clock.nowMs()
    let ms = 0
    try {
      const headers = this.#headersOf(message, Math.floor(atMs / 1000))
      const answer = await http.post(message.route, headers, message.body, signal)
      const endMs = ctx.clock.nowMs()
      ms = endMs - atMs
      const isAnswer = 'status' in answer
      const outcome = isAnswer
        ? outcomeOfAnswer(answer, options.reject, endMs)
        : outcomeOfFailure(answer)
      // Before its turn is given on: what it says may be that there is none.
      this.#learn(outcome, { atMs, ms, generation })
      moment.seen(ms)
      return { kind: 'tried', outcome, status: isAnswer ? answer.status : null, atMs, ms }
    } catch (thrown) {
      this.#breaker.cancel(generation)
      throw thrown
    } finally {
      if (leaves) this.#turns.leave(ms)
    }
  }

  #headersOf({ id, body, headers }: Message, timestampS: number): string[] {
    const { target } = this.#out
    const all = target.headers.concat(headers)
    all.push('webhook-id', id, 'webhook-timestamp', String(timestampS))
    all.push('webhook-signature', signature(target.keys, id, timestampS, body))
    return all
  }

  #learn(outcome: Outcome, { atMs, ms, generation }: Sending): void {
    const { metrics, name: sink } = this.#out.ctx
    metrics.count('webhook_requests_total', 1, { sink, outcome: outcome.kind })
    metrics.observe('webhook_request_seconds', ms / 1000, { sink })
    if (outcome.kind === 'retry') this.#failed(outcome, atMs, generation)
    else if (outcome.kind === 'stop' && this.#out.slots !== null)
      this.#disable(outcome.error.message)
    else {
      // Also a refusal is an answer: the endpoint is there and does its work.
      this.#breaker.success()
      this.#failingSinceMs = null
      this.#succeeded = true
      this.#pauses = 0
      this.#window.grow()
    }
    this.#turns.capacity = this.#window.size
  }

  #failed(outcome: RetryOutcome, startMs: number, generation: number): void {
    this.#lastFailure = outcome.reason
    this.#failingSinceMs ??= startMs
    this.#breaker.failure(generation)
    if (this.#breaker.generation !== generation) this.#window.collapse()
    // One event that it never takes says nothing of the endpoint, however long it has waited.
    const isDown = this.#breaker.state !== 'closed'
    if (isDown && this.#out.slots !== null && this.#failsTooLong()) {
      this.#disable(`${this.#lastFailure}, and has failed since ${timeText(this.#failingSinceMs)}`)
    }
    // Requests that were under way when the endpoint asked for a pause say nothing new.
    if (!outcome.throttle || startMs < this.#lastPauseMs) return
    this.#pauses++
    const { options, ctx } = this.#out
    const pauseMs = outcome.retryAfterMs ?? backoffMs(this.#pauses, options.backoff, ctx.random)
    this.#lastPauseMs = ctx.clock.nowMs()
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#lastPauseMs + pauseMs)
    this.#window.halve()
  }

  #failsTooLong(): boolean {
    const sinceMs = this.#failingSinceMs
    const { options, ctx } = this.#out
    return sinceMs !== null && ctx.clock.nowMs() - sinceMs > options.disableAfterMs
  }

  /** One of many is given up until the next start; the log of deliveries says which. */
  #disable(reason: string): void {
    if (this.#disabled !== null) return
    this.#disabled = reason
    this.#out.onDisabled(reason)
  }
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
