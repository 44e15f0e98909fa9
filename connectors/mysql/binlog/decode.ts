/**
 * Binlog events → source batches. Rows go straight from the events' bytes into column builders.
 *
 *   stream      = { file }
 *   file        = [ ROTATE ] FORMAT_DESCRIPTION [ PREVIOUS_GTIDS | GTID_LIST ] { transaction } [ ROTATE | STOP ]
 *   transaction = [ GTID ] ( statement | changes | TRANSACTION_PAYLOAD )       MySQL
 *               | gtid ( statement | { event } end )                          MariaDB: gtid is the BEGIN
 *   changes     = QUERY 'BEGIN' { event } end | QUERY 'XA START' { event } QUERY 'XA END' XA_PREPARE
 *   event       = { TABLE_MAP } { rows } | QUERY (savepoints, statements) | what is passed over
 *   end         = XID | QUERY 'COMMIT' | QUERY 'ROLLBACK' | XA_PREPARE
 *   statement   = QUERY                                                       DDL, XA COMMIT, XA ROLLBACK
 *
 * A transaction that ends with ROLLBACK is aborted. The server writes one only where statements besides
 * its rows could not be undone; rows of tables without transactions are never in it, they come before in
 * a transaction of their own that ends with COMMIT (sql/binlog.cc, use_trans_cache). The rows of a
 * prepared XA transaction stay open until XA COMMIT.
 *
 * mysql-server 9.7, sql/log_event.cc; MariaDB 11.8, sql/log_event_server.cc.
 */
import type { Position, SourceBatch } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import {
  bodyEnd,
  checkLength,
  endPlaceOf,
  flagsOf,
  hasChecksum,
  headerBytes,
  noFormat,
  parseFormat,
  typeOf,
  type EventFormat,
} from './event-header.ts'
import {
  EventType,
  eventName,
  flagArtificial,
  flagIgnorable,
  protocolError,
  safeUint64At,
  uint16At,
} from './events.ts'
import { Groups } from './groups.ts'
import { parseHeartbeat } from './heartbeat.ts'
import { Fragments } from './mariadb-events.ts'
import { Output } from './output.ts'
import { Payload } from './payload.ts'
import type { StreamPlace } from '../place.ts'
import { parseStatement } from './query-event.ts'
import { rowsKindOf } from './rows-event.ts'
import { StreamProgress } from './stream-progress.ts'
import type { TableDirectory, TableMap } from '../schema/table-directory.ts'
import { Tables } from './tables.ts'

export interface DecoderOptions {
  readonly directory: TableDirectory
  /**
   * Transactions up to here are known and left out; the server, which `from.server` names, was asked from
   * `readFrom` of it.
   */
  readonly from: StreamPlace
  /** The position to commit with everything up to a place. */
  readonly positionAt: (place: StreamPlace) => Position
}

export class Decoder {
  /** A table that has to be loaded: `await directory.load(lookup, …)`, then `resume`. */
  lookup: TableMap | null = null
  readonly #directory: TableDirectory
  readonly #progress: StreamProgress
  readonly #output: Output
  readonly #tables: Tables
  readonly #groups: Groups
  readonly #fragments = new Fragments()
  #format: EventFormat = noFormat
  #payload: Payload | null = null

  constructor(options: DecoderOptions) {
    const { directory, positionAt } = options
    this.#directory = directory
    this.#progress = new StreamProgress(options.from)
    this.#output = new Output(this.#progress, () => positionAt(this.#progress.place()))
    this.#tables = new Tables(directory, this.#output)
    this.#groups = new Groups({
      directory,
      progress: this.#progress,
      output: this.#output,
      tables: this.#tables,
    })
  }

  /** Batches ready to be handed out, oldest first; the reader takes them. */
  get out(): SourceBatch[] {
    return this.#output.out
  }
  set out(batches: SourceBatch[]) {
    this.#output.out = batches
  }
  /** Bytes of rows not handed out yet, and of events in pieces. */
  get gatheredBytes(): number {
    const pieces = this.#fragments.bytes + (this.#payload?.byteLength ?? 0)
    return this.#output.gathered.bytes + pieces
  }
  /** Whether `flush` would give rows: whole transactions, and none open. */
  get flushable(): boolean {
    return this.#groups.isIdle && this.#output.gathered.bytes > 0
  }
  /** The end of the last transaction that was read. */
  get place(): StreamPlace {
    return this.#progress.place()
  }
  /**
   * The last event is not done with: hand out `out`, load `lookup` if it is set, await `unpacking.more`
   * if that is set, and call `resume`; until then the event's bytes have to stay as they are.
   */
  get standing(): boolean {
    return this.lookup !== null || this.#payload !== null
  }
  /** A large transaction of which more has to be unpacked. */
  get unpacking(): Payload | null {
    const payload = this.#payload
    return payload !== null && !payload.isDone && payload.eventEnd() < 0 ? payload : null
  }

  /** One event, source[start, end), header and checksum included. */
  event(source: Uint8Array, start: number, end: number): void {
    checkLength(source, start, end)
    const type = typeOf(source, start)
    if (type === EventType.formatDescription) {
      this.#format = parseFormat(source, start, end)
      bodyEnd(source, start, end, this.#format.checksums)
    }
    const isArtificial = (flagsOf(source, start) & flagArtificial) !== 0
    // What the server makes up before it has said how events are laid out may or may not have one.
    const checksums =
      isArtificial && type === EventType.rotate
        ? hasChecksum(source, start, end)
        : this.#format.checksums
    const body = bodyEnd(source, start, end, checksums)
    if (!isArtificial && type !== EventType.heartbeat && type !== EventType.heartbeatV2) {
      this.#progress.advance(type, end - start, endPlaceOf(source, start))
    }
    this.#read(source, start, body)
    if (this.#payload !== null) this.#readPayload()
    else if (this.#groups.isIdle) this.#progress.reached()
  }

  /** After `lookup` was loaded, or more was unpacked. */
  resume(): void {
    const map = this.lookup
    this.lookup = null
    if (map !== null) this.lookup = this.#tables.loaded(map)
    if (this.lookup === null && this.#payload !== null) this.#readPayload()
  }

  /**
   * Hands out the whole transactions gathered, or, when there are none and the place moved, an empty
   * batch. Nothing while a transaction is open.
   */
  flush(): void {
    if (this.#groups.isIdle && this.#payload === null) this.#output.handOut()
  }

  /** The events of a compressed transaction, until a batch is ready, a table is asked for, or none is left. */
  #readPayload(): void {
    const payload = this.#payload!
    while (this.lookup === null && this.out.length === 0 && !payload.isDone) {
      const end = payload.eventEnd()
      if (end < 0) return
      const start = payload.at
      payload.at = end
      const type = typeOf(payload.bytes, start)
      if (type === EventType.transactionPayload) throw protocolError('is within another one', type)
      this.#read(payload.bytes, start, end)
    }
    if (!payload.isDone || this.lookup !== null) return
    this.#payload = null
    if (!this.#groups.isIdle) throw protocolError('ends within its transaction', 40)
    this.#progress.reached()
  }

  /** An event whose checksum, if any, is beyond `end`. */
  #read(source: Uint8Array, start: number, end: number): void {
    const type = typeOf(source, start)
    const at = start + headerBytes
    if (rowsKindOf(type) !== null) return this.#rows(source, at, end, type)
    switch (type) {
      case EventType.tableMap:
        return this.#tableMap(source, at, end)
      case EventType.gtid:
      case EventType.anonymousGtid:
      case EventType.gtidTagged:
        return this.#groups.gtid(source, start, end, type)
      case EventType.mariadbGtid:
        return this.#groups.mariadbGtid(source, start, end)
      case EventType.query:
        return this.#groups.query(source, start, end)
      case EventType.queryCompressed:
      case EventType.executeLoadQuery:
        return this.#groups.statement(parseStatement(source, at, end, type), source, start)
      case EventType.xid:
        this.#checkWhole(type)
        return this.#groups.end('commit', type)
      case EventType.xaPrepare:
        this.#checkWhole(type)
        return this.#groups.xaPrepare(source, at, end)
      case EventType.transactionPayload:
        if (this.#groups.isKnown && !this.#progress.isReadAgain) {
          return this.#groups.end('commit', type)
        }
        this.#payload = new Payload(source, at, end)
        return
      case EventType.partialRowData:
        return this.#fragment(source, at, end)
      default:
        return this.#aside(source, start, end, type)
    }
  }

  #checkWhole(type: number): void {
    if (this.#fragments.isOpen) throw protocolError('comes within a rows event in pieces', type)
  }

  /** What is no part of a transaction, and what changes nothing. */
  #aside(source: Uint8Array, start: number, end: number, type: number): void {
    const at = start + headerBytes
    switch (type) {
      case EventType.formatDescription:
      case EventType.stop:
        this.#fragments.clear()
        return this.#groups.abandon()
      case EventType.rotate: {
        if (end - at < 8) throw protocolError('is cut short', type)
        const offset = safeUint64At(source, at)
        if (Number.isNaN(offset)) throw protocolError('has a place beyond 2^53', type)
        const file = Buffer.from(source.subarray(at + 8, end)).toString('utf8')
        this.#progress.rotate(file, offset)
        return
      }
      case EventType.heartbeat:
      case EventType.heartbeatV2: {
        const { file, offset } = parseHeartbeat(source, start, end)
        if (this.#groups.isIdle) this.#progress.rotate(file, offset)
        return
      }
      case EventType.incident:
        // Where known events are read again, so is what became of it.
        if (!this.#progress.isReadAgain) this.#directory.lost(incident(source, at, end), null)
        return
      case EventType.previousGtids:
      case EventType.gtidList:
      case EventType.rowsQuery:
      case EventType.annotateRows:
      case EventType.ignorable:
      case EventType.intvar:
      case EventType.rand:
      case EventType.userVar:
      case EventType.appendBlock:
      case EventType.beginLoadQuery:
      case EventType.deleteFile:
      case EventType.transactionContext:
      case EventType.viewChange:
      case EventType.binlogCheckpoint:
      case EventType.startEncryption:
        return
      default:
        if ((flagsOf(source, start) & flagIgnorable) !== 0) return
        throw new SluiceError('source.mysql.unknown_event', {
          message: `A binlog event ${eventName(type)} came, which must not be passed over.`,
        })
    }
  }

  #tableMap(source: Uint8Array, at: number, end: number): void {
    if (!this.#groups.isOpen) throw protocolError('comes outside a transaction', EventType.tableMap)
    if (this.#groups.isKnown) return
    this.lookup = this.#tables.map(source, at, end, this.#format)
  }

  #rows(source: Uint8Array, at: number, end: number, type: number): void {
    if (!this.#groups.isOpen) throw protocolError('comes outside a transaction', type)
    if (this.#groups.isKnown) return
    this.#tables.rows(source, at, end, {
      type,
      tableIdBytes: this.#format.tableIdBytes,
      timeUs: this.#groups.timeUs,
    })
  }

  /** The pieces of a rows event make a whole event, header and all. */
  #fragment(source: Uint8Array, at: number, end: number): void {
    if (!this.#groups.isOpen) {
      throw protocolError('comes outside a transaction', EventType.partialRowData)
    }
    if (this.#groups.isKnown) return
    const whole = this.#fragments.add(source, at, end)
    if (whole === null) return
    checkLength(whole, 0, whole.length)
    const type = typeOf(whole, 0)
    if (rowsKindOf(type) === null) throw protocolError('holds no rows event', type)
    this.#rows(whole, headerBytes, whole.length, type)
  }
}

/** incident = Int16 kind, Int8 length, message */
function incident(source: Uint8Array, at: number, end: number): SluiceError {
  if (end - at < 2) throw protocolError('is cut short', EventType.incident)
  return new SluiceError('source.mysql.incident', {
    message: `The binlog has an incident of kind ${uint16At(source, at)}: changes are missing from it.`,
  })
}
