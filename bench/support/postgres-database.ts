/**
 * PostgreSQL for the benches of the whole path. Its reader beside ours follows a slot of its own and looks
 * at one byte of each message.
 */
import { ReplicationConnection } from '../../connectors/postgres/replication.ts'
import { FrameReader } from '../../connectors/postgres/replication-frames.ts'
import { systemClock } from '../../core/connector/context.ts'
import { startPostgres, type PostgresServer } from '../../test/services/postgres.ts'
import { readUntil } from './drain.ts'
import { schema, type Database, type DatabaseServer, type Query } from './database.ts'

const settings = {
  max_wal_size: '32GB',
  shared_buffers: '512MB',
  checkpoint_timeout: '30min',
  autovacuum: 'off',
}
const sentWithinMs = 120_000

export const postgresDatabase: Database = {
  name: 'Postgres',
  type: 'postgres',
  moment: 'timestamptz',
  momentOf: (seconds) => `to_timestamp(${seconds})`,
  hashOf: (text) => `md5(${text})`,
  async start() {
    const server = await startPostgres({ settings })
    await server.query(`CREATE SCHEMA ${schema}`)
    return {
      url: server.url,
      query: await session(server),
      session: () => session(server),
      sentAfterMs: (statement, table) => sentAfterMs(server, statement, table),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    } satisfies DatabaseServer
  },
}

async function session(server: PostgresServer): Promise<Query> {
  const client = await server.client({ options: `-c search_path=${schema}` })
  return (sql) => client.query(sql)
}

async function sentAfterMs(
  server: PostgresServer,
  statement: string,
  table: string,
): Promise<number> {
  await server.query(`CREATE PUBLICATION bench_sent FOR TABLE ${schema}.${table}`)
  await server.query(`SELECT pg_create_logical_replication_slot('bench_sent', 'pgoutput')`)
  const late = AbortSignal.timeout(sentWithinMs)
  const { host, port, user, password } = server
  await using connection = await ReplicationConnection.open(
    {
      client: { host, port, user, password, database: 'postgres' },
      slot: 'bench_sent',
      publication: 'bench_sent',
      after: 0n,
      streaming: true,
      clock: systemClock,
    },
    late,
  )
  late.addEventListener('abort', () => connection.socket.fail(late.reason as Error), { once: true })
  const query = await session(server)
  const reading = sentMs(connection)
  await query(statement)
  const committedMs = performance.now()
  return (await reading) - committedMs
}

/** When the first Stream Commit came (its message begins with 'c'), or Commit ('C') where it was too small to be streamed. */
function sentMs(connection: ReplicationConnection): Promise<number> {
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
  return readUntil(connection.socket, frames, () => stream.ended)
}
