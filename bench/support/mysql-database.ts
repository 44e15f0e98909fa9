/**
 * MySQL for the benches of the whole path. Its reader beside ours is a replica of its own that looks at
 * the type of each event.
 */
import { BinlogDump } from '../../connectors/mysql/binlog/binlog-dump.ts'
import { placeNow } from '../../connectors/mysql/binlog-place.ts'
import { connect, targetOf } from '../../connectors/mysql/connection.ts'
import { loadServerInfo } from '../../connectors/mysql/server-info.ts'
import { systemClock } from '../../core/connector/context.ts'
import { Secret } from '../../core/connector/secret.ts'
import { startMysql } from '../../test/services/mysql.ts'
import type { MysqlServer } from '../../test/services/mysql-family.ts'
import { readUntil } from './drain.ts'
import { schema, type Database, type DatabaseServer, type Query } from './database.ts'

const settings = { 'innodb-buffer-pool-size': '512M', 'innodb-redo-log-capacity': '4G' }
const sentWithinMs = 120_000

export const mysqlDatabase: Database = {
  name: 'MySQL',
  type: 'mysql',
  moment: 'timestamp(6)',
  momentOf: (seconds) => `from_unixtime(${seconds})`,
  // MD5() left the server with 9.6.
  hashOf: (text) => `left(sha2(${text}, 256), 32)`,
  async start() {
    const server = await startMysql({ settings })
    await server.query(`CREATE DATABASE ${schema}`)
    return {
      url: server.url,
      query: await session(server),
      session: () => session(server),
      sentAfterMs: (statement) => sentAfterMs(server, statement),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    } satisfies DatabaseServer
  },
}

async function session(server: MysqlServer): Promise<Query> {
  const client = await server.client({ database: schema })
  // WITH RECURSIVE ends after 1000 rows otherwise.
  await client.query('SET cte_max_recursion_depth = 4294967295')
  return (sql) => client.query(sql)
}

async function sentAfterMs(server: MysqlServer, statement: string): Promise<number> {
  const late = AbortSignal.timeout(sentWithinMs)
  const target = targetOf(new Secret(server.url), { compress: false })
  const query = await session(server)
  await using asking = await connect(target, late)
  const from = await placeNow(asking.query, await loadServerInfo(asking.query))
  if (from === null) throw new Error('the server writes no binlog')
  await using dump = await BinlogDump.open(
    { target, from, serverId: 4_000_000_001, heartbeatMs: 60_000, clock: systemClock },
    late,
  )
  late.addEventListener('abort', () => dump.socket.fail(late.reason as Error), { once: true })
  const reading = sentMs(dump)
  await query(statement)
  const committedMs = performance.now()
  return (await reading) - committedMs
}

/**
 * When the first Xid event came, with which a transaction ends. A packet is 0x00 and an event, whose type
 * is its fifth byte.
 */
function sentMs(dump: BinlogDump): Promise<number> {
  const xidEvent = 16
  const stream = { ended: false }
  const packets = dump.reader({
    waiting: false,
    packet: (source, start) => {
      if (source[start] !== 0x00) throw new Error('the server ended the stream')
      if (source[start + 5] === xidEvent) stream.ended = true
    },
  })
  return readUntil(dump.socket, packets, () => stream.ended)
}
