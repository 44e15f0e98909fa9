/**
 * One life of the source: finds the topics and where to begin, then turns what the fetch loops bring into
 * batches, each with the position behind it. A piece is decoded in one go; between pieces sockets are read, and a
 * schema that comes soon is waited for.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Context } from '../../core/connector/context.ts'
import type { RecordDecoder } from '../../core/connector/format/format.ts'
import type { Records } from '../../core/connector/format/records.ts'
import type { Position, SourceBatch } from '../../core/connector/source.ts'
import { Troubles } from '../../core/connector/troubles.ts'
import { toSluiceError, type SluiceError } from '../../core/errors/error.ts'
import { Background } from './background.ts'
import { Backlog } from './backlog.ts'
import { ClusterWatch } from './cluster-watch.ts'
import type { KafkaDriver } from './driver.ts'
import { Fetcher, type Chunk, type FetcherOptions } from './fetcher.ts'
import { TopicFollower, type FollowOptions } from './follow-topics.ts'
import { lastRecordOf } from './last-record.ts'
import type { LostPolicy } from './lost-records.ts'
import type { Partition } from './partitions.ts'
import { formatPosition, parsePosition } from './position.ts'
import { RecordBatches } from './record-batches.ts'
import { firstAt } from './record-memory.ts'
import { TopicDecoders } from './topic-decoders.ts'
import { TopicTroubles } from './topic-troubles.ts'
import { Wakeup } from './wakeup.ts'

export interface SourceRunOptions {
  readonly driver: KafkaDriver
  readonly follow: Omit<FollowOptions, 'driver' | 'clock' | 'logger'>
  readonly limits: FetcherOptions['limits']
  readonly metadataIntervalMs: number
  readonly onLost: (topic: string) => LostPolicy
  readonly errorOf: (name: string, partition: Partition) => SluiceError
  readonly decoderOf: (topic: string) => RecordDecoder
  readonly ctx: Context
}

/** What a record needs before it can be looked at. */
interface Need {
  readonly meet: (signal: AbortSignal) => Promise<void>
  /** For so long the others wait too. */
  readonly withinMs: number
}

/** Rows gathered are handed out when they take so much, or when nothing more is there. */
const batchBytes = 1 << 20
/** A registry that is there answers in less. */
const soonMs = 100

export class SourceRun {
  readonly #options: SourceRunOptions
  readonly #follower: TopicFollower
  readonly #fetcher: Fetcher
  readonly #background: Background
  readonly #watch: ClusterWatch
  readonly #troubles: Troubles
  readonly #decoders: TopicDecoders
  readonly #waiting: TopicTroubles
  readonly #batches = new RecordBatches()
  readonly #backlog: Backlog
  /** Why it cannot go on; null = it can. */
  #end: { readonly error: unknown } | null = null
  #position: Position | null
  /** Topics may have come. */
  #changed = true

  constructor(options: SourceRunOptions, after: Position | null) {
    const { driver, ctx, follow, limits } = options
    this.#options = options
    this.#position = after
    this.#troubles = new Troubles(ctx)
    this.#decoders = new TopicDecoders(options.decoderOf)
    const onEnd = (error: unknown): void => {
      this.#end ??= { error }
      this.#fetcher.wake()
    }
    this.#follower = new TopicFollower(
      { ...follow, driver, clock: ctx.clock, logger: ctx.logger },
      after === null ? null : parsePosition(after),
    )
    this.#waiting = new TopicTroubles(() => this.#follower.topics, this.#troubles, ctx)
    this.#background = new Background(onEnd)
    this.#fetcher = new Fetcher({
      driver,
      clock: ctx.clock,
      random: ctx.random,
      limits,
      onFailure: (error, broker, failures) => this.#failed(error, broker, failures),
      onWell: (broker) => this.#troubles.clear(`broker ${broker}`),
      onRefused: (partition, error) => this.#watch.refused(partition, error),
      onSame: (partition) => this.#watch.isSame(partition),
      onReplaced: (partition) => this.#watch.replaced(partition),
      onEnd,
    })
    this.#watch = new ClusterWatch({
      driver,
      follower: this.#follower,
      fetcher: this.#fetcher,
      background: this.#background,
      troubles: this.#troubles,
      onLost: options.onLost,
      errorOf: options.errorOf,
      onChange: () => {
        this.#changed = true
        this.#fetcher.wake()
      },
      intervalMs: options.metadataIntervalMs,
      ctx,
    })
    this.#backlog = new Backlog(this.#follower, this.#fetcher, ctx)
  }

  isFollowed(topic: string): boolean {
    return this.#follower.topics.has(topic)
  }

  /** Ends by throwing alone: what ended the source, or the signal's reason. */
  async *read(signal: AbortSignal): AsyncGenerator<SourceBatch, void, undefined> {
    const { ctx } = this.#options
    await this.#follower.begin(signal)
    const wake = (): void => this.#fetcher.wake()
    signal.addEventListener('abort', wake, { once: true })
    try {
      this.#background.run((stop) => this.#watch.run(stop))
      ctx.report({ state: 'running', detail: '', backlogBytes: () => this.#backlog.bytes })
      for (;;) {
        signal.throwIfAborted()
        if (this.#end !== null) throw this.#end.error
        this.#announce()
        const chunk = this.#fetcher.take()
        if (chunk === null) {
          const batch = this.#take()
          if (batch === null) await this.#fetcher.wait(signal)
          else yield batch
          continue
        }
        for await (const batch of this.#decode(chunk, signal)) {
          if (batch !== null) yield batch
          // Sockets are read in between, however fast batches are taken.
          await turn()
        }
      }
    } finally {
      signal.removeEventListener('abort', wake)
      await this.#fetcher[Symbol.asyncDispose]()
      await this.#background[Symbol.asyncDispose]()
      this.#troubles[Symbol.dispose]()
    }
  }

  /** New topics have a schema to be told, whether they have records or not. */
  #announce(): void {
    if (!this.#changed) return
    this.#changed = false
    this.#waiting.forgetGone()
    for (const topic of this.#follower.topics.values()) {
      try {
        this.#decoders.of(topic)
      } catch (error) {
        this.#waiting.show(topic.name, error)
      }
    }
  }

  /** A piece at a time; null where no batch is full yet. */
  async *#decode(
    chunk: Chunk,
    signal: AbortSignal,
  ): AsyncGenerator<SourceBatch | null, void, undefined> {
    const { partition } = chunk
    const { topic } = partition
    this.#batches.open(chunk.fetched, partition.partition)
    // It may be gone before this was decoded, and in the middle of it.
    while (this.#follower.topics.get(topic.name) === topic) {
      const records = this.#batches.next()
      if (records === null) break
      for (;;) {
        const need = this.#decodePiece(partition, records)
        if (need === null) break
        if (!(await this.#isMet(need, partition, signal))) return this.#fetcher.release(chunk)
      }
      yield this.#decoders.of(topic).byteLength < batchBytes ? null : this.#take()
    }
    partition.next = Math.max(partition.next, chunk.end)
    // Whatever asked may have been removed meanwhile, and no record that is decoded tells that all is well.
    this.#answered(partition)
    this.#fetcher.release(chunk)
  }

  /** null: all of it was looked at; otherwise what the next record needs. */
  #decodePiece(partition: Partition, records: Records): Need | null {
    const { topic } = partition
    const from = firstAt(records, partition.next)
    try {
      const decoder = this.#decoders.of(topic)
      const index = from < records.count ? decoder.decode(records, from) : from
      if (index > from) {
        partition.last = lastRecordOf(records, index - 1)
        this.#waiting.clear(topic.name)
        this.#answered(partition)
      }
      if (index === records.count) {
        partition.next = Math.max(partition.next, this.#batches.end)
        return null
      }
      partition.next = records.offsets[index]!
      const ask = (signal: AbortSignal): Promise<void> => decoder.prepare(signal)
      return { meet: (signal) => this.#waiting.until(topic, ask, signal), withinMs: soonMs }
    } catch (error) {
      this.#waiting.show(topic.name, error)
      const meet = async (signal: AbortSignal): Promise<void> => {
        await this.#waiting.cure(topic, signal)
        // Whatever was mended, a decoder that knows nothing finds it.
        this.#decoders.renew(topic)
      }
      return { meet, withinMs: 0 }
    }
  }

  /**
   * Whether what the record needs is there soon, as when a registry answers. Otherwise its topic waits for it: what
   * came of the topic is forgotten, and asked for again then, or topics that wait would take the room of the others.
   */
  async #isMet({ meet, withinMs }: Need, asking: Partition, signal: AbortSignal): Promise<boolean> {
    const { topic } = asking
    const met = new Wakeup(this.#options.ctx.clock)
    let isMet = false
    this.#background.run(async (stop) => {
      await meet(stop)
      isMet = true
      met.wake()
      if (!topic.stalled) return
      topic.stalled = false
      for (const partition of topic.partitions) this.#fetcher.look(partition)
    })
    if (withinMs > 0) await met.wait(signal, withinMs)
    signal.throwIfAborted()
    if (isMet && this.#follower.topics.get(topic.name) === topic) return true
    topic.stalled = !isMet
    topic.asking = asking
    for (const partition of topic.partitions) this.#fetcher.rewind(partition, partition.next)
    return false
  }

  /** The record that asked was looked at, or is gone: those of the other partitions may come again. */
  #answered(partition: Partition): void {
    const { topic } = partition
    if (topic.asking !== partition) return
    topic.asking = null
    this.#waiting.clear(topic.name)
    for (const other of topic.partitions) this.#fetcher.look(other)
  }

  /** Everything gathered, with the position behind it; null when that is nothing. */
  #take(): SourceBatch | null {
    const { changes, rejected } = this.#decoders.take(
      this.#follower.takeEmptied(),
      (topic, error) => this.#waiting.show(topic, error),
    )
    const position = formatPosition(this.#follower.position)
    const isMoved = position !== this.#position
    if (changes.length === 0 && rejected.length === 0 && !isMoved) return null
    this.#position = position
    this.#backlog.measure()
    const batch: SourceBatch = { changes, transaction: null, end: null, position }
    return rejected.length === 0 ? batch : { ...batch, rejected }
  }

  #failed(error: unknown, broker: number, failures: number): void {
    const reason = toSluiceError(error)
    if (reason.fault !== 'transient') throw error
    // One connection that ends is everyday, and over before anyone could look.
    if (failures > 1) this.#troubles.set(`broker ${broker}`, reason)
    this.#watch.lookSoon()
  }
}
