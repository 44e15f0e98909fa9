/**
 * P3: a MySQL change stream into the durable log (connector, ingest, commits with fsync), beside what
 * people look at it with today, `mysqlbinlog -v` reading from the server and writing to /dev/null, and
 * beside a drain of the same bytes that looks at nothing. All three read the same binlog in turns; the
 * median of the rounds counts.
 *
 * The load: inserts and a tenth as many updates of 200-byte rows, 1000 a transaction, waiting in the
 * server's binlog before the clock starts.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { BinlogDump } from '../connectors/mysql/binlog/binlog-dump.ts'
import { placeNow } from '../connectors/mysql/binlog-place.ts'
import { connect, targetOf } from '../connectors/mysql/connection.ts'
import { mysqlConfig } from '../connectors/mysql/config.ts'
import { mysql } from '../connectors/mysql/connector.ts'
import type { StreamPlace } from '../connectors/mysql/place.ts'
import { formatPosition } from '../connectors/mysql/position.ts'
import { loadServerInfo } from '../connectors/mysql/server-info.ts'
import { systemClock } from '../core/connector/context.ts'
import { Secret } from '../core/connector/secret.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import type { MysqlServer } from '../test/services/mysql-family.ts'
import { startMysql } from '../test/services/mysql.ts'
import { drain, type Drained } from './support/drain.ts'
import { ingestSeconds } from './support/ingest.ts'
import { inTurns, peakMemory, rate, rated } from './support/rates.ts'
import type { BenchRow } from './types.ts'

const rowsPerTransaction = 1000
const never = new AbortController().signal

interface Load {
  readonly server: MysqlServer
  readonly rows: number
  /** Before the first of them. */
  readonly from: StreamPlace
}

async function load(server: MysqlServer, transactions: number): Promise<Load> {
  const session = await server.client()
  await session.query(`
    CREATE DATABASE bench; USE bench;
    CREATE TABLE bench (id bigint PRIMARY KEY, account_id int, amount decimal(12,2), note text,
      created_at datetime(6), updated_at datetime(6));
    CREATE TABLE thousand (n int PRIMARY KEY);
    INSERT INTO thousand WITH RECURSIVE r (n) AS
      (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT n FROM r;
    FLUSH BINARY LOGS`)
  const from = await placeOf(server)
  for (let t = 0; t < transactions; t++) {
    const id = `(${t} * 1000 + n)`
    await session.query(
      `INSERT INTO bench SELECT ${id}, ${id} % 100000, (${id} * 37 % 1000000) / 100,
         SUBSTR(REPEAT(SHA2(${id}, 256), 2), 1, 120),
         TIMESTAMPADD(MICROSECOND, ${id} * 1234567, '2026-01-01'), NOW(6) FROM thousand`,
    )
  }
  const updates = transactions / 10
  for (let t = 0; t < updates; t++) {
    await session.query(
      `UPDATE bench SET amount = amount + 1, updated_at = NOW(6)
        WHERE id BETWEEN ${t * 10_000 + 1} AND ${t * 10_000 + rowsPerTransaction}`,
    )
  }
  return { server, rows: (transactions + updates) * rowsPerTransaction, from }
}

async function placeOf(server: MysqlServer): Promise<StreamPlace> {
  await using session = await connect(target(server), never)
  const place = await placeNow(session.query, await loadServerInfo(session.query))
  if (place === null) throw new Error('the server writes no binlog')
  return place
}

function target(server: MysqlServer) {
  return targetOf(new Secret(server.url), { compress: false })
}

/** The source as it is, but begun before the load where nothing is committed yet. */
function connectorFrom(place: StreamPlace): SourceConnector<unknown> {
  const connector = mysql as SourceConnector<unknown>
  return {
    ...connector,
    open: async (config, ctx) => {
      const source = await connector.open(config, ctx)
      const start = formatPosition({ place, snapshot: null, extras: {} })
      return {
        read: (after, signal) => source.read(after ?? start, signal),
        ack: (position) => source.ack(position),
        [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
      }
    },
  }
}

/** Seconds from the request of the stream until every row is in a commit in the folder. */
function ingest({ server, rows, from }: Load): Promise<number> {
  const config = mysqlConfig.parse({
    url: server.url,
    tables: ['bench.bench'],
    snapshot: 'never',
  })
  return ingestSeconds({ connector: connectorFrom(from), config, rows, from: 'stream' })
}

/** The binlog's socket, drained. */
async function drainBinlog({ server, from }: Load, bytesWanted: number): Promise<Drained> {
  const options = { serverId: 4_000_000_001, heartbeatMs: 60_000, clock: systemClock }
  await using dump = await BinlogDump.open({ target: target(server), from, ...options }, never)
  return await drain(dump.socket, bytesWanted)
}

async function mysqlbinlog({ server, from }: Load): Promise<number> {
  const words = ['--read-from-remote-server', '--to-last-log', '-v', from.file]
  const { command, args, env } = server.program('binlog', ...words)
  const startMs = performance.now()
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`mysqlbinlog ended with ${code}`)
  return (performance.now() - startMs) / 1000
}

async function run({ quick }: { readonly quick: boolean }): Promise<readonly BenchRow[]> {
  await using server = await startMysql({ settings: { 'innodb-buffer-pool-size': '512M' } })
  const backlog = await load(server, quick ? 200 : 2000)
  // The first round warms up code, memory and the server's cache, and says how many bytes there are.
  await ingest(backlog)
  const onePeak = peakMemory('one pipeline')
  const { bytes } = await drainBinlog(backlog, Infinity)
  const seconds = await inTurns(quick ? 3 : 5, [
    () => ingest(backlog),
    async () => (await drainBinlog(backlog, bytes)).seconds,
    () => mysqlbinlog(backlog),
  ])
  const [ours, lazy, tool] = seconds.map((each) => rate(backlog.rows, each))
  return [
    rated('MySQL stream to durable log, limit: mysqlbinlog -v to null', ours!, tool!, 0.5),
    rated('MySQL stream to durable log, limit: lazy socket drain', ours!, lazy!, null),
    onePeak,
    peakMemory('all rounds'),
  ]
}

export const bench = {
  id: 'P3',
  what: 'MySQL change stream to durable log',
  run,
}
