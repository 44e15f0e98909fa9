/**
 * A crash in the middle of the first copy, for keys of every kind: the copy goes on after the last key,
 * and the log is the table in the end (invariant 5). Only a table without a key begins anew.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { Follower, rowsOf } from './follow.ts'
import { dropSlots } from './slots.ts'

/** 2 KB that stay in line, so that a batch of the copy is about a thousand rows. */
const filler = 'repeat(md5(i::text), 60)'

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: keys of every type`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version })
    })
    after(async () => server[Symbol.asyncDispose]())

    it('goes on after the last key, whatever its type; without a key it begins anew', async () => {
      await server.query("CREATE TYPE size AS ENUM ('s', 'm')").catch(() => {})
      const all = ['id', 'kind', 'at', 'n', 'note', 'body']
      for (const [name, columnsSql, key, resumes] of [
        ['numbers', 'id numeric', 'id', true],
        ['c_text', 'id text COLLATE "C"', 'id', true],
        ['language', 'id text COLLATE "en-x-icu"', 'id', true],
        ['enum_first', 'id text', 'kind, id', true],
        ['enum_last', 'id int', 'id, kind', true],
        ['inets', 'id text', 'at', true],
        ['several', 'id text COLLATE "en-x-icu"', 'kind, at, id', true],
        ['none', 'id text', null, false],
      ] as const) {
        await server.query(`DROP TABLE IF EXISTS a;
          CREATE TABLE a (${columnsSql}, kind size NOT NULL, at inet NOT NULL, n int DEFAULT 0, note text, body text);
          ALTER TABLE a ALTER note SET STORAGE PLAIN;
          INSERT INTO a SELECT i::text::${columnsSql.split(' ')[1]}, CASE i % 2 WHEN 0 THEN 's' ELSE 'm' END::size,
            inet '10.0.0.0' + i, 0, ${filler} FROM generate_series(1, 2500) i`)
        await server.query(
          key === null
            ? 'ALTER TABLE a REPLICA IDENTITY FULL'
            : `ALTER TABLE a ADD PRIMARY KEY (${key})`,
        )
        await using follower = new Follower({ url: server.url, tables: ['a'], name })
        await follower.next()
        await follower.next()
        const copied = follower.snapshotRows
        assert.ok(copied > 0 && copied < 2500, `${name}: ${copied}`)
        await follower.crash()
        // Every row, and so the last one read too, whose side of the border decides.
        await server.query(`UPDATE a SET n = n + 1`)
        if (key !== null) await server.query(`UPDATE a SET at = at + 10000 WHERE at < '10.0.0.11'`)
        await follower.catchUp(server)
        follower.fold.assertRows('public.a', await rowsOf(server, 'a', all))
        // Rows whose key moved over the border may be read twice, or not at all.
        const again = follower.snapshotRows - 2500
        assert.ok(resumes ? Math.abs(again) <= 10 : again === copied, `${name}: ${again}`)
        await follower.crash()
        await dropSlots(server)
      }
    })
  })
}
