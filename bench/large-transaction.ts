/**
 * P8: one transaction of 1,000,000 inserts (170-byte rows), streamed by Postgres before its commit
 * (protocol 2), through the real command line. The clock starts when COMMIT is answered; it stops
 * when the commit that holds the last row can be read from the log on disk, and again when ClickHouse
 * shows all rows. Peak memory is that of the sluice process, by the kernel's count.
 *
 * Its limit is a reader in its place that follows a slot of its own and looks at one byte of each
 * message, to see the transaction's end: what Postgres itself needs to decode and send.
 *
 * The rows lie in a table of the server's before, so that the transaction is one INSERT … SELECT;
 * checkpoints are kept out of the way. `--quick` takes a fifth of the rows.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplicationConnection } from '../connectors/postgres/replication.ts'
import { FrameReader } from '../connectors/postgres/replication-frames.ts'
import { systemClock } from '../core/connector/context.ts'
import { readHead } from '../core/log/head.ts'
import { openLog } from '../core/log/log.ts'
import { DirectoryStore } from '../core/store/directory.ts'
import { startClickHouse, type ClickHouse } from '../test/services/clickhouse.ts'
import { startPostgres, type PostgresServer } from '../test/services/postgres.ts'
import { waitFor } from '../test/support/env.ts'
import { Sluice } from './support/sluice.ts'
import type { BenchRow } from './types.ts'

const goals = { durableMs: 1000, rssMb: 512 }
const settleMs = 120_000

const pipeline = `
version: 1
name: big
log: { url: file://./log }
sources:
  pg: { type: postgres, url: '\${env.PG_URL}', tables: [public.bench_big] }
sinks:
  warehouse: { type: clickhouse, url: '\${env.CLICKHOUSE_URL}', from: bench_big }
`

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  const rows = quick ? 200_000 : 1_000_000
  await using servers = new AsyncDisposableStack()
  const settings = {
    max_wal_size: '32GB',
    shared_buffers: '512MB',
    checkpoint_timeout: '30min',
  }
  const [postgres, clickhouse] = await Promise.all([
    startPostgres({ settings }).then((server) => servers.use(server)),
    startClickHouse().then((server) => servers.use(server)),
  ])
  await createTables(postgres, rows)
  const limitMs = await drained(postgres)
  await using sluice = new Sluice(pipeline, {
    PG_URL: postgres.url,
    CLICKHOUSE_URL: clickhouse.url,
  })
  // A first row, so that the tables, the slot and the code are there; the log counts it too.
  await postgres.query(`INSERT INTO bench_big SELECT 0, account_id, amount, note, created_at,
    updated_at FROM big_source LIMIT 1`)
  await waitFor('the first row', async () => {
    sluice.mustRun()
    return (await shown(clickhouse).catch(() => 0)) === 1
  })
  const startMs = performance.now()
  await postgres.query('INSERT INTO bench_big SELECT * FROM big_source')
  const committedMs = performance.now()
  const durableMs = (await durable(sluice, rows + 1)) - committedMs
  const durablePeakMb = sluice.peakRssMb()
  await waitFor(
    'all rows in ClickHouse',
    async () => {
      sluice.mustRun()
      return (await shown(clickhouse)) === rows + 1
    },
    settleMs,
  )
  const shownMs = performance.now() - committedMs
  const ratio = Math.round((durableMs / limitMs) * 100) / 100
  const what = `transaction of ${rows.toLocaleString('en-US')} inserts`
  return [
    {
      ...timed(`${what}: COMMIT answered to durable in the log`, durableMs, goals.durableMs),
      limit: Math.round(limitMs),
      ratio,
    },
    timed(`${what}: COMMIT answered to all in ClickHouse`, shownMs, null),
    timed(`${what}: the transaction itself, in Postgres`, committedMs - startMs, null),
    ...memory('peak memory of sluice, up to durable', durablePeakMb),
    ...memory('peak memory of sluice, up to delivered', sluice.peakRssMb()),
  ]
}

async function createTables(postgres: PostgresServer, rows: number): Promise<void> {
  await postgres.query(`
    CREATE TABLE bench_big (id bigint PRIMARY KEY, account_id int, amount numeric(12,2), note text,
      created_at timestamptz, updated_at timestamptz);
    CREATE TABLE big_source (LIKE bench_big);
    INSERT INTO big_source
      SELECT i, i % 100000, (i * 37 % 1000000) / 100.0, substr(repeat(md5(i::text), 4), 1, 120),
             timestamptz '2026-01-01' + i * interval '1.234567 seconds', now()
      FROM generate_series(1, ${rows}) i`)
  await postgres.query('VACUUM ANALYZE big_source')
  await postgres.query('CHECKPOINT')
}

/** Milliseconds from COMMIT answered until a reader that stores nothing has been sent the transaction's end. */
async function drained(postgres: PostgresServer): Promise<number> {
  await postgres.query(`CREATE TABLE bench_limit (LIKE big_source, PRIMARY KEY (id));
    CREATE PUBLICATION bench_limit FOR TABLE bench_limit`)
  await postgres.query(`SELECT pg_create_logical_replication_slot('bench_limit', 'pgoutput')`)
  const end = AbortSignal.timeout(settleMs)
  const { host, port, user, password } = postgres
  await using connection = await ReplicationConnection.open(
    {
      client: { host, port, user, password, database: 'postgres' },
      slot: 'bench_limit',
      publication: 'bench_limit',
      after: 0n,
      streaming: true,
      clock: systemClock,
    },
    end,
  )
  end.addEventListener('abort', () => connection.socket.fail(end.reason as Error), { once: true })
  const reading = streamEnd(connection)
  await postgres.query('INSERT INTO bench_limit SELECT * FROM big_source')
  const committedMs = performance.now()
  return (await reading) - committedMs
}

/** When the first Stream Commit came (its message begins with 'c'), or Commit ('C') where it was too small to be streamed. */
async function streamEnd(connection: ReplicationConnection): Promise<number> {
  const stream = { ended: false }
  const frames = new FrameReader({
    waiting: false,
    message: (source, start) => {
      if (source[start] === 0x63 || source[start] === 0x43) stream.ended = true
    },
    keepalive: (walEnd, replyNow) => {
      if (replyNow) connection.answer(false)
    },
    other: () => {},
  })
  while (!stream.ended) {
    const chunk = connection.socket.take()
    if (chunk === null) await connection.socket.wait()
    else {
      frames.give(chunk)
      frames.run()
    }
  }
  return performance.now()
}

/** When the log on disk, as another process reads it, has all rows. */
async function durable(sluice: Sluice, rows: number): Promise<number> {
  const end = AbortSignal.timeout(settleMs)
  const log = await openLog(new DirectoryStore(`${sluice.folder}/log`), { signal: end })
  for (;;) {
    sluice.mustRun()
    const head = await readHead(log, 'big.source.pg', end)
    if (head?.topics.get('pg.public.bench_big')?.nextOffset === rows) return performance.now()
    await sleep(5)
  }
}

async function shown(clickhouse: ClickHouse): Promise<number> {
  const [row] = await clickhouse.query('SELECT count() AS n FROM bench_big')
  return Number(row?.['n'])
}

function timed(what: string, ms: number, goal: number | null): BenchRow {
  const met = goal === null || ms < goal
  return { what, unit: 'ms', ours: Math.round(ms), limit: null, ratio: null, goal, met }
}

function memory(what: string, peakMb: number | null): BenchRow[] {
  if (peakMb === null) return []
  const goal = goals.rssMb
  return [{ what, unit: 'MB', ours: peakMb, limit: null, ratio: null, goal, met: peakMb < goal }]
}

export const bench = {
  id: 'P8',
  what: 'one transaction of a million rows, from its commit to the log and to ClickHouse',
  run,
}
