/** Postgres as the source of a crash run. */
import { parsePosition } from '../../connectors/postgres/position.ts'
import { position } from '../../core/connector/source.ts'
import { hasCopied } from '../connectors/postgres/has-copied.ts'
import { startPostgres, type PostgresServer } from '../services/postgres.ts'
import { add, type Bag } from './judge.ts'
import { ddl, runWriter } from './postgres-workload.ts'
import type { CrashColumn, CrashSource, CrashTable } from './source.ts'

const text = (name: string): CrashColumn => ({ name, kind: 'text' })

const tables: readonly CrashTable[] = [
  {
    name: 'accounts',
    columns: [
      text('id'),
      text('owner'),
      { name: 'balance', kind: 'decimal' },
      text('note'),
      { name: 'updated_at', kind: 'timestamptz' },
    ],
    live: true,
  },
  { name: 'items', columns: ['a', 'b', 'qty'].map(text), live: true },
  { name: 'events', columns: ['kind', 'amount', 'at'].map(text), live: false },
]

/** `settings`: of the server. */
export async function postgresSource(
  settings: Readonly<Record<string, string>> = {},
): Promise<CrashSource> {
  const server = await startPostgres({
    settings: { logical_decoding_work_mem: '64kB', ...settings },
  })
  return new PostgresSource(server)
}

class PostgresSource implements CrashSource {
  readonly name = 'pg'
  readonly schema = 'public'
  readonly yaml =
    '{ type: postgres, url: "${env.SOURCE_URL}", tables: [public.accounts, public.items, public.events] }'
  readonly url: string
  readonly tables = tables
  readonly #server: PostgresServer

  constructor(server: PostgresServer) {
    this.#server = server
    this.url = server.url
  }

  async createTables(): Promise<void> {
    await this.#server.query(ddl)
  }

  async write(seed: number, signal: AbortSignal): Promise<number> {
    return runWriter(await this.#server.client(), seed, signal)
  }

  async end(): Promise<(position: string | null) => Promise<boolean>> {
    const server = this.#server
    const [now] = await server.query<{ lsn: string }>(
      `SELECT pg_current_wal_insert_lsn()::text AS lsn`,
    )
    // A last row behind everything else: once it is acknowledged, all before it is in the log.
    await server.query(`INSERT INTO events VALUES ('end', 0)`)
    const topics = tables.map(({ name }) => `${this.schema}.${name}`)
    return async (at) => {
      // The stream goes on beside a copy of tables.
      if (at === null || !hasCopied(parsePosition(position(at)), topics)) return false
      const [slot] = await server.query<{ behind: boolean }>(
        `SELECT confirmed_flush_lsn <= $1::pg_lsn AS behind FROM pg_replication_slots`,
        [now!.lsn],
      )
      return slot?.behind === false
    }
  }

  async rows(table: CrashTable): Promise<Bag> {
    const client = await this.#server.client()
    try {
      await client.query(`SET timezone = 'UTC'`)
      const list = table.columns.map(({ name }) => `${name}::text`).join(', ')
      const { rows } = await client.query<unknown[]>({
        text: `SELECT ${list} FROM ${table.name}`,
        rowMode: 'array',
      })
      const bag: Bag = new Map()
      for (const row of rows) add(bag, JSON.stringify(row))
      return bag
    } finally {
      await client.end()
    }
  }

  async totals(): Promise<Bag> {
    const rows = await this.#server.query<{ r: string }>(
      `SELECT json_build_array(kind, count(*)::text, sum(amount)::text, max(amount)::text)::text AS r FROM events GROUP BY kind`,
    )
    return new Map(rows.map(({ r }) => [JSON.stringify(JSON.parse(r)), 1]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }
}
