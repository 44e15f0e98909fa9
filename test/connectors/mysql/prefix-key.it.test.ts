/**
 * Primary keys of prefixes: two rows never agree in a prefix, so whole values tell them apart, and the
 * catalog, a table map that describes itself and DDL that is read without asking must all say so. Were
 * one of them to make another key of it, rows would vanish in the topic or stay for ever (invariant 5).
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { Follower, rowsOf } from './follow.ts'

const create = `CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
  CREATE TABLE shop.p (v varchar(60) NOT NULL, t text NOT NULL, n int, note longtext, PRIMARY KEY (v(3), t(5))) CHARSET utf8mb4;
  INSERT INTO shop.p VALUES ('abc and more', 'first of all', 1, 'a'), ('abd', 'first of all', 2, REPEAT('b', 500)), ('xyz', '', 3, NULL)`

/** Keys change behind and within their prefixes; each leaves something out of MINIMAL and NOBLOB images. */
const changes = [
  `UPDATE p SET n = n + 1`,
  `UPDATE p SET v = 'abc and less' WHERE v LIKE 'abc%'`,
  `UPDATE p SET t = CONCAT(t, ', longer') WHERE v = 'abd'`,
  `INSERT INTO p (v, t) VALUES ('new', 'words of it'), ('NEW 2', 'other words')`,
  `UPDATE p SET v = 'moved', t = 'far away', n = 9 WHERE v = 'xyz'`,
  `DELETE FROM p WHERE v = 'new'`,
  `INSERT INTO p VALUES ('new again', 'words of it', 4, 'c') ON DUPLICATE KEY UPDATE n = 5`,
  `INSERT INTO p VALUES ('new once more', 'words and more', 4, 'c') ON DUPLICATE KEY UPDATE n = 6, note = 'd'`,
]

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11')) {
  for (const image of ['FULL', 'MINIMAL', 'NOBLOB']) {
    for (const metadata of ['FULL', 'MINIMAL']) {
      describe(`${starter.name}, image ${image}, metadata ${metadata}`, () => {
        test('a primary key of prefixes is the key, in the copy and in the stream', async () => {
          await using server = await starter.start({
            settings: { 'binlog-row-image': image, 'binlog-row-metadata': metadata },
          })
          await server.query(create)
          const config = { url: server.url, tables: ['shop.*'] }
          await using follower = new Follower(config)
          // Read as a whole, under a lock: whoever writes before it is read waits.
          const copied = (): number => follower.fold.topics.get('shop.p')?.size ?? 0
          while (copied() < 3) await follower.next()
          await follower.catchUp(server, 1)
          const schema = follower.fold.schemaOf('shop.p')
          assert.deepEqual([schema?.key, schema?.changelog], [[0, 1], 'upsert'])
          const client = await server.client({ database: 'shop' })
          for (const [i, change] of changes.entries()) {
            await client.query(change)
            await follower.catchUp(server, i + 2)
            follower.fold.assertRows('shop.p', await rowsOf(server, 'shop.p'))
          }
          // The key itself changes, and with it how the rows are told apart.
          await client.query(`ALTER TABLE p DROP PRIMARY KEY, ADD PRIMARY KEY (t(3), v)`)
          await client.query(`INSERT INTO p (v, t) VALUES ('last', 'one')`)
          await follower.catchUp(server, 100)
          assert.deepEqual(follower.fold.schemaOf('shop.p')?.key, [1, 0])
        })
      })
    }
  }
}
