/** A server made the replica of another, and its promotion. */
import type { MysqlServer } from '../../services/mysql-family.ts'
import { waitFor } from '../../support/env.ts'

/** By GTIDs, from the source's first transaction on. */
export async function replicate(source: MysqlServer, replica: MysqlServer): Promise<void> {
  const { host, port, user, password } = source
  if (source.flavour === 'mysql') {
    await replica.query(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${port},
         SOURCE_USER = '${user}', SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1,
         GET_SOURCE_PUBLIC_KEY = 1; START REPLICA`,
    )
    return
  }
  const [row] = await replica.query<{ version: string }>('SELECT VERSION() AS version')
  // From 11.3 on replicas verify TLS unless told otherwise.
  const verify = /^1[1-9]\.[3-9]|^1[2-9]/.test(row!.version)
    ? ', MASTER_SSL_VERIFY_SERVER_CERT = 0'
    : ''
  await replica.query(
    `CHANGE MASTER TO MASTER_HOST = '${host}', MASTER_PORT = ${port}, MASTER_USER = '${user}',
       MASTER_PASSWORD = '${password}', MASTER_USE_GTID = slave_pos${verify}; START SLAVE`,
  )
}

export async function stopReplica(replica: MysqlServer): Promise<void> {
  await replica.query(replica.flavour === 'mysql' ? 'STOP REPLICA' : 'STOP SLAVE')
}

/** Resolves when the replica has as many rows of the table as the source has now. */
export async function caughtUp(
  table: string,
  source: MysqlServer,
  replica: MysqlServer,
): Promise<void> {
  const count = async (server: MysqlServer): Promise<number> => {
    const [row] = await server.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`)
    return row!.n
  }
  const there = await count(source)
  await waitFor('the replica', async () => (await count(replica).catch(() => 0)) >= there)
}
