/**
 * The corners of the first copy on real servers: tables added, left out, replaced and truncated between
 * its parts, keys that move with large values, filters and column lists of the publication, tables
 * whose shape changes under the reader. The log is the table in the end (invariants 5 and 9).
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { parsePosition } from '../../../connectors/postgres/position.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { waitFor } from '../../support/env.ts'
import { Follower, rowsOf } from './follow.ts'
import { dropSlots } from './slots.ts'

/** 2 KB that stay in line, so that a batch of the copy is about a thousand rows. */
const filler = 'repeat(md5(i::text), 60)'

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: the first copy`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version })
    })
    after(async () => server[Symbol.asyncDispose]())
    beforeEach(async () => {
      await server.query(`DROP TABLE IF EXISTS a, b, c CASCADE`)
      await waitFor('the slots to be free', async () => {
        await server.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots')
        await dropSlots(server)
        return true
      })
      await server.query('DROP PUBLICATION IF EXISTS sluice_test_shop')
    })

    /** Table with `rows` rows whose `note` is not compressed. */
    async function create(name: string, rows: number, key = 'int PRIMARY KEY'): Promise<void> {
      await server.query(`CREATE TABLE ${name} (id ${key}, n int DEFAULT 0, note text, body text);
        ALTER TABLE ${name} ALTER note SET STORAGE PLAIN;
        ALTER TABLE ${name} ALTER body SET STORAGE EXTERNAL`)
      await server.query(
        `INSERT INTO ${name} SELECT i::text::${key.split(' ')[0]}, 0, ${filler} FROM generate_series(1, ${rows}) i`,
      )
    }
    const columns = ['id', 'n', 'note', 'body']

    async function assertSame(follower: Follower, ...tables: string[]): Promise<void> {
      for (const table of tables) {
        follower.fold.assertRows(`public.${table}`, await rowsOf(server, table, columns))
      }
    }

    it('copies a table that is added later, and drops what was left out for a while', async () => {
      await create('a', 10)
      await create('b', 10)
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      await follower.catchUp(server)
      await follower.crash()

      follower.tables = ['a', 'b']
      await server.query('UPDATE a SET n = 1 WHERE id = 1; INSERT INTO b (id) VALUES (11)')
      await follower.catchUp(server)
      await assertSame(follower, 'a', 'b')
      assert.equal(follower.snapshotRows, 10 + 11, 'of the second start only b was copied')
      await follower.crash()

      follower.tables = ['b']
      await server.query('DELETE FROM a WHERE id = 5')
      await follower.catchUp(server)
      await follower.crash()

      follower.tables = ['a', 'b']
      await follower.catchUp(server)
      await assertSame(follower, 'a', 'b')
      assert.equal(follower.snapshotRows, 10 + 11 + 9, 'a was copied anew')
    })

    it('is not fooled by a transaction that began before its table was published', async () => {
      await create('a', 3)
      await create('b', 3)
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      await follower.catchUp(server)
      await follower.crash()
      const open = await server.client()
      await open.query('BEGIN; INSERT INTO b (id) VALUES (100)')
      follower.tables = ['a', 'b']
      const reading = follower.catchUp(server)
      await waitFor('the copy to wait for it', () =>
        /waiting for transactions to end/.test(follower.reports.at(-1)?.detail ?? ''),
      )
      await open.query('INSERT INTO b (id) VALUES (101); COMMIT')
      await reading
      await follower.catchUp(server)
      await assertSame(follower, 'b')
    })

    it('copies a table anew when another one has its name now', async () => {
      await create('a', 10)
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      await follower.catchUp(server)
      await follower.crash()
      await server.query('DROP TABLE a')
      await create('a', 4)
      await follower.catchUp(server)
      await assertSame(follower, 'a')
    })

    it('sees a truncate once, whichever part of the copy saw it', async () => {
      await create('a', 4000)
      await create('b', 4000)
      await using follower = new Follower({ url: server.url, tables: ['a', 'b'] })
      // a is begun under the first snapshot, b is not.
      await follower.next()
      await follower.next()
      await follower.crash()
      await server.query('TRUNCATE b; INSERT INTO b (id) VALUES (1), (2)')
      await follower.catchUp(server)
      await assertSame(follower, 'a', 'b')
    })

    it('copies anew a table that was truncated between two of its parts', async () => {
      await create('a', 4000)
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      await follower.next()
      await follower.next()
      await follower.crash()
      await server.query('TRUNCATE a')
      await server.query(`INSERT INTO a SELECT i, 1, ${filler} FROM generate_series(2000, 5000) i`)
      await follower.catchUp(server)
      await assertSame(follower, 'a')
      assert.ok(follower.lines.some(({ message }) => message.includes('truncated between')))
    })

    it('copies anew a table in which a key moved back over the last one read, without its large value', async () => {
      await create('a', 4000)
      await server.query(
        `UPDATE a SET body = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i) WHERE id = 3900`,
      )
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      await follower.next()
      await follower.crash()
      await server.query('DELETE FROM a WHERE id = 5')
      await server.query('UPDATE a SET id = 5 WHERE id = 3900')
      await server.query('UPDATE a SET n = 7 WHERE id = 5')
      await follower.catchUp(server)
      await assertSame(follower, 'a')
      assert.ok(follower.lines.some(({ message }) => message.includes('other keys')))
    })

    it('does not copy a table that was rewritten after the snapshot as an empty one', async () => {
      await create('a', 3000)
      await create('b', 3000)
      await using follower = new Follower({ url: server.url, tables: ['a', 'b'] })
      await follower.next()
      // Under the snapshot of the copy b looks empty from here on.
      await server.query('ALTER TABLE b ALTER n TYPE bigint')
      await assert.rejects(
        follower.until(() => false),
        { code: 'source.postgres.table_changed' },
      )
      await follower.crash()
      await follower.catchUp(server)
      await assertSame(follower, 'a', 'b')
    })

    it('reads the parent of an inheritance without its children, and rows of no column', async () => {
      await server.query(`CREATE TABLE a (id int PRIMARY KEY, n int, note text, body text);
        CREATE TABLE b () INHERITS (a); ALTER TABLE b ADD PRIMARY KEY (id);
        CREATE TABLE c (); ALTER TABLE c REPLICA IDENTITY FULL;
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); INSERT INTO c DEFAULT VALUES`)
      await using follower = new Follower({ url: server.url, tables: ['a', 'b', 'c'] })
      await follower.catchUp(server)
      await server.query('INSERT INTO b VALUES (3)')
      await follower.catchUp(server)
      follower.fold.assertRows('public.a', await rowsOf(server, 'ONLY a', columns))
      await assertSame(follower, 'b')
      assert.equal(follower.fold.sorted('public.c').length, 1)
    })

    it('copies what the publication sends: its rows, its columns, its generated ones', async () => {
      // Row filters and column lists came with 15, generated columns with 18.
      if (version < 15) return
      const generated = version >= 18
      await server.query(`CREATE TABLE a (id int PRIMARY KEY, n int, hidden text, twice int GENERATED ALWAYS AS (n * 2) STORED);
        CREATE TABLE b (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
        INSERT INTO a SELECT i, i, 'secret' FROM generate_series(1, 20) i; INSERT INTO b VALUES (1);
        CREATE PUBLICATION sluice_test_shop FOR TABLE a (id, n) WHERE (id % 2 = 0), TABLE b
          ${generated ? 'WITH (publish_generated_columns = stored)' : ''}`)
      await using follower = new Follower({ url: server.url, tables: ['a', 'b'] })
      await follower.catchUp(server)
      await server.query(`UPDATE a SET n = 100 WHERE id < 5; INSERT INTO a VALUES (30, 3), (31, 3);
        INSERT INTO b VALUES (2)`)
      await follower.catchUp(server)
      const sent = await rowsOf(server, '(SELECT id, n FROM a WHERE id % 2 = 0) s', ['id', 'n'])
      follower.fold.assertRows('public.a', sent)
      const names = generated ? ['id', 'twice'] : ['id']
      follower.fold.assertRows('public.b', await rowsOf(server, 'b', names))
    })

    it('starts anew when a crash came before anything was committed', async () => {
      await create('a', 10)
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      await follower.next()
      await follower.crash()
      follower.position = null
      follower.fold.topics.clear()
      await server.query('DELETE FROM a WHERE id = 1')
      await follower.catchUp(server)
      await assertSame(follower, 'a')
      assert.ok(follower.lines.some(({ message }) => message.includes('left over')))
    })

    it('copies nothing with snapshot: never', async () => {
      await create('a', 10)
      await using follower = new Follower({
        url: server.url,
        tables: ['a'],
        config: { snapshot: 'never' },
      })
      const first = follower.next()
      await waitFor('the slot', async () => {
        const slots = await server.query(
          'SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn IS NOT NULL',
        )
        return slots.length > 0
      })
      await server.query('INSERT INTO a (id) VALUES (11)')
      await first
      await follower.catchUp(server)
      assert.equal(follower.snapshotRows, 0)
      assert.equal(follower.fold.sorted('public.a').length, 1)
      assert.equal(parsePosition(follower.position!).snapshot, null)
    })

    it('survives a crash of the server, in the copy and in the stream', async () => {
      await create('a', 4000)
      await using follower = new Follower({ url: server.url, tables: ['a'] })
      const crash = async (): Promise<void> => {
        await server.kill()
        await assert.rejects(
          follower.until(() => false),
          (error: { fault: string }) => {
            assert.equal(error.fault, 'transient')
            return true
          },
        )
        await follower.crash()
        await server.restart()
      }
      await follower.next()
      await crash()
      await server.query('UPDATE a SET n = 2 WHERE id % 3 = 0')
      await follower.catchUp(server)
      await crash()
      await server.query('DELETE FROM a WHERE id % 7 = 0')
      await follower.catchUp(server)
      await assertSame(follower, 'a')
    })
  })
}
