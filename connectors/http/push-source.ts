/**
 * PushSource: the rows of requests as a source. `read` yields what has come since the batch before, `ack`
 * answers those whose rows are in a commit now: a 2xx is never said before (invariant 1).
 *
 * Back-pressure is the bytes of requests that wait: beyond `max_waiting` new ones are told to come again.
 * When the source ends, those that are not in a commit are told so too; where it is killed, nobody is told
 * anything, and a sender that repeats with the same idempotency key finds its rows there, or not, once.
 */
import type { SourceContext } from '../../core/connector/context.ts'
import { Semaphore } from '../../core/connector/semaphore.ts'
import type { Decoded, RejectedRecords } from '../../core/connector/format/format.ts'
import type { Position, Source, SourceBatch, TopicChange } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import type { Delivery } from './delivery.ts'
import { keysTopic } from './idempotency.ts'
import { formatPosition, parsePosition } from './position.ts'
import { Budget, type Refusal } from './push-body.ts'
import { ending, PushEndpoint, type EndpointHost, type EndpointParts } from './push-endpoint.ts'
import { PushTopic, type PushTopicParts } from './push-topic.ts'
import { Watch } from './push-watch.ts'

/** One topic as its configuration makes it. */
export interface PushSetup {
  readonly path: string
  readonly windowMs: number
  readonly endpoint: EndpointParts
  readonly topic: PushTopicParts
}

export interface PushOptions {
  readonly waitingBytesMax: number
  readonly answerTimeoutMs: number
}

/** About as much as one batch holds of bodies. */
const batchBytes = 2 << 20
/** Under load, batches are this far apart: rows of many requests share one. */
const gatherMs = 4
const unpackingMax = 4

interface Yielded {
  readonly push: number
  readonly deliveries: readonly Delivery[]
}

export class PushSource implements Source {
  readonly #setups: readonly PushSetup[]
  readonly #ctx: SourceContext
  readonly #topics: readonly PushTopic[]
  readonly #byName: ReadonlyMap<string, PushTopic>
  readonly #budget: Budget
  readonly #unpacking = new Semaphore(unpackingMax)
  readonly #watch: Watch
  readonly #stop = new AbortController()
  /** What is yielded and not acknowledged, oldest first. */
  #yielded: Yielded[] = []
  readonly #work = new Set<Promise<void>>()
  #wake: (() => void) | null = null
  #reader: AsyncGenerator<SourceBatch> | null = null
  #push = 0

  constructor(setups: readonly PushSetup[], options: PushOptions, ctx: SourceContext) {
    this.#setups = setups
    this.#ctx = ctx
    this.#topics = setups.map(({ topic }) => new PushTopic(topic))
    this.#byName = new Map(this.#topics.map((topic) => [topic.parts.name, topic]))
    this.#budget = new Budget(options.waitingBytesMax)
    this.#watch = new Watch(this.#topics, options.answerTimeoutMs, ctx)
  }

  read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    this.#reader = this.#read(after, AbortSignal.any([signal, this.#stop.signal]))
    return this.#reader
  }

  async ack(position: Position): Promise<void> {
    const { push } = parsePosition(position)
    while (this.#yielded.length > 0 && this.#yielded[0]!.push <= push) {
      const { deliveries } = this.#yielded.shift()!
      for (const delivery of deliveries) {
        this.#byName.get(delivery.parts.topic)?.parts.idempotency?.stored(delivery)
        delivery.stored()
      }
    }
  }

  async decodeAgain(topic: string, batch: Batch): Promise<Decoded | null> {
    return this.#byName.get(topic)?.decodeAgain(batch) ?? null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#reader?.return(undefined).catch(() => {})
  }

  async *#read(after: Position | null, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    signal.throwIfAborted()
    this.#ctx.report({ state: 'starting' })
    this.#push = after === null ? 0 : parsePosition(after).push
    const { http } = this.#ctx
    if (http === undefined) {
      const message = `source ${this.#ctx.name} has nobody who could call it`
      throw new SluiceError('http.no_server', { message })
    }
    await this.#remember(signal)
    signal.throwIfAborted()
    yield batchOf(
      this.#topics.flatMap((topic) => topic.announce()),
      [],
      null,
    )
    const ended = new AbortController()
    const watching = this.#watch.run(AbortSignal.any([signal, ended.signal]))
    const routes = new AsyncDisposableStack()
    try {
      for (const { path, endpoint } of this.#setups) {
        const { handle } = this.#endpoint(endpoint, signal)
        routes.use(await http.add(path, handle))
      }
      this.#ctx.report({ state: 'running', detail: '', backlogBytes: () => this.#budget.bytes })
      yield* this.#batches(signal)
    } finally {
      await routes.disposeAsync()
      ended.abort()
      this.#refuseAll(ending)
      await Promise.all([watching, ...this.#work])
      // Bodies that were being unpacked meanwhile.
      this.#refuseAll(ending)
      this.#watch.flush()
    }
  }

  /** Reads the keys of the window back from the log. */
  async #remember(signal: AbortSignal): Promise<void> {
    const { history, clock } = this.#ctx
    if (history === undefined) return
    for (const { topic, windowMs } of this.#setups) {
      if (topic.idempotency === null) continue
      const sinceMs = clock.nowMs() - windowMs
      for await (const batch of history(keysTopic(topic.name), sinceMs, signal)) {
        topic.idempotency.load(batch)
      }
    }
  }

  #endpoint(
    parts: EndpointParts,
    signal: AbortSignal,
  ): { readonly handle: (...args: Parameters<PushEndpoint['handle']>) => void } {
    const topic = this.#byName.get(parts.topic)!
    const host: EndpointHost = {
      budget: this.#budget,
      unpacking: this.#unpacking,
      signal,
      nowMs: () => this.#ctx.clock.nowMs(),
      taken: (delivery) => {
        if (signal.aborted) return delivery.refused(ending)
        this.#watch.add(delivery)
        topic.add(delivery)
        this.#wake?.()
      },
      settled: (delivery) => {
        this.#budget.give(delivery.parts.heldBytes)
        this.#watch.settled(delivery)
      },
      refused: (name, status) => this.#watch.count(name, status),
      keep: (work) => {
        this.#work.add(work)
        void work.then(() => this.#work.delete(work))
      },
    }
    const endpoint = new PushEndpoint(parts, host)
    return { handle: (request, response, call) => endpoint.handle(request, response, call) }
  }

  async *#batches(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    for (;;) {
      signal.throwIfAborted()
      if (!this.#someWait()) await this.#arrival(signal)
      // Whatever came in the same turn of the loop shares a batch; while a commit is under way there is
      // no hurry either.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#yielded.length > 0) await this.#ctx.clock.sleep(gatherMs, signal)
      const batch = this.#drain()
      if (batch !== null) yield batch
    }
  }

  #drain(): SourceBatch | null {
    const changes: TopicChange[] = []
    const rejected: RejectedRecords[] = []
    const deliveries: Delivery[] = []
    for (const topic of this.#topics) {
      if (topic.waiting === 0) continue
      const drained = topic.drain(batchBytes)
      changes.push(...drained.changes)
      rejected.push(...drained.rejected)
      deliveries.push(...drained.deliveries)
    }
    if (deliveries.length === 0) return null
    this.#push++
    this.#yielded.push({ push: this.#push, deliveries })
    return batchOf(changes, rejected, formatPosition({ push: this.#push }))
  }

  #someWait(): boolean {
    return this.#topics.some((topic) => topic.waiting > 0)
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#wake = null
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#wake = () => {
        this.#wake = null
        signal.removeEventListener('abort', abort)
        resolve()
      }
    })
  }

  #refuseAll(refusal: Refusal): void {
    const waiting = this.#topics.flatMap((topic) => topic.abandon())
    const yielded = this.#yielded.flatMap(({ deliveries }) => deliveries)
    this.#yielded = []
    for (const delivery of [...yielded, ...waiting]) delivery.refused(refusal)
  }
}

function batchOf(
  changes: readonly TopicChange[],
  rejected: readonly RejectedRecords[],
  position: Position | null,
): SourceBatch {
  return {
    changes,
    transaction: null,
    end: null,
    position,
    ...(rejected.length === 0 ? {} : { rejected }),
  }
}
