/**
 * LaneRun: the events of one lane of one batch, one after the other, each until it is over: taken,
 * refused, out of attempts, or set aside to wait.
 *
 * An event whose next attempt is moments away is waited for here. One that would wait longer is set
 * aside (core/connector/waiting.ts), and with it what comes after it in its lane, so that it holds up
 * neither other keys nor the cursor; but not in a lane that all events share, where that would be all of them.
 */
import { backoffMs, type Backoff } from '../../core/connector/backoff.ts'
import type { Context } from '../../core/connector/context.ts'
import type { SinkBatch } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Code } from '../../core/errors/codes.ts'
import type { Delivery } from './delivery.ts'
import type { Attempt, Endpoint, Message, Patience } from './endpoint.ts'
import type { Endpoints } from './endpoints.ts'
import type { ChangeEvent, Lane } from './events.ts'
import type { Gatherer } from './gatherer.ts'
import type { RetryOutcome } from './outcome.ts'
import { Unfillable } from './template.ts'

/** Waits up to this are waited for in the batch. */
const momentMs = 250

export interface LaneOptions {
  readonly attemptsMax: number
  readonly backoff: Backoff
  /** Waits after each attempt, in place of the backoff. */
  readonly schedule: readonly number[] | null
  readonly log: 'all' | 'failures' | 'off'
}

export interface LaneParts {
  readonly endpoints: Endpoints
  readonly gatherer: Gatherer | null
  readonly options: LaneOptions
  readonly ctx: Context
  /** Whether rows say which endpoint they are for. */
  readonly many: boolean
}

/** The batch that a lane is of. */
export interface Round {
  readonly batch: Pick<SinkBatch, 'topic' | 'offset' | 'waiting' | 'waited'>
  readonly delivery: Delivery
  readonly messageOf: (event: ChangeEvent) => Message
  /** Ends waits: the caller's signal, or the first lane that finds that the batch cannot go on. */
  readonly waiting: AbortSignal
  /** Ends requests too: the caller's signal alone. */
  readonly signal: AbortSignal
  /** A key is over, so that a later batch's events of it may go; null where nobody waits for it. */
  readonly leave: ((key: string) => void) | null
}

interface Sent {
  readonly event: ChangeEvent
  readonly message: Message
  readonly endpoint: Endpoint
}

interface Wait {
  readonly dueMs: number
  readonly code: Code
  readonly message: string
  readonly group: string
  /** Whether the event is set aside meanwhile, or only where that is long. */
  readonly aside: 'always' | 'long' | 'never'
}

export class LaneRun {
  readonly #parts: LaneParts
  readonly #round: Round
  readonly #lane: Lane
  readonly #mayWait: boolean
  readonly #patience: Patience
  #free: (() => void) | null

  /** `free`, where it holds a place, is called once: when it is over, or waits for more than its turn. */
  constructor(parts: LaneParts, lane: Lane, round: Round, free: (() => void) | null) {
    const { batch, waiting, signal } = round
    this.#free = free
    this.#parts = parts
    this.#round = round
    this.#lane = lane
    this.#mayWait =
      batch.waiting !== undefined &&
      lane.key !== '' &&
      lane.events.every(({ row, previous }) => previous < 0 || previous === row - 1)
    const live = batch.waited === undefined
    const mode = !parts.many || !this.#mayWait ? 'hold' : live ? 'moment' : 'stay'
    this.#patience = { waiting, signal, mode }
  }

  /** Throws when the batch cannot go on. */
  async run(): Promise<void> {
    const { batch, leave } = this.#round
    const { key, events } = this.#lane
    const held = batch.waited === undefined && key !== null && batch.waiting?.has(key) === true
    let index = held ? this.#behind(0) : 0
    for (; index < events.length; index++) {
      const sent = this.#sentOf(events[index]!)
      if (sent === null) continue
      const pause = this.#after(await this.#attempt(sent), sent, 1)
      const wait = pause === null ? null : await this.#again(pause, sent)
      if (wait === null) continue
      this.#setAside(sent.event, wait)
      index = this.#behind(index + 1)
    }
    if (key !== null) leave?.(key)
    this.#giveUpPlace()
  }

  #giveUpPlace(): void {
    const free = this.#free
    this.#free = null
    free?.()
  }

  /** null: the event is over. */
  #sentOf(event: ChangeEvent): Sent | null {
    const { batch, delivery } = this.#round
    if (delivery.isSettled(event.row)) return null
    const message = this.#messageOf(event)
    if (message === null) return null
    const endpoint = this.#parts.endpoints.of(message.route)
    if (batch.waited !== undefined) endpoint.failsSince(batch.waited.firstMs)
    return { event, message, endpoint }
  }

  #messageOf(event: ChangeEvent): Message | null {
    const { delivery, messageOf } = this.#round
    const { row, previous } = event
    try {
      return messageOf(event)
    } catch (thrown) {
      if (thrown instanceof Unfillable) {
        const { message } = thrown
        delivery.rejected({ row, code: 'sink.webhook.unfillable', message }, previous)
        return null
      }
      if (!(thrown instanceof TypeError)) throw thrown
      const message = 'a text of the row is not valid UTF-8'
      delivery.rejected({ row, code: 'sink.webhook.not_text', message }, previous)
      return null
    }
  }

  #attempt({ endpoint, message }: Sent): Promise<Attempt> {
    const { gatherer } = this.#parts
    return gatherer === null
      ? endpoint.attempt(message, this.#patience)
      : gatherer.attempt(endpoint, message, this.#patience)
  }

  /** Further attempts until the event is over, or has to be set aside: then returns until when. */
  async #again(pause: Wait, sent: Sent): Promise<Wait | null> {
    const { clock } = this.#parts.ctx
    let wait: Wait | null = pause
    for (let tries = 2; wait !== null; tries++) {
      const ms = wait.dueMs - clock.nowMs()
      if (wait.aside === 'always' || (wait.aside === 'long' && ms > momentMs)) return wait
      this.#giveUpPlace()
      await clock.sleep(Math.max(0, ms), this.#round.waiting)
      wait = this.#after(await this.#attempt(sent), sent, tries)
    }
    return null
  }

  /** What an attempt says of its event: until when it waits, or null when it is over. */
  #after(attempt: Attempt, sent: Sent, tries: number): Wait | null {
    if (attempt.kind === 'tried') return this.#tried(attempt, sent, tries)
    const { event, endpoint } = sent
    if (attempt.kind === 'later') return this.#later(attempt, endpoint)
    const { row, previous } = event
    const message = `${endpoint.host} gets nothing more: ${attempt.reason}`
    this.#round.delivery.rejected({ row, code: 'sink.webhook.disabled', message }, previous)
    return null
  }

  #later(attempt: Extract<Attempt, { kind: 'later' }>, { host, name }: Endpoint): Wait {
    const message = `${host} ${attempt.reason}`
    const aside = this.#mayWait ? 'always' : 'never'
    return { dueMs: attempt.dueMs, code: attempt.code, message, group: name, aside }
  }

  /** What came of the attempt; until when the event waits, or null when it is over. */
  #tried(attempt: Extract<Attempt, { kind: 'tried' }>, sent: Sent, tries: number): Wait | null {
    const { event, endpoint } = sent
    const { row, previous } = event
    const { delivery, batch } = this.#round
    const { attemptsMax } = this.#parts.options
    const { outcome } = attempt
    const before = batch.waited?.attempts ?? 0
    const counted = outcome.kind !== 'retry' || outcome.charged
    const charged = before + delivery.attempted(row, counted)
    this.#log(attempt, sent, charged)
    const { host } = endpoint
    switch (outcome.kind) {
      case 'delivered':
        delivery.delivered(row)
        return null
      case 'rejected': {
        const message = `${host} ${outcome.reason}`
        delivery.rejected({ row, code: 'sink.webhook.rejected', message }, previous)
        return null
      }
      case 'stop': {
        // Of many endpoints one that is gone must not stop the others.
        if (!this.#parts.many) throw outcome.error
        const { code, message } = outcome.error
        delivery.rejected({ row, code, message: `${host}: ${message}` }, previous)
        return null
      }
      case 'retry':
        if (charged < attemptsMax) return this.#pause(outcome, sent, tries, charged)
        break
    }
    const all = before + delivery.attempts(row)
    const message = `${host} ${outcome.reason}, the last of ${all} attempts`
    delivery.rejected({ row, code: 'sink.webhook.exhausted', message }, previous)
    return null
  }

  #pause(outcome: RetryOutcome, { endpoint }: Sent, tries: number, charged: number): Wait {
    const { options, ctx, many } = this.#parts
    const { attemptsMax, backoff, schedule } = options
    const { host, name } = endpoint
    const { code, retryAfterMs } = outcome
    const message = `${host} ${outcome.reason}`
    // Attempts that are not charged have no end of their own; the caller's wait gives them one.
    const endless = tries >= attemptsMax && !(many && this.#mayWait)
    // The only endpoint is down: that is not the event's, and the topic says so.
    if (endless) {
      throw new SluiceError(code, { message, ...(retryAfterMs === null ? {} : { retryAfterMs }) })
    }
    const count = outcome.charged ? charged : tries
    const listed = schedule?.[Math.min(count, schedule.length) - 1]
    // Spread over a tenth, so that events which failed together do not all come back together.
    const pauseMs =
      listed === undefined || !outcome.charged
        ? backoffMs(count, backoff, ctx.random)
        : listed * (1 + ctx.random() / 10)
    // That the only endpoint has no room is no matter of the event's: the next attempt waits for it.
    const mayWait = this.#mayWait && (many || outcome.charged)
    const readyMs = many ? endpoint.readyMs(0) : 0
    const waitMs = mayWait ? Math.max(pauseMs, retryAfterMs ?? 0, readyMs) : pauseMs
    const dueMs = ctx.clock.nowMs() + Math.floor(waitMs)
    return { dueMs, code, message, group: name, aside: mayWait ? 'long' : 'never' }
  }

  /** The event waits. Throws when there is no room for more: then the batch, and with it the cursor, does. */
  #setAside({ row, previous }: ChangeEvent, wait: Omit<Wait, 'aside'>): void {
    const { dueMs, code, message, group } = wait
    const { batch, delivery } = this.#round
    const { key } = this.#lane
    const lane = key ?? `#${batch.offset + row}`
    const rows = previous < 0 ? 1 : 2
    if (batch.waited === undefined && batch.waiting?.take(lane, rows) !== true) {
      throw new SluiceError('sink.webhook.waiting_full', {
        message: `${message}; ${batch.topic} has no room for more events that wait`,
        retryAfterMs: 1000,
      })
    }
    delivery.waits({ row, lane, dueMs, code, message, group }, previous)
  }

  /** Events from `index` on wait for those of their key before them; returns how many events there are. */
  #behind(index: number): number {
    const { delivery } = this.#round
    const dueMs = this.#parts.ctx.clock.nowMs()
    for (const event of this.#lane.events.slice(index)) {
      if (delivery.isSettled(event.row)) continue
      const message = this.#messageOf(event)
      if (message === null) continue
      const { name: group } = message.route
      const reason = 'an earlier event of its key waits'
      this.#setAside(event, { dueMs, code: 'sink.webhook.behind', message: reason, group })
    }
    return this.#lane.events.length
  }

  #log(tried: Extract<Attempt, { kind: 'tried' }>, sent: Sent, attempt: number): void {
    const { log } = this.#parts.options
    const { outcome, status, atMs, ms } = tried
    if (log === 'off' || (log === 'failures' && outcome.kind === 'delivered')) return
    const { event, message, endpoint } = sent
    const { batch, delivery } = this.#round
    const error =
      outcome.kind === 'delivered'
        ? null
        : outcome.kind === 'stop'
          ? outcome.error.message
          : outcome.reason
    delivery.journal.push({
      atMs,
      topic: batch.topic,
      offset: batch.offset + event.row,
      id: message.id,
      endpoint: endpoint.name,
      attempt,
      status,
      ms: Math.round(ms),
      outcome: outcome.kind,
      error,
      bytes: message.body.length,
    })
  }
}
