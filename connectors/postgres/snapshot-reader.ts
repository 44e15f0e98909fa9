/**
 * Chunks of a table for the copy beside the stream (core/connector/snapshot/beside.ts), for tables that
 * are added later and those that are copied again. Each chunk is one COPY of a range of the key's index
 * in a REPEATABLE READ transaction of its own; docs/decisions/0007-snapshot-beside-stream.md says why
 * chunks and stream join exactly.
 */
import type { Client, ClientConfig, QueryResult } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import { Semaphore } from '../../core/connector/semaphore.ts'
import { ChunkSizes } from '../../core/connector/snapshot/chunk-sizes.ts'
import { IdleReaders } from '../../core/connector/snapshot/idle-readers.ts'
import {
  SnapshotTableChanged,
  type Chunk,
  type ChunkRows,
  type KeyText,
  type SnapshotReader,
  type SnapshotTable,
} from '../../core/connector/snapshot/reader.ts'
import { isSameTable } from '../../core/connector/snapshot/progress.ts'
import type { Position } from '../../core/connector/source.ts'
import type { Batch } from '../../core/record/batch.ts'
import { textAt } from '../../core/record/value.ts'
import type { TableInfo, TableName, TypeCatalog } from './catalog.ts'
import type { CommitLog } from './commit-log.ts'
import { copyOut } from './copy.ts'
import { CopyParser } from './copy-parser.ts'
import { postgresError } from './errors.ts'
import {
  afterKeySql,
  keyTextsSql,
  ofKeysSql,
  orderNames,
  orderSql,
  upToKeySql,
  type KeyOrder,
} from './key-order.ts'
import { parseLsn } from './lsn.ts'
import { parsePosition } from './position.ts'
import { openTransactionsEnded } from './publication.ts'
import { oldTransactions } from './slot.ts'
import { fromSql, selectSql, snapshotBatch } from './snapshot.ts'
import { Visibility } from './snapshot-filter.ts'
import { SnapshotSessions } from './snapshot-sessions.ts'
import { loadSource, markSql, type SnapshotSource } from './snapshot-table.ts'
import { quoteIdent } from './table-pattern.ts'
import { valueDecoder } from './values.ts'

/** About the bytes of a chunk's columns. A smaller one is slower: each is three round trips and a flush of the WAL. */
const chunkBytes = 8 << 20
const visiblePollMs = 5

export interface SnapshotReaderOptions {
  readonly client: ClientConfig
  readonly publication: string
  readonly types: TypeCatalog
  /** The table of a topic, by name. */
  readonly tables: ReadonlyMap<string, TableName>
  /** What the stream brings; see CommitLog. */
  readonly commits: CommitLog
  readonly ctx: Pick<Context, 'clock' | 'report'>
}

/** Whether the table can be read in ranges of its key: every column is in the order of its index. */
export function hasRanges(order: KeyOrder): boolean {
  return order.length > 0 && order.every(({ native }) => native)
}

interface Seen {
  readonly snapshot: string
  readonly lsn: string
  readonly time_us: string
  readonly mark: string
}

/** The WAL position is read after the snapshot was taken, by the same statement. */
const seenQuery = (mark: string): string => `
  SELECT pg_current_snapshot()::text AS snapshot, pg_current_wal_insert_lsn()::text AS lsn,
         trunc(extract(epoch FROM now()) * 1000000)::int8::text AS time_us, ${mark} AS mark`

export class PostgresSnapshotReader implements SnapshotReader, AsyncDisposable {
  readonly #options: SnapshotReaderOptions
  /** By topic, as last described. */
  readonly #sources = new Map<string, SnapshotSource>()
  readonly #idle = new IdleReaders<SnapshotSource, CopyParser>()
  readonly #sizes = new ChunkSizes(chunkBytes)
  readonly #seeing = new Semaphore(1)
  readonly #sessions: SnapshotSessions
  readonly #starting = new Semaphore(1)
  /** No transaction is left that was open before this reader began. */
  #isStarted = false

  constructor(options: SnapshotReaderOptions) {
    this.#options = options
    this.#sessions = new SnapshotSessions(options.client)
  }

  async describe(topic: string, signal: AbortSignal): Promise<SnapshotTable | null> {
    return this.#with(`look at the table of ${topic}`, signal, async (client) => {
      const name = this.#options.tables.get(topic)
      const source = name === undefined ? null : await loadSource(client, name, this.#options)
      if (source === null) return null
      this.#sources.set(topic, source)
      const { rowsEstimate } = source.info
      return { topic, ...identityOf(source), rowsEstimate }
    })
  }

  async split(
    table: SnapshotTable,
    after: KeyText | null,
    signal: AbortSignal,
  ): Promise<KeyText | null> {
    const { info, order } = this.#of(table)
    const where = after === null ? '' : ` WHERE ${afterKeySql(order, after)}`
    const rows = this.#sizes.rows(table.topic, rowBytesOf(info))
    const names = order.map(({ name }) => quoteIdent(name)).join(', ')
    // The inner one passes over the index alone; texts are made of one key, not of every one passed over.
    const query = `SELECT ${keyTextsSql(order)} FROM (SELECT ${names} FROM ${fromSql(info)}${where}
      ORDER BY ${orderSql(order)} OFFSET ${rows - 1} LIMIT 1) AS last`
    return this.#with(`read table ${table.topic}`, signal, async (client) => {
      // One after the other chunks wait for this: all in one message, the answers in an array.
      const answers = (await client.query(
        `BEGIN READ ONLY; SET LOCAL enable_sort = off; SET LOCAL jit = off; ${query}; COMMIT`,
      )) as unknown as readonly QueryResult<Record<string, string>>[]
      const row = answers.at(-2)!.rows[0]
      return row === undefined ? null : order.map((_, i) => row[`k${i}`]!)
    })
  }

  async read(
    table: SnapshotTable,
    rows: ChunkRows,
    from: Position,
    signal: AbortSignal,
  ): Promise<Chunk> {
    if (!this.#isStarted) await this.#start(signal)
    const { lsn } = parsePosition(from)
    return this.#with(`read table ${table.topic}`, signal, async (client) => {
      for (;;) {
        const seen = await this.#begin(client, table, lsn, signal)
        if (seen !== null) return this.#chunk(client, table, rows, seen, signal)
        await client.query('ROLLBACK')
        await this.#options.ctx.clock.sleep(visiblePollMs, signal)
      }
    })
  }

  isUpTo(table: SnapshotTable, batch: Batch, rows: Int32Array, upTo: KeyText): Uint8Array {
    const { compare } = this.#of(table)
    const { key, fields } = batch.schema
    const places = new Uint8Array(rows.length)
    for (let i = 0; i < rows.length; i++) {
      const texts = key.map((field) =>
        textAt(fields[field]!.type, batch.columns[field]!, rows[i]!)!,
      )
      if (compare(texts, upTo) <= 0) places[i] = 1
    }
    return places
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]()
  }

  #of({ topic }: SnapshotTable): SnapshotSource {
    const source = this.#sources.get(topic)
    if (source === undefined) throw new SnapshotTableChanged(topic)
    return source
  }

  /**
   * A snapshot, and the lock that was there before it: TRUNCATE and rewrites, which older snapshots would
   * see as an empty table, cannot come in between.
   */
  async #begin(
    client: Client,
    table: SnapshotTable,
    lsn: bigint,
    signal: AbortSignal,
  ): Promise<Seen | null> {
    const { info } = this.#of(table)
    try {
      await client.query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
         SET LOCAL jit = off; SET LOCAL enable_seqscan = off;
         LOCK TABLE ${fromSql(info)} IN ACCESS SHARE MODE`,
      )
    } catch (error) {
      if ((error as { code?: string }).code !== '42P01') throw error
      throw new SnapshotTableChanged(table.topic, error)
    }
    return this.#see(client, markSql(info, this.#options.publication), lsn, signal)
  }

  /**
   * The session's snapshot; null when it does not show all that the stream brought up to `lsn`. Only one
   * is taken at a time: the commit log forgets what one snapshot shows, so that the next one asked about
   * must not be an older one.
   */
  async #see(client: Client, mark: string, lsn: bigint, signal: AbortSignal): Promise<Seen | null> {
    await this.#seeing.acquire(signal)
    try {
      const { rows } = await client.query<Seen>(seenQuery(mark))
      const [xmin = '', xmax = '', xip = ''] = rows[0]!.snapshot.split(':')
      const visibility = new Visibility({ xmin, xmax, xip: xip === '' ? [] : xip.split(',') })
      return this.#options.commits.isShown(visibility, lsn) ? rows[0]! : null
    } finally {
      this.#seeing.release()
    }
  }

  async #chunk(
    client: Client,
    table: SnapshotTable,
    rows: ChunkRows,
    seen: Seen,
    signal: AbortSignal,
  ): Promise<Chunk> {
    const source = await this.#locked(client, table, seen)
    const { info, order, schema, rowFilter } = source
    const { topic } = table
    const parser =
      this.#idle.take(source) ??
      new CopyParser(schema.fields.map((field) => valueDecoder(field.type)))
    const feed = (bytes: Uint8Array, from: number, to: number): void => parser.feed(bytes, from, to)
    const select = selectSql(info, rowFilter, conditionsOf(order, rows))
    const sql = `COPY (${select}) TO STDOUT; ${commitAndFlushSql}`
    const isRange = !('keys' in rows)
    for await (const _ of copyOut(client, sql, feed, signal)) {
      if (isRange) this.#sizes.check(topic, { rows: parser.rows, bytes: parser.byteLength })
    }
    parser.finish()
    if (isRange) this.#sizes.measure(topic, { rows: parser.rows, bytes: parser.byteLength })
    const batch = snapshotBatch(schema, parser, Number(seen.time_us))
    this.#idle.give(source, parser)
    const end = parseLsn(seen.lsn)
    return {
      batches: batch.rows === 0 ? [] : [batch],
      // All that the snapshot shows wrote its commit before the position was read.
      isPassed: (position) => parsePosition(position).lsn >= end,
    }
  }

  /** The table under its lock: from here to the transaction's end its columns are as this says. */
  async #locked(client: Client, table: SnapshotTable, { mark }: Seen): Promise<SnapshotSource> {
    const known = this.#of(table)
    if (mark === known.mark) return known
    const source = await loadSource(client, known.info, this.#options)
    if (source === null || !isSameTable(identityOf(source), table)) {
      throw new SnapshotTableChanged(table.topic)
    }
    this.#sources.set(table.topic, source)
    return source
  }

  /**
   * A table that was published a moment ago: what open transactions did to it before is not sent. One
   * read waits for them, and where it is given up the next one does.
   */
  async #start(signal: AbortSignal): Promise<void> {
    await this.#starting.acquire(signal)
    try {
      if (!this.#isStarted) await this.#openEnded(signal)
      this.#isStarted = true
    } finally {
      this.#starting.release()
    }
  }

  async #openEnded(signal: AbortSignal): Promise<void> {
    const { ctx } = this.#options
    await this.#with('wait for open transactions', signal, async (client) => {
      await openTransactionsEnded(client, ctx.clock, signal, async () => {
        const what = await oldTransactions(client)
        // Only so that what the stream brings meanwhile need not be remembered.
        await this.#see(client, "''", 0n, signal)
        ctx.report({
          state: 'snapshotting',
          detail: `waiting for transactions to end: ${what}`,
        })
      })
    })
  }

  /** `work` with a session of its own, and the errors of the server as ours. */
  async #with<T>(
    what: string,
    signal: AbortSignal,
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#sessions.with(signal, work)
    } catch (error) {
      signal.throwIfAborted()
      throw postgresError(error, what)
    }
  }
}

function identityOf({ info, order }: SnapshotSource): Pick<SnapshotTable, 'id' | 'key'> {
  return { id: String(info.oid), key: orderNames(order) }
}

function conditionsOf(order: KeyOrder, rows: ChunkRows): string[] {
  if ('keys' in rows) return [ofKeysSql(order, rows.keys)]
  const { after, upTo } = rows
  return [
    ...(after === null ? [] : [afterKeySql(order, after)]),
    ...(upTo === null ? [] : [upToKeySql(order, upTo)]),
  ]
}

/** By what the planner knows, which leaves out what is TOASTed. */
function rowBytesOf({ rowsEstimate, pagesEstimate }: TableInfo): number {
  return rowsEstimate > 0 ? (pagesEstimate * 8192) / rowsEstimate : 200
}

/**
 * Ends the transaction, and makes what its snapshot showed durable on the server: a transaction that
 * committed with synchronous_commit off is visible before it is on disk. It also is what the stream
 * passes next, so that an idle server shows that the chunk is passed.
 */
const commitAndFlushSql =
  "COMMIT; BEGIN; SET LOCAL synchronous_commit = 'local'; SELECT pg_logical_emit_message(true, 'sluice.flush', ''); COMMIT"
