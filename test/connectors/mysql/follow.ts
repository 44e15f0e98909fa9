/**
 * A reader of the whole source as ingest is one: applies what comes to a Fold, and can crash at any
 * batch and go on from the last position, as a new process would. Fails where a row comes twice.
 */
import assert from 'node:assert/strict'
import { mysql } from '../../../connectors/mysql/connector.ts'
import {
  matchesPattern,
  parseTablePattern,
} from '../../../connectors/mysql/schema/table-pattern.ts'
import type { Position, Source, SourceBatch } from '../../../core/connector/source.ts'
import { Op } from '../../../core/record/batch.ts'
import { textAt } from '../../../core/record/value.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { keptContext, type KeptContext } from '../../support/context.ts'
import { Fold } from '../../support/fold.ts'

export class Follower implements AsyncDisposable {
  readonly fold = new Fold()
  position: Position | null = null
  crashes = 0
  /** May be changed between a crash and the next read, as the pipeline file may. */
  config: Readonly<Record<string, unknown>>
  #source: Source | null = null
  #reader: AsyncIterator<SourceBatch> | null = null
  #stop = new AbortController()
  readonly #context = keptContext({ name: 'follower', random: Math.random })

  constructor(config: Readonly<Record<string, unknown>>) {
    this.config = { heartbeat: '5s', ...config }
  }

  get lines(): KeptContext['lines'] {
    return this.#context.lines
  }

  async next(): Promise<SourceBatch> {
    const reader = this.#reader ?? (await this.#open())
    const result = await reader.next()
    assert.ok(result.done !== true, 'a source ends only by abort or error')
    const batch = result.value
    this.#refuseDoubles(batch)
    this.fold.apply(batch)
    if (batch.position !== null) {
      if (this.position !== null) {
        assert.ok(
          mysql.atOrAfter(batch.position, this.position),
          `${batch.position} after ${this.position}`,
        )
      }
      this.position = batch.position
    }
    return batch
  }

  /** A row that is inserted or copied must not be there: an append-only reader would have it twice. */
  #refuseDoubles(batch: SourceBatch): void {
    if (batch.transaction !== null) return
    for (const change of batch.changes) {
      if ('truncate' in change || change.batch.schema.changelog !== 'upsert') continue
      const { schema, columns, ops, rows } = change.batch
      const known = this.fold.topics.get(change.topic)
      for (let row = 0; row < rows; row++) {
        if (ops[row] !== Op.snapshot) continue
        const key = schema.key.map((field) =>
          textAt(schema.fields[field]!.type, columns[field]!, row),
        )
        assert.ok(!known?.has(JSON.stringify(key)), `${change.topic} ${key.join(',')} twice`)
      }
    }
  }

  /** Reads on until a row with this key, written now, has come, and every table's copy is done. */
  async catchUp(server: MysqlServer, marker: number): Promise<void> {
    await server.query(`INSERT INTO shop.marker VALUES (${marker})`)
    const key = JSON.stringify([String(marker)])
    const tables = await this.#tablesOf(server)
    for (let i = 0; i < 20_000; i++) {
      if (this.fold.topics.get('shop.marker')?.has(key) === true && this.#isCopied(tables)) return
      await this.next()
    }
    assert.fail('the source never came to where it should')
  }

  /** The tables that are followed, as the server has them now; those of a running gh-ost are not. */
  async #tablesOf(server: MysqlServer): Promise<string[]> {
    const patterns = (this.config['tables'] as readonly string[]).map((text) =>
      parseTablePattern(text)!,
    )
    const found = await server.query<{ database: string; table: string }>(
      `SELECT TABLE_SCHEMA AS \`database\`, TABLE_NAME AS \`table\` FROM information_schema.TABLES
        WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME NOT LIKE '\\_%'`,
    )
    return found
      .filter((name) => patterns.some((pattern) => matchesPattern(pattern, name, false)))
      .map(({ database, table }) => `${database}.${table}`)
  }

  /** A table is listed in the position only once its copy has begun. */
  #isCopied(tables: readonly string[]): boolean {
    const { snapshot } = JSON.parse(this.position!) as {
      snapshot: { tables: Record<string, { id: string; upTo?: unknown; asked?: string }> }
    }
    if (!tables.every((table) => table in snapshot.tables)) return false
    const wanted = (this.config['resnapshot'] ?? {}) as Readonly<Record<string, string>>
    return Object.entries(snapshot.tables).every(
      ([topic, { id, upTo, asked }]) =>
        id !== '' && upTo === undefined && (asked === wanted[topic] || !(topic in wanted)),
    )
  }

  /** Forgets everything since the last position; the next read is that of a new process. */
  async crash(): Promise<void> {
    const source = this.#source
    this.#stop.abort()
    this.#reader = null
    this.#source = null
    this.#stop = new AbortController()
    this.fold.forgetStaged()
    this.crashes++
    await source?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash()
  }

  async #open(): Promise<AsyncIterator<SourceBatch>> {
    this.#source = await mysql.open(mysql.config.parse(this.config), this.#context)
    this.#reader = this.#source.read(this.position, this.#stop.signal)[Symbol.asyncIterator]()
    return this.#reader
  }
}

/** The rows of a table as the server prints them, in the form of `Fold.sorted`. */
export async function rowsOf(server: MysqlServer, table: string): Promise<string[]> {
  const [database, name] = table.split('.')
  const columns = await server.query<{ name: string }>(
    `SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    [database!, name!],
  )
  const texts = columns.map((column, i) => `CAST(\`${column.name}\` AS CHAR) AS c${i}`).join(', ')
  const rows = await server.query<Record<string, string | null>>(`SELECT ${texts} FROM ${table}`)
  return rows.map((row) => JSON.stringify(Object.values(row))).sort()
}
