/**
 * Failover by GTIDs, under load and with the copy still going on: the source's address leads to a
 * primary that dies with writers on it, then to its replica, whose writers go on at once. What the
 * topics hold in the end is the tables of the new primary, each row once (invariants 1, 3 and 5). The
 * replica has all that was read, as semi-synchronous replication sees to; it lacks some of what the
 * primary committed last. (One that lacks what was read is refused: purged.it.test.ts.)
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { seeded } from '../../support/random.ts'
import { Follower, rowsOf } from './follow.ts'
import { readThrough } from './read-through.ts'
import { caughtUp, replicate, stopReplica } from './replica.ts'

const tables = ['shop.accounts', 'shop.events', 'shop.marker']

const create = `CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
  CREATE TABLE shop.accounts (id int PRIMARY KEY, n int NOT NULL, note varchar(4000));
  CREATE TABLE shop.events (id bigint PRIMARY KEY AUTO_INCREMENT, account int, amount int)`

async function fill(server: MysqlServer): Promise<void> {
  await server.query(create)
  for (let from = 0; from < 6000; from += 500) {
    const rows = Array.from({ length: 500 }, (_, i) => `(${from + i}, 0, REPEAT('x', 3000))`)
    await server.query(`INSERT INTO shop.accounts VALUES ${rows.join(',')}`)
  }
}

/** Writes transactions until told to stop, or until the server is gone. */
async function writeTo(server: MysqlServer, seed: number, stop: AbortSignal): Promise<void> {
  const random = seeded(seed)
  const client = await server.client({ database: 'shop' })
  try {
    while (!stop.aborted) {
      const id = random.int(7000)
      await client.query(`BEGIN; INSERT INTO events (account, amount) VALUES (${id}, 1), (${id}, 2);
        INSERT INTO accounts VALUES (${id}, 1, 'new') ON DUPLICATE KEY UPDATE n = n + 1;
        UPDATE accounts SET note = 'changed' WHERE id = ${random.int(7000)}; COMMIT`)
      if (random.chance(0.05)) await client.query(`DELETE FROM accounts WHERE id = ${id}`)
      await sleep(random.int(4))
    }
  } catch {
    // As far as it came; what of it lives on is the replica's to say.
  }
}

const settings = { 'log-slave-updates': 'ON' }

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  describe(`failover of ${starter.name}`, () => {
    for (const moment of ['while tables are copied', 'in the stream'] as const) {
      const seed = Date.now() % 100_000
      test(`the primary dies under its writers, ${moment} (seed ${seed})`, async () => {
        await using first = await starter.start({ settings })
        await using second = await starter.start({ settings })
        await replicate(first, second)
        await fill(first)
        await using proxy = await startTcpProxy(first.port)
        const url = first.url.replace(String(first.port), String(proxy.port))
        await using follower = new Follower({ url, tables })
        const writers = [1, 2].map((n) => writeTo(first, seed + n, new AbortController().signal))
        const held = (): number => follower.fold.topics.get('shop.accounts')?.size ?? 0
        await readThrough(follower, () => held() > (moment === 'in the stream' ? 5500 : 0))
        // What comes now is read from nobody: the replica has all that was read, and perhaps less than there is.
        proxy.stall()
        await caughtUp('shop.events', first, second)
        await first.kill()
        await Promise.all(writers)
        proxy.target = second.port
        proxy.cut()
        proxy.resume()
        await stopReplica(second)
        const again = new AbortController()
        const rewriters = [3, 4].map((n) => writeTo(second, seed + n, again.signal))
        let isOver = false
        const over = sleep(1500).then(async () => {
          again.abort()
          await Promise.all(rewriters)
          isOver = true
          // Something to read, for whoever waits on an idle server.
          await second.query('INSERT INTO shop.marker VALUES (0)')
        })
        await readThrough(follower, () => isOver)
        await over
        await follower.catchUp(second, 1)
        for (const table of tables) follower.fold.assertRows(table, await rowsOf(second, table))
        assert.ok(follower.crashes > 0, 'the reader noticed')
      })
    }
  })
}
