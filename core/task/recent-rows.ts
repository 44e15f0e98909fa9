/**
 * The rows that are whole and newest, as the batches they came in: those that wait for a commit, and
 * behind them, up to a bound in bytes, those committed last. A lookup that ends here costs no disk.
 *
 * Each block of rows has a number in the order in which they became whole. What a large transaction
 * had to put on disk has such a number too, and hides the rows here that are before it.
 */
import type { Batch } from '../record/batch.ts'

/** Rows of one topic with their keys (rowKey). */
export interface Block {
  readonly topic: string
  readonly batch: Batch
  readonly keys: readonly string[]
  readonly number: number
}

export interface Place {
  readonly block: Block
  readonly row: number
}

interface TopicIndex {
  places: Map<string, Place>
  /** Rows before this number are hidden: a transaction on disk has been merged over them. */
  hiddenBelow: number
  /** Truncates that wait for their commit: on disk there is nothing of the topic meanwhile. */
  truncates: number
}

/** Of a key and its place, beside its text. */
const entryBytes = 100

export class RecentRows {
  readonly #bytesMax: number
  readonly #topics = new Map<string, TopicIndex>()
  readonly #committed: Block[] = []
  /** Counts up with each `hideBelow`. */
  merges = 0
  #committedBytes = 0
  #number = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  nextNumber(): number {
    return ++this.#number
  }

  /** Makes the block's rows the newest of their keys. */
  add(block: Block): void {
    const { places } = this.#indexOf(block.topic)
    for (let row = 0; row < block.keys.length; row++) places.set(block.keys[row]!, { block, row })
  }

  /** The newest row of a key, gone or not; undefined: not here. */
  find(topic: string, key: string): Place | undefined {
    const index = this.#topics.get(topic)
    const place = index?.places.get(key)
    return place !== undefined && place.block.number < index!.hiddenBelow ? undefined : place
  }

  /** Whether a row of a block is not the newest of its key among blocks up to `number`. */
  isOld(block: Block, row: number, number: number): boolean {
    const newest = this.#topics.get(block.topic)?.places.get(block.keys[row]!)
    if (newest === undefined || newest.block.number > number) return false
    return newest.block !== block || newest.row !== row
  }

  /** Whether the topic's rows on disk are as good as gone. */
  isEmptied(topic: string): boolean {
    return (this.#topics.get(topic)?.truncates ?? 0) > 0
  }

  /** The topic has no rows; `truncated` follows once that is on disk. */
  truncate(topic: string): void {
    const index = this.#indexOf(topic)
    index.places = new Map()
    index.truncates++
  }
  truncated(topic: string): void {
    this.#indexOf(topic).truncates--
  }

  /** Rows before this number are older than what is on disk now. */
  hideBelow(topic: string, number: number): void {
    const index = this.#indexOf(topic)
    index.hiddenBelow = Math.max(index.hiddenBelow, number)
    this.merges++
  }

  /** The block is on disk: it may be forgotten when room is needed. */
  committed(block: Block): void {
    this.#committed.push(block)
    this.#committedBytes += blockBytes(block)
    while (this.#committedBytes > this.#bytesMax) {
      const oldest = this.#committed.shift()!
      this.#committedBytes -= blockBytes(oldest)
      const places = this.#topics.get(oldest.topic)?.places
      if (places === undefined) continue
      for (const key of oldest.keys) if (places.get(key)?.block === oldest) places.delete(key)
    }
  }

  #indexOf(topic: string): TopicIndex {
    let index = this.#topics.get(topic)
    if (index === undefined) {
      index = { places: new Map(), hiddenBelow: 0, truncates: 0 }
      this.#topics.set(topic, index)
    }
    return index
  }
}

export function blockBytes({ batch, keys }: Block): number {
  let bytes = batch.byteLength
  for (const key of keys) bytes += key.length * 2 + entryBytes
  return bytes
}
