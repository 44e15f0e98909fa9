/** MySQL or MariaDB as the source of a crash run. */
import { GtidSet } from '../../connectors/mysql/binlog/gtid-set.ts'
import { MariadbGtids } from '../../connectors/mysql/binlog/mariadb-gtid.ts'
import { parsePosition } from '../../connectors/mysql/position.ts'
import { position as toPosition } from '../../core/connector/source.ts'
import { startMariadb } from '../services/mariadb.ts'
import type { MysqlServer } from '../services/mysql-family.ts'
import { startMysql } from '../services/mysql.ts'
import { add, timestampText, type Bag } from './judge.ts'
import { ddl, fillTables, runWriter } from './mysql-workload.ts'
import type { CrashColumn, CrashSource, CrashTable } from './source.ts'

const text = (name: string): CrashColumn => ({ name, kind: 'text' })

const tables: readonly CrashTable[] = [
  {
    name: 'accounts',
    columns: [
      text('id'),
      text('owner'),
      { name: 'balance', kind: 'decimal' },
      ...['note', 'doc', 'opened', 'born', 'level', 'state'].map(text),
      { name: 'updated_at', kind: 'timestamp' },
    ],
    live: true,
  },
  {
    name: 'items',
    columns: [...['a', 'b', 'qty'].map(text), { name: 'price', kind: 'decimal', scale: 4 }],
    live: true,
  },
  { name: 'words', columns: ['word', 'n', 'meaning'].map(text), live: true },
  {
    name: 'events',
    columns: [text('kind'), text('amount'), { name: 'at', kind: 'timestamp' }],
    live: false,
  },
]

export async function mysqlSource(
  flavour: 'mysql' | 'mariadb',
  settings: Readonly<Record<string, string>> = {},
): Promise<CrashSource> {
  const server = await (flavour === 'mysql' ? startMysql({ settings }) : startMariadb({ settings }))
  return new MysqlCrashSource(server)
}

class MysqlCrashSource implements CrashSource {
  readonly name = 'my'
  readonly schema = 'shop'
  readonly yaml = '{ type: mysql, url: "${env.SOURCE_URL}", tables: [shop.*] }'
  readonly url: string
  readonly tables = tables
  readonly #server: MysqlServer

  constructor(server: MysqlServer) {
    this.#server = server
    this.url = server.url
  }

  async createTables(): Promise<void> {
    for (const statement of ddl) await this.#server.query(statement)
    const client = await this.#server.client()
    await fillTables(client)
    await client.end()
  }

  async write(seed: number, signal: AbortSignal): Promise<number> {
    const { flavour } = this.#server
    return runWriter(() => this.#server.client(), { flavour, seed, signal })
  }

  async crash(): Promise<void> {
    await this.#server.kill()
    await this.#server.restart()
  }

  async end(): Promise<(position: string | null) => Promise<boolean>> {
    // A last row behind everything else: once it is in the log, all before it is.
    await this.#server.query(`INSERT INTO shop.events (kind, amount) VALUES ('end', 0)`)
    const mariadb = this.#server.flavour === 'mariadb'
    const [now] = await this.#server.query<{ gtids: string }>(
      `SELECT ${mariadb ? '@@global.gtid_binlog_pos' : '@@global.gtid_executed'} AS gtids`,
    )
    const { gtids } = now!
    return async (position) => {
      if (position === null) return Promise.resolve(false)
      const { place, snapshot } = parsePosition(toPosition(position))
      const copies = Object.values(snapshot?.tables ?? {})
      const copied = copies.length >= tables.length && copies.every((copy) => !('upTo' in copy))
      if (!copied || place.gtids === null) return false
      return mariadb
        ? MariadbGtids.parse(place.gtids).contains(MariadbGtids.parse(gtids))
        : GtidSet.parse(place.gtids).contains(GtidSet.parse(gtids))
    }
  }

  async rows({ name, columns }: CrashTable): Promise<Bag> {
    const list = columns.map((column) => `CAST(\`${column.name}\` AS CHAR) AS \`${column.name}\``)
    const rows = await this.#server.query<Record<string, string | null>>(
      `SELECT ${list.join(', ')} FROM shop.${name}`,
    )
    const bag: Bag = new Map()
    for (const row of rows) {
      const texts = columns.map(({ name: column, kind }) => {
        const value = row[column]!
        return kind === 'timestamp' && value !== null ? timestampText(value) : value
      })
      add(bag, JSON.stringify(texts))
    }
    return bag
  }

  async totals(): Promise<Bag> {
    const rows = await this.#server.query<Record<'kind' | 'n' | 'sum' | 'max', string>>(
      `SELECT kind, CAST(COUNT(*) AS CHAR) AS n, CAST(SUM(amount) AS CHAR) AS sum,
        CAST(MAX(amount) AS CHAR) AS max FROM shop.events GROUP BY kind`,
    )
    return new Map(rows.map(({ kind, n, sum, max }) => [JSON.stringify([kind, n, sum, max]), 1]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }
}
