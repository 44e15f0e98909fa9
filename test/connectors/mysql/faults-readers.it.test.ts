/**
 * The stream beside readers that take its place, and on a server that takes the place of another: no
 * row is lost and none
 * is committed twice by the positions (invariants 1, 3, 5, 8).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serverIdOf } from '../../../connectors/mysql/config.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { waitFor } from '../../support/env.ts'
import { dumpThreads, Ledger, ledgerTable, prepareLedger, write } from './ledger.ts'

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  describe(`other readers of ${starter.name}`, () => {
    it('two readers with one id: the one that is pushed aside comes back under another', async () => {
      await using server = await starter.start()
      await prepareLedger(server)
      await using one = new Ledger(server.url)
      await one.start(server)
      await using two = new Ledger(server.url)
      await two.start(server)
      await write(server, 0, 20)
      await Promise.all([one.check(server), two.check(server)])
      const clashes = [...one.retried, ...two.retried]
      assert.deepEqual(
        clashes.map(({ code }) => code),
        ['source.mysql.server_id_clash'],
        'once, and then never again',
      )
      assert.equal((await dumpThreads(server)).length, 2)
    })

    it('a reader that ends leaves no thread behind, however seldom the server would notice', async () => {
      await using server = await starter.start()
      await prepareLedger(server)
      {
        await using ledger = new Ledger(server.url, { heartbeat: '10m' })
        await ledger.start(server)
        assert.equal((await dumpThreads(server)).length, 1)
      }
      // The KILL is answered before the thread is gone.
      await waitFor('the thread to end', async () => (await dumpThreads(server)).length === 0, 5000)
    })

    it('a reader that died and came back takes its own place, and is not pushed aside', async () => {
      await using server = await starter.start()
      await prepareLedger(server)
      await using proxy = await startTcpProxy(server.port)
      const url = server.url.replace(String(server.port), String(proxy.port))
      await using dead = new Ledger(url, { heartbeat: '10m' })
      await dead.start(server)
      // For the server it lives on: no byte passes, in either direction.
      proxy.stall()
      const sameId = serverIdOf({}, { pipeline: `test of ${url}`, name: 'ledger' })
      await using fresh = new Ledger(server.url, { heartbeat: '10m', server_id: sameId })
      fresh.position = dead.position
      await fresh.start(server)
      await write(server, 0, 20)
      await fresh.check(server)
      assert.deepEqual(fresh.retried, [])
      assert.equal((await dumpThreads(server)).length, 1)
    })

    it('failover to a replica by GTIDs, with transactions that only one of them has', async () => {
      const settings = { 'log-slave-updates': 'ON' }
      await using first = await starter.start({ settings })
      await using second = await starter.start({ settings })
      await prepareLedger(first)
      await replicate(first, second)
      await using proxy = await startTcpProxy(first.port)
      await using ledger = new Ledger(first.url.replace(String(first.port), String(proxy.port)))
      await ledger.start(first)
      await write(first, 0, 30)
      await ledger.check(first)
      await caughtUp(first, second)
      await first.kill()
      proxy.target = second.port
      proxy.cut()
      await stopReplica(second)
      // As the new source it writes transactions of its own.
      await write(second, 10_000, 30)
      await ledger.check(second)
      assert.ok(ledger.retried.length > 0)
    })
  })
}

async function replicate(source: MysqlServer, replica: MysqlServer): Promise<void> {
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

async function stopReplica(replica: MysqlServer): Promise<void> {
  await replica.query(replica.flavour === 'mysql' ? 'STOP REPLICA' : 'STOP SLAVE')
}

async function caughtUp(source: MysqlServer, replica: MysqlServer): Promise<void> {
  const count = async (server: MysqlServer): Promise<number> => {
    const [row] = await server.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${ledgerTable}`)
    return row!.n
  }
  await waitFor('the replica', async () => (await count(replica)) === (await count(source)))
}
