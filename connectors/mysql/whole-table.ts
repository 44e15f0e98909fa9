/**
 * A table copied as a whole, because it has no key, or none whose order could be told: under a lock that
 * lets nobody write, one snapshot is taken and the binlog's end noted. The lock goes when the stream has
 * come to that end: from there on the stream has nothing that the snapshot shows, and all that it does
 * not show. LOCK TABLES waits for every transaction that has written to the table, until after its
 * commit in the engine.
 */
import type { Clock } from '../../core/connector/context.ts'
import type { WholeTable } from '../../core/connector/snapshot/reader.ts'
import type { Position } from '../../core/connector/source.ts'
import type { Batch } from '../../core/record/batch.ts'
import type { Query } from './catalog.ts'
import type { Session } from './connection.ts'
import { ResultRows } from './result-rows.ts'
import { resultRows } from './result-set.ts'
import type { ServerInfo } from './server-info.ts'
import { lockWaitSeconds, type SnapshotSessions } from './snapshot-sessions.ts'
import { batchBytes, type LockedTable } from './snapshot-table.ts'
import { quoteTable, type TableName } from './table-pattern.ts'
import { endOfSnapshot, startSnapshot, type BinlogEnd } from './visibility.ts'

/** A lock that waits keeps writers waiting too: better to try again than to hold them up for long. */
const lockSeconds = 2

export interface WholeOptions {
  readonly table: TableName
  readonly info: ServerInfo
  readonly clock: Clock
  readonly sessions: SnapshotSessions
  readonly lock: (query: Query) => Promise<LockedTable>
  readonly isPassed: (end: BinlogEnd) => (position: Position) => boolean
}

export async function openWhole(options: WholeOptions, signal: AbortSignal): Promise<WholeTable> {
  const { sessions, table, info } = options
  const locker = await sessions.take(signal)
  let reader: Session | null = null
  const stop = (): void => {
    locker.destroy()
    reader?.destroy()
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    await locker.query(`SET SESSION lock_wait_timeout = ${lockSeconds}`)
    await locker.query(`LOCK TABLES ${quoteTable(table)} READ`)
    reader = await sessions.take(signal)
    await startSnapshot(reader.query)
    const locked = await options.lock(reader.query)
    const end = await endOfSnapshot(reader.query, info, true)
    return new LockedWhole(options, { locker, reader, locked, end })
  } catch (error) {
    sessions.discard(locker)
    if (reader !== null) sessions.discard(reader)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

interface Opened {
  readonly locker: Session
  readonly reader: Session
  readonly locked: LockedTable
  readonly end: BinlogEnd
}

class LockedWhole implements WholeTable {
  readonly isPassed: (position: Position) => boolean
  readonly #options: WholeOptions
  readonly #locked: LockedTable
  #locker: Session | null
  #reader: Session | null

  constructor(options: WholeOptions, { locker, reader, locked, end }: Opened) {
    this.#options = options
    this.#locker = locker
    this.#reader = reader
    this.#locked = locked
    this.isPassed = options.isPassed(end)
  }

  /** An engine without snapshots shows what is there while it is read: its writers wait until that is done. */
  async release(): Promise<void> {
    if (this.#locked.source.hasSnapshots) await this.#unlock()
  }

  async *batches(signal: AbortSignal): AsyncGenerator<Batch> {
    const reader = this.#reader!
    const { source, timeUs } = this.#locked
    const { clock } = this.#options
    const rows = new ResultRows(source.readers())
    for await (const _ of resultRows(reader, source.rowsSql(null), rows, { clock, signal })) {
      if (rows.byteLength >= batchBytes) yield rows.take(source.schema, timeUs)
    }
    if (rows.rows > 0) yield rows.take(source.schema, timeUs)
    await reader.query('COMMIT')
    this.#options.sessions.give(reader)
    this.#reader = null
  }

  async #unlock(): Promise<void> {
    const locker = this.#locker
    if (locker === null) return
    this.#locker = null
    await locker.query('UNLOCK TABLES')
    await locker.query(`SET SESSION lock_wait_timeout = ${lockWaitSeconds}`)
    this.#options.sessions.give(locker)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { sessions } = this.#options
    if (this.#reader !== null) sessions.discard(this.#reader)
    this.#reader = null
    if (this.#locker !== null && this.#locked.source.hasSnapshots) sessions.discard(this.#locker)
    else await this.#unlock()
    this.#locker = null
  }
}
