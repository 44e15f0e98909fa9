/**
 * Chunks of a copy beside the stream, one by one on real servers: each is of the table as it is at that
 * moment, whatever was done to it or to the publication since it was described (invariants 5 and 9), and
 * a session serves one read after the other.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { TypeCatalog } from '../../../connectors/postgres/catalog.ts'
import { CommitLog } from '../../../connectors/postgres/commit-log.ts'
import { clientConfig } from '../../../connectors/postgres/connection.ts'
import { formatPosition } from '../../../connectors/postgres/position.ts'
import { PostgresSnapshotReader } from '../../../connectors/postgres/snapshot-reader.ts'
import { SnapshotSessions } from '../../../connectors/postgres/snapshot-sessions.ts'
import { loadSource } from '../../../connectors/postgres/snapshot-table.ts'
import { Secret } from '../../../core/connector/secret.ts'
import { SnapshotTableChanged, type KeyText } from '../../../core/connector/snapshot/reader.ts'
import { rowKey } from '../../../core/record/key.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { quietContext } from '../../support/context.ts'

const from = formatPosition({ lsn: 0n, snapshot: null })
const all = { after: null, upTo: null }
const name = { schema: 'public', name: 't' }
const { signal } = new AbortController()

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: chunks of a table`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version })
      await server.query('CREATE TABLE IF NOT EXISTS t (id int)')
      await server.query('CREATE PUBLICATION p FOR TABLE ONLY t')
    })
    after(async () => server[Symbol.asyncDispose]())

    beforeEach(async () => {
      await server.query(
        `DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, n int);
         INSERT INTO t SELECT i, i % 2 FROM generate_series(1, 10) i; ALTER PUBLICATION p SET TABLE ONLY t`,
      )
    })

    const readerOf = (): PostgresSnapshotReader =>
      new PostgresSnapshotReader({
        client: clientConfig(new Secret(server.url), 'test'),
        publication: 'p',
        types: new TypeCatalog(),
        tables: new Map([['public.t', name]]),
        commits: new CommitLog(),
        ctx: quietContext(),
      })

    /** Names of the columns, and how many rows, of a chunk that is read after `change`. */
    const readAfter = async (change: string): Promise<readonly [string, number]> => {
      await using reader = readerOf()
      const table = await reader.describe('public.t', signal)
      await reader.read(table!, all, from, signal)
      await server.query(change)
      const { batches } = await reader.read(table!, all, from, signal)
      const [batch] = batches
      const keys = new Set(Array.from({ length: batch!.rows }, (_, row) => rowKey(batch!, row)))
      assert.equal(keys.size, batch!.rows)
      return [batch!.schema.fields.map((field) => field.name).join(), batch!.rows]
    }

    it('has the columns of now', async () => {
      assert.deepEqual(await readAfter('ALTER TABLE t ADD note text'), ['id,n,note', 10])
      assert.deepEqual(await readAfter('ALTER TABLE t DROP n'), ['id,note', 10])
      assert.deepEqual(await readAfter('ALTER TABLE t RENAME note TO body'), ['id,body', 10])
    })

    // Before 15 a publication sends whole tables.
    if (version >= 15) {
      it('has the rows and columns that the publication sends now', async () => {
        const set = 'ALTER PUBLICATION p SET TABLE ONLY t'
        assert.deepEqual(await readAfter(`${set} WHERE (id <= 4)`), ['id,n', 4])
        assert.deepEqual(await readAfter(`${set} (id) WHERE (id <= 4)`), ['id', 4])
        assert.deepEqual(await readAfter(set), ['id,n', 10])
      })
    }

    for (const change of [
      'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, n)',
      'ALTER TABLE t ALTER id TYPE bigint',
      'ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old INCLUDING ALL); DROP TABLE old',
      'DROP TABLE t; CREATE TABLE other (id int)',
    ]) {
      it(`is not read after ${change}`, async () => {
        await assert.rejects(readAfter(change), SnapshotTableChanged)
        await server.query('DROP TABLE IF EXISTS other; CREATE TABLE IF NOT EXISTS t (id int)')
      })
    }

    it('holds few large values, of which the planner says nothing (invariant 8)', async () => {
      const large = 16_384
      await server.query(
        `ALTER TABLE t ADD body text; ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
         INSERT INTO t SELECT i, 0, repeat('x', ${large}) FROM generate_series(11, 4000) i; ANALYZE t`,
      )
      await using reader = readerOf()
      const table = await reader.describe('public.t', signal)
      const counts: number[] = []
      for (let after: KeyText | null = null; ;) {
        const upTo: KeyText | null = await reader.split(table!, after, signal)
        const { batches } = await reader.read(table!, { after, upTo }, from, signal)
        counts.push(batches.reduce((rows, batch) => rows + batch.rows, 0))
        if (upTo === null) break
        after = upTo
      }
      assert.equal(
        counts.reduce((sum, count) => sum + count),
        4000,
      )
      assert.ok(Math.max(...counts.slice(1)) * large < 12 << 20, counts.join())
    })

    it('is described anew for a change of what it is, and not for one of its rows', async () => {
      await using sessions = new SnapshotSessions(clientConfig(new Secret(server.url), 'test'))
      const markOf = (): Promise<string> =>
        sessions.with(signal, async (client) => {
          const source = await loadSource(client, name, {
            types: new TypeCatalog(),
            publication: 'p',
          })
          return source!.mark
        })
      const first = await markOf()
      await server.query('UPDATE t SET n = 7')
      await server.query('VACUUM ANALYZE t')
      assert.equal(await markOf(), first)
      await server.query('ALTER TABLE t REPLICA IDENTITY FULL')
      assert.notEqual(await markOf(), first)
    })

    it('waits for open transactions, and a read that is given up then leaves the others waiting', async () => {
      const open = await server.client()
      await open.query('BEGIN; INSERT INTO t VALUES (11, 0)')
      // As a start does: what was open before is older than this.
      await server.query(`ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate')`)
      await using reader = readerOf()
      const table = await reader.describe('public.t', signal)
      const stop = new AbortController()
      const first = reader.read(table!, all, from, stop.signal)
      const second = reader.read(table!, all, from, signal)
      setTimeout(() => stop.abort(), 100)
      await assert.rejects(first, { name: 'AbortError' })
      await open.query('COMMIT')
      const { batches } = await second
      assert.equal(batches[0]!.rows, 11)
    })

    it('leaves its session to the next, also when its own rows are of no more use', async () => {
      await using sessions = new SnapshotSessions(clientConfig(new Secret(server.url), 'test'))
      const pidOf = async (of: AbortSignal): Promise<number> =>
        sessions.with(of, async (client) => {
          const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
          return rows[0]!.pid
        })
      const stop = new AbortController()
      const pid = await pidOf(stop.signal)
      stop.abort()
      assert.equal(await pidOf(signal), pid)
      const busy = new AbortController()
      const sleeping = sessions.with(busy.signal, (client) => client.query('SELECT pg_sleep(60)'))
      setTimeout(() => busy.abort(), 100)
      await assert.rejects(sleeping, { name: 'AbortError' })
      assert.notEqual(await pidOf(signal), pid)
    })
  })
}
