/**
 * Rows not handed out yet, of many topics: those of whole transactions, and those of the open one.
 * In order within a topic; what a topic's rows had before a change of its schema or a truncate is
 * finished into the list at once.
 */
import type { TopicChange } from '../../core/connector/source.ts'
import type { RelationPlan } from './relations.ts'
import { splitChange, TopicRows } from './topic-rows.ts'
import { TableWriter } from './table-writer.ts'

/** Builders that grew beyond this for one batch are not kept for the next. */
const keptBytesMax = 32 << 20

export class Gathered {
  /** Bytes on the wire of what was gathered; about what the columns take. */
  bytes = 0
  #transaction = 0
  /** Finished changes of whole transactions, and of the open one. */
  #before: TopicChange[] = []
  #open: TopicChange[] = []
  readonly #topics = new Map<string, TopicRows>()
  readonly #writers = new Map<number, TableWriter>()
  #last: TableWriter | null = null

  beginTransaction(transaction: number): void {
    this.#transaction = transaction
    if (this.#open.length === 0) return
    this.#before.push(...this.#open)
    this.#open = []
  }

  /** The writer for a row of the open transaction. */
  writer(plan: RelationPlan): TableWriter {
    let writer = this.#last
    if (writer === null || writer.plan !== plan) {
      writer = this.#writerOf(plan)
      this.#last = writer
    }
    const { rows } = writer
    if (rows.transaction !== this.#transaction) {
      rows.transaction = this.#transaction
      rows.transactionStart = rows.rows
    }
    return writer
  }

  truncate(plan: RelationPlan): void {
    const { topic } = plan.topic
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
    if (this.bytes > keptBytesMax) this.#forgetBuilders()
    this.bytes = 0
  }

  /** Finishes the rows of one topic while a transaction is open. */
  #finish(rows: TopicRows): void {
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

  #writerOf(plan: RelationPlan): TableWriter {
    const known = this.#writers.get(plan.oid)
    if (known !== undefined && known.plan === plan && this.#isCurrent(known)) return known
    const { topic } = plan.topic
    let rows = this.#topics.get(topic)
    if (rows === undefined || rows.topic !== plan.topic) {
      // Rows of the schema before have their place before those of this one.
      if (rows !== undefined) this.#finish(rows)
      rows = new TopicRows(plan.topic)
      this.#topics.set(topic, rows)
    }
    const writer = new TableWriter(plan, rows)
    this.#writers.set(plan.oid, writer)
    return writer
  }

  /** Two relations that write to one topic under two schemas take turns. */
  #isCurrent(writer: TableWriter): boolean {
    return this.#topics.get(writer.plan.topic.topic) === writer.rows
  }

  #forgetBuilders(): void {
    this.#topics.clear()
    this.#writers.clear()
    this.#last = null
  }
}
