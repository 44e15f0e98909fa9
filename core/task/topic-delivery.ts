/**
 * One topic on its way to one sink: plan, send, retry, move on. See deliver.ts.
 *
 * A delivery under way is a *flight*. Most sinks have one at a time; a sink that keeps its own order
 * may have a few (Batching.ahead). The cursor moves only over flights that are over, oldest first.
 */
import type { Batching, Sink } from '../connector/sink.ts'
import { isAbort, SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { TaskContext } from './context.ts'
import type { DeadLetter } from './dead-letters.ts'
import { deliveryHash } from './delivery-hash.ts'
import type { DeliveredTopic, DeliveryLog, DeliveryPlan, TopicState } from './delivery-log.ts'
import type { DeliveryStatus } from './delivery-status.ts'
import { Pace } from './pace.ts'
import { Sender } from './sender.ts'
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
  readonly status: DeliveryStatus
}

interface Flight {
  readonly delivery: Delivery
  readonly plan: DeliveryPlan
  /** A commit at or before the one that holds its first row. */
  readonly seq: number
  /** Settles when the sink has taken it; rejects when the task has to end. */
  over: Promise<void>
  /** The rows the sink refused; null while it is under way. */
  letters: readonly DeadLetter[] | null
}

/** Bytes of all flights of a topic together, as a multiple of one batch's. */
const aheadBytesFactor = 2

export class TopicDelivery {
  readonly #topic: DeliveredTopic
  readonly #commits: DeliveryLog
  readonly #ctx: TaskContext
  readonly #feed: TopicFeed
  readonly #pace: Pace
  readonly #limits: Batching
  readonly #sender: Sender
  readonly #flights: Flight[] = []
  #state: TopicState
  /** Waiting for rows, kept over from one turn to the next. */
  #filling: Promise<void> | null = null
  #filled = false

  constructor({ topic, chain, firstSeq, batching, sink, commits, ctx, status }: Options) {
    this.#topic = { name: topic, chain }
    this.#commits = commits
    this.#ctx = ctx
    this.#pace = new Pace(batching)
    this.#limits = batching
    this.#sender = new Sender(topic, sink, ctx, {
      pressed: () => this.#pace.pressed(),
      retrying: (error) => status.failed(topic, 'retrying', error),
      parked: async (error) => {
        status.failed(topic, 'parked', error)
        await this.#park(error)
      },
      well: () => status.well(topic),
    })
    this.#state = commits.begin(this.#topic, firstSeq)
    const place = { offset: this.#state.done, seq: this.#state.seq }
    this.#feed = new TopicFeed(ctx.log, chain, topic, place, ctx.clock)
    // What was wrong before a restart is said again if it still is.
    status.well(topic)
    status.add(this)
  }

  /** For the live status; see TopicLag. */
  get waitsSinceMs(): number | null | undefined {
    return this.#flights[0]?.delivery.timeMs ?? this.#feed.waitsSinceMs
  }
  get backlogBytes(): number {
    return this.#flightBytes + this.#feed.bufferedBytes
  }

  async run(signal: AbortSignal): Promise<void> {
    await using _feed = this.#feed
    try {
      await this.#resume(signal)
      while (!signal.aborted) await this.#turn(signal)
    } catch (error) {
      if (!(isAbort(error) && signal.aborted)) throw error
    } finally {
      for (const { over } of this.#flights) over.catch(() => {})
      this.#filling?.catch(() => {})
    }
  }

  /** What was planned before the restart, or a stop: it is never sliced anew. */
  async #resume(signal: AbortSignal): Promise<void> {
    const { plan, ahead } = this.#state
    for (const planned of plan === null ? [] : [plan, ...(ahead ?? [])]) {
      const { seq, offset } = this.#feed.place
      const delivery = await this.#feed.takeUntil(planned.to, signal)
      const same = delivery?.kind === planned.kind && deliveryHash(delivery) === planned.hash
      if (delivery === null || !same) {
        throw new SluiceError('task.plan_changed', {
          message: `${this.#topic.name}: rows ${offset} to ${planned.to} are not those that were planned as ${planned.id}`,
        })
      }
      this.#launch({ delivery, plan: planned, seq }, signal)
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#flights[0] !== undefined && this.#flights[0].letters !== null) {
      return this.#land(signal)
    }
    // Only those still under way: one that is over, behind an older one, would end every wait at once.
    const under = this.#flights.filter(({ letters }) => letters === null)
    const overs = under.map(({ over }) => over)
    if (this.#hasRoom() && !this.#filled) {
      this.#filling ??= this.#feed.wait(this.#pace.dueMs, this.#limits, signal).then(() => {
        this.#filled = true
      })
      await Promise.race([this.#filling, ...overs])
    } else if (!this.#hasRoom() || !this.#fits()) {
      await Promise.race(overs)
    } else await this.#takeOff(this.#state, [], signal)
  }

  #hasRoom(): boolean {
    const { ahead = 0, bytesMax } = this.#limits
    if (this.#flights.length === 0) return true
    return this.#flights.length <= ahead && this.#flightBytes < bytesMax * aheadBytesFactor
  }

  get #flightBytes(): number {
    return this.#flights.reduce((sum, { delivery }) => sum + bytesOf(delivery), 0)
  }

  /** Whether what comes next may be sent beside what is under way. */
  #fits(): boolean {
    const newest = this.#flights.at(-1)
    return newest === undefined || this.#feed.nextSchema() === schemaOf(newest.delivery)
  }

  /** Plans what is at hand, in one commit with what is done by now, and sends it; false when nothing is. */
  async #takeOff(
    done: TopicState,
    letters: readonly DeadLetter[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { seq } = this.#feed.place
    const delivery = this.#feed.take(this.#limits)
    this.#filled = false
    this.#filling = null
    if (delivery === null) return false
    const to = deliveryEnd(delivery)
    const plan: DeliveryPlan = {
      kind: delivery.kind,
      to,
      id: this.#sender.idOf(delivery),
      schema: schemaOf(delivery) ?? '',
      hash: deliveryHash(delivery),
    }
    const plans = [...this.#flights.map((flight) => flight.plan), plan]
    const first = this.#flights[0]?.seq ?? seq
    await this.#update({ ...done, seq: first, ...plansOf(plans), parked: null }, letters)
    failpoint('deliver.after_plan')
    this.#launch({ delivery, plan, seq }, signal)
    return true
  }

  #launch(planned: Pick<Flight, 'delivery' | 'plan' | 'seq'>, signal: AbortSignal): void {
    const flight: Flight = { ...planned, letters: null, over: Promise.resolve() }
    flight.over = this.#sender.send(flight.delivery, signal).then((letters) => {
      flight.letters = letters
    })
    this.#flights.push(flight)
  }

  /** The oldest flights are over: the cursor moves, with the next plan in the same commit if it is due. */
  async #land(signal: AbortSignal): Promise<void> {
    failpoint('deliver.after_send')
    const { clock } = this.#ctx
    const letters: DeadLetter[] = []
    let done = this.#state.done
    while (this.#flights[0] !== undefined && this.#flights[0].letters !== null) {
      const { delivery, letters: refused } = this.#flights.shift()!
      letters.push(...(refused ?? []))
      done = deliveryEnd(delivery)
      const rows = delivery.kind === 'rows' ? delivery.batch.rows : 1
      this.#pace.sent(clock.nowMs(), rows)
      this.#ctx.progress(rows, bytesOf(delivery))
    }
    const plans = plansOf(this.#flights.map((flight) => flight.plan))
    const seq = this.#flights[0]?.seq ?? this.#feed.place.seq
    const state: TopicState = { done, seq, ...plans, parked: null }
    if (this.#filling === null && this.#hasRoom() && this.#pace.dueMs <= clock.nowMs()) {
      await this.#feed.poll(this.#limits, signal)
      if (this.#fits() && (await this.#takeOff(state, letters, signal))) return
    }
    await this.#update(state, letters)
  }

  async #update(state: TopicState, letters: readonly DeadLetter[]): Promise<void> {
    this.#state = state
    await this.#commits.update(this.#topic, state, letters)
  }

  /** The target has to be cured by somebody; the other topics go on meanwhile. */
  async #park(error: SluiceError): Promise<void> {
    if (this.#state.parked?.message === error.message) return
    const parked = { code: error.code, message: error.message, remedy: error.remedy }
    await this.#update({ ...this.#state, parked }, [])
    this.#ctx.logger.error('topic parked', { topic: this.#topic.name, ...parked })
  }
}

function plansOf(plans: readonly DeliveryPlan[]): Pick<TopicState, 'plan' | 'ahead'> {
  const [plan, ...ahead] = plans
  return ahead.length === 0 ? { plan: plan ?? null } : { plan: plan ?? null, ahead }
}

function bytesOf(delivery: Delivery): number {
  return delivery.kind === 'rows' ? delivery.batch.byteLength : 0
}

/** null for a truncate, beside which nothing else is sent. */
function schemaOf(delivery: Delivery): string | null {
  return delivery.kind === 'rows' ? delivery.batch.schema.id : null
}
