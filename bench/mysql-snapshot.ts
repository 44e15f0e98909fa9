/**
 * P3, its first copy: a MySQL table into the durable log (connector, ingest, commits with fsync), beside
 * `SELECT *` of the same table by the mysql client into /dev/null. In turns; medians count.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { mysqlConfig } from '../connectors/mysql/config.ts'
import { mysql } from '../connectors/mysql/connector.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import type { MysqlServer } from '../test/services/mysql-family.ts'
import { startMysql } from '../test/services/mysql.ts'
import { ingestSeconds } from './support/ingest.ts'
import { inTurns, peakMemory, rate, rated } from './support/rates.ts'
import type { BenchRow } from './types.ts'

const rowsPerInsert = 50_000

async function load(server: MysqlServer, rows: number): Promise<void> {
  await server.query(`CREATE DATABASE bench;
    CREATE TABLE bench.bench (id bigint PRIMARY KEY, account_id int, amount decimal(12,2), note text,
      created_at datetime(6), updated_at datetime(6))`)
  for (let from = 0; from < rows; from += rowsPerInsert) {
    await server.query(`SET SESSION sql_log_bin = 0, SESSION cte_max_recursion_depth = ${rowsPerInsert};
      INSERT INTO bench.bench
        WITH RECURSIVE r (n) AS (SELECT ${from + 1} UNION ALL SELECT n + 1 FROM r WHERE n < ${from + rowsPerInsert})
        SELECT n, n % 100000, (n * 37 % 1000000) / 100, SUBSTR(REPEAT(SHA2(n, 256), 2), 1, 120),
          TIMESTAMPADD(MICROSECOND, n * 1234567, '2026-01-01'), NOW(6) FROM r`)
  }
  await server.query('ANALYZE TABLE bench.bench')
}

/** Seconds from the start of the task until every row is in the log: with preflight and the start of the stream. */
function copyIntoLog(server: MysqlServer, rows: number): Promise<number> {
  const connector = mysql as SourceConnector<unknown>
  const config = mysqlConfig.parse({ url: server.url, tables: ['bench.bench'] })
  return ingestSeconds({ connector, config, rows, from: 'start' })
}

async function selectAll(server: MysqlServer): Promise<number> {
  const sql = 'SELECT * FROM bench.bench'
  const { command, args, env } = server.program('client', '--quick', '-e', sql)
  const startMs = performance.now()
  await promisify(execFile)('sh', ['-c', 'exec "$0" "$@" > /dev/null', command, ...args], { env })
  return (performance.now() - startMs) / 1000
}

export const bench = {
  id: 'P3',
  what: 'first copy of a MySQL table into the durable log',
  async run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
    const rows = quick ? 1_000_000 : 2_000_000
    await using server = await startMysql({ settings: { 'innodb-buffer-pool-size': '1G' } })
    await load(server, rows)
    // The first touch of memory and of the table is slow on both sides.
    await selectAll(server)
    await copyIntoLog(server, rows)
    const onePeak = peakMemory('one pipeline')
    const [ours, limit] = await inTurns(3, [
      () => copyIntoLog(server, rows),
      () => selectAll(server),
    ])
    const what = 'copy into the log, against SELECT * by the mysql client to null'
    const speed = rated(what, rate(rows, ours!), rate(rows, limit!), 0.5)
    return [speed, onePeak, peakMemory('all rounds')]
  },
}
