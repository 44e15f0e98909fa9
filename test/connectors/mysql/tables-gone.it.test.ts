/**
 * A start at which the server is not what the log knew: a table was dropped, made anew, or the server is
 * another one. What the log has goes on (invariant 5), and what is refused is told by its cause.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { Follower, rowsOf } from './follow.ts'

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11')) {
  describe(`${starter.name}: a start without a table`, () => {
    test('that was dropped meanwhile goes on with the others; one that never was is refused', async () => {
      await using server = await starter.start()
      await server.query(`CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
        CREATE TABLE shop.dropped (id int PRIMARY KEY); 
        INSERT INTO shop.dropped VALUES (1), (2)`)
      const tables = ['shop.marker', 'shop.dropped']
      await using follower = new Follower({ url: server.url, tables })
      await follower.catchUp(server, 1)
      // The log has it only once its copy is there; a table that it never had is refused.
      while (follower.fold.topics.get('shop.dropped')?.size !== 2) await follower.next()
      await follower.crash()
      await server.query(`INSERT INTO shop.dropped VALUES (3); DROP TABLE shop.dropped`)
      await follower.catchUp(server, 2)
      follower.fold.assertRows('shop.marker', await rowsOf(server, 'shop.marker'))
      assert.equal(follower.fold.topics.get('shop.dropped')?.size, 3)
      assert.ok(
        follower.lines.some(({ message }) => /no table shop\.dropped any more/.test(message)),
      )
      // Read up to the DROP, it is the same at the next start; and a table of that name is followed.
      await follower.crash()
      await follower.catchUp(server, 3)
      await follower.crash()
      await server.query('CREATE TABLE shop.dropped (id int PRIMARY KEY, v int)')
      await server.query('INSERT INTO shop.dropped VALUES (7, 7)')
      await follower.catchUp(server, 4)
      // Void in the position until its copy is begun; for that there is no sign but its row.
      while (follower.fold.topics.get('shop.dropped')?.size !== 1) await follower.next()
      follower.fold.assertRows('shop.dropped', await rowsOf(server, 'shop.dropped'))
      follower.config = { ...follower.config, tables: [...tables, 'shop.never'] }
      await follower.crash()
      await assert.rejects(follower.next(), { code: 'source.mysql.table_missing' })
    })

    test('that a tool puts another one in place of is not told to be gone', async () => {
      await using server = await starter.start()
      await server.query(`CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY);
        CREATE TABLE shop.t (id int PRIMARY KEY); CREATE TABLE shop._t_gho (id int PRIMARY KEY, n int)`)
      await using follower = new Follower({ url: server.url, tables: ['shop.*'] })
      await follower.catchUp(server, 1)
      await server.query(`RENAME TABLE shop.t TO shop._t_del, shop._t_gho TO shop.t;
        INSERT INTO shop.t VALUES (1, 1)`)
      await follower.catchUp(server, 2)
      follower.fold.assertRows('shop.t', await rowsOf(server, 'shop.t'))
      const lines = follower.lines.map(({ level, message }) => `${level} ${message}`)
      assert.ok(lines.includes('info an online schema change put a new table in place'))
      assert.ok(!lines.some((line) => line.includes('was renamed')), lines.join('\n'))
      await server.query('RENAME TABLE shop.t TO shop.u')
      await follower.catchUp(server, 3)
      assert.ok(follower.lines.some(({ message }) => message.includes('was renamed')))
    })

    test('because it is another server says that it is another server', async () => {
      await using server = await starter.start()
      await server.query('CREATE DATABASE shop; CREATE TABLE shop.marker (id int PRIMARY KEY)')
      await using follower = new Follower({ url: server.url, tables: ['shop.marker'] })
      await follower.catchUp(server, 1)
      await using other = await starter.start()
      follower.config = { ...follower.config, url: other.url }
      await follower.crash()
      await assert.rejects(follower.next(), { code: 'source.mysql.binlog_ahead' })
    })
  })
}
