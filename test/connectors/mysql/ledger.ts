/**
 * A reader of the source that goes through every trouble as a pipeline does: what comes with a position
 * is committed, what came after the last position is forgotten when the source fails, and the source is
 * opened again from there. Counts how often each row of `shop.events` was committed.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { mysql } from '../../../connectors/mysql/connector.ts'
import type { Context } from '../../../core/connector/context.ts'
import type { Position, SourceBatch, TopicChange } from '../../../core/connector/source.ts'
import { toSluiceError, type SluiceError } from '../../../core/errors/error.ts'
import { textAt } from '../../../core/record/value.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { quietContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'

export const ledgerTable = 'shop.events'

/** Makes the table on an empty server. */
export async function prepareLedger(server: MysqlServer): Promise<void> {
  await server.query(
    `CREATE DATABASE shop; CREATE TABLE ${ledgerTable} (id bigint PRIMARY KEY, note longtext)`,
  )
}

/** Transactions of `rows` rows each, with ids from `first` on. */
export async function write(
  server: MysqlServer,
  first: number,
  transactions: number,
  { rows = 3, noteBytes = 100 }: { readonly rows?: number; readonly noteBytes?: number } = {},
): Promise<void> {
  for (let t = 0; t < transactions; t++) {
    const ids = Array.from({ length: rows }, (_, i) => first + t * rows + i)
    const values = ids.map((id) => `(${id}, REPEAT('x', ${noteBytes + (id % 7)}))`).join(', ')
    await server.query(`INSERT INTO ${ledgerTable} VALUES ${values}`)
  }
}

/** The sessions of the server's readers of its binlog. */
export async function dumpThreads(server: MysqlServer): Promise<readonly number[]> {
  const rows = await server.query<{ id: number }>(
    `SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'`,
  )
  return rows.map(({ id }) => id)
}

export class Ledger implements AsyncDisposable {
  /** Where the source connects at its next start. */
  url: string
  position: Position | null = null
  /** How often each row was committed, by id, and the length of its note. */
  readonly rows = new Map<string, { times: number; length: number }>()
  /** Faults that were tried again, in order. */
  readonly retried: SluiceError[] = []
  /** The fault at which the source stopped. */
  stopped: SluiceError | null = null
  /** While true nobody pulls. */
  paused = false
  readonly warnings: string[] = []
  readonly #config: Readonly<Record<string, unknown>>
  readonly #stop = new AbortController()
  #staged = new Map<string, TopicChange[]>()
  #running: Promise<void> | null = null

  constructor(url: string, config: Readonly<Record<string, unknown>> = {}) {
    this.url = url
    this.#config = config
  }

  /** Reads from the binlog's end on; resolves when changes are seen to arrive. */
  async start(server: MysqlServer): Promise<void> {
    this.#running = this.#run()
    let marker = 0
    await waitFor('the ledger to read', async () => {
      await server.query(`INSERT INTO ${ledgerTable} VALUES (${--marker}, 'marker')`)
      return this.rows.size > 0 || this.stopped !== null
    })
    await this.caughtUp(server)
  }

  /** Resolves when a row that is written now is committed here. */
  async caughtUp(server: MysqlServer, timeoutMs = 60_000): Promise<void> {
    const id = String(-1_000_000 - Math.floor(Math.random() * 1e9))
    await server.query(`INSERT INTO ${ledgerTable} VALUES (${id}, 'last')`)
    const seen = (): boolean => this.rows.has(id) || this.stopped !== null
    await waitFor('the ledger to catch up', seen, timeoutMs)
    if (this.stopped !== null) throw this.stopped
  }

  /** No row of the table is missing here, and none was committed twice. */
  async check(server: MysqlServer): Promise<void> {
    await this.caughtUp(server)
    const stored = await server.query<{ id: number; length: number }>(
      `SELECT id, LENGTH(note) AS length FROM ${ledgerTable} WHERE id >= 0 ORDER BY id`,
    )
    const missing = stored.filter(({ id, length }) => this.rows.get(String(id))?.length !== length)
    assert.deepEqual(missing, [], 'lost rows')
    const doubled = [...this.rows].filter(([, { times }]) => times !== 1)
    assert.deepEqual(doubled, [], 'rows committed twice')
    const here = [...this.rows.keys()].filter((id) => !id.startsWith('-')).length
    assert.equal(here, stored.length, 'rows that the server does not have')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#staged = new Map()
      try {
        await this.#read(signal)
      } catch (thrown) {
        if (signal.aborted) return
        const error = toSluiceError(thrown)
        if (error.fault !== 'transient') {
          this.stopped = error
          return
        }
        this.retried.push(error)
        await sleep(100)
      }
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const config = mysql.config.parse({
      url: this.url,
      tables: [ledgerTable],
      snapshot: 'never',
      heartbeat: '30s',
      ...this.#config,
    })
    await using source = await mysql.open(config, this.#context())
    for await (const batch of source.read(this.position, signal)) {
      this.#apply(batch)
      while (this.paused && !signal.aborted) await sleep(20)
    }
  }

  #context(): Context {
    const warn = (message: string): void => void this.warnings.push(message)
    // The id of a replica is derived from it: readers of one server have the same.
    const pipeline = `test of ${this.url}`
    const given = quietContext({ pipeline, name: 'ledger', random: Math.random })
    return { ...given, logger: { ...given.logger, warn, error: warn } }
  }

  #apply({ changes, transaction, end, position }: SourceBatch): void {
    if (transaction === null) this.#commit(changes)
    else {
      const staged = [...(this.#staged.get(transaction.id) ?? []), ...changes]
      this.#staged.set(transaction.id, staged)
      if (end !== null) this.#staged.delete(transaction.id)
      if (end === 'commit') this.#commit(staged)
    }
    if (position !== null) this.position = position
  }

  /** Whole transactions come with the position after them, so that they are committed together. */
  #commit(changes: readonly TopicChange[]): void {
    for (const change of changes) {
      if (!('batch' in change)) continue
      const { batch } = change
      const [ids, notes] = batch.columns
      for (let row = 0; row < batch.rows; row++) {
        const id = textAt(batch.schema.fields[0]!.type, ids!, row)!
        const note = textAt(batch.schema.fields[1]!.type, notes!, row) ?? ''
        const times = (this.rows.get(id)?.times ?? 0) + 1
        this.rows.set(id, { times, length: note.length })
      }
    }
  }
}
