/**
 * Fills a topic's target anew from the log, as a request asks (core/connector/resync.ts): steps of old
 * rows take turns with the live ones, until only less than a batch is missing; then live rows wait, the
 * rest is sent, and the new target takes the old one's place.
 *
 * The border is exact: rows go in up to the live cursor and not beyond, so that the next live row is
 * the first that the new target lacks. Steps are not planned in a commit, because the target is nobody's
 * before it is whole and a sink knows rows that it has by their offsets; how far it is, is.
 */
import { backoffMs } from '../connector/backoff.ts'
import { judge, type SchemaRules } from '../connector/schema-policy.ts'
import type { ResyncPoint, SinkResync } from '../connector/resync.ts'
import type { Batching, Sink } from '../connector/sink.ts'
import { SluiceError, toSluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import { locate } from '../log/head.ts'
import type { TaskContext } from './context.ts'
import type { DeadLetter } from './dead-letters.ts'
import type { AgainChange, DeliveredTopic, DeliveryLog, TopicState } from './delivery-log.ts'
import type { Job } from './request-desk.ts'
import type { Target } from './schema-shape.ts'
import type { Sender } from './sender.ts'
import { deliveryEnd, TopicFeed, type Delivery } from './topic-feed.ts'

interface Parts {
  readonly commits: DeliveryLog
  readonly sender: Sender
  readonly sink: Sink
  readonly rules: SchemaRules
  readonly ctx: TaskContext
  /** What rows are brought into: what the live ones are. */
  readonly target: (state: TopicState, signal: AbortSignal) => Promise<Target>
}

/** The place in the log of the request that is being done. */
interface Open {
  readonly request: number
  readonly feed: TopicFeed
}

interface Turn {
  readonly job: Job
  readonly resync: SinkResync
  readonly state: TopicState
  readonly signal: AbortSignal
}

const retry = { baseMs: 100, maxMs: 30_000 }
const nothing = { sent: 0, refused: 0, skipped: 0 }

export class Resync implements AsyncDisposable {
  readonly #topic: DeliveredTopic
  readonly #batching: Batching
  readonly #parts: Parts
  #open: Open | null = null

  constructor(topic: DeliveredTopic, batching: Batching, parts: Parts) {
    this.#topic = topic
    this.#batching = batching
    this.#parts = parts
  }

  /**
   * One step; `state` goes with its commits. Resolves to whether live rows may have a turn before the
   * next one. A request that cannot go on is over with its reason, and the topic is not.
   */
  async step(job: Job, state: TopicState, signal: AbortSignal): Promise<boolean> {
    const { resync } = this.#parts.sink
    const stop = AbortSignal.any([signal, job.signal])
    try {
      if (resync === undefined)
        throw cannot(this.#topic.name, 'its sink cannot build a target anew')
      return await this.#go({ job, resync, state, signal: stop })
    } catch (thrown) {
      if (signal.aborted) throw thrown
      const error = toSluiceError(thrown)
      const cancelled = job.signal.aborted
      if (!cancelled && error.fault !== 'config' && error.fault !== 'row') throw thrown
      await this.#close()
      await this.#giveUp(resync, signal)
      if (!cancelled) await this.#record(job, state, { problem: `${error.code}: ${error.message}` })
      return true
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  async #go(turn: Turn): Promise<boolean> {
    const { job, resync, state, signal } = turn
    const { name } = this.#topic
    const target = await this.#parts.target(state, signal)
    const point = { id: job.request.token, schema: target.schema }
    // A sink that was never told of the topic in this process is told of it by the first rows alone.
    const begun = await this.#attempt(() => resync.begin(name, point, signal), signal)
    if (begun === 'over') return this.#finish(turn, point)
    const feed = await this.#feedOf(turn, begun === 'fresh')
    if (feed.place.offset >= state.done) return this.#finish(turn, point)
    const delivery = await this.#next(feed, state, signal)
    const letters = delivery === null ? [] : await this.#send(turn, delivery, target)
    failpoint('resync.after_send')
    const next = delivery === null ? feed.place.offset : deliveryEnd(delivery)
    const rows = delivery?.kind === 'rows' ? delivery.batch.rows : 0
    const notes = { next, end: null, batch: job.notes.batch + 1, plan: null }
    const counts = { sent: rows - letters.length, refused: letters.length, skipped: 0 }
    await this.#record(job, state, { notes, counts, refused: letters })
    failpoint('resync.after_step')
    this.#parts.ctx.progress(rows, delivery?.kind === 'rows' ? delivery.batch.byteLength : 0)
    const over = letters.length === 0 ? null : this.#parts.commits.overBudget(name)
    if (over !== null) throw over
    return state.done - next > this.#batching.rowsMax
  }

  async #finish({ job, resync, state, signal }: Turn, point: ResyncPoint): Promise<boolean> {
    await this.#attempt(() => resync.finish(this.#topic.name, point, signal), signal)
    failpoint('resync.after_finish')
    await this.#close()
    await this.#record(job, state, {})
    return true
  }

  /** What comes next, as one batch; not beyond the live cursor. */
  async #next(
    feed: TopicFeed,
    { done }: TopicState,
    signal: AbortSignal,
  ): Promise<Delivery | null> {
    const rowsMax = Math.min(this.#batching.rowsMax, done - feed.place.offset)
    const limits = { rowsMax, bytesMax: this.#batching.bytesMax }
    await feed.poll(limits, signal)
    return feed.take(limits)
  }

  async #send(
    { job, resync, signal }: Turn,
    delivery: Delivery,
    target: Target,
  ): Promise<readonly DeadLetter[]> {
    const { sender, rules, ctx } = this.#parts
    const { from } = delivery
    const stem = `sluice:${ctx.pipeline}:${ctx.name}:${this.#topic.name}:resync:${job.request.number}`
    const id = `${stem}:${from}-${deliveryEnd(delivery)}`
    if (delivery.kind === 'truncate') {
      // Kept from the target in use, so that its rows stand beside later ones: here too.
      if (judge('truncate', rules, true).action === 'ignore') return []
      const at = { id, offset: from }
      await this.#attempt(() => resync.truncate(this.#topic.name, at, signal), signal)
      return []
    }
    const again = { id, origin: 'resync' } as const
    const shaped = { ...delivery, again, shaping: { target, agreed: [] } }
    return this.#attempt(() => sender.sendDue(shaped, signal), signal)
  }

  /** Tries again by itself what may go well later. */
  async #attempt<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, random, metrics, logger, name } = this.#parts.ctx
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted()
      try {
        return await run()
      } catch (thrown) {
        if (signal.aborted) throw signal.reason
        const error = toSluiceError(thrown)
        if (error.fault !== 'transient') throw error
        metrics.count('retries_total', 1, { task: name, topic: this.#topic.name })
        logger.warn('resync waits', { topic: this.#topic.name, code: error.code })
        const pauseMs = Math.max(backoffMs(attempt, retry, random), error.retryAfterMs ?? 0)
        await clock.sleep(pauseMs, signal)
      }
    }
  }

  /** From the beginning where the target is empty, else from where the last step ended. */
  async #feedOf({ job, signal }: Turn, fresh: boolean): Promise<TopicFeed> {
    const request = job.request.number
    if (this.#open?.request === request && !fresh) return this.#open.feed
    await this.#close()
    const { log, clock } = this.#parts.ctx
    const { name, chain } = this.#topic
    const going = fresh ? null : job.notes.next
    const at = going === null ? await this.#start(job, signal) : { offset: going }
    const place = await locate(log, chain, name, at, signal)
    const feed = new TopicFeed(log, chain, name, place, clock)
    this.#open = { request, feed }
    return feed
  }

  /** Where the rows begin. Throws when some of them are gone from the log and nobody said from where. */
  async #start({ request }: Job, signal: AbortSignal): Promise<{ readonly offset: number }> {
    const { name, chain } = this.#topic
    const { body } = request
    const asked = body.kind === 'resync' ? body.from : null
    if (asked !== null) return { offset: asked }
    const { offset } = await locate(this.#parts.ctx.log, chain, name, 'start', signal)
    if (offset === 0) return { offset }
    throw cannot(
      name,
      `the log has its rows from offset ${offset} on; have the source copy the table again (resnapshot), then say --from where that began`,
    )
  }

  async #giveUp(resync: SinkResync | undefined, signal: AbortSignal): Promise<void> {
    try {
      await resync?.abandon(this.#topic.name, signal)
    } catch (thrown) {
      if (signal.aborted) throw thrown
      // What is left is removed by the next resync; the reason that this one ended for counts.
      const { code, message } = toSluiceError(thrown)
      this.#parts.ctx.logger.warn('resync left something', {
        topic: this.#topic.name,
        code,
        message,
      })
    }
  }

  async #record(job: Job, state: TopicState, change: Partial<AgainChange>): Promise<void> {
    const usual = { job, notes: null, counts: nothing, refused: [], sent: [], problem: null }
    await this.#parts.commits.again(this.#topic, state, { ...usual, ...change })
  }

  async #close(): Promise<void> {
    const open = this.#open
    this.#open = null
    await open?.feed[Symbol.asyncDispose]()
  }
}

function cannot(topic: string, why: string): SluiceError {
  return new SluiceError('task.request_refused', { message: `${topic}: ${why}` })
}
