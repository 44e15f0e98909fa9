/** One topic on its way to one sink: plan, send, retry, move on. See deliver.ts. */
import { backoffMs } from '../connector/backoff.ts'
import type { Batching, RowProblem, Sink } from '../connector/sink.ts'
import { isAbort, SluiceError, toSluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { Schema } from '../record/schema.ts'
import type { TaskContext } from './context.ts'
import { rowText, type DeadLetter } from './dead-letters.ts'
import type { DeliveredTopic, DeliveryLog, DeliveryPlan, TopicState } from './delivery-log.ts'
import { deliveryHash } from './delivery-hash.ts'
import { Pace } from './pace.ts'
import { deliveryEnd, TopicFeed, type Delivery } from './topic-feed.ts'

interface Options {
  readonly topic: string
  readonly chain: string
  /** A commit at or before the topic's first block. */
  readonly firstSeq: number
  readonly batching: Batching
  readonly sink: Sink
  readonly commits: DeliveryLog
  readonly ctx: TaskContext
}

const retry = { baseMs: 100, maxMs: 30_000 }
/** A parked topic is tried again after this: what stopped it may have been cured at the target. */
const parkedRetryMs = 60_000

export class TopicDelivery {
  readonly #topic: DeliveredTopic
  readonly #sink: Sink
  readonly #commits: DeliveryLog
  readonly #ctx: TaskContext
  readonly #feed: TopicFeed
  readonly #pace: Pace
  readonly #limits: { readonly rowsMax: number; readonly bytesMax: number }
  #state: TopicState
  #schema: Schema | null = null

  constructor({ topic, chain, firstSeq, batching, sink, commits, ctx }: Options) {
    this.#topic = { name: topic, chain }
    this.#sink = sink
    this.#commits = commits
    this.#ctx = ctx
    this.#pace = new Pace(batching)
    this.#limits = batching
    this.#state = commits.begin(this.#topic, firstSeq)
    const place = { offset: this.#state.done, seq: this.#state.seq }
    this.#feed = new TopicFeed(ctx.log, chain, topic, place, ctx.clock)
  }

  async run(signal: AbortSignal): Promise<void> {
    await using _feed = this.#feed
    try {
      let delivery: Delivery | null = null
      if (this.#state.plan !== null) delivery = await this.#planned(this.#state.plan, signal)
      while (!signal.aborted) {
        if (delivery === null) {
          await this.#feed.wait(this.#pace.dueMs, this.#limits, signal)
          delivery = await this.#plan(this.#state, [])
          if (delivery === null) continue
        }
        const letters = await this.#send(delivery, signal)
        delivery = await this.#done(delivery, letters, signal)
      }
    } catch (error) {
      if (!(isAbort(error) && signal.aborted)) throw error
    }
  }

  /** What was planned before the restart, or a stop: it is never sliced anew. */
  async #planned(plan: DeliveryPlan, signal: AbortSignal): Promise<Delivery> {
    const delivery = await this.#feed.takeUntil(plan.to, signal)
    if (delivery !== null && delivery.kind === plan.kind && deliveryHash(delivery) === plan.hash) {
      return delivery
    }
    throw new SluiceError('task.plan_changed', {
      message: `${this.#topic.name}: rows ${this.#state.done} to ${plan.to} are not those that were planned as ${plan.id}`,
    })
  }

  /** Plans what is at hand, in one commit with what is done by now; null when nothing is. */
  async #plan(done: TopicState, letters: readonly DeadLetter[]): Promise<Delivery | null> {
    const { seq } = this.#feed.place
    const delivery = this.#feed.take(this.#limits)
    if (delivery === null) return null
    const to = deliveryEnd(delivery)
    const plan: DeliveryPlan = {
      kind: delivery.kind,
      to,
      id: this.#idOf(delivery),
      schema: delivery.kind === 'rows' ? delivery.batch.schema.id : '',
      hash: deliveryHash(delivery),
    }
    await this.#update({ ...done, seq, plan, parked: null }, letters)
    failpoint('deliver.after_plan')
    return delivery
  }

  /** `sluice:pipeline:sink:topic:from-to:schema`, the same for ever. */
  #idOf(delivery: Delivery): string {
    const { pipeline, name } = this.#ctx
    const schema = delivery.kind === 'rows' ? delivery.batch.schema.id : 'truncate'
    return `sluice:${pipeline}:${name}:${this.#topic.name}:${delivery.from}-${deliveryEnd(delivery)}:${schema}`
  }

  /** The delivery is with the sink: plan the next one if it is there and due, in the same commit. */
  async #done(
    delivery: Delivery,
    letters: readonly DeadLetter[],
    signal: AbortSignal,
  ): Promise<Delivery | null> {
    failpoint('deliver.after_send')
    const { clock } = this.#ctx
    const rows = delivery.kind === 'rows' ? delivery.batch.rows : 1
    this.#pace.sent(clock.nowMs(), rows)
    this.#ctx.progress(rows, delivery.kind === 'rows' ? delivery.batch.byteLength : 0)
    this.#ctx.report({
      lagMs: clock.nowMs() - delivery.timeMs,
      backlogBytes: this.#feed.bufferedBytes,
    })
    const place = this.#feed.place
    const done: TopicState = {
      done: deliveryEnd(delivery),
      seq: place.seq,
      plan: null,
      parked: null,
    }
    if (this.#pace.dueMs <= clock.nowMs()) {
      await this.#feed.poll(this.#limits, signal)
      const next = await this.#plan(done, letters)
      if (next !== null) return next
    }
    await this.#update(done, letters)
    return null
  }

  async #update(state: TopicState, letters: readonly DeadLetter[]): Promise<void> {
    this.#state = state
    await this.#commits.update(this.#topic, state, letters)
  }

  /** Sends until the sink has taken it; returns the rows it refused. */
  async #send(delivery: Delivery, signal: AbortSignal): Promise<DeadLetter[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const rejected = await this.#attempt(delivery, attempt, signal)
        if (attempt > 1) {
          this.#ctx.trouble(null)
          this.#ctx.report({ state: 'running' })
        }
        return this.#letters(delivery, rejected)
      } catch (thrown) {
        if (signal.aborted) throw signal.reason
        await this.#failed(toSluiceError(thrown), attempt, signal)
      }
    }
  }

  async #attempt(
    delivery: Delivery,
    attempt: number,
    signal: AbortSignal,
  ): Promise<readonly RowProblem[]> {
    const topic = this.#topic.name
    const id = this.#idOf(delivery)
    if (delivery.kind === 'truncate') {
      await this.#sink.truncate(topic, { id, offset: delivery.from }, signal)
      return []
    }
    const { batch, from } = delivery
    if (this.#schema?.id !== batch.schema.id) {
      await this.#sink.evolve(topic, this.#schema, batch.schema, signal)
      this.#schema = batch.schema
    }
    failpoint('deliver.before_send')
    const { clock, metrics } = this.#ctx
    const startMs = clock.nowMs()
    const result = await this.#sink.write({ id, topic, batch, offset: from, attempt }, signal)
    const nowMs = clock.nowMs()
    metrics.observe('sink_batch_seconds', (nowMs - startMs) / 1000)
    metrics.observe('sink_batch_rows', batch.rows)
    metrics.observe('e2e_latency_seconds', Math.max(0, nowMs / 1000 - batch.timesUs[0]! / 1e6))
    return result.rejected
  }

  /** Waits before the next attempt, or throws what must end the task. */
  async #failed(error: SluiceError, attempt: number, signal: AbortSignal): Promise<void> {
    const { clock, metrics, random } = this.#ctx
    if (error.fault === 'bug' || error.fault === 'fenced') throw error
    this.#ctx.trouble(error)
    metrics.count('retries_total', 1, { task: this.#ctx.name, topic: this.#topic.name })
    if (error.fault === 'transient') {
      this.#ctx.report({ state: 'retrying', detail: this.#topic.name })
      if (error.retryAfterMs !== null) this.#pace.pressed()
      await clock.sleep(
        Math.max(backoffMs(attempt, retry, random), error.retryAfterMs ?? 0),
        signal,
      )
      return
    }
    // The target has to be cured by somebody; the other topics go on meanwhile.
    this.#ctx.report({ state: 'parked', detail: `${this.#topic.name}: ${error.message}` })
    if (this.#state.parked?.message !== error.message) {
      const parked = { code: error.code, message: error.message, remedy: error.remedy }
      await this.#update({ ...this.#state, parked }, [])
      this.#ctx.logger.error('topic parked', { topic: this.#topic.name, ...parked })
    }
    await clock.sleep(parkedRetryMs, signal)
  }

  #letters(delivery: Delivery, rejected: readonly RowProblem[]): DeadLetter[] {
    if (delivery.kind === 'truncate' || rejected.length === 0) return []
    return rejected.map((problem) => ({
      topic: this.#topic.name,
      offset: delivery.from + problem.row,
      code: problem.code,
      message: problem.message,
      attempts: problem.attempts,
      row: rowText(delivery.batch, problem.row),
    }))
  }
}
