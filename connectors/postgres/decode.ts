/**
 * pgoutput messages → source batches. Rows go straight from the wire's bytes into column builders.
 * Small transactions are gathered into one batch; a large one goes out in parts; rows of a
 * transaction in progress (protocol 2) go out per sub-transaction, since each can still be undone.
 *
 *   stream      = { transaction | segment | streamCommit | streamAbort | logicalMessage }
 *   transaction = begin { origin | relation | type | change } commit
 *   segment     = streamStart { relation | type | change } streamStop
 *   begin       = 'B' Int64 commit's LSN, Int64 commit time, Int32 xid
 *   commit      = 'C' Int8 0, Int64 commit's LSN, Int64 LSN after the commit, Int64 commit time
 *   change      = insert | update | delete | truncate | logicalMessage
 *   insert      = 'I' [xid] Int32 oid, 'N' TupleData
 *   update      = 'U' [xid] Int32 oid, [ ( 'K' | 'O' ) TupleData ] 'N' TupleData
 *   delete      = 'D' [xid] Int32 oid, ( 'K' | 'O' ) TupleData
 *   truncate    = 'T' [xid] Int32 relations, Int8 options, { Int32 oid }
 *   streamStart = 'S' Int32 xid, Int8 first     streamStop = 'E'
 *   streamCommit = 'c' Int32 xid, Int8 0, Int64 commit's LSN, Int64 LSN after it, Int64 commit time
 *   streamAbort = 'A' Int32 xid, Int32 xid of the sub-transaction
 *   [xid]       = Int32, of the sub-transaction, in a segment only
 *
 * PostgreSQL documentation, protocol-logicalrep-message-formats (18).
 */
import type { Position, SourceBatch } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { CommitLog } from './commit-log.ts'
import {
  bigintAt,
  int32At,
  MessageType,
  parseRelation,
  protocolError,
  timeUsAt,
  type RelationMessage,
} from './pgoutput.ts'
import { RelationScopes } from './relation-scopes.ts'
import type { RelationPlan, Relations } from './relations.ts'
import { RowChanges } from './row-changes.ts'
import type { RowFilter } from './row-filter.ts'
import { TableWriters } from './table-writers.ts'

/** Whole transactions go out together from this size on. */
export const batchBytes = 1 << 20
/** A transaction still open at this size goes out in parts. */
export const partBytes = 4 << 20

export interface DecoderOptions {
  readonly relations: Relations
  /** Transactions committed before this LSN are known already and left out. */
  readonly after: bigint
  /** The position to commit with everything before an LSN. */
  readonly positionAt: (lsn: bigint) => Position
  readonly filter: RowFilter | null
  /** Hears of each transaction that the stream brings whole; see CommitLog. */
  readonly commits?: CommitLog | null
  /** Hears of each topic whose table is announced under a name that is none of ours. */
  readonly lost?: (topic: string) => void
}

export class Decoder {
  /** Batches ready to be handed out, oldest first; the reader takes them. */
  out: SourceBatch[] = []
  /** A table the catalog has to be asked about: load it, then call `resume` before the next message. */
  lookup: RelationMessage | null = null

  readonly #relations: Relations
  readonly #scopes = new RelationScopes()
  readonly #after: bigint
  readonly #positionAt: (lsn: bigint) => Position
  readonly #filter: RowFilter | null
  readonly #commits: CommitLog | null
  readonly #lost: (topic: string) => void
  readonly #rows = new RowChanges()
  readonly #whole = new TableWriters()
  readonly #streamed = new TableWriters()

  /** Where changes go now: `#whole` in a transaction, `#streamed` in a segment, else nowhere. */
  #into: TableWriters | null = null
  #transactions = 0
  #xid = 0
  #part = 0
  /** The open transaction was committed before `#after`. */
  #known = false
  /** Rows of the open transaction went out already. */
  #parted = false
  /** Everything before it was handed to `#whole` or is of no interest. */
  #lsn: bigint
  #handedOut: bigint

  constructor(options: DecoderOptions) {
    this.#relations = options.relations
    this.#after = options.after
    this.#positionAt = options.positionAt
    this.#filter = options.filter
    this.#commits = options.commits ?? null
    this.#lost = options.lost ?? (() => {})
    this.#lsn = options.after
    this.#handedOut = options.after
  }

  /** Bytes of rows not handed out yet. */
  get gatheredBytes(): number {
    return this.#whole.gathered.bytes + this.#streamed.gathered.bytes
  }
  /** Whether `flush` would give rows: whole transactions, and none open. */
  get flushable(): boolean {
    return this.#into === null && this.#whole.gathered.bytes > 0
  }

  /** One message, source[start, end). `sentUs`: when the server sent it, µs since 1970. */
  message(source: Uint8Array, start: number, end: number, sentUs: number): void {
    const type = source[start]!
    const at = start + 1
    switch (type) {
      case MessageType.insert:
      case MessageType.update:
      case MessageType.delete:
        return this.#change(type, source, at, end)
      case MessageType.begin:
        return this.#begin(source, at, end)
      case MessageType.commit:
        return this.#commit(source, at, end)
      case MessageType.relation:
        return this.#relation(source, at, end)
      case MessageType.truncate:
        return this.#truncate(source, at, end)
      case MessageType.streamStart:
        return this.#streamStart(source, at, end, sentUs)
      case MessageType.streamStop:
        return this.#streamStop(at, end)
      case MessageType.streamCommit:
        return this.#streamCommit(source, at, end)
      case MessageType.streamAbort:
        return this.#streamAbort(source, at, end)
      // Names of types are asked for in the catalog; origins and logical messages are not used.
      case MessageType.type:
      case MessageType.origin:
      case MessageType.message:
        return
      default:
        throw protocolError('is of a type that protocol version 2 does not have', type, 0)
    }
  }

  /** The server has sent everything before `walEnd` (a keepalive). */
  keepalive(walEnd: bigint): void {
    if (this.#into === null && walEnd > this.#lsn) this.#lsn = walEnd
  }

  /** After `lookup` was loaded. */
  resume(): void {
    const message = this.lookup
    this.lookup = null
    if (message !== null) this.#register(message)
  }

  /**
   * Hands out the whole transactions gathered, or, when there are none and the position moved, an
   * empty batch. Nothing while a transaction is open.
   */
  flush(): void {
    if (this.#into === null) this.#handOut()
  }

  #handOut(): void {
    const changes = this.#whole.gathered.take()
    if (changes.length === 0 && this.#lsn === this.#handedOut) return
    this.#handedOut = this.#lsn
    const position = this.#positionAt(this.#lsn)
    this.out.push({ changes, transaction: null, end: null, position })
  }

  #begin(source: Uint8Array, at: number, end: number): void {
    expectLength(MessageType.begin, end - at, 20)
    if (this.#into !== null) throw protocolError('comes inside a transaction', MessageType.begin, 0)
    const commitLsn = bigintAt(source, at)
    this.#xid = int32At(source, at + 16) >>> 0
    this.#rows.begin(this.#xid, timeUsAt(source, at + 8), this.#filterAt(commitLsn))
    // The server leaves them out by itself; a proxy or a standby's slot may not.
    this.#known = commitLsn < this.#after
    this.#parted = false
    this.#into = this.#whole
    this.#whole.gathered.beginTransaction(++this.#transactions)
  }

  #filterAt(lsn: bigint): RowFilter | null {
    return this.#filter !== null && lsn < this.#filter.until ? this.#filter : null
  }

  #commit(source: Uint8Array, at: number, end: number): void {
    expectLength(MessageType.commit, end - at, 25)
    if (this.#into !== this.#whole) {
      throw protocolError('comes outside a transaction', MessageType.commit, 0)
    }
    this.#into = null
    const after = bigintAt(source, at + 9)
    this.#commits?.committed(this.#xid, after)
    if (after > this.#lsn) this.#lsn = after
    if (this.#parted) {
      const changes = this.#whole.gathered.take()
      const transaction = { id: String(this.#xid), part: '' }
      this.#handedOut = this.#lsn
      const position = this.#positionAt(this.#lsn)
      this.out.push({ changes, transaction, end: 'commit', position })
    } else if (this.#whole.gathered.bytes >= batchBytes) this.#handOut()
  }

  /** Hands out what there is of the open transaction, after the whole ones before it. */
  #handOutPart(): void {
    const [before, open] = this.#whole.gathered.takeApart()
    if (before.length > 0) {
      this.#handedOut = this.#lsn
      const position = this.#positionAt(this.#lsn)
      this.out.push({ changes: before, transaction: null, end: null, position })
    }
    this.#parted = true
    const transaction = { id: String(this.#xid), part: '' }
    this.out.push({ changes: open, transaction, end: null, position: null })
  }

  #streamStart(source: Uint8Array, at: number, end: number, sentUs: number): void {
    expectLength(MessageType.streamStart, end - at, 5)
    if (this.#into !== null) {
      throw protocolError('comes inside a transaction', MessageType.streamStart, 0)
    }
    this.#xid = int32At(source, at) >>> 0
    this.#part = this.#xid
    this.#known = false
    // The commit time is not known before the commit. The time at which the server sent the segment
    // lies between the change and the commit. Of the commit's LSN it is known that it is to come.
    this.#rows.begin(this.#xid, sentUs, this.#filterAt(this.#lsn))
    this.#into = this.#streamed
    this.#scopes.enter(this.#xid)
  }

  #streamStop(at: number, end: number): void {
    expectLength(MessageType.streamStop, end - at, 0)
    if (this.#into !== this.#streamed) {
      throw protocolError('comes outside a stream', MessageType.streamStop, 0)
    }
    this.#handOutStreamed()
    this.#into = null
    this.#scopes.leave()
  }

  #handOutStreamed(): void {
    const changes = this.#streamed.gathered.take()
    if (changes.length === 0) return
    // An unchanged value in these rows may stand in a transaction that committed before them.
    if (this.#whole.gathered.bytes > 0) this.#handOut()
    const part = this.#part === this.#xid ? '' : String(this.#part)
    const transaction = { id: String(this.#xid), part }
    this.out.push({ changes, transaction, end: null, position: null })
  }

  #streamCommit(source: Uint8Array, at: number, end: number): void {
    expectLength(MessageType.streamCommit, end - at, 29)
    if (this.#into !== null) {
      throw protocolError('comes inside a transaction', MessageType.streamCommit, 0)
    }
    const xid = int32At(source, at) >>> 0
    const known = bigintAt(source, at + 5) < this.#after
    const after = bigintAt(source, at + 13)
    // What committed before this transaction has to be handed out before it.
    this.#handOut()
    if (after > this.#lsn) this.#lsn = after
    this.#handedOut = this.#lsn
    this.#scopes.commit(xid)
    const transaction = { id: String(xid), part: '' }
    const position = this.#positionAt(this.#lsn)
    this.out.push({ changes: [], transaction, end: known ? 'abort' : 'commit', position })
  }

  #streamAbort(source: Uint8Array, at: number, end: number): void {
    // Protocol 4 with parallel streaming adds an LSN and a time, which are not asked for.
    expectLength(MessageType.streamAbort, end - at, 8)
    if (this.#into !== null) {
      throw protocolError('comes inside a transaction', MessageType.streamAbort, 0)
    }
    const xid = int32At(source, at) >>> 0
    const sub = int32At(source, at + 4) >>> 0
    const part = sub === xid ? '' : String(sub)
    if (sub === xid) this.#scopes.forget(xid)
    const transaction = { id: String(xid), part }
    this.out.push({ changes: [], transaction, end: 'abort', position: null })
  }

  #relation(source: Uint8Array, start: number, end: number): void {
    const at = this.#into === this.#streamed ? start + 4 : start
    if (at + 4 > end) throw protocolError('is cut short', MessageType.relation, end - start)
    if (!this.#scopes.announceAgain(source, at, end)) this.#register(parseRelation(source, at, end))
  }

  #register(message: RelationMessage): void {
    const plan = this.#relations.plan(message)
    if (plan === null) {
      this.lookup = message
      return
    }
    const before = this.#scopes.planOf(message.oid)
    if (plan === 'ignored' && before !== undefined && before !== 'ignored') {
      this.#lost(before.topic.topic)
    }
    this.#scopes.announce(message, plan)
  }

  #change(type: number, source: Uint8Array, start: number, end: number): void {
    const into = this.#into
    if (into === null) throw protocolError('comes outside a transaction', type, 0)
    const at = into === this.#streamed ? start + 4 : start
    // The shortest change after its oid: a kind byte and an Int16.
    if (at + 7 > end) throw protocolError('is cut short', type, end - start)
    const plan = this.#scopes.planOf(int32At(source, at) >>> 0)
    if (plan === undefined)
      throw protocolError('names a relation never announced', type, at - start)
    if (plan === 'ignored' || this.#known) return
    if (into === this.#streamed) this.#enterPart(int32At(source, start) >>> 0)
    const writer = into.writer(plan)
    if (type === MessageType.insert) this.#rows.insert(writer, source, at + 4, end)
    else if (type === MessageType.update) this.#rows.update(writer, source, at + 4, end)
    else this.#rows.delete(writer, source, at + 4, end)
    this.#gathered(into, end - start)
  }

  #truncate(source: Uint8Array, start: number, end: number): void {
    const into = this.#into
    if (into === null) throw protocolError('comes outside a transaction', MessageType.truncate, 0)
    const at = into === this.#streamed ? start + 4 : start
    const count = at + 5 > end ? -1 : int32At(source, at)
    expectLength(MessageType.truncate, end - at - 5, count * 4)
    if (into === this.#streamed) this.#enterPart(int32At(source, start) >>> 0)
    if (this.#known) return
    for (let place = at + 5; place < end; place += 4) {
      const plan = this.#scopes.planOf(int32At(source, place) >>> 0)
      if (plan === undefined) {
        throw protocolError('names a relation never announced', MessageType.truncate, place - start)
      }
      if (plan === 'ignored' || this.#rows.dropsTruncate(plan.tableOid)) continue
      if (isForWholeTopic(plan, source, at + 5, end)) into.gathered.truncate(plan.topic.topic)
    }
    this.#gathered(into, end - start)
  }

  /** Rows of each sub-transaction go out apart, because each can be rolled back alone. */
  #enterPart(part: number): void {
    if (part === this.#part) return
    this.#handOutStreamed()
    this.#part = part
  }

  #gathered(into: TableWriters, bytes: number): void {
    into.gathered.bytes += bytes
    if (into === this.#streamed) {
      if (into.gathered.bytes >= batchBytes) this.#handOutStreamed()
    } else if (into.gathered.bytes >= partBytes) this.#handOutPart()
  }
}

/**
 * Where partitions are published under their own names, a truncate of the table names every one of
 * them, which empties the topic once, at the last; a truncate of some partitions cannot be said in
 * the topic of the whole table. `oids`: source[start, end).
 */
function isForWholeTopic(
  { oid, siblings, topic }: RelationPlan,
  source: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (siblings.length === 0) return true
  const truncated: number[] = []
  for (let at = start; at < end; at += 4) truncated.push(int32At(source, at) >>> 0)
  if (!siblings.every((sibling) => truncated.includes(sibling))) {
    throw new SluiceError('source.postgres.partition_truncated', {
      message: `A part of ${topic.topic} was emptied: a partition was truncated by itself.`,
    })
  }
  return truncated.findLast((other) => siblings.includes(other)) === oid
}

function expectLength(type: number, found: number, expected: number): void {
  if (found !== expected) throw protocolError('has a wrong length', type, found + 1)
}
