/**
 * Where transactions begin and end, and what of them is known already: the events that say so, and the
 * statements between them. The grammar is decode.ts's.
 */
import { SluiceError } from '../../../core/errors/error.ts'
import { headerBytes, lengthOf, secondsOf, serverIdOf } from './event-header.ts'
import { EventType, protocolError } from './events.ts'
import { parseGtid, parseTaggedGtid, parseXaPrepare } from './gtid-event.ts'
import { parseMariadbGtid } from './mariadb-events.ts'
import type { Output } from './output.ts'
import { parseStatement, plainWord } from './query-event.ts'
import { statementKind, type StatementKind } from './statement-kind.ts'
import type { StreamProgress } from './stream-progress.ts'
import type { Statement, TableDirectory } from '../schema/table-directory.ts'
import type { TableName } from '../schema/table-pattern.ts'
import type { Tables } from './tables.ts'

/** Between transactions; after a GTID, before what tells the kind of transaction; within one. */
const idle = 0
const announced = 1
const open = 2

interface GroupsParts {
  readonly directory: TableDirectory
  readonly progress: StreamProgress
  readonly output: Output
  readonly tables: Tables
}

export class Groups {
  readonly #directory: TableDirectory
  readonly #progress: StreamProgress
  readonly #output: Output
  readonly #tables: Tables
  #state: 0 | 1 | 2 = idle
  /** The open transaction is in the log already. */
  isKnown = false
  /** When it was committed, as far as that is said. */
  timeUs = 0

  constructor({ directory, progress, output, tables }: GroupsParts) {
    this.#directory = directory
    this.#progress = progress
    this.#output = output
    this.#tables = tables
  }

  get isIdle(): boolean {
    return this.#state === idle
  }
  /** Rows may come. */
  get isOpen(): boolean {
    return this.#state === open
  }

  /** The server stopped or crashed within the open transaction: it never happened, as a replica has it. */
  abandon(): void {
    if (this.#state === idle) return
    this.#output.abort()
    this.#state = idle
  }

  gtid(source: Uint8Array, start: number, end: number, type: number): void {
    const at = start + headerBytes
    this.#expectIdle(type)
    const isTagged = type === EventType.gtidTagged
    const event = isTagged ? parseTaggedGtid(source, at, end) : parseGtid(source, at, end, type)
    if (type === EventType.anonymousGtid && this.#progress.usesGtids) {
      throw new SluiceError('source.mysql.gtid_missing', {
        message: 'A transaction came without a GTID.',
      })
    }
    const number = type === EventType.anonymousGtid ? 0 : event.number
    const known = this.#progress.beginMysql(event.source, number, lengthOf(source, start))
    this.#begin(announced, known, event.timeUs ?? secondsOf(source, start) * 1e6)
  }

  mariadbGtid(source: Uint8Array, start: number, end: number): void {
    this.#expectIdle(EventType.mariadbGtid)
    const event = parseMariadbGtid(source, start + headerBytes, end, serverIdOf(source, start))
    let known = this.#progress.beginMariadb(event.gtid, lengthOf(source, start))
    if (known && event.preparesXa && this.#progress.isPrepared(event.xid!)) known = false
    this.#begin(event.standalone ? announced : open, known, secondsOf(source, start) * 1e6)
  }

  #expectIdle(type: number): void {
    if (this.#state !== idle) throw protocolError('comes inside a transaction', type)
  }

  #begin(state: 1 | 2, known: boolean, timeUs: number): void {
    this.#state = state
    this.isKnown = known
    this.timeUs = timeUs
    this.#output.begin()
    this.#tables.endStatement()
  }

  /** A transaction that nothing announced: GTIDs are off. */
  #beginPlain(source: Uint8Array, start: number): void {
    const known = this.#progress.beginPlain(lengthOf(source, start))
    this.#begin(announced, known, secondsOf(source, start) * 1e6)
  }

  end(end: 'commit' | 'rollback', type: number): void {
    if (this.#state === idle) throw protocolError('comes outside a transaction', type)
    this.#state = idle
    if (end === 'rollback') this.#output.abort()
    this.#progress.finish()
    if (end === 'commit') this.#output.commit()
  }

  xaPrepare(source: Uint8Array, at: number, end: number): void {
    const { onePhase, xid } = parseXaPrepare(source, at, end)
    if (onePhase || this.isKnown) return this.end('commit', EventType.xaPrepare)
    if (this.#state === idle) {
      throw protocolError('comes outside a transaction', EventType.xaPrepare)
    }
    this.#state = idle
    this.#output.prepare(xid)
    this.#progress.prepare(xid)
    this.#progress.finish()
  }

  query(source: Uint8Array, start: number, end: number): void {
    const at = start + headerBytes
    const word = plainWord(source, at, end)
    if (word === 'begin') {
      if (this.#state === idle) this.#beginPlain(source, start)
      else if (this.#state === open) throw protocolError('begins a transaction inside another', 2)
      this.#state = open
    } else if (word === 'commit') this.end('commit', EventType.query)
    else this.statement(parseStatement(source, at, end, EventType.query), source, start)
  }

  statement(statement: Statement, source: Uint8Array, start: number): void {
    const kind = statementKind(statement)
    if (kind.kind === 'nothing') return
    if (this.#state === idle) this.#beginPlain(source, start)
    if (kind.kind === 'begin' || kind.kind === 'xaStart') {
      if (kind.kind === 'xaStart') this.#xaStart(kind.xid)
      this.#state = open
      return
    }
    if (kind.kind === 'commit' || kind.kind === 'rollback') return this.end(kind.kind, 2)
    if (!this.isKnown) this.#apply(kind, statement)
    // Alone in its transaction: nothing else ends it.
    if (this.#state === announced) this.end('commit', EventType.query)
  }

  #xaStart(xid: string): void {
    // Rows of a transaction that was only prepared before a restart are in no log yet.
    if (this.isKnown && this.#progress.isPrepared(xid)) this.isKnown = false
  }

  #apply(kind: StatementKind, statement: Statement): void {
    switch (kind.kind) {
      case 'savepoint':
        return this.#output.savepoint(kind.name)
      case 'rollbackTo':
        return this.#output.rollBackTo(kind.name)
      case 'xaCommit':
        return this.#resolveXa(kind.xid, 'commit')
      case 'xaRollback':
        return this.#resolveXa(kind.xid, 'abort')
      case 'rows':
        return this.#refuseRows(kind.tables, statement)
      case 'xaEnd':
        return
      default: {
        const { truncated } = this.#directory.statement(statement)
        for (const topic of truncated) this.#output.truncate(topic)
        this.#tables.invalidate()
      }
    }
  }

  /** The end of a prepared XA transaction is a transaction of its own. */
  #resolveXa(xid: string, end: 'commit' | 'abort'): void {
    if (!this.#progress.isPrepared(xid)) {
      if (end === 'abort' || this.#progress.isBeforeXaEnd) return
      const message = 'An XA transaction was committed whose prepare was not read.'
      return this.#directory.lost(new SluiceError('source.mysql.xa_unknown', { message }), null)
    }
    // What was committed before it goes out before it.
    this.#output.handOut()
    this.#progress.resolve(xid)
    this.#progress.finish()
    this.#output.resolve(xid, end)
  }

  #refuseRows(tables: readonly TableName[] | null, { database }: Statement): void {
    const followed = tables?.filter((name) => this.#directory.follows(name.database, name.table))
    for (const table of followed ?? [null]) {
      const what =
        table === null
          ? `database ${database} by a function or procedure`
          : `${table.database}.${table.table}`
      const message = `The binlog has a change of rows in ${what} as a statement's text.`
      const error = new SluiceError('source.mysql.statement_format', { message })
      this.#directory.lost(error, table)
    }
  }
}
