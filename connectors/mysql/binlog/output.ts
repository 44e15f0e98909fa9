/**
 * Rows of transactions on their way out. Whole small transactions are gathered into one batch; a large
 * one goes out in parts while it comes in; a prepared XA transaction stays open until it is committed.
 */
import { Gathered } from '../../../core/connector/gathered.ts'
import type { Position, SourceBatch, TopicChange } from '../../../core/connector/source.ts'
import type { TopicRows } from '../../../core/connector/topic-rows.ts'
import { builderFor } from '../../../core/record/builder.ts'
import { Savepoints } from './savepoints.ts'
import type { StreamProgress } from './stream-progress.ts'
import type { FollowedTable } from '../schema/table-directory.ts'
import type { ColumnReader } from '../types.ts'

/** Whole transactions go out together from this size on. */
export const batchBytes = 1 << 20
/** A transaction still open at this size goes out in parts. */
export const partBytes = 4 << 20

export class Output {
  /** Batches ready to be handed out, oldest first; the reader takes them. */
  out: SourceBatch[] = []
  readonly #progress: StreamProgress
  readonly #positionAt: () => Position
  readonly gathered = new Gathered<ColumnReader>(() => this.#newReaders())
  readonly #savepoints = new Savepoints()
  /** Whose readers `#newReaders` makes. */
  #bound: FollowedTable | null = null
  readonly #owners = new WeakMap<TopicRows<ColumnReader>, FollowedTable>()
  #transactions = 0
  /** Rows of the open transaction went out already. */
  #parted = false
  /** Something of the open transaction is gathered, or went out. */
  #hasRows = false
  /** The parts of the open transaction that went out. */
  readonly #partsOut = new Set<string>()
  /** Prepared XA transactions of which rows went out, and the ids under which they did. */
  readonly #prepared = new Map<string, string>()
  #handedOut: number

  constructor(progress: StreamProgress, positionAt: () => Position) {
    this.#progress = progress
    this.#positionAt = positionAt
    this.#handedOut = progress.moves
  }

  /** The rows of a table, for the open transaction. */
  rowsOf(table: FollowedTable): TopicRows<ColumnReader> {
    const { gathered } = this
    this.#bound = table
    let rows = gathered.rowsOf(table.topic)
    const owner = this.#owners.get(rows)
    if (owner !== undefined && owner !== table) {
      // The same schema, packed in another way (a longer varchar): other readers.
      gathered.renew(table.topic.topic)
      rows = gathered.rowsOf(table.topic)
    }
    this.#owners.set(rows, table)
    return rows
  }

  #newReaders(): readonly ColumnReader[] {
    const table = this.#bound!
    const readers = table.readers()
    const byField = new Map<number, ColumnReader>()
    table.fields.forEach((field, column) => {
      if (field >= 0) byField.set(field, readers[column]!)
    })
    return table.topic.schema.fields.map(
      ({ type }, field) => byField.get(field) ?? new UnfedReader(builderFor(type)),
    )
  }

  begin(): void {
    this.gathered.beginTransaction(++this.#transactions)
    this.#savepoints.clear()
    this.#parted = false
    this.#hasRows = false
    this.#partsOut.clear()
  }

  /** Rows of so many bytes on the wire were appended. */
  added(bytes: number): void {
    this.#hasRows = true
    this.gathered.bytes += bytes
    if (this.gathered.bytes >= partBytes) this.#handOutPart()
  }

  truncate(topic: string): void {
    this.gathered.truncate(topic)
    this.#hasRows = true
  }

  /** The open transaction is committed, and the place is after it. */
  commit(): void {
    if (this.#parted) {
      const parts = this.#savepoints.split(this.gathered.take())
      const last = parts.at(-1)
      const withLast = last !== undefined && last.part === ''
      for (const part of withLast ? parts.slice(0, -1) : parts) this.#pushPart(part)
      this.#push(withLast ? last.changes : [], '', 'commit', this.#position())
    } else if (this.gathered.bytes >= batchBytes) this.handOut()
  }

  /** The open transaction never happened. */
  abort(): void {
    if (!this.#hasRows) return
    this.#handOutWhole()
    if (this.#parted) this.#push([], '', 'abort', null)
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.gathered.openRows())
  }

  rollBackTo(name: string): void {
    if (!this.#hasRows) return
    const parts = this.#savepoints.split(this.#handOutWhole())
    const gone = new Set(this.#savepoints.rollBackTo(name))
    for (const part of parts) if (!gone.has(part.part)) this.#pushPart(part)
    for (const part of gone) if (this.#partsOut.delete(part)) this.#push([], part, 'abort', null)
  }

  /** Everything of the open transaction goes out, and it stays open until `resolve`. */
  prepare(xid: string): void {
    if (this.#hasRows) this.#handOutPart()
    if (this.#parted) this.#prepared.set(xid, this.#progress.transactionId())
  }

  /** A prepared transaction has its end, and the place is after it. */
  resolve(xid: string, end: 'commit' | 'abort'): void {
    const id = this.#prepared.get(xid)
    this.#prepared.delete(xid)
    if (id === undefined) return
    const position = end === 'commit' ? this.#position() : null
    this.out.push({ changes: [], transaction: { id, part: '' }, end, position })
  }

  /** Hands out the whole transactions gathered, or an empty batch where only the place moved. */
  handOut(): void {
    const changes = this.gathered.take()
    if (changes.length === 0 && this.#progress.moves === this.#handedOut) return
    this.out.push({ changes, transaction: null, end: null, position: this.#position() })
  }

  #position(): Position {
    this.#handedOut = this.#progress.moves
    return this.#positionAt()
  }

  /** Hands out the whole transactions; what the open one has so far is returned, and gathered no more. */
  #handOutWhole(): TopicChange[] {
    const [before, open] = this.gathered.takeApart()
    if (before.length > 0) {
      this.out.push({ changes: before, transaction: null, end: null, position: this.#position() })
    }
    return open
  }

  #handOutPart(): void {
    const open = this.#handOutWhole()
    for (const part of this.#savepoints.split(open)) this.#pushPart(part)
  }

  #pushPart({ part, changes }: { part: string; changes: readonly TopicChange[] }): void {
    this.#parted = true
    this.#partsOut.add(part)
    this.#push(changes, part, null, null)
  }

  #push(
    changes: readonly TopicChange[],
    part: string,
    end: 'commit' | 'abort' | null,
    position: Position | null,
  ): void {
    const transaction = { id: this.#progress.transactionId(), part }
    this.out.push({ changes, transaction, end, position })
  }
}

/** A field that the wire does not have. */
class UnfedReader implements ColumnReader {
  readonly builder: ColumnReader['builder']
  constructor(builder: ColumnReader['builder']) {
    this.builder = builder
  }
  binlog(_source: Uint8Array, at: number): number {
    return at
  }
  skip(_source: Uint8Array, at: number): number {
    return at
  }
  text(): void {}
  appendNull(): void {
    this.builder.appendNull()
  }
}
