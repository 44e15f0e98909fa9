/**
 * P1: a Postgres change stream into the durable log (connector, ingest, commits with fsync), beside
 * what bounds it: a lazy drain of the same slot's socket that looks at nothing, and `pg_recvlogical`
 * writing to /dev/null. All three read copies of one slot in turns; the median of the rounds counts.
 *
 * The load: inserts and a tenth as many updates of 200-byte rows, 1000 a transaction, waiting in the
 * server's log before the clock starts.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { postgresConfig } from '../connectors/postgres/config.ts'
import { postgres } from '../connectors/postgres/connector.ts'
import { parseLsn } from '../connectors/postgres/lsn.ts'
import { ReplicationConnection } from '../connectors/postgres/replication.ts'
import { systemClock } from '../core/connector/context.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import { startPostgresWithPrograms, type PostgresWithPrograms } from '../test/services/postgres.ts'
import { drain, type Drained } from './support/drain.ts'
import { ingestSeconds } from './support/ingest.ts'
import { inTurns, peakMemory, rate, rated } from './support/rates.ts'
import type { BenchRow } from './types.ts'

const rowsPerTransaction = 1000

interface Load {
  readonly server: PostgresWithPrograms
  readonly rows: number
  /** Where the slot `load` begins, and an LSN after the last commit. */
  readonly start: string
  readonly end: string
}

async function load(server: PostgresWithPrograms, transactions: number): Promise<Load> {
  await server.query(`
    CREATE TABLE bench (id bigint PRIMARY KEY, account_id int, amount numeric(12,2), note text,
      created_at timestamptz, updated_at timestamptz);
    CREATE PUBLICATION bench FOR TABLE bench`)
  const [slot] = await server.query<{ lsn: string }>(
    `SELECT lsn::text FROM pg_create_logical_replication_slot('load', 'pgoutput')`,
  )
  const updates = transactions / 10
  await server.query(`DO $$ BEGIN
    FOR t IN 0..${transactions - 1} LOOP
      INSERT INTO bench SELECT i, i % 100000, (i::bigint * 37 % 1000000) / 100.0,
          substr(repeat(md5(i::text), 4), 1, 120),
          timestamptz '2026-01-01' + i * interval '1.234567 seconds', now()
        FROM generate_series(t * 1000 + 1, t * 1000 + ${rowsPerTransaction}) i;
      COMMIT;
    END LOOP;
    FOR t IN 0..${updates - 1} LOOP
      UPDATE bench SET amount = amount + 1, updated_at = now()
        WHERE id BETWEEN t * 10000 + 1 AND t * 10000 + ${rowsPerTransaction};
      COMMIT;
    END LOOP;
  END $$`)
  await server.query('CHECKPOINT')
  const [end] = await server.query<{ lsn: string }>(
    `SELECT pg_current_wal_flush_lsn()::text AS lsn`,
  )
  const rows = (transactions + updates) * rowsPerTransaction
  return { server, rows, start: slot!.lsn, end: end!.lsn }
}

/** Runs `work` with a copy of the slot, which has everything of the load before it. */
async function withSlot<T>(
  { server }: Load,
  name: string,
  work: (slot: string) => Promise<T>,
): Promise<T> {
  await server.query(`SELECT pg_copy_logical_replication_slot('load', '${name}')`)
  try {
    return await work(name)
  } finally {
    await dropSlot(server, name)
  }
}

/** The server notices only after a moment that a reader is gone. */
async function dropSlot(server: PostgresWithPrograms, name: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await server.query(`SELECT pg_drop_replication_slot('${name}')`)
      return
    } catch (error) {
      if (attempt === 100) throw error
      await sleep(50)
    }
  }
}

/** Seconds from the request of the stream until every row is in a commit in the folder. */
function ingest({ server, rows }: Load, slot: string): Promise<number> {
  const config = postgresConfig.parse({
    url: server.url,
    tables: ['public.bench'],
    slot,
    publication: 'bench',
    create_publication: false,
    snapshot: 'never',
  })
  const connector = postgres as SourceConnector<unknown>
  return ingestSeconds({ connector, config, rows, from: 'stream' })
}

/** The socket of `slot`, drained. */
async function drainSlot(load: Load, slot: string, bytesWanted: number): Promise<Drained> {
  const { server } = load
  await using connection = await ReplicationConnection.open(
    {
      client: {
        host: server.host,
        port: server.port,
        user: server.user,
        password: server.password,
        database: 'postgres',
      },
      slot,
      publication: 'bench',
      after: parseLsn(load.start),
      streaming: true,
      clock: systemClock,
    },
    new AbortController().signal,
  )
  return await drain(connection.socket, bytesWanted)
}

async function recvlogical(load: Load, slot: string): Promise<number> {
  const { server } = load
  const startMs = performance.now()
  const words = [
    '-d',
    'postgres',
    '--slot',
    slot,
    '--start',
    '-f',
    '/dev/null',
    '--endpos',
    load.end,
    '--no-loop',
  ]
  const options = ['-o', 'proto_version=1', '-o', 'publication_names=bench']
  await promisify(execFile)(join(server.bin, 'pg_recvlogical'), [...words, ...options], {
    env: server.env,
  })
  return (performance.now() - startMs) / 1000
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  await using server = await startPostgresWithPrograms({
    settings: { max_wal_size: '32GB', shared_buffers: '512MB', checkpoint_timeout: '30min' },
  })
  const backlog = await load(server, quick ? 200 : 2000)
  // The first round warms up code, memory and the server's cache, and says how many bytes there are.
  await withSlot(backlog, 'ours', (slot) => ingest(backlog, slot))
  const onePeak = peakMemory('one pipeline')
  const whole = await withSlot(backlog, 'drain', (slot) => drainSlot(backlog, slot, Infinity))
  // Keepalives come as the server finds time; the end may not wait for one that does not come.
  const bytes = whole.bytes - 4096
  const seconds = await inTurns(quick ? 3 : 5, [
    () => withSlot(backlog, 'ours', (slot) => ingest(backlog, slot)),
    () =>
      withSlot(backlog, 'drain', async (slot) => (await drainSlot(backlog, slot, bytes)).seconds),
    () => withSlot(backlog, 'recv', (slot) => recvlogical(backlog, slot)),
  ])
  const [ours, lazy, eager] = seconds.map((each) => rate(backlog.rows, each))
  return [
    rated('stream to durable log, limit: lazy socket drain', ours!, lazy!, 0.8),
    rated('stream to durable log, limit: pg_recvlogical to null', ours!, eager!, 1.7),
    onePeak,
    peakMemory('all rounds'),
  ]
}

export const bench = {
  id: 'P1',
  what: 'Postgres change stream to durable log',
  run,
}
