/**
 * Columns added with a default, on real servers: the log's schema says what rows have that were there
 * before, type by type, exactly as the source sends it once such a row changes (invariant 9). What the
 * server decides row by row, nobody claims to know.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mysql } from '../../../connectors/mysql/connector.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import type { SourceConnector } from '../../../core/connector/source.ts'
import { readHead } from '../../../core/log/head.ts'
import type { Log } from '../../../core/log/log.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { chainName } from '../../../core/task/names.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { postgresMajors, startPostgres } from '../../services/postgres.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { foldOf } from '../../support/fold-log.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

interface Source extends AsyncDisposable {
  readonly connector: SourceConnector<unknown>
  readonly config: unknown
  readonly topic: string
  run(sql: string): Promise<unknown>
  /** Makes an INSERT without values for all columns possible. */
  readonly lenient: string
}

const common: readonly string[] = [
  'smallint NOT NULL DEFAULT -5',
  'bigint DEFAULT 9223372036854775807',
  'numeric(30,10) DEFAULT -1.5',
  'float DEFAULT 0.1',
  'double precision NOT NULL DEFAULT 1e300',
  `varchar(20) NOT NULL DEFAULT 'it''s ü'`,
  `date DEFAULT '2020-02-29'`,
  `time DEFAULT '10:11:12'`,
]
/** Their old rows have NULL, or what the sink's type has without a value. */
const nothing: readonly string[] = ['int', 'int DEFAULT NULL']

const postgresColumns: readonly string[] = [
  ...common,
  'boolean NOT NULL DEFAULT true',
  'real DEFAULT 0.1',
  'numeric DEFAULT 123456789012345678901234567890.123',
  `text DEFAULT E'a\\n"b" {c,d} \\\\'`,
  `bytea DEFAULT '\\x00ff'`,
  `timestamp DEFAULT '2020-01-01 00:00:00.000001'`,
  // Evaluated once, when the column is added.
  'timestamptz NOT NULL DEFAULT now()',
  `uuid DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`,
  `jsonb DEFAULT '{"a": [1, "x"]}'`,
  `interval DEFAULT '1 day 2 hours'`,
  `int[] DEFAULT '{1,NULL,3}'`,
  `text[] NOT NULL DEFAULT '{"a,b","c\\"d",""}'`,
  `inet DEFAULT '10.0.0.1/8'`,
]
const mysqlColumns: readonly string[] = [
  ...common,
  'bigint unsigned DEFAULT 18446744073709551615',
  'int NOT NULL',
  'varchar(9) NOT NULL',
  `enum('first','ü') NOT NULL`,
  `enum('a','b,c') CHARACTER SET latin1 DEFAULT 'b,c'`,
  `set('a','b') DEFAULT 'a,b'`,
  `varchar(5) CHARACTER SET latin1 DEFAULT 'é'`,
  'binary(4) NOT NULL',
  "bit(10) DEFAULT b'101'",
  'year DEFAULT 1999',
  `datetime(6) DEFAULT '2020-01-01 00:00:00.000001'`,
  `timestamp NOT NULL DEFAULT '2020-01-01 00:00:00'`,
  'decimal(10,3) NOT NULL',
]

/** The table t (id, touched), and the columns added to it, each alone as users do. */
async function check(
  source: Source,
  columns: readonly string[],
  unknown: readonly string[],
): Promise<void> {
  using folder = tempDir('old-rows')
  const log = await testLog(`file://${folder.path}/log`)
  const ctx = taskContext(log, 's')
  const stop = new AbortController()
  const { connector, config } = source
  const flush = { bytesMax: 1 << 20, intervalMs: 5, intervalMsMax: 100 }
  const task = { connector, config, flush, openBytesMax: 1 << 20, stateDir: `${folder.path}/state` }
  const running = runIngest(task, ctx, stop.signal)
  const failed = running.then(
    () => null,
    (error: unknown) => error,
  )
  try {
    await compare(log)
  } finally {
    stop.abort()
    assert.equal(await failed, null)
  }

  async function compare(known: Log): Promise<void> {
    const row = async (id: number, touched: string | null): Promise<readonly (string | null)[]> =>
      waitFor(`row ${id}`, async () => {
        const rows = (await foldOf(known, 's')).topics.get(source.topic)
        const found = rows?.get(JSON.stringify([String(id)]))?.row
        return found?.[1] === touched ? found : undefined
      })
    await source.run('INSERT INTO t (id) VALUES (1)')
    await row(1, null)
    const added = [...columns, ...nothing, ...unknown]
    for (const [i, column] of added.entries()) {
      await source.run(`ALTER TABLE t ADD COLUMN c${i} ${column}`)
    }
    await source.run(`${source.lenient}INSERT INTO t (id) VALUES (2)`)
    await row(2, null)
    const head = await readHead(known, chainName('p', 'ingest', 's'), AbortSignal.timeout(60_000))
    const { fields } = head!.topics.get(source.topic)!.schemas.at(-1)!
    assert.equal(fields.length, added.length + 2)
    await source.run('UPDATE t SET touched = 1 WHERE id = 1')
    const values = await row(1, '1')
    for (const [i, column] of added.entries()) {
      const { oldRows } = fields[i + 2]!
      if (i < columns.length) assert.equal(oldRows, values[i + 2], column)
      else assert.equal(oldRows, undefined, column)
    }
  }
}

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}`, () => {
    for (const kind of ['table', 'partitioned table']) {
      test(`the schema says what rows of a ${kind} have that are older than a column`, async () => {
        await using server = await startPostgres({ version })
        const parted = kind === 'table' ? '' : ' PARTITION BY RANGE (id)'
        await server.query(`CREATE TABLE t (id int PRIMARY KEY, touched int)${parted}`)
        if (parted !== '') {
          await server.query('CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)')
        }
        const source: Source = {
          connector: postgres as SourceConnector<unknown>,
          config: postgres.config.parse({ url: server.url, tables: ['t'] }),
          topic: 's.public.t',
          run: async (sql) => server.query(sql),
          lenient: '',
          [Symbol.asyncDispose]: async () => {},
        }
        await check(source, postgresColumns, [])
      })
    }
  })
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11')) {
  describe(starter.name, () => {
    for (const metadata of ['FULL', 'MINIMAL']) {
      test(`the schema says what rows have that are older than a column, with ${metadata} metadata`, async () => {
        await using server = await starter.start({ settings: { 'binlog-row-metadata': metadata } })
        await server.query(
          'CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY, touched int) CHARSET utf8mb4',
        )
        const source: Source = {
          connector: mysql as SourceConnector<unknown>,
          config: mysql.config.parse({ url: server.url, tables: ['shop.t'], heartbeat: '5s' }),
          topic: 's.shop.t',
          run: async (sql) => server.query(`USE shop; ${sql}`),
          lenient: "SET sql_mode = ''; ",
          [Symbol.asyncDispose]: async () => {},
        }
        await check(source, mysqlColumns, ['datetime(3) DEFAULT CURRENT_TIMESTAMP(3)'])
      })
    }
  })
}
