/**
 * The first copy of MySQL's and MariaDB's tables beside the running binlog. A chunk is one range of the
 * key's index, read in one read-only transaction with a snapshot of its own:
 *
 *   the snapshot shows `from`       visibility.ts
 *   a metadata lock on the table    from here on its columns stay what they are
 *   SHOW CREATE TABLE               still what is known, or it is described again
 *   the binlog's end                the stream has passed the chunk when it has passed this
 *   SELECT … of the range           rows from the socket's bytes straight into columns
 *
 * A change of the table between the snapshot and the lock is before that end as well, and where the
 * old rows cannot be read any more the server says so (ER_TABLE_DEF_CHANGED): then once more.
 */
import type { Clock } from '../../../core/connector/context.ts'
import { ChunkSizes, type Size } from '../../../core/connector/snapshot/chunk-sizes.ts'
import { IdleReaders } from '../../../core/connector/snapshot/idle-readers.ts'
import { isSameTable } from '../../../core/connector/snapshot/progress.ts'
import {
  SnapshotTableChanged,
  type Chunk,
  type ChunkRows,
  type KeyText,
  type SnapshotReader,
  type SnapshotTable,
  type WholeTable,
} from '../../../core/connector/snapshot/reader.ts'
import type { Position } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { textAt } from '../../../core/record/value.ts'
import type { Query } from '../schema/catalog.ts'
import type { Session } from '../connection.ts'
import { mysqlError } from '../errors.ts'
import { keysUpTo } from './key-compare.ts'
import type { StreamPlace } from '../place.ts'
import { ResultRows } from './result-rows.ts'
import { resultRows } from './result-set.ts'
import type { ServerInfo } from '../server-info.ts'
import { keyRowsOnly, keyGroups } from './snapshot-keys.ts'
import { SnapshotSessions, type Connect } from './snapshot-sessions.ts'
import { batchBytes, createText, SnapshotSource, type LockedTable } from './snapshot-table.ts'
import { quoteTable, type TableName } from '../schema/table-pattern.ts'
import type { ValuePolicies } from '../types.ts'
import { beginSnapshot, endOfSnapshot, isAtOrAfter, type BinlogEnd } from './visibility.ts'
import { openWhole } from './whole-table.ts'

const chunkBytesDefault = 3 << 20

const tableDefinitionChanged = 1412 // ER_TABLE_DEF_CHANGED
const changedNumbers: ReadonlySet<number> = new Set([
  1049, // ER_BAD_DB_ERROR
  1054, // ER_BAD_FIELD_ERROR
  1146, // ER_NO_SUCH_TABLE
  1176, // ER_KEY_DOES_NOT_EXITS
])

export interface MysqlSnapshotOptions {
  /** Opens a session under `sessionSql`. */
  readonly connect: Connect
  readonly info: ServerInfo
  readonly policies: ValuePolicies
  /** Which table a topic is of. */
  readonly tableOf: (topic: string) => TableName | null
  readonly placeOf: (position: Position) => StreamPlace
  readonly clock: Clock
  /** About the bytes of a chunk's columns; 3 MiB when absent. */
  readonly chunkBytes?: number
}

export class MysqlSnapshotReader implements SnapshotReader, AsyncDisposable {
  readonly #options: MysqlSnapshotOptions
  readonly #sessions: SnapshotSessions
  /** By topic, as last described. */
  readonly #sources = new Map<string, SnapshotSource>()
  readonly #idleRows = new IdleReaders<SnapshotSource, ResultRows>()
  readonly #sizes: ChunkSizes

  constructor(options: MysqlSnapshotOptions) {
    this.#options = options
    this.#sessions = new SnapshotSessions(options.connect)
    this.#sizes = new ChunkSizes(options.chunkBytes ?? chunkBytesDefault)
  }

  async describe(topic: string, signal: AbortSignal): Promise<SnapshotTable | null> {
    const name = this.#options.tableOf(topic)
    if (name === null) return null
    const source = await this.#with(topic, signal, ({ query }) =>
      SnapshotSource.load(query, name, this.#options.policies),
    )
    if (source === null) {
      this.#sources.delete(topic)
      return null
    }
    this.#sources.set(topic, source)
    // Whatever becomes of the table, the stream tells: a table made anew is the topic going on.
    return { topic, id: topic, key: source.key, rowsEstimate: source.table.rowsEstimate }
  }

  async split(
    table: SnapshotTable,
    after: KeyText | null,
    signal: AbortSignal,
  ): Promise<KeyText | null> {
    const source = this.#sourceOf(table)
    const rows = this.#sizes.rows(table.topic, source.table.rowBytesEstimate)
    return this.#with(table.topic, signal, async (session) => {
      const read = new ResultRows(source.keyReaders())
      const { clock } = this.#options
      for await (const _ of resultRows(session, source.splitSql(after, rows), read, {
        clock,
        signal,
      }));
      if (read.rows === 0) return null
      const { fields } = source.schema
      const columns = read.takeColumns()
      return source.order.map(({ index }, i) => textAt(fields[index]!.type, columns[i]!, 0)!)
    })
  }

  async read(
    table: SnapshotTable,
    rows: ChunkRows,
    from: Position,
    signal: AbortSignal,
  ): Promise<Chunk> {
    const { info, clock, placeOf } = this.#options
    const place = placeOf(from)
    return this.#with(table.topic, signal, async (session) => {
      for (;;) {
        const name = this.#sourceOf(table).table
        await beginSnapshot(session.query, { info, table: name, from: place, clock }, signal)
        try {
          const locked = await this.#locked(session.query, table)
          const end = await endOfSnapshot(session.query, info, place.server !== info.identity)
          const batches = await this.#readRows(
            session,
            locked,
            { topic: table.topic, rows },
            signal,
          )
          await session.query('COMMIT')
          return { batches, isPassed: this.#isPassed(end) }
        } catch (error) {
          if (numberOf(error) !== tableDefinitionChanged) throw error
          await session.query('ROLLBACK')
        }
      }
    })
  }

  isUpTo(
    table: SnapshotTable,
    batch: Batch,
    rows: Int32Array,
    upTo: KeyText,
    signal: AbortSignal,
  ): Uint8Array | Promise<Uint8Array> {
    const ask = (sql: string): Promise<string> =>
      this.#with(table.topic, signal, async ({ query }) => {
        const [row] = await query(sql)
        return String(row?.['answer'])
      })
    return keysUpTo(this.#sourceOf(table).order, { batch, rows }, upTo, ask)
  }

  async readWhole(table: SnapshotTable, signal: AbortSignal): Promise<WholeTable> {
    const { info, clock } = this.#options
    const sessions = this.#sessions
    return this.#named(table.topic, signal, () =>
      openWhole(
        {
          topic: table.topic,
          table: this.#sourceOf(table).table,
          info,
          clock,
          sessions,
          lock: (query) => this.#locked(query, table),
          isPassed: (end) => this.#isPassed(end),
        },
        signal,
      ),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]()
  }

  #sourceOf({ topic }: SnapshotTable): SnapshotSource {
    const source = this.#sources.get(topic)
    if (source !== undefined) return source
    throw new SluiceError('internal.bug', { message: `${topic} was read before it was described` })
  }

  /** Inside a transaction: from here to its end the table cannot change, and is as this says. */
  async #locked(query: Query, table: SnapshotTable): Promise<LockedTable> {
    const known = this.#sourceOf(table)
    const [row] = await query(
      `SELECT UNIX_TIMESTAMP(NOW(6)) AS now, (SELECT 1 FROM ${quoteTable(known.table)} LIMIT 0) AS locked`,
    )
    // Seconds with six digits after the point.
    const timeUs = Number(String(row?.['now']).replace('.', ''))
    if ((await createText(query, known.table)) === known.created) return { source: known, timeUs }
    const source = await SnapshotSource.load(query, known.table, this.#options.policies)
    if (source === null || !isSameTable({ id: table.id, key: source.key }, table)) {
      throw new SnapshotTableChanged(table.topic)
    }
    this.#sources.set(table.topic, source)
    return { source, timeUs }
  }

  #isPassed(end: BinlogEnd): (position: Position) => boolean {
    const { info, placeOf } = this.#options
    return (position) => isAtOrAfter(info, placeOf(position), end)
  }

  async #readRows(
    session: Session,
    { source, timeUs }: LockedTable,
    { topic, rows }: { readonly topic: string; readonly rows: ChunkRows },
    signal: AbortSignal,
  ): Promise<Batch[]> {
    const { clock } = this.#options
    const isRange = !('keys' in rows)
    const batches: Batch[] = []
    const read =
      this.#idleRows.take(source) ??
      new ResultRows(source.readers(), { topic, schema: source.schema })
    for (const part of isRange ? [rows] : keyGroups(rows.keys)) {
      for await (const _ of resultRows(session, source.rowsSql(part), read, { clock, signal })) {
        if (read.byteLength < batchBytes) continue
        batches.push(read.take(source.schema, timeUs))
        if (isRange) this.#sizes.check(topic, sizeOf(batches))
      }
    }
    if (read.rows > 0) batches.push(read.take(source.schema, timeUs))
    this.#idleRows.give(source, read)
    if (!isRange) return keyRowsOnly(batches, rows.keys)
    this.#sizes.measure(topic, sizeOf(batches))
    return batches
  }

  /** Runs `work` on a session, which is outside any transaction before and after it. */
  async #with<T>(
    topic: string,
    signal: AbortSignal,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    return this.#named(topic, signal, async () => {
      const session = await this.#sessions.take(signal)
      const stop = (): void => session.destroy()
      signal.addEventListener('abort', stop, { once: true })
      try {
        const result = await work(session)
        this.#sessions.give(session)
        return result
      } catch (error) {
        this.#sessions.discard(session)
        throw error
      } finally {
        signal.removeEventListener('abort', stop)
      }
    })
  }

  /** With the errors of the server as ours. */
  async #named<T>(topic: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (changedNumbers.has(numberOf(error))) throw new SnapshotTableChanged(topic, error)
      throw mysqlError(error, `copy the table of ${topic}`)
    }
  }
}

function sizeOf(batches: readonly Batch[]): Size {
  let rows = 0
  let bytes = 0
  for (const batch of batches) {
    rows += batch.rows
    bytes += batch.byteLength
  }
  return { rows, bytes }
}

function numberOf(error: unknown): number {
  return typeof error === 'object' && error !== null && 'errno' in error ? Number(error.errno) : 0
}
