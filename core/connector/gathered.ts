/**
 * Rows not handed out yet, of many topics: those of whole transactions, and those of the open one.
 * In order within a topic; what a topic's rows had before a change of its schema or a truncate is
 * finished into the list at once.
 */
import type { TopicChange } from './source.ts'
import { splitChange } from './change-rows.ts'
import { TopicRows, type FieldDecoder, type TopicSchema } from './topic-rows.ts'

/** Builders that grew beyond this for one batch are not kept for the next. */
const keptBytesMax = 32 << 20

export class Gathered<Decoder extends FieldDecoder> {
  /** Bytes on the wire of what was gathered; about what the columns take. */
  bytes = 0
  /** Counts up whenever rows that `rowsOf` gave may be out of date. */
  version = 0
  #transaction = 0
  /** Finished changes of whole transactions, and of the open one. */
  #before: TopicChange[] = []
  #open: TopicChange[] = []
  readonly #topics = new Map<string, TopicRows<Decoder>>()
  readonly #decodersOf: (topic: TopicSchema) => readonly Decoder[]

  /** `decodersOf`: new decoders, one for each field of the topic's schema. */
  constructor(decodersOf: (topic: TopicSchema) => readonly Decoder[]) {
    this.#decodersOf = decodersOf
  }

  beginTransaction(transaction: number): void {
    this.#transaction = transaction
    if (this.#open.length === 0) return
    this.#before.push(...this.#open)
    this.#open = []
  }

  /**
   * Where the next row of the open transaction goes; what was given before may be used again, with
   * `enter`, while `version` stays the same.
   */
  rowsOf(topic: TopicSchema): TopicRows<Decoder> {
    let rows = this.#topics.get(topic.topic)
    if (rows === undefined || rows.topic !== topic) {
      // Rows of the schema before have their place before those of this one.
      if (rows !== undefined) this.#finish(rows)
      rows = new TopicRows(topic, this.#decodersOf(topic))
      this.#topics.set(topic.topic, rows)
      this.version++
    }
    this.enter(rows)
    return rows
  }

  /** Says that the next row of `rows`, which `rowsOf` gave under this `version`, is of the open transaction. */
  enter(rows: TopicRows<Decoder>): void {
    if (rows.transaction === this.#transaction) return
    rows.transaction = this.#transaction
    rows.transactionStart = rows.rows
  }

  /** By topic: how many rows of the open transaction are gathered. */
  openRows(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    const add = (topic: string, rows: number): void => {
      counts.set(topic, (counts.get(topic) ?? 0) + rows)
    }
    for (const change of this.#open) if ('batch' in change) add(change.topic, change.batch.rows)
    for (const rows of this.#topics.values()) {
      if (rows.transaction !== this.#transaction || rows.rows === 0) continue
      add(rows.topic.topic, rows.rows - rows.transactionStart)
    }
    return counts
  }

  /** The next rows of the topic are read by new decoders, though its schema is the same. */
  renew(topic: string): void {
    const rows = this.#topics.get(topic)
    if (rows === undefined) return
    this.#finish(rows)
    this.#topics.delete(topic)
    this.version++
  }

  truncate(topic: string): void {
    const rows = this.#topics.get(topic)
    if (rows !== undefined) this.#finish(rows)
    this.#open.push({ topic, truncate: true })
  }

  /** Everything gathered, and starts anew. */
  take(): TopicChange[] {
    const changes = [...this.#before, ...this.#open]
    for (const rows of this.#topics.values()) if (rows.rows > 0) changes.push(rows.finish())
    this.#startAnew()
    return changes
  }

  /** What whole transactions gave, and what the open one gave. */
  takeApart(): [before: TopicChange[], open: TopicChange[]] {
    for (const rows of this.#topics.values()) this.#finish(rows)
    const before = this.#before
    const open = this.#open
    this.#startAnew()
    return [before, open]
  }

  #startAnew(): void {
    this.#before = []
    this.#open = []
    if (this.bytes > keptBytesMax) {
      this.#topics.clear()
      this.version++
    }
    this.bytes = 0
  }

  /** Finishes the rows of one topic while a transaction is open. */
  #finish(rows: TopicRows<Decoder>): void {
    if (rows.rows === 0) return
    const inOpen = rows.transaction === this.#transaction
    const start = rows.transactionStart
    const change = rows.finish()
    if (!inOpen) this.#before.push(change)
    else if (start === 0) this.#open.push(change)
    else {
      const [before, open] = splitChange(change, start)
      this.#before.push(before)
      this.#open.push(open)
    }
  }
}
