/**
 * The stream through what goes wrong on the way: after each fault no row is lost and none
 * is committed twice by the positions (invariants 1, 3, 5, 8).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { waitFor } from '../../support/env.ts'
import { steadily } from '../../support/steadily.ts'
import { Ledger, ledgerTable, prepareLedger, write } from './ledger.ts'

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  describe(`the network to ${starter.name}`, () => {
    const goesThrough = async (): Promise<void> => {
      await using server = await starter.start({ settings: { 'net-write-timeout': '6' } })
      await prepareLedger(server)
      await using proxy = await startTcpProxy(server.port)
      const url = server.url.replace(String(server.port), String(proxy.port))
      await using ledger = new Ledger(url, { heartbeat: '3s' })
      await ledger.start(server)
      for (let round = 0; round < 3; round++) {
        proxy.latencyMs = round * 2
        const writing = write(server, round * 10_000, 30, { rows: 20, noteBytes: 2000 })
        await sleep(100)
        proxy.cut()
        await writing
        await ledger.check(server)
      }
      proxy.latencyMs = 0
      assert.ok(ledger.retried.length >= 3)
      const before = ledger.retried.length
      ledger.paused = true
      // More than all buffers on the way hold: the server waits to write, longer than it would by itself.
      await write(server, 100_000, 60, { rows: 20, noteBytes: 20_000 })
      await sleep(13_500)
      assert.deepEqual(ledger.retried.slice(before), [], 'not pulling is no silence')
      ledger.paused = false
      await ledger.check(server)
      assert.deepEqual(ledger.retried.slice(before), [])
      proxy.stall()
      await write(server, 200_000, 5)
      await waitFor('the silence to be noticed', () =>
        ledger.retried.some(({ code }) => code === 'source.mysql.silent'),
      )
      proxy.resume()
      await ledger.check(server)
    }
    it('connections that are cut, slow, or silent, and a reader that does not pull', () =>
      steadily(750, goesThrough))

    it('a row of 40 MB, compressed and encrypted', async () => {
      await using server = await starter.start({ settings: { 'max-allowed-packet': '128M' } })
      await prepareLedger(server)
      const hasTls = starter.name !== 'mariadb-10.11'
      for (const [i, query] of (hasTls ? ['', '?ssl-mode=required'] : ['']).entries()) {
        await using ledger = new Ledger(`${server.url}${query}`, { compress: true })
        await ledger.start(server)
        const note = 'REPEAT(SHA2(RAND(), 256), 625000)'
        await server.query(`INSERT INTO ${ledgerTable} VALUES (${i}, ${note})`)
        await ledger.caughtUp(server)
        assert.deepEqual(ledger.rows.get(String(i)), { times: 1, length: 40_000_000 })
        assert.deepEqual(ledger.retried, [])
      }
    })
  })
}
