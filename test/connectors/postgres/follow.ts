/**
 * A reader of the whole source as ingest is one: applies what comes to a Fold, acknowledges what has a
 * position, and can crash at any batch and go on from the last position, as a new process would.
 */
import assert from 'node:assert/strict'
import type { Position, Source, SourceBatch } from '../../../core/connector/source.ts'
import { Op } from '../../../core/record/batch.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import { parseLsn } from '../../../connectors/postgres/lsn.ts'
import { parsePosition } from '../../../connectors/postgres/position.ts'
import type { PostgresServer } from '../../services/postgres.ts'
import { keptContext, type KeptContext } from '../../support/context.ts'
import { Fold } from '../../support/fold.ts'
import { hasCopied } from './has-copied.ts'

export interface Followed {
  readonly url: string
  readonly tables: readonly string[]
  /** More keys of the source's configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly name?: string
}

export class Follower implements AsyncDisposable {
  readonly fold = new Fold()
  position: Position | null = null
  batches = 0
  snapshotRows = 0
  /** Acknowledge every position at once. */
  acks = true
  /** May be changed between a crash and the next read, as the pipeline file may. */
  tables: readonly string[]
  readonly #followed: Followed
  readonly #context: KeptContext
  #source: Source | null = null
  #reader: AsyncIterator<SourceBatch> | null = null
  #stop = new AbortController()

  constructor(followed: Followed) {
    this.#followed = followed
    this.tables = followed.tables
    this.#context = keptContext({ name: followed.name ?? 'shop', random: Math.random })
  }

  get lines(): KeptContext['lines'] {
    return this.#context.lines
  }

  get reports(): KeptContext['reports'] {
    return this.#context.reports
  }

  /** The next batch, applied; the schemas alone that come first at each start are not returned. */
  async next(): Promise<SourceBatch> {
    for (;;) {
      const batch = await this.#take()
      if (batch.position !== null || batch.transaction !== null) return batch
    }
  }

  async #take(): Promise<SourceBatch> {
    const reader = this.#reader ?? (await this.#open())
    const result = await reader.next()
    assert.ok(result.done !== true, 'a source ends only by abort or error')
    const batch = result.value
    this.batches++
    for (const change of batch.changes) {
      if ('truncate' in change) continue
      for (const op of change.batch.ops) if (op === Op.snapshot) this.snapshotRows++
    }
    this.fold.apply(batch)
    if (batch.position !== null) {
      if (this.position !== null) {
        const message = `${batch.position} after ${this.position}`
        assert.ok(postgres.atOrAfter(batch.position, this.position), message)
      }
      this.position = batch.position
      if (this.acks) await this.#source!.ack(batch.position)
    }
    return batch
  }

  /** Reads on until `stop` says so of a batch. */
  async until(stop: (batch: SourceBatch) => boolean): Promise<void> {
    for (let i = 0; i < 100_000; i++) if (stop(await this.next())) return
    assert.fail('the source never came to where it should')
  }

  /** Where the stream is. */
  get lsn(): bigint {
    return this.position === null ? 0n : parsePosition(this.position).lsn
  }

  /** Reads on until everything that is committed now has come, and the copy is complete. */
  async catchUp(server: PostgresServer): Promise<void> {
    const [row] = await server.query<{ lsn: string }>(
      'SELECT pg_current_wal_flush_lsn()::text AS lsn',
    )
    const goal = parseLsn(row!.lsn)
    const topics = postgres.topics!(this.#config())!
    await this.until(({ position }) => {
      if (position === null) return false
      const at = parsePosition(position)
      return at.lsn >= goal && hasCopied(at, topics)
    })
  }

  #config(): Parameters<typeof postgres.open>[0] {
    const { url, config } = this.#followed
    return postgres.config.parse({ url, tables: this.tables, ...config })
  }

  /** Forgets everything since the last position; the next read is that of a new process. */
  async crash(): Promise<void> {
    const source = this.#source
    this.#stop.abort()
    this.#reader = null
    this.#source = null
    this.#stop = new AbortController()
    this.fold.forgetStaged()
    await source?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash()
  }

  async #open(): Promise<AsyncIterator<SourceBatch>> {
    this.#source = await postgres.open(this.#config(), this.#context)
    this.#reader = this.#source.read(this.position, this.#stop.signal)[Symbol.asyncIterator]()
    return this.#reader
  }
}

/** The rows of a table as the server prints them, in the form of `Fold.sorted`. */
export async function rowsOf(
  server: PostgresServer,
  table: string,
  columns: readonly string[],
): Promise<string[]> {
  // As the output functions print; a cast to text prints some types in another way.
  const texts = columns
    .map((column) => `CASE WHEN ${column} IS NOT NULL THEN concat(${column}) END`)
    .join(', ')
  const rows = await server.query<{ row: string }>(
    `SELECT json_build_array(${texts})::text AS row FROM ${table}`,
  )
  return rows.map(({ row }) => JSON.stringify(JSON.parse(row))).sort()
}
