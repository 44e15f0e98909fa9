/**
 * P8: one transaction of 1,000,000 inserts (170-byte rows) through the real command line. Postgres
 * streams it before its commit (protocol 2), MySQL writes it to its binlog at the commit and sends it
 * from there. The clock starts when COMMIT is answered; it stops when the commit that holds the last row
 * can be read from the log on disk, and again when ClickHouse shows all rows. Peak memory is that of the
 * sluice process, by the kernel's count.
 *
 * Its limit is a reader in its place that looks only for the transaction's end: what the server itself
 * needs to send it.
 *
 * The rows lie in a table of the server's before, so that the transaction is one INSERT … SELECT.
 * `--quick` takes a fifth of the rows.
 */
import { readHead } from '../core/log/head.ts'
import { openLog } from '../core/log/log.ts'
import { DirectoryStore } from '../core/store/directory.ts'
import { startClickHouse, type ClickHouse } from '../test/services/clickhouse.ts'
import { schema, type Database, type DatabaseServer } from './support/database.ts'
import { mysqlDatabase } from './support/mysql-database.ts'
import { postgresDatabase } from './support/postgres-database.ts'
import { Sluice } from './support/sluice.ts'
import type { BenchRow } from './types.ts'

/**
 * Nothing of MySQL's transaction is sent before it is in the binlog: all the work comes then, so that no
 * goal is set. The server answers COMMIT when the engine has committed too, which takes its time: what
 * was sent meanwhile is neither in our number nor in the limit.
 */
const durableGoalMs = { Postgres: 1000, MySQL: null }
const rssGoalMb = 512
const settleMs = 120_000

const pipeline = ({ type }: Database): string => `
version: 1
name: big
log: { url: file://./log }
sources:
  db: { type: ${type}, url: '\${env.DB_URL}', tables: [${schema}.bench_big] }
sinks:
  warehouse: { type: clickhouse, url: '\${env.CLICKHOUSE_URL}', from: bench_big }
`

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const results: BenchRow[] = []
  for (const database of [postgresDatabase, mysqlDatabase]) {
    results.push(...(await runWith(database, quick ? 200_000 : 1_000_000)))
  }
  return results
}

async function runWith(database: Database, rows: number): Promise<readonly BenchRow[]> {
  await using servers = new AsyncDisposableStack()
  const [server, clickhouse] = await Promise.all([
    database.start().then((started) => servers.use(started)),
    startClickHouse().then((started) => servers.use(started)),
  ])
  await createTables(database, server, rows)
  const limitMs = await server.sentAfterMs(
    'INSERT INTO bench_sent SELECT * FROM big_source',
    'bench_sent',
  )
  await using sluice = new Sluice(pipeline(database), {
    DB_URL: server.url,
    CLICKHOUSE_URL: clickhouse.url,
  })
  // A first row, so that the tables, the slot and the code are there; the log counts it too.
  await server.query(`INSERT INTO bench_big SELECT 0, account_id, amount, note, created_at,
    updated_at FROM big_source LIMIT 1`)
  await sluice.waitFor('the first row', async () => {
    return (await shown(clickhouse).catch(() => 0)) === 1
  })
  const startMs = performance.now()
  await server.query('INSERT INTO bench_big SELECT * FROM big_source')
  const committedMs = performance.now()
  const topic = `db.${schema}.bench_big`
  const durableMs = (await durable(sluice, topic, rows + 1)) - committedMs
  const durablePeakMb = sluice.peakRssMb()
  await sluice.waitFor(
    'all rows in ClickHouse',
    async () => (await shown(clickhouse)) === rows + 1,
    settleMs,
  )
  const shownMs = performance.now() - committedMs
  const what = `${database.name}, transaction of ${rows.toLocaleString('en-US')} inserts`
  return [
    {
      ...timed(
        `${what}: COMMIT answered to durable in the log`,
        durableMs,
        durableGoalMs[database.name],
      ),
      limit: Math.round(limitMs),
    },
    timed(`${what}: COMMIT answered to all in ClickHouse`, shownMs, null),
    timed(`${what}: the transaction itself, in the database`, committedMs - startMs, null),
    ...memory(`${database.name}, peak memory of sluice, up to durable`, durablePeakMb),
    ...memory(`${database.name}, peak memory of sluice, up to delivered`, sluice.peakRssMb()),
  ]
}

async function createTables(
  database: Database,
  server: DatabaseServer,
  rows: number,
): Promise<void> {
  for (const table of ['big_source', 'bench_sent', 'bench_big']) {
    await server.query(`CREATE TABLE ${table} (id bigint PRIMARY KEY, account_id int,
      amount numeric(12,2), note text, created_at ${database.moment}, updated_at ${database.moment})`)
  }
  await server.query(`INSERT INTO big_source
    SELECT i, i % 100000, (i * 37 % 1000000) / 100.0, substr(repeat(${database.hashOf('concat(i)')}, 4), 1, 120),
           ${database.momentOf('1767225600 + i * 1.234567')}, CURRENT_TIMESTAMP(6)
    FROM (WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < ${rows})
          SELECT i FROM r) numbers`)
}

/** When the log on disk, as another process reads it, has all rows. */
async function durable(sluice: Sluice, topic: string, rows: number): Promise<number> {
  const end = AbortSignal.timeout(settleMs)
  const log = await openLog(new DirectoryStore(`${sluice.folder}/log`), { signal: end })
  await sluice.waitFor(
    'all rows in the log',
    async () => (await readHead(log, 'big.source.db', end))?.topics.get(topic)?.nextOffset === rows,
    settleMs,
  )
  return performance.now()
}

async function shown(clickhouse: ClickHouse): Promise<number> {
  const [row] = await clickhouse.query(`SELECT count() AS n FROM ${schema}_bench_big`)
  return Number(row?.['n'])
}

function timed(what: string, ms: number, goal: number | null): BenchRow {
  const met = goal === null || ms < goal
  return { what, unit: 'ms', ours: Math.round(ms), limit: null, ratio: null, goal, met }
}

function memory(what: string, peakMb: number | null): BenchRow[] {
  if (peakMb === null) return []
  const goal = rssGoalMb
  return [{ what, unit: 'MB', ours: peakMb, limit: null, ratio: null, goal, met: peakMb < goal }]
}

export const bench = {
  id: 'P8',
  what: 'one transaction of a million rows, from its commit to the log and to ClickHouse',
  run,
}
