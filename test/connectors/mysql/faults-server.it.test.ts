/**
 * The stream through what goes wrong with a server: after each fault no row is lost and none
 * is committed twice by the positions (invariants 1, 3, 5, 8).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { waitFor } from '../../support/env.ts'
import { dumpThreads, Ledger, prepareLedger, write } from './ledger.ts'

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11', 'mariadb-11.8')) {
  describe(`faults of ${starter.name}`, () => {
    it('KILL of the reader, a crash and a stop of the server, files changing within transactions', async () => {
      await using server = await starter.start({
        settings: { 'max-binlog-size': '4096', 'max-allowed-packet': '64M' },
      })
      await prepareLedger(server)
      await using ledger = new Ledger(server.url)
      await ledger.start(server)
      await write(server, 0, 40)
      for (const id of await dumpThreads(server)) await server.query(`KILL ${id}`)
      await write(server, 1000, 40)
      await ledger.check(server)
      assert.ok(ledger.retried.length > 0, 'the reader noticed')
      const killed = ledger.retried.length
      await write(server, 2000, 20, { rows: 200 })
      await server.kill()
      await server.restart()
      await write(server, 10_000, 20)
      await ledger.check(server)
      assert.ok(ledger.retried.length > killed, 'the reader noticed the crash')
      await write(server, 11_000, 5)
      await server.restart()
      await write(server, 12_000, 5)
      await ledger.check(server)
      await server.query('FLUSH BINARY LOGS')
      await write(server, 13_000, 5)
      await ledger.check(server)
    })

    it('binlogs that are purged before they were read stop the source, which says so', async () => {
      await using server = await starter.start()
      await prepareLedger(server)
      let left = null
      {
        await using ledger = new Ledger(server.url)
        await ledger.start(server)
        left = ledger.position
      }
      await waitFor('the reader to go', async () => (await dumpThreads(server)).length === 0)
      await write(server, 0, 5)
      await server.query('FLUSH BINARY LOGS')
      await write(server, 1000, 5)
      await waitFor('the binlogs to go', async () => {
        // A file that a commit in the engine still depends on stays for a moment.
        const files = await server.query<{ Log_name: string }>('SHOW BINARY LOGS')
        await server.query(`PURGE BINARY LOGS TO '${files.at(-1)!.Log_name}'`)
        return files.length === 1
      })
      await using ledger = new Ledger(server.url)
      ledger.position = left
      await assert.rejects(ledger.start(server), ({ message }: Error) => {
        assert.match(message, /purged|removed|no longer/i)
        return true
      })
      assert.equal(ledger.stopped?.code, 'source.mysql.binlog_purged')
      assert.equal(ledger.stopped.fault, 'config')
    })
  })
}

for (const starter of await mysqlServers('mysql-9.7')) {
  describe(`${starter.name} without GTIDs`, () => {
    const settings = { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }

    it('is followed by file and offset, through a crash and over the ends of files', async () => {
      await using server = await starter.start({
        settings: { ...settings, 'max-binlog-size': '4096' },
      })
      await prepareLedger(server)
      await using ledger = new Ledger(server.url)
      await ledger.start(server)
      await write(server, 0, 30)
      for (const id of await dumpThreads(server)) await server.query(`KILL ${id}`)
      await write(server, 1000, 30)
      await ledger.check(server)
      await write(server, 2000, 10, { rows: 100 })
      await server.kill()
      await server.restart()
      await write(server, 10_000, 10)
      await ledger.check(server)
      assert.ok(ledger.retried.length > 1)
    })

    it('is not taken for another one that answers at its address', async () => {
      await using first = await starter.start({ settings })
      await using second = await starter.start({ settings })
      for (const server of [first, second]) await prepareLedger(server)
      await using ledger = new Ledger(first.url)
      await ledger.start(first)
      ledger.url = second.url
      await first.kill()
      await waitFor('the source to stop', () => ledger.stopped !== null)
      assert.equal(ledger.stopped?.code, 'source.mysql.other_server')
    })
  })
}
