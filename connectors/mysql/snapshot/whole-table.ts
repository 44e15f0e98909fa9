/**
 * A table copied as a whole, because it has no key, or none whose order could be told: under a lock that
 * lets nobody write, one snapshot is taken and the binlog's end noted. The lock goes when the stream has
 * come to that end: from there on the stream has nothing that the snapshot shows, and all that it does
 * not show. LOCK TABLES waits for every transaction that has written to the table, until after its
 * commit in the engine.
 */
import type { Clock } from '../../../core/connector/context.ts'
import { SnapshotTableChanged, type WholeTable } from '../../../core/connector/snapshot/reader.ts'
import type { Position } from '../../../core/connector/source.ts'
import type { Batch } from '../../../core/record/batch.ts'
import type { Query } from '../schema/catalog.ts'
import type { Session } from '../connection.ts'
import { ResultRows } from './result-rows.ts'
import { resultRows } from './result-set.ts'
import type { ServerInfo } from '../server-info.ts'
import { lockWaitSeconds, type SnapshotSessions } from './snapshot-sessions.ts'
import { batchBytes, type LockedTable } from './snapshot-table.ts'
import { quoteTable, type TableName } from '../schema/table-pattern.ts'
import { endOfSnapshot, startSnapshot, type BinlogEnd } from './visibility.ts'

/** MySQL lets writers pass a READ lock that waits, so it keeps nobody waiting, and may wait for ever. */
const readLockSeconds = 15
/** A WRITE lock that waits does not: better to try again than to hold all others up for long. */
const writeLockSeconds = 2
/** Writers wait while the stream comes to the place of the snapshot: if it is so far behind, another time. */
const heldMs = 5000
const lockWaitTimeout = 1205 // ER_LOCK_WAIT_TIMEOUT

export interface WholeOptions {
  readonly topic: string
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
    const mode = await lockTable(locker.query, table)
    reader = await sessions.take(signal)
    await startSnapshot(reader.query)
    // Under a WRITE lock nobody else gets at the table, to look at it neither.
    const locked = await options.lock(mode === 'read' ? reader.query : locker.query)
    const end = await endOfSnapshot(reader.query, info, true)
    return new LockedWhole(options, { locker, reader, mode, locked, end })
  } catch (error) {
    sessions.discard(locker)
    if (reader !== null) sessions.discard(reader)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * A READ lock, which readers do not notice, where it can be had: MySQL grants it only in a moment
 * without any open transaction that has written to the table, which where many write never comes. Then
 * a WRITE lock, which new transactions wait for.
 */
async function lockTable(query: Query, table: TableName): Promise<'read' | 'write'> {
  const name = quoteTable(table)
  try {
    await query(`SET SESSION lock_wait_timeout = ${readLockSeconds}`)
    await query(`LOCK TABLES ${name} READ`)
    return 'read'
  } catch (error) {
    if ((error as { errno?: number }).errno !== lockWaitTimeout) throw error
    await query(`SET SESSION lock_wait_timeout = ${writeLockSeconds}`)
    await query(`LOCK TABLES ${name} WRITE`)
    return 'write'
  }
}

interface Opened {
  readonly mode: 'read' | 'write'
  readonly locker: Session
  readonly reader: Session
  readonly locked: LockedTable
  readonly end: BinlogEnd
}

class LockedWhole implements WholeTable {
  readonly isPassed: (position: Position) => boolean
  readonly #options: WholeOptions
  readonly #mode: 'read' | 'write'
  readonly #locked: LockedTable
  readonly #stop = new AbortController()
  readonly #limit: Promise<void>
  #locker: Session | null
  #reader: Session | null

  constructor(options: WholeOptions, { locker, reader, mode, locked, end }: Opened) {
    this.#options = options
    this.#mode = mode
    this.#locker = locker
    this.#reader = reader
    this.#locked = locked
    this.isPassed = options.isPassed(end)
    this.#limit = this.#giveUpInTime()
  }

  /** An engine without snapshots shows what is there while it is read: writers wait until that is done. */
  async release(): Promise<boolean> {
    this.#stop.abort()
    await this.#limit
    if (this.#locker === null) return false
    if (this.#locked.source.hasSnapshots) await this.#unlock()
    return true
  }

  async #giveUpInTime(): Promise<void> {
    try {
      await this.#options.clock.sleep(heldMs, this.#stop.signal)
    } catch {
      return
    }
    this.#discard()
  }

  #discard(): void {
    const { sessions } = this.#options
    for (const session of [this.#reader, this.#locker]) {
      if (session !== null) sessions.discard(session)
    }
    this.#reader = null
    this.#locker = null
  }

  async *batches(signal: AbortSignal): AsyncGenerator<Batch> {
    const { source, timeUs } = this.#locked
    const { clock, lock, topic } = this.#options
    const session = source.hasSnapshots ? this.#reader! : this.#locker!
    if (this.#mode === 'write' && source.hasSnapshots) {
      const now = await lock(session.query)
      if (now.source !== source) throw new SnapshotTableChanged(topic)
    }
    const rows = new ResultRows(source.readers(), { topic, schema: source.schema })
    for await (const _ of resultRows(session, source.rowsSql(null), rows, { clock, signal })) {
      if (rows.byteLength >= batchBytes) yield rows.take(source.schema, timeUs)
    }
    if (rows.rows > 0) yield rows.take(source.schema, timeUs)
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
    this.#stop.abort()
    await this.#limit
    this.#discard()
  }
}
