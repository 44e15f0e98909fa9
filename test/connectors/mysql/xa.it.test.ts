/**
 * XA transactions that were prepared before a source began to read (invariant 5): what they change is in
 * the topics in the end, whether they are seen at the start or only at their commit.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { waitFor } from '../../support/env.ts'
import { Follower, rowsOf } from './follow.ts'

const tables = ['shop.items', 'shop.marker']

async function prepare(server: MysqlServer): Promise<void> {
  await server.query(`CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
    CREATE TABLE shop.items (id int PRIMARY KEY, n int); INSERT INTO shop.items VALUES (1, 1), (2, 2)`)
}

/** Leaves an XA transaction of these statements prepared, on a session that is gone. */
async function prepareXa(server: MysqlServer, xid: string, sql: string): Promise<void> {
  const session = await server.client()
  await session.query(`XA START ${xid}; ${sql}; XA END ${xid}; XA PREPARE ${xid}`)
  session.destroy()
}

/** Once the session that prepared it is gone, any other may end it. */
async function endXa(server: MysqlServer, sql: string): Promise<void> {
  await waitFor(sql, () =>
    server.query(sql).then(
      () => true,
      () => false,
    ),
  )
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  const modes: readonly Readonly<Record<string, string>>[] =
    starter.flavour === 'mysql'
      ? [
          { 'gtid-mode': 'ON' },
          // Its list of locks: without, a chunk waits for whoever has written to the table and is not done.
          {
            'gtid-mode': 'OFF',
            'enforce-gtid-consistency': 'OFF',
            'performance-schema': 'ON',
          },
        ]
      : [{}]
  for (const settings of modes) {
    describe(`${starter.name} ${JSON.stringify(settings)}: XA`, () => {
      test('a first start waits for what is prepared; what is prepared meanwhile is streamed', async () => {
        await using server = await starter.start({ settings })
        await prepare(server)
        const [one, two] = [`X'00ff27',X'2c',7`, `'later'`]
        await prepareXa(server, one, 'INSERT INTO shop.items VALUES (3, 3)')
        await using follower = new Follower({ url: server.url, tables })
        const reading = follower.catchUp(server, 1)
        const says = (text: string) => follower.lines.some(({ message }) => message.includes(text))
        await waitFor('the source to wait', () => says('waiting for prepared XA'))
        await prepareXa(server, two, 'UPDATE shop.items SET n = 20 WHERE id = 2')
        await endXa(server, `XA COMMIT ${one}`)
        await reading
        await follower.catchUp(server, 2)
        const { prepared, xaEnded } = JSON.parse(follower.position!) as Record<string, unknown>
        assert.equal((prepared as readonly unknown[]).length, 1, 'it is waited for, not lost')
        assert.equal(xaEnded, undefined, 'that place is passed')
        await follower.crash()
        await endXa(server, `XA COMMIT ${two}`)
        await follower.catchUp(server, 3)
        for (const table of tables) follower.fold.assertRows(table, await rowsOf(server, table))
      })

      test('one that nobody saw is found out at its commit, and its tables copied where that is wanted', async () => {
        await using server = await starter.start({ settings })
        await prepare(server)
        const xid = `'unseen','b',1`
        const config = { url: server.url, tables }
        await using follower = new Follower(config)
        await follower.catchUp(server, 1)
        await prepareXa(server, xid, 'UPDATE shop.items SET n = 10 WHERE id = 1')
        await follower.catchUp(server, 2)
        await follower.crash()
        // As if the place were one at which the prepare was not to be seen.
        const { prepared: _, ...rest } = JSON.parse(follower.position!) as Record<string, unknown>
        follower.position = JSON.stringify(rest) as typeof follower.position
        await endXa(server, `XA COMMIT ${xid}`)
        await assert.rejects(follower.catchUp(server, 3), { code: 'source.mysql.xa_unknown' })
        await follower.crash()
        follower.config = { ...follower.config, on_purged: 'resnapshot' }
        await follower.catchUp(server, 4)
        for (const table of tables) follower.fold.assertRows(table, await rowsOf(server, table))
      })
    })
  }
}
