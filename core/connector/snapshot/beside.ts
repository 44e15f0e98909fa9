/**
 * The copy of tables woven into the running change stream, for every database: the same stream, with
 * the rows of the tables in between, each row once. Nothing but the position remembers how far the copy
 * is. docs/decisions/0007-snapshot-beside-stream.md says why it is exact, and what it asks of the reader
 * and the stream.
 */
import type { Context } from '../context.ts'
import type { Position, SourceBatch, TopicChange } from '../source.ts'
import { Background } from './background.ts'
import { Copying } from './copying.ts'
import type { SnapshotProgress } from './progress.ts'
import type { SnapshotReader } from './reader.ts'

export interface BesideOptions {
  /**
   * The changes after `position`, with positions of the stream alone. Transactions come in the order of
   * their commits, and never one inside another: the parts of one are followed by its end. Made at the
   * first pull; ends, or rejects, when `signal` is aborted.
   */
  readonly stream: (signal: AbortSignal) => AsyncIterable<SourceBatch>
  readonly reader: SnapshotReader
  /** The followed topics that are to be copied, or were. */
  readonly tables: readonly string[]
  /** By topic: a text that asks for another copy when it is not the one of the progress. */
  readonly asked?: Readonly<Record<string, string>>
  readonly progress: SnapshotProgress
  /** Where the stream begins. */
  readonly position: Position
  /** The position to hand out: the stream's, and how far the copy is. The progress is one object until it changes. */
  readonly join: (position: Position, progress: SnapshotProgress) => Position
  readonly ctx: Context
  /** Chunks of one table read at a time; 2 when absent. */
  readonly chunksAhead?: number
  /** Tables copied at a time; 2 when absent. */
  readonly parallel?: number
  /** Bytes of late rows beyond which a chunk is given up and read again; 16 MiB when absent. */
  readonly lateBytesMax?: number
}

export function snapshotBeside(options: BesideOptions, signal: AbortSignal): SnapshotBeside {
  return new SnapshotBeside(options, signal)
}

/** To be read once. Ends when the stream ends; throws what the stream or the reader throws, or the signal's reason. */
export class SnapshotBeside implements AsyncIterable<SourceBatch> {
  readonly #options: BesideOptions
  readonly #signal: AbortSignal
  readonly #background: Background
  readonly #copying: Copying
  /** Of the stream alone, between two transactions. */
  #position: Position
  /** Whether everything the stream handed out is before `#position`. */
  #isBetween = true
  #isPulling = false
  #arrived: IteratorResult<SourceBatch> | null = null
  #streamFailure: { readonly error: unknown } | null = null

  constructor(options: BesideOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#position = options.position
    this.#background = new Background(options.ctx, signal)
    this.#copying = new Copying(options, this.#background, signal)
  }

  /** Whether there is nothing left to copy. */
  get isDone(): boolean {
    return this.#copying.isDone
  }

  /** As of the last batch handed out. */
  get progress(): SnapshotProgress {
    return this.#copying.progress
  }

  /** Copies the topic's table once more, after a truncate of the topic; also a topic that was not named before. */
  again(topic: string): void {
    this.#copying.again(topic)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SourceBatch, void, undefined> {
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal])
    const stream = this.#options.stream(signal)[Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#background.check()
        if (this.#isBetween) yield* this.#copying.between(this.#position)
        const arrived = this.#take()
        if (arrived === null) {
          this.#pull(stream)
          await this.#background.wait()
        } else if (arrived.done === true) return
        else {
          const batch = await this.#passed(arrived.value)
          if (batch !== null) yield batch
        }
      }
    } finally {
      // A generator ends only after what it waits for, which an idle server does not send.
      stop.abort()
      await this.#copying[Symbol.asyncDispose]()
      await this.#background[Symbol.asyncDispose]()
      await stream.return?.().catch(() => {})
    }
  }

  #take(): IteratorResult<SourceBatch> | null {
    if (this.#streamFailure !== null) throw this.#streamFailure.error
    const arrived = this.#arrived
    this.#arrived = null
    return arrived
  }

  /** Asks for the stream's next batch, unless that was done; it is found by `#take`. */
  #pull(stream: AsyncIterator<SourceBatch>): void {
    if (this.#isPulling) return
    this.#isPulling = true
    const settled = (): void => {
      this.#isPulling = false
      this.#background.ring()
    }
    void stream
      .next()
      .then(
        (result) => {
          this.#arrived = result
        },
        (error: unknown) => {
          this.#streamFailure = { error }
        },
      )
      .then(settled)
  }

  /** What passes of the stream's batch; null = nothing at all. */
  async #passed(batch: SourceBatch): Promise<SourceBatch | null> {
    const changes = await this.#copying.sorted(batch)
    if (batch.end !== null) this.#copying.ended(batch.end)
    if (batch.position !== null) {
      this.#position = batch.position
      this.#isBetween = true
    } else if (batch.transaction !== null || !batch.changes.every(isAnnouncement)) {
      this.#isBetween = false
    }
    if (changes.length === 0 && batch.end === null && batch.position === null) return null
    const position = batch.position === null ? null : this.#copying.joined(batch.position)
    return { ...batch, changes, position }
  }
}

/** A topic's schema and no rows: the stream is where it was. */
function isAnnouncement(change: TopicChange): boolean {
  return 'batch' in change && change.batch.rows === 0
}
