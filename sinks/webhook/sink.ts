/**
 * WebhookSink: a batch of rows in, one signed request per event out, or per few events (gatherer.ts).
 *
 * The lanes of a batch (events.ts) run side by side, the events of a lane one after the other
 * (lane-run.ts). An event that is set aside for good does not stop the later ones of its key: one that
 * the endpoint never takes must not hold back a key for ever.
 *
 * What concerns the only endpoint (it is down, it wants a pause, it is gone) ends the batch with an
 * error; requests that are under way are waited for, and what they bring is remembered (delivery.ts).
 *
 * Several batches of a topic may be under way (Batching.ahead): a key whose event is held up holds up
 * its own later events (lane-order.ts), and no other key's.
 */
import type { SchemaStep, Sink, SinkBatch, SinkResult } from '../../core/connector/sink.ts'
import type { Timers } from '../../core/connector/waiting.ts'
import type { JsonOptions } from '../../core/record/json.ts'
import type { EventKind } from './config.ts'
import { deliveryBatch } from './deliveries.ts'
import { Delivery } from './delivery.ts'
import type { Message } from './endpoint.ts'
import { planLanes, type ChangeEvent, type Lane, type Order } from './events.ts'
import { LaneOrder } from './lane-order.ts'
import { LaneRun, type LaneParts, type Round } from './lane-run.ts'
import { LaneRuns, type RunLimits } from './lane-runs.ts'
import { Messages } from './messages.ts'
import { truncateEvent } from './payload.ts'
import type { Target } from './target.ts'
import { checkColumns } from './template.ts'

export interface WebhookSinkOptions extends RunLimits {
  readonly target: Target
  readonly order: Order
  readonly wanted: ReadonlySet<EventKind>
  readonly json: JsonOptions
}

export class WebhookSink implements Sink {
  readonly timers?: Timers
  readonly #parts: LaneParts
  readonly #options: WebhookSinkOptions
  readonly #dispose: () => Promise<void>
  /** Per topic the batches that are under way, and the newest that is over. */
  readonly #deliveries = new Map<string, Delivery[]>()
  readonly #order = new LaneOrder()

  constructor(
    parts: LaneParts,
    options: WebhookSinkOptions,
    timers: Timers | null,
    dispose: () => Promise<void>,
  ) {
    this.#parts = parts
    this.#options = options
    this.#dispose = dispose
    if (timers !== null) this.timers = timers
  }

  /** Every event describes itself; only what the templates name has to be there. */
  async evolve(topic: string, { to }: SchemaStep): Promise<void> {
    checkColumns(topic, to, this.#options.target.columns)
    await Promise.resolve()
  }

  readyMs(group: string, under: number): number {
    return this.#parts.endpoints.readyMs(group, under)
  }

  async write(batch: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const { order, wanted, json, target } = this.#options
    const { ctx, gatherer } = this.#parts
    const { topic, id } = batch
    const delivery = this.#deliveryOf(topic, id, batch.batch.rows)
    const { pipeline } = ctx
    const messages = new Messages({ target, pipeline, json, gathered: gatherer !== null }, batch)
    const messageOf = messages.of.bind(messages)
    const lanes = planLanes(batch.batch, order, wanted).filter(
      // A batch that is tried again has given up the places of the keys that are over.
      ({ events }) => events.some(({ row }) => !delivery.isSettled(row)),
    )
    // Rows that waited have their turn already.
    const ordered = batch.waited === undefined
    if (ordered) {
      for (const { key } of lanes) if (key !== null) this.#order.enter(topic, key, id)
    }
    const places = this.#order
    const leave = ordered ? (key: string): void => places.leave(topic, key, id) : null
    const run = new LaneRuns(signal, this.#options)
    const { halted } = run
    const round: Round = { batch, delivery, messageOf, waiting: halted, signal, leave }
    await run.all(lanes.length, (index, free) => {
      const lane = lanes[index]!
      const { key } = lane
      if (!ordered || key === null || places.isFirst(topic, key, id)) {
        return this.#runLane(lane, round, free)
      }
      free()
      return places.turn(topic, key, id, halted).then(() => this.#runLane(lane, round, null))
    })
    this.#over(topic, delivery)
    const waiting = delivery.waiting().toSorted((a, b) => a.row - b.row)
    const { journal } = delivery
    return {
      rejected: delivery.problems(),
      ...(waiting.length === 0 ? {} : { waiting }),
      ...(journal.length === 0 ? {} : { journal: deliveryBatch(journal) }),
    }
  }

  /** A truncate that the endpoint refuses or never takes is passed over: it has no row to set aside. */
  async truncate(
    topic: string,
    at: { readonly id: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { wanted, target } = this.#options
    if (!wanted.has('truncate')) return
    const { ctx, gatherer } = this.#parts
    const { fixed } = target
    if (fixed === null || target.body !== null || target.headerTemplates.length > 0) {
      // It has no row that could say where it goes, or fill a template.
      ctx.logger.warn('truncate not sent: the templates need a row', { topic, offset: at.offset })
      return
    }
    const delivery = this.#deliveryOf(topic, at.id, 1)
    if (delivery.isSettled(0)) return
    const { id, time, body } = truncateEvent(ctx.pipeline, topic, at, ctx.clock.nowMs())
    const event: ChangeEvent = { kind: 'truncate', row: 0, previous: -1 }
    // In a request of several events each says its id.
    const text = Buffer.from(JSON.stringify(gatherer === null ? body : { id, ...body }))
    const message = { id, events: [id], route: fixed, headers: [], body: text, time }
    const batch = { id: at.id, topic, offset: at.offset }
    const run = new LaneRuns(signal, this.#options)
    await run.all(1, (_, free) => {
      const messageOf = (): Message => message
      const round = { batch, delivery, messageOf, waiting: run.halted, signal, leave: null }
      return this.#runLane({ key: '', events: [event] }, round, free)
    })
    this.#over(topic, delivery)
    for (const { message: reason } of delivery.problems()) {
      ctx.logger.warn('truncate not taken', { topic, offset: at.offset, reason })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose()
  }

  #runLane(lane: Lane, round: Round, free: (() => void) | null): Promise<void> {
    return new LaneRun(this.#parts, lane, round, free).run()
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
}
