/**
 * WebhookSink: a batch of rows in, one signed request per event out.
 *
 * The lanes of a batch (events.ts) run side by side, the events of a lane one after the other; an
 * event is over when the endpoint took it, refused it, or used up its attempts, and only then comes
 * the next one of its lane. An event that is set aside does not stop the later ones of its key: one
 * that the endpoint never takes must not hold back a key for ever.
 *
 * What concerns the whole endpoint (it is down, it wants a pause, it is gone) ends the batch with an
 * error; requests that are under way are waited for, and what they bring is remembered (delivery.ts).
 *
 * Several batches of a topic may be under way (Batching.ahead): a key whose event is held up holds up
 * its own later events (lane-order.ts), and no other key's.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { backoffMs, type Backoff } from '../../core/connector/backoff.ts'
import type { Context } from '../../core/connector/context.ts'
import type { Sink, SinkBatch, SinkResult } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { JsonOptions } from '../../core/record/json.ts'
import type { EventKind } from './config.ts'
import { Delivery } from './delivery.ts'
import type { Endpoint } from './endpoint.ts'
import { planLanes, type ChangeEvent, type Lane, type Order } from './events.ts'
import type { RetryOutcome } from './outcome.ts'
import { LaneOrder } from './lane-order.ts'
import { Payloads, truncatePayload } from './payload.ts'

export interface WebhookSinkOptions {
  readonly order: Order
  readonly wanted: ReadonlySet<EventKind>
  readonly attemptsMax: number
  readonly backoff: Backoff
  readonly json: JsonOptions
  /** Lanes that are started in one turn of the event loop. */
  readonly lanesATurn: number
}

interface Round {
  readonly delivery: Delivery
  /** Ends waits: the caller's signal, or the first lane that finds that the batch cannot go on. */
  readonly waiting: AbortSignal
  /** Ends requests too: the caller's signal alone. */
  readonly signal: AbortSignal
}

export class WebhookSink implements Sink {
  readonly #endpoint: Endpoint
  readonly #options: WebhookSinkOptions
  readonly #ctx: Context
  readonly #dispose: () => Promise<void>
  /** Per topic the batches that are under way, and the newest that is over. */
  readonly #deliveries = new Map<string, Delivery[]>()
  readonly #order = new LaneOrder()

  constructor(
    endpoint: Endpoint,
    options: WebhookSinkOptions,
    ctx: Context,
    dispose: () => Promise<void>,
  ) {
    this.#endpoint = endpoint
    this.#options = options
    this.#ctx = ctx
    this.#dispose = dispose
  }

  /** Nothing to do: every event describes itself. */
  async evolve(): Promise<void> {}

  async write(batch: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const { order, wanted, json } = this.#options
    const delivery = this.#deliveryOf(batch.topic, batch.id, batch.batch.rows)
    const payloads = new Payloads(this.#ctx.pipeline, batch, json)
    const lanes = planLanes(batch.batch, order, wanted).filter(
      // A batch that is tried again has given up the places of the keys that are over.
      ({ events }) => events.some(({ row }) => !delivery.isSettled(row)),
    )
    for (const { key } of lanes) if (key !== null) this.#order.enter(batch.topic, key, batch.id)
    await this.#run(delivery, signal, lanes.length, (index, round) =>
      this.#runLane(lanes[index]!, batch, payloads, round),
    )
    this.#over(batch.topic, delivery)
    return { rejected: delivery.problems() }
  }

  /** A truncate that the endpoint refuses or never takes is passed over: it has no row to set aside. */
  async truncate(
    topic: string,
    at: { readonly id: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (!this.#options.wanted.has('truncate')) return
    const delivery = this.#deliveryOf(topic, at.id, 1)
    if (delivery.isSettled(0)) return
    const nowMs = this.#ctx.clock.nowMs()
    const { id, body } = truncatePayload(this.#ctx.pipeline, topic, at, nowMs)
    const event: ChangeEvent = { kind: 'truncate', row: 0, previous: -1 }
    await this.#run(delivery, signal, 1, (_, round) => this.#deliver(event, id, body, round))
    this.#over(topic, delivery)
    for (const { message } of delivery.problems()) {
      this.#ctx.logger.warn('truncate not taken', { topic, offset: at.offset, reason: message })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose()
  }

  #deliveryOf(topic: string, id: string, rows: number): Delivery {
    const all = this.#deliveries.get(topic) ?? []
    const known = all.find((delivery) => delivery.id === id)
    if (known !== undefined) return known
    const delivery = new Delivery(id, rows)
    this.#deliveries.set(topic, [...all, delivery])
    return delivery
  }

  /** Keeps what is under way and this one, which a caller may send once more. */
  #over(topic: string, delivery: Delivery): void {
    delivery.isOver = true
    const all = this.#deliveries.get(topic) ?? []
    this.#deliveries.set(
      topic,
      all.filter((other) => other === delivery || !other.isOver),
    )
  }

  /**
   * Runs lanes to their ends; the first error halts the others and is thrown when all have ended.
   * They are started a few at a time: the first requests go out before the last bodies are written,
   * and the writing does not keep the event loop from everything else.
   */
  async #run(
    delivery: Delivery,
    signal: AbortSignal,
    lanes: number,
    start: (index: number, round: Round) => Promise<void>,
  ): Promise<void> {
    signal.throwIfAborted()
    // Not AbortSignal.any: `signal` lives as long as the task, and would remember every batch.
    const halt = new AbortController()
    const stop = (): void => halt.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    const round: Round = { delivery, waiting: halt.signal, signal }
    const ends: Promise<void>[] = []
    for (let index = 0; index < lanes && !halt.signal.aborted; index++) {
      ends.push(start(index, round).catch((thrown: unknown) => halt.abort(thrown)))
      if ((index + 1) % this.#options.lanesATurn === 0) await turn()
    }
    await Promise.all(ends)
    signal.removeEventListener('abort', stop)
    halt.signal.throwIfAborted()
  }

  async #runLane(
    { key, events }: Lane,
    { topic, id }: SinkBatch,
    payloads: Payloads,
    round: Round,
  ): Promise<void> {
    if (key !== null) await this.#order.turn(topic, key, id, round.waiting)
    for (const event of events) {
      if (round.delivery.isSettled(event.row)) continue
      const body = this.#bodyOf(event, payloads, round.delivery)
      if (body !== null) await this.#deliver(event, payloads.id(event), body, round)
    }
    if (key !== null) this.#order.leave(topic, key, id)
  }

  #bodyOf(event: ChangeEvent, payloads: Payloads, delivery: Delivery): Buffer | null {
    try {
      return payloads.body(event)
    } catch (thrown) {
      if (!(thrown instanceof TypeError)) throw thrown
      const message = 'a text of the row is not valid UTF-8'
      const { row, previous } = event
      delivery.rejected({ row, code: 'sink.webhook.not_text', message }, previous)
      return null
    }
  }

  /** Attempts until the event is over. Throws when the batch cannot go on. */
  async #deliver(event: ChangeEvent, id: string, body: Buffer, round: Round): Promise<void> {
    const { row, previous } = event
    const { delivery, waiting, signal } = round
    const { attemptsMax, backoff } = this.#options
    const { host } = this.#endpoint
    for (let tries = 1; ; tries++) {
      const outcome = await this.#endpoint.attempt(id, body, waiting, signal)
      const charged = delivery.attempted(row, outcome.kind !== 'retry' || outcome.charged)
      switch (outcome.kind) {
        case 'delivered':
          return delivery.delivered(row)
        case 'rejected': {
          const message = `${host} ${outcome.reason}`
          return delivery.rejected({ row, code: 'sink.webhook.rejected', message }, previous)
        }
        case 'stop':
          throw outcome.error
        case 'retry': {
          if (charged >= attemptsMax) {
            const message = `${host} ${outcome.reason}, the last of ${delivery.attempts(row)} attempts`
            return delivery.rejected({ row, code: 'sink.webhook.exhausted', message }, previous)
          }
          // Attempts that are not charged have no end of their own; the caller's wait gives them one.
          if (tries >= attemptsMax) throw this.#notYet(outcome)
          await this.#ctx.clock.sleep(backoffMs(tries, backoff, this.#ctx.random), waiting)
        }
      }
    }
  }

  #notYet(outcome: RetryOutcome): SluiceError {
    const { retryAfterMs } = outcome
    return new SluiceError(outcome.code, {
      message: `${this.#endpoint.host} ${outcome.reason}`,
      ...(retryAfterMs === null ? {} : { retryAfterMs }),
    })
  }
}
