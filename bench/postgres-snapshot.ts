/**
 * P2: the first copy of a Postgres table into the durable log (connector, ingest, commits with fsync),
 * beside `COPY … (FORMAT binary)` of the same table by psql into /dev/null. In turns; medians count.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { postgresConfig } from '../connectors/postgres/config.ts'
import { postgres } from '../connectors/postgres/connector.ts'
import { systemClock } from '../core/connector/context.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import { openLog } from '../core/log/log.ts'
import { DirectoryStore } from '../core/store/directory.ts'
import type { TaskContext } from '../core/task/context.ts'
import { runIngest } from '../core/task/ingest.ts'
import { startPostgresWithPrograms, type PostgresWithPrograms } from '../test/services/postgres.ts'
import type { BenchRow } from './types.ts'

const silent = (): void => {}

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

/**
 * Seconds from the start of the task until every row is in a commit in the folder: with preflight,
 * publication and slot, without the probe of a store that is used for the first time.
 */
async function copyIntoLog(server: PostgresWithPrograms, rows: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const stop = new AbortController()
  let startMs = 0
  let endMs = 0
  try {
    const log = await openLog(new DirectoryStore(join(folder, 'log')), { signal: stop.signal })
    let durable = 0
    const ctx: TaskContext = {
      pipeline: 'bench',
      name: 'pg',
      clock: systemClock,
      random: Math.random,
      logger: { debug: silent, info: silent, warn: silent, error: silent },
      metrics: { count: silent, gauge: silent, observe: silent },
      report: silent,
      log,
      writer: 'bench',
      progress: (count) => {
        durable += count
        if (durable < rows || endMs !== 0) return
        endMs = performance.now()
        stop.abort()
      },
      trouble: silent,
    }
    const task = {
      connector: postgres as SourceConnector<unknown>,
      config: postgresConfig.parse({ url: server.url, tables: ['public.bench'] }),
      flush: { bytesMax: 4 << 20, intervalMs: 20, intervalMsMax: 1000 },
      openBytesMax: 32 << 20,
      stateDir: join(folder, 'state'),
    }
    startMs = performance.now()
    await runIngest(task, ctx, stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  await server.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots`)
  await server.query(`SELECT pg_sleep(0.2)`)
  await server.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`)
  return (endMs - startMs) / 1000
}

async function binaryCopy(server: PostgresWithPrograms): Promise<number> {
  const startMs = performance.now()
  const sql = 'COPY bench TO STDOUT (FORMAT binary)'
  await promisify(execFile)(join(server.bin, 'psql'), ['-q', '-c', sql, '-o', '/dev/null'], {
    env: server.env,
  })
  return (performance.now() - startMs) / 1000
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
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
    const ours: number[] = []
    const limit: number[] = []
    for (let round = 0; round < 3; round++) {
      ours.push(await copyIntoLog(server, rows))
      limit.push(await binaryCopy(server))
    }
    const [own, best] = [rows / median(ours), rows / median(limit)]
    const what = 'copy into the log, against COPY (FORMAT binary) to null'
    const goal = 0.4
    return [
      {
        what,
        unit: 'rows/s',
        ours: Math.round(own),
        limit: Math.round(best),
        ratio: own / best,
        goal,
        met: own / best >= goal,
      },
    ]
  },
}
