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
import { steadily } from '../../support/steadily.ts'
import { dumpThreads, Ledger, ledgerTable, prepareLedger, write } from './ledger.ts'
import { caughtUp, replicate, stopReplica } from './replica.ts'

/** The thread of a reader that was pushed aside or killed ends a moment after it was told so. */
function readBy(server: MysqlServer, readers: number): Promise<true> {
  return waitFor(
    `${readers} readers`,
    async () => (await dumpThreads(server)).length === readers || undefined,
  )
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  describe(`other readers of ${starter.name}`, () => {
    const takeTurns = async (): Promise<void> => {
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
      await readBy(server, 2)
    }
    // Who is held up for long may be pushed aside once more, by the thread of its own connection before.
    it('two readers with one id: the one that is pushed aside comes back under another', () =>
      steadily(250, takeTurns))

    it('a reader that ends leaves no thread behind, however seldom the server would notice', async () => {
      await using server = await starter.start()
      await prepareLedger(server)
      {
        await using ledger = new Ledger(server.url, { heartbeat: '10m' })
        await ledger.start(server)
        assert.equal((await dumpThreads(server)).length, 1)
      }
      // The KILL is answered before the thread is gone.
      await waitFor('the thread to end', async () => (await dumpThreads(server)).length === 0)
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
      await readBy(server, 1)
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
      await caughtUp(ledgerTable, first, second)
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
