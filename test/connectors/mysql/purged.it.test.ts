/**
 * Where the server no longer has what the log needs (invariant 5): the source stops and names what is
 * missing, or, where the configuration says so for every table, goes on from now and copies them again.
 * Another server, and one restored to an earlier time, are never mistaken for the one that was read.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SluiceError } from '../../../core/errors/error.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { waitFor } from '../../support/env.ts'
import { Follower, rowsOf } from './follow.ts'

const tables = ['shop.items', 'shop.marker']

async function prepare(server: MysqlServer): Promise<void> {
  await server.query(`CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
    CREATE TABLE shop.items (id int PRIMARY KEY, n int); INSERT INTO shop.items VALUES (1, 1), (2, 2)`)
}

/** Changes that are gone from the binlog afterwards. */
async function lose(server: MysqlServer): Promise<void> {
  await server.query(`DELETE FROM shop.items WHERE id = 1; INSERT INTO shop.items VALUES (3, 3)`)
  await server.query('FLUSH BINARY LOGS')
  await server.query('INSERT INTO shop.items VALUES (4, 4)')
  // MariaDB keeps them until a replica is connected, and every server those that a reader still holds.
  await server.query('SET GLOBAL slave_connections_needed_for_purge = 0').catch(() => {})
  await waitFor('the binlogs to be purged', async () => {
    const logs = await server.query<{ Log_name: string }>('SHOW BINARY LOGS')
    if (logs.length === 1) return true
    await server.query(`PURGE BINARY LOGS TO '${logs.at(-1)!.Log_name}'`)
    return false
  })
}

function refused(follower: Follower, code: string, text: RegExp): Promise<void> {
  return assert.rejects(
    async () => {
      for (let i = 0; i < 50; i++) await follower.next()
    },
    (error: SluiceError) => error.code === code && text.test(error.message),
  )
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  const modes: readonly Readonly<Record<string, string>>[] =
    starter.flavour === 'mysql'
      ? [{ 'gtid-mode': 'ON' }, { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }]
      : [{}]
  for (const settings of modes) {
    const name = `${starter.name} ${JSON.stringify(settings)}`
    describe(name, () => {
      test('purged binlogs: stop, stop for one table, resnapshot', async () => {
        await using server = await starter.start({ settings })
        await prepare(server)
        await using follower = new Follower({ url: server.url, tables })
        await follower.catchUp(server, 1)
        await follower.crash()
        await lose(server)
        await refused(follower, 'source.mysql.binlog_purged', /shop\.items, shop\.marker/)
        await follower.crash()
        follower.config = { ...follower.config, on_purged: { 'shop.items': 'resnapshot' } }
        await refused(follower, 'source.mysql.binlog_purged', /because of shop\.marker\./)
        await follower.crash()
        follower.config = { ...follower.config, on_purged: 'resnapshot' }
        await follower.catchUp(server, 2)
        for (const table of tables) follower.fold.assertRows(table, await rowsOf(server, table))
        // From now on as ever, also after another start.
        await follower.crash()
        await server.query('UPDATE shop.items SET n = n + 1')
        await follower.catchUp(server, 3)
        for (const table of tables) follower.fold.assertRows(table, await rowsOf(server, table))
      })

      test('another server, and one that lost its past', async () => {
        await using server = await starter.start({ settings })
        await using other = await starter.start({ settings })
        for (const one of [server, other]) await prepare(one)
        await using follower = new Follower({ url: server.url, tables })
        await follower.catchUp(server, 1)
        await follower.crash()
        follower.config = { ...follower.config, url: other.url }
        const code =
          starter.flavour === 'mysql' && settings['gtid-mode'] === 'OFF'
            ? 'source.mysql.other_server'
            : 'source.mysql.binlog_ahead'
        await refused(follower, code, /server/)
        await follower.crash()
        follower.config = { ...follower.config, url: server.url }
        await follower.catchUp(server, 2)
        follower.fold.assertRows('shop.items', await rowsOf(server, 'shop.items'))
      })
    })
  }
}
