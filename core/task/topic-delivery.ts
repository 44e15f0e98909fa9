/**
 * One topic on its way to one sink: plan, send, retry, move on. See deliver.ts.
 *
 * A delivery under way is a *flight* (flights.ts). Most sinks have one at a time; a sink that keeps its
 * own order may have a few (Batching.ahead).
 */
import type { SchemaRules } from '../connector/schema-policy.ts'
import type { Batching, Sink } from '../connector/sink.ts'
import { isAbort, SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { TaskContext } from './context.ts'
import type { DeadLetter } from './dead-letters.ts'
import { deliveryHash } from './delivery-hash.ts'
import type { DeliveredTopic, DeliveryLog, DeliveryPlan, TopicState } from './delivery-log.ts'
import type { DeliveryStatus } from './delivery-status.ts'
import { bytesOf, Flights, schemaOf, type Planned } from './flights.ts'
import { Pace } from './pace.ts'
import { Redelivery } from './redelivery.ts'
import { Resync } from './resync.ts'
import type { Job } from './request-desk.ts'
import { SchemaGate, targetFor, type Passage } from './schema-gate.ts'
import type { Target } from './schema-shape.ts'
import { Sender } from './sender.ts'
import { deliveryEnd, TopicFeed, type Delivery, type FeedLimits } from './topic-feed.ts'
import { aborted, firstOf } from './wait.ts'
import { WaitingDelivery } from './waiting-delivery.ts'
import { WaitingRows } from './waiting-rows.ts'

interface Options {
  readonly topic: string
  readonly chain: string
  /** A commit at or before the topic's first block. */
  readonly firstSeq: number
  readonly batching: Batching
  /** Memory that all topics of the sink share for their rows. */
  readonly heldBytesMax: number
  readonly sink: Sink
  readonly rules: SchemaRules
  readonly commits: DeliveryLog
  readonly ctx: TaskContext
  readonly status: DeliveryStatus
}

export class TopicDelivery {
  readonly #topic: DeliveredTopic
  readonly #commits: DeliveryLog
  readonly #ctx: TaskContext
  readonly #feed: TopicFeed
  readonly #pace: Pace
  readonly #limits: Batching
  /** What is read for the next batch. */
  readonly #room: FeedLimits
  readonly #sender: Sender
  readonly #gate: SchemaGate
  readonly #flights: Flights
  #state: TopicState
  /** Why the topic waits until this process ends: `on_schema_change` has no answer to what comes next. */
  #stopped: SluiceError | null = null
  /** Waiting for rows, kept over from one turn to the next. */
  #filling: Promise<void> | null = null
  #filled = false
  readonly #status: DeliveryStatus
  readonly #again: Redelivery
  readonly #resync: Resync
  readonly #waiting: WaitingDelivery
  /** What the newest rows were brought into; not known before there were some. */
  #target: Target | null = null
  /** After a step of a long replay the live rows have a turn. */
  #liveTurn = false
  /** Ends a wait: a request may have come, or letters may be gone. */
  #poke: () => void = () => {}

  constructor(options: Options) {
    const { topic, chain, firstSeq, batching, sink, rules, commits, ctx, status } = options
    this.#topic = { name: topic, chain }
    this.#commits = commits
    this.#ctx = ctx
    this.#status = status
    this.#pace = new Pace(batching)
    this.#limits = batching
    this.#room = roomOf(options)
    this.#flights = new Flights(batching)
    const waiting = new WaitingRows()
    this.#sender = new Sender(topic, { sink, waiting }, ctx, {
      pressed: () => this.#pace.pressed(),
      retrying: (error) => status.failed(topic, 'retrying', error),
      parked: async (error) => {
        status.failed(topic, 'parked', error)
        await this.#park(error)
      },
      well: () => status.well(topic),
      journal: (rows) => commits.journal(rows),
    })
    this.#gate = new SchemaGate(this.#topic, rules, ctx, (text) => status.note(text))
    this.#state = commits.begin(this.#topic, firstSeq)
    const place = { offset: this.#state.done, seq: this.#state.seq }
    this.#feed = new TopicFeed(ctx.log, chain, topic, place, ctx.clock)
    this.#again = new Redelivery(this.#topic, batching, { commits, sender: this.#sender, ctx })
    this.#resync = new Resync(this.#topic, batching, {
      commits,
      sender: this.#sender,
      sink,
      rules,
      ctx,
      target: (state, stop) => this.#again.target(state, stop),
    })
    this.#waiting = new WaitingDelivery({
      topic,
      rows: waiting,
      sink,
      sender: this.#sender,
      commits,
      ctx,
      target: async (stop) => {
        const found = this.#target ?? (await this.#again.target(this.#state, stop))
        // Rows of another shape may have been planned while the log was asked.
        return this.#again.withPast((this.#target ??= found), stop)
      },
    })
    commits.desk.watch(topic, () => this.#poke())
    // What was wrong before a restart is said again if it still is.
    status.well(topic)
    status.add(this)
  }

  /** For the live status; see TopicLag. */
  get waitsSinceMs(): number | null | undefined {
    return this.#flights.oldest?.delivery.timeMs ?? this.#feed.waitsSinceMs
  }
  get backlogBytes(): number {
    return this.#flights.bytes + this.#feed.bufferedBytes
  }

  /** When the next batch may be sent. */
  get #dueMs(): number {
    return this.#pace.dueMs(this.#ctx.clock.nowMs())
  }
  get #isDue(): boolean {
    return this.#dueMs <= this.#ctx.clock.nowMs()
  }

  async run(signal: AbortSignal): Promise<void> {
    await using _feed = this.#feed
    await using _again = this.#again
    await using _resync = this.#resync
    const failed = new AbortController()
    const stop = AbortSignal.any([signal, failed.signal])
    // What waits is delivered beside what is new; the first of them that fails ends both.
    let failure: { readonly error: unknown } | null = null
    const waiting = this.#waiting.run(stop).catch((error: unknown) => {
      if (!stop.aborted) failure ??= { error }
      failed.abort()
    })
    try {
      await this.#resume(stop)
      while (!stop.aborted) await this.#turn(stop)
    } catch (error) {
      if (!(isAbort(error) && stop.aborted)) throw error
    } finally {
      this.#flights.abandon()
      this.#filling?.catch(() => {})
      failed.abort()
      await waiting
    }
    const ended = failure as { readonly error: unknown } | null
    if (ended !== null) throw ended.error
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
    if (this.#flights.landed) return this.#land(signal)
    const ends = this.#flights.ends
    const poked = new Promise<void>((resolve) => {
      this.#poke = resolve
    })
    const job = this.#commits.desk.job(this.#topic.name)
    if (job !== null) return this.#sendAgain(job, ends, signal)
    const over = this.#commits.overBudget(this.#topic.name)
    if (over !== null) return this.#holdBack(over, [poked, ...ends], signal)
    if (this.#stopped !== null) return this.#holdBack(this.#stopped, [poked, ...ends], signal)
    if (this.#state.parked?.code === 'task.dead_letter_budget') await this.#unpark()
    if (this.#flights.hasRoom && !this.#filled) {
      const limits = { room: this.#room, batch: this.#limits }
      this.#filling ??= this.#feed.wait(this.#dueMs, limits, signal).then(() => {
        this.#filled = true
      })
      await firstOf([this.#filling, poked, ...ends])
    } else if (!this.#flights.hasRoom || !this.#fits()) {
      await firstOf(ends)
    } else await this.#takeOff(this.#state, [], signal)
  }

  /** One step of a request. Nothing else of the topic is under way beside it. */
  async #sendAgain(job: Job, ends: readonly Promise<void>[], signal: AbortSignal): Promise<void> {
    if (await this.#livesFirst(signal)) return
    if (ends.length > 0) return firstOf(ends)
    // What parked it is judged anew after the step.
    this.#status.well(this.#topic.name)
    const state = { ...this.#state, parked: null }
    if (job.request.body.kind === 'resync') {
      this.#liveTurn = await this.#resync.step(job, state, signal)
      this.#state = state
      return
    }
    this.#liveTurn = job.request.body.kind === 'replay'
    if (await this.#again.step(job, state, signal)) this.#state = state
    else if (this.#state.parked !== null) await this.#unpark()
  }

  /** Whether it was the live rows' turn, and there were some to send. */
  async #livesFirst(signal: AbortSignal): Promise<boolean> {
    const theirs = this.#liveTurn
    this.#liveTurn = false
    if (!theirs || this.#flights.count > 0 || !this.#isDue) return false
    if (this.#commits.overBudget(this.#topic.name) !== null) return false
    if (this.#filling !== null && !this.#filled) return false
    if (this.#filling === null) await this.#feed.poll(this.#room, signal)
    return this.#takeOff(this.#state, [], signal)
  }

  /** Too many rows were set aside: nothing more is sent until somebody has seen to them. */
  async #holdBack(
    over: SluiceError,
    events: readonly Promise<void>[],
    signal: AbortSignal,
  ): Promise<void> {
    this.#status.failed(this.#topic.name, 'parked', over)
    await this.#park(over)
    await firstOf([aborted(signal), ...events])
  }

  async #unpark(): Promise<void> {
    await this.#update({ ...this.#state, parked: null }, [])
    this.#status.well(this.#topic.name)
  }

  /** Whether what comes next may be sent beside what is under way. */
  #fits(): boolean {
    const newest = this.#flights.newestSchema
    if (newest === undefined) return true
    const next = this.#feed.next?.schema?.id ?? null
    return next === newest && this.#gate.isOpen(next, this.#state.shape)
  }

  /** Plans what is at hand, in one commit with what is done by now, and sends it; false when nothing is. */
  async #takeOff(
    done: TopicState,
    letters: readonly DeadLetter[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { seq } = this.#feed.place
    const { next } = this.#feed
    const passage = next && (await this.#gate.pass(next, done.shape, signal))
    if (passage !== null && passage.stop !== null) {
      await this.#stop(passage.stop, passage, done, letters)
      return true
    }
    const delivery = this.#feed.take(this.#limits)
    this.#filled = false
    this.#filling = null
    if (delivery === null || passage === null) return false
    const { shape, decisions, agreed, skip } = passage
    const to = deliveryEnd(delivery)
    const plan: DeliveryPlan = {
      kind: delivery.kind,
      to,
      id: this.#sender.idOf(delivery),
      schema: schemaOf(delivery) ?? '',
      hash: deliveryHash(delivery),
      ...(agreed.length === 0 ? {} : { agreed }),
      ...(skip ? { skip } : {}),
    }
    const first = this.#flights.oldest?.seq ?? seq
    const shaped = shape === undefined ? done : { ...done, shape }
    this.#commits.decided(decisions)
    this.#gate.tell(decisions)
    await this.#update(
      { ...shaped, seq: first, ...this.#flights.plans(plan), parked: null },
      letters,
    )
    failpoint('deliver.after_plan')
    this.#launch({ delivery, plan, seq }, signal)
    return true
  }

  #launch(planned: Planned, signal: AbortSignal): void {
    const skipped = planned.plan.skip === true
    const sent = skipped ? Promise.resolve([]) : this.#sender.send(this.#shaped(planned), signal)
    this.#flights.add(planned, sent)
  }

  /** A delivery with what its rows are brought into, as its plan's commit says. */
  #shaped({ delivery, plan }: Planned): Delivery {
    if (delivery.kind === 'truncate') return delivery
    const target = targetFor(this.#state.shape, delivery.batch.schema)
    this.#target = target
    return { ...delivery, shaping: { target, agreed: plan.agreed ?? [] } }
  }

  /** What comes next needs somebody's decision, which a new start with another policy brings. */
  async #stop(
    stop: SluiceError,
    { decisions }: Passage,
    done: TopicState,
    letters: readonly DeadLetter[],
  ): Promise<void> {
    this.#stopped = stop
    const known = this.#state.parked?.message === stop.message
    if (!known) this.#commits.decided(decisions)
    if (known && done === this.#state) return
    this.#gate.tell(decisions)
    const parked = { code: stop.code, message: stop.message, remedy: stop.remedy }
    await this.#update({ ...done, parked }, letters)
    this.#ctx.logger.error('topic parked', { topic: this.#topic.name, ...parked })
  }

  /** The oldest flights are over: the cursor moves, with the next plan in the same commit if it is due. */
  async #land(signal: AbortSignal): Promise<void> {
    failpoint('deliver.after_send')
    const { clock } = this.#ctx
    const letters: DeadLetter[] = []
    let done = this.#state.done
    for (const { delivery, letters: refused } of this.#flights.takeLanded()) {
      letters.push(...refused)
      done = deliveryEnd(delivery)
      const rows = delivery.kind === 'rows' ? delivery.batch.rows : 1
      this.#pace.sent(clock.nowMs(), rows)
      this.#ctx.progress(rows, bytesOf(delivery))
    }
    const seq = this.#flights.oldest?.seq ?? this.#feed.place.seq
    const { shape } = this.#state
    const kept = shape === undefined ? {} : { shape }
    const state: TopicState = { done, seq, ...this.#flights.plans(), ...kept, parked: null }
    // After rows were set aside their number is looked at first, in the next turn.
    const goesOn = letters.length === 0 && this.#commits.desk.job(this.#topic.name) === null
    if (goesOn && this.#filling === null && this.#flights.hasRoom && this.#isDue) {
      await this.#feed.poll(this.#room, signal)
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

/**
 * A batch's limits, or the topic's share of the memory where that is less. All have the same share, those that are
 * parked or held up as well: what these hold may be more, and must not bring the others down to a few rows a batch.
 */
function roomOf({ batching, heldBytesMax, status }: Options): FeedLimits {
  return {
    rowsMax: batching.rowsMax,
    get bytesMax() {
      return Math.min(batching.bytesMax, heldBytesMax / Math.max(1, status.holding))
    },
  }
}
