/**
 * Failover where nothing happens: only heartbeats tell a server with nothing to say from one that is not
 * there any more (invariant 8), and the replica is read from there on (invariant 5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { steadily } from '../../support/steadily.ts'
import { Follower, rowsOf } from './follow.ts'
import { readThrough } from './read-through.ts'
import { caughtUp, replicate, stopReplica } from './replica.ts'

const settings = { 'log-slave-updates': 'ON' }
const tables = ['shop.marker']

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  const fallsSilent = async (): Promise<void> => {
    await using first = await starter.start({ settings })
    await using second = await starter.start({ settings })
    await replicate(first, second)
    await first.query('CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY)')
    await using proxy = await startTcpProxy(first.port)
    const url = first.url.replace(String(first.port), String(proxy.port))
    await using follower = new Follower({ url, tables, heartbeat: '3s' })
    await follower.catchUp(first, 1)
    // Periods in which nothing but heartbeats comes, and then something to read.
    const idle = async (server: MysqlServer, marker: number): Promise<void> => {
      const over = sleep(7500).then(() =>
        server.query(`INSERT INTO shop.marker VALUES (${marker})`),
      )
      const rows = follower.fold.topics.get('shop.marker')!
      const tried = await readThrough(follower, () => rows.has(JSON.stringify([`${marker}`])))
      await over
      assert.deepEqual(tried, [])
    }
    await idle(first, 2)
    proxy.stall()
    const tried = await readThrough(follower, () => follower.crashes > 0)
    assert.deepEqual(tried, ['source.mysql.silent'])
    await caughtUp('shop.marker', first, second)
    await first.kill()
    proxy.target = second.port
    proxy.cut()
    proxy.resume()
    await stopReplica(second)
    await idle(second, 3)
    await follower.catchUp(second, 4)
    follower.fold.assertRows('shop.marker', await rowsOf(second, 'shop.marker'))
  }
  test(`${starter.name}: the primary falls silent, and its replica is as idle`, () =>
    steadily(1500, fallsSilent))
}
