/**
 * P2: the first copy of a Postgres table into the durable log (connector, ingest, commits with fsync),
 * beside `COPY … (FORMAT binary)` of the same table by psql into /dev/null. In turns; medians count.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { postgresConfig } from '../connectors/postgres/config.ts'
import { postgres } from '../connectors/postgres/connector.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import { startPostgresWithPrograms, type PostgresWithPrograms } from '../test/services/postgres.ts'
import { ingestSeconds } from './support/ingest.ts'
import { inTurns, rate, rated } from './support/rates.ts'
import type { BenchRow } from './types.ts'

async function load(server: PostgresWithPrograms, rows: number): Promise<void> {
  await server.query(`
    CREATE TABLE bench (id bigint PRIMARY KEY, account_id int, amount numeric(12,2), note text,
      created_at timestamptz, updated_at timestamptz)`)
  await server.query(`INSERT INTO bench SELECT i, i % 100000, (i * 37 % 1000000) / 100.0,
      substr(repeat(md5(i::text), 4), 1, 120),
      timestamptz '2026-01-01' + i * interval '1.234567 seconds', now()
    FROM generate_series(1::bigint, ${rows}) i`)
  await server.query('VACUUM (ANALYZE) bench')
  await server.query('CHECKPOINT')
}

/** Seconds from the start of the task until every row is in the log: with preflight, publication and slot. */
async function copyIntoLog(server: PostgresWithPrograms, rows: number): Promise<number> {
  const connector = postgres as SourceConnector<unknown>
  const config = postgresConfig.parse({ url: server.url, tables: ['public.bench'] })
  const seconds = await ingestSeconds({ connector, config, rows, from: 'start' })
  await server.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots`)
  await server.query(`SELECT pg_sleep(0.2)`)
  await server.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`)
  return seconds
}

async function binaryCopy(server: PostgresWithPrograms): Promise<number> {
  const startMs = performance.now()
  const sql = 'COPY bench TO STDOUT (FORMAT binary)'
  await promisify(execFile)(join(server.bin, 'psql'), ['-q', '-c', sql, '-o', '/dev/null'], {
    env: server.env,
  })
  return (performance.now() - startMs) / 1000
}

export const bench = {
  id: 'P2',
  what: 'first copy of a Postgres table into the durable log',
  async run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
    const rows = quick ? 1_000_000 : 2_000_000
    await using server = await startPostgresWithPrograms()
    await load(server, rows)
    // The first touch of memory and of the table is slow on both sides.
    await binaryCopy(server)
    await copyIntoLog(server, rows)
    const [ours, limit] = await inTurns(3, [
      () => copyIntoLog(server, rows),
      () => binaryCopy(server),
    ])
    const what = 'copy into the log, against COPY (FORMAT binary) to null'
    return [rated(what, rate(rows, ours!), rate(rows, limit!), 0.4)]
  },
}
