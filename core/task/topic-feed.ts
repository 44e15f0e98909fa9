/**
 * The rows of one topic from the log, in order, as batches of the size a sink wants. A batch never
 * crosses a schema change or a truncate.
 */
import type { Clock } from '../connector/context.ts'
import type { WaitedBefore } from '../connector/waiting.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { Commit } from '../log/types.ts'
import { Op, type Batch } from '../record/batch.ts'
import { concatBatches, sliceBatch } from '../record/batch-ops.ts'
import type { Schema } from '../record/schema.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import type { Target } from './schema-shape.ts'
import { timeoutOr } from './wait.ts'

/** Where a topic's reader is: the next offset it needs, and a commit at or before the one that holds it. */
export interface FeedPlace {
  readonly offset: number
  readonly seq: number
}

export type Delivery =
  | {
      readonly kind: 'rows'
      readonly from: number
      readonly batch: Batch
      readonly timeMs: number
      /** Of rows that are sent once more: they have an id of their own (redelivery.ts, resync.ts). */
      readonly again?: { readonly id: string; readonly origin: 'retry' | 'replay' | 'resync' }
      /** Of rows that waited and are due (waiting-rows.ts). */
      readonly waited?: { readonly id: string; readonly before: WaitedBefore }
      /** What they are brought into before they are sent; as they are when absent. */
      readonly shaping?: Shaping
    }
  /** Takes one offset. */
  | { readonly kind: 'truncate'; readonly from: number; readonly timeMs: number }

export interface Shaping {
  readonly target: Target
  /** What the target is to follow before these rows. */
  readonly agreed: readonly SchemaChange[]
}

/** The offset after a delivery. */
export function deliveryEnd(delivery: Delivery): number {
  return delivery.from + (delivery.kind === 'rows' ? delivery.batch.rows : 1)
}

interface Piece {
  readonly seq: number
  readonly from: number
  /** null = truncate. */
  readonly batch: Batch | null
  readonly timeMs: number
}

export interface FeedLimits {
  readonly rowsMax: number
  readonly bytesMax: number
}

export interface WaitLimits {
  /** What may be read into memory. */
  readonly room: FeedLimits
  /** A batch that is worth sending before it is due. */
  readonly batch: FeedLimits
}

/** A commit that is being read: how many of its blocks were. */
interface OpenCommit {
  readonly commit: Commit
  next: number
}

/** How many of a batch's first rows, at most `rows`, go with the `before` rows that are taken already. */
type Cut = (batch: Batch, rows: number, before: number) => number

export class TopicFeed implements AsyncDisposable {
  readonly #topic: string
  readonly #reader: ChainReader
  readonly #clock: Clock
  readonly #pieces: Piece[] = []
  #offset: number
  /** While a commit is being read, that one; else the one after it. */
  #seq: number
  #next: Promise<Commit> | null = null
  /**
   * Read a block at a time: a source's transaction is one commit, however large it is. null: whatever was read
   * holds nothing more of the topic.
   */
  #open: OpenCommit | null = null
  #rows = 0
  #bytes = 0
  #readMs: number | null = null

  constructor(log: Log, chain: string, topic: string, place: FeedPlace, clock: Clock) {
    this.#topic = topic
    this.#reader = ChainReader.open(log, chain, place.seq)
    this.#clock = clock
    this.#offset = place.offset
    this.#seq = place.seq
  }

  /** The place after all that was taken. */
  get place(): FeedPlace {
    return { offset: this.#offset, seq: this.#pieces[0]?.seq ?? this.#seq }
  }

  /** Bytes of rows read and not yet taken. */
  get bufferedBytes(): number {
    return this.#bytes
  }

  /**
   * Commit time of the oldest row that was not taken; null = there is none. What is not read yet
   * counts as old as what was read last, for it may be next to it. undefined: nothing was read yet.
   */
  get waitsSinceMs(): number | null | undefined {
    const first = this.#pieces[0]
    if (first !== undefined) return first.timeMs
    if (this.#open !== null) return this.#open.commit.timeMs
    return this.#reader.atEnd ? null : (this.#readMs ?? undefined)
  }

  /** Waits until there is something to take; then for more, until `dueMs` or until a batch is full. */
  async wait(dueMs: number, { room, batch }: WaitLimits, signal: AbortSignal): Promise<void> {
    while (this.#pieces.length === 0) await this.#read(null, signal)
    while (!this.#full(batch)) {
      const leftMs = dueMs - this.#clock.nowMs()
      if (leftMs <= 0) return this.poll(room, signal)
      if (this.#full(room)) {
        await this.#clock.sleep(leftMs, signal)
        // Other topics may have given memory back.
        return this.poll(room, signal)
      }
      if (!(await this.#read(leftMs, signal))) return
    }
  }

  /** Reads what is there already, up to the limits, without waiting. */
  async poll(limits: FeedLimits, signal: AbortSignal): Promise<void> {
    while (!this.#full(limits)) if (!(await this.#readMore(signal))) return
  }

  /** What comes next: a row, or a truncate without a schema; null when nothing is read. */
  get next(): { readonly offset: number; readonly schema: Schema | null } | null {
    const first = this.#pieces[0]
    return first === undefined ? null : { offset: first.from, schema: first.batch?.schema ?? null }
  }

  /** What can be delivered next within the limits; null when nothing was read yet. */
  take(limits: FeedLimits): Delivery | null {
    return this.#take(limits, wholeUpdates)
  }

  #take(limits: FeedLimits, cut: Cut): Delivery | null {
    const first = this.#pieces[0]
    if (first === undefined) return null
    if (first.batch === null) {
      this.#drop(1)
      return { kind: 'truncate', from: first.from, timeMs: first.timeMs }
    }
    const taken: Batch[] = []
    let rows = 0
    let bytes = 0
    let pieces = 0
    for (const piece of this.#pieces) {
      if (piece.batch === null || piece.batch.schema.id !== first.batch.schema.id) break
      if (rows > 0 && bytes + piece.batch.byteLength > limits.bytesMax) break
      if (rows + piece.batch.rows > limits.rowsMax) {
        taken.push(sliceBatch(piece.batch, 0, cut(piece.batch, limits.rowsMax - rows, rows)))
        break
      }
      taken.push(piece.batch)
      rows += piece.batch.rows
      bytes += piece.batch.byteLength
      pieces++
    }
    const batch = concatBatches(taken.filter((part) => part.rows > 0))
    this.#drop(pieces)
    this.#dropRows(first.from + batch.rows)
    return { kind: 'rows', from: first.from, batch, timeMs: first.timeMs }
  }

  /** Exactly the rows up to `to`: a delivery that was planned before. Null when the log does not hold it as one. */
  async takeUntil(to: number, signal: AbortSignal): Promise<Delivery | null> {
    const from = this.#offset
    while (this.#offset + this.#rows < to) await this.#read(null, signal)
    // Where it was cut is known: looking for a better place again might find another one.
    const delivery = this.#take({ rowsMax: to - from, bytesMax: Infinity }, (_, rows) => rows)
    return delivery !== null && deliveryEnd(delivery) === to ? delivery : null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#next?.catch(() => {})
    await this.#reader[Symbol.asyncDispose]()
  }

  #full(limits: FeedLimits): boolean {
    return this.#rows >= limits.rowsMax || this.#bytes >= limits.bytesMax
  }

  /** Reads on by a block or a commit, waiting at most `ms`; false when time ran out. */
  async #read(ms: number | null, signal: AbortSignal): Promise<boolean> {
    if (await this.#readBlock(signal)) return true
    const next = (this.#next ??= this.#reader.next(signal))
    if (await timeoutOr(this.#clock, ms, [next])) return false
    this.#next = null
    await this.#begin(await next, signal)
    return true
  }

  /** As `#read`, of what is there already. */
  async #readMore(signal: AbortSignal): Promise<boolean> {
    if (this.#open !== null || this.#next !== null) return this.#read(0, signal)
    const commit = await this.#reader.tryNext(signal)
    if (commit === null) return false
    await this.#begin(commit, signal)
    return true
  }

  async #begin(commit: Commit, signal: AbortSignal): Promise<void> {
    this.#seq = commit.seq
    this.#readMs = commit.timeMs
    this.#open = { commit, next: 0 }
    this.#passOver(this.#open)
    await this.#readBlock(signal)
  }

  /** The next block of the topic in the commit that is being read; false when there is none. */
  async #readBlock(signal: AbortSignal): Promise<boolean> {
    if (this.#open === null) return false
    const { commit, next } = this.#open
    const { baseOffset } = commit.blocks[next]!
    const whole = await this.#reader.readBlock(commit, next, signal)
    const from = Math.max(baseOffset, this.#offset)
    const batch = whole === null ? null : sliceBatch(whole, from - baseOffset, whole.rows)
    this.#pieces.push({ seq: commit.seq, from, batch, timeMs: commit.timeMs })
    this.#rows += batch?.rows ?? 1
    this.#bytes += batch?.byteLength ?? 0
    this.#open.next++
    this.#passOver(this.#open)
    return true
  }

  /** Goes on to the next block that has rows to come, and closes the commit where none has. */
  #passOver(open: OpenCommit): void {
    const { commit } = open
    for (; open.next < commit.blocks.length; open.next++) {
      const { topic, rows, baseOffset } = commit.blocks[open.next]!
      if (topic === this.#topic && rows > 0 && baseOffset + rows > this.#offset) return
    }
    this.#open = null
    this.#seq = commit.seq + 1
  }

  #drop(pieces: number): void {
    for (const piece of this.#pieces.splice(0, pieces)) {
      this.#rows -= piece.batch?.rows ?? 1
      this.#bytes -= piece.batch?.byteLength ?? 0
      this.#offset = piece.from + (piece.batch?.rows ?? 1)
    }
  }

  /** Drops the rows of the first piece that lie before `offset`. */
  #dropRows(offset: number): void {
    const first = this.#pieces[0]
    if (first === undefined || first.batch === null || first.from >= offset) return
    const batch = sliceBatch(first.batch, offset - first.from, first.batch.rows)
    this.#rows -= first.batch.rows - batch.rows
    this.#bytes -= first.batch.byteLength - batch.byteLength
    this.#pieces[0] = { ...first, from: offset, batch }
    this.#offset = offset
  }
}

/** At most `rows`, without parting the old row of an update from its new one; but not none where none are before. */
function wholeUpdates(batch: Batch, rows: number, before: number): number {
  const parted = rows > 0 && batch.weights[rows - 1]! < 0 && batch.ops[rows - 1] === Op.update
  return parted && before + rows > 1 ? rows - 1 : rows
}
