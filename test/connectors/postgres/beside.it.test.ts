/**
 * Tables that are added to a running pipeline, and tables that are copied again, beside the stream: with
 * writers on all tables and crashes at random batches the log ends as the tables are, no row twice and
 * none lost (invariants 2, 3 and 5), and the other tables' changes do not wait for the copy.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Client } from 'pg'
import { parsePosition } from '../../../connectors/postgres/position.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { seeded } from '../../support/random.ts'
import { Follower, rowsOf } from './follow.ts'
import { dropSlots } from './slots.ts'

const rows = 20_000
/** 12 KB that do not compress: TOASTed, and not sent again when they do not change. */
const large = `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 400))`
/** A chunk is about 3,000 rows. */
const filler = `repeat(md5(random()::text), 40)`

interface Workload {
  readonly table: string
  readonly columns: readonly string[]
  readonly create: string
  /** One statement that changes it. */
  readonly change: (random: (below: number) => number) => string
}

const workloads: readonly Workload[] = [
  {
    table: 'public.kept',
    columns: ['id', 'n'],
    create: `CREATE TABLE kept (id int PRIMARY KEY, n int); INSERT INTO kept SELECT i, 0 FROM generate_series(1, 500) i`,
    change: (random) => `UPDATE kept SET n = n + 1 WHERE id = ${1 + random(500)}`,
  },
  {
    table: 'public.added',
    columns: ['id', 'n', 'note', 'body'],
    create: `CREATE TABLE added (id bigint PRIMARY KEY, n int, note text, body text); ALTER TABLE added ALTER body SET STORAGE EXTERNAL;
      INSERT INTO added SELECT i, 0, ${filler}, CASE WHEN i % 100 = 0 THEN ${large} END FROM generate_series(1, ${rows}) i`,
    change: (random) => {
      const id = random(rows)
      const round = id - (id % 100)
      switch (random(6)) {
        case 0:
          return `DELETE FROM added WHERE id = ${id}`
        case 1:
          return `INSERT INTO added VALUES (${id}, 1, 'new', NULL) ON CONFLICT (id) DO UPDATE SET n = added.n + 1`
        case 2:
          return `UPDATE added SET id = ${random(rows * 2) - rows}, n = n + 1 WHERE id = ${round}`
        case 3:
          return `UPDATE added SET n = n + 1 WHERE id BETWEEN ${id} AND ${id + 20}`
        default:
          return `UPDATE added SET n = n + 1 WHERE id IN (${id}, ${round})`
      }
    },
  },
  {
    table: 'public.whole_rows',
    columns: ['name', 'part', 'n', 'note'],
    create: `CREATE TABLE whole_rows (name text COLLATE "C", part numeric, n int, note text, PRIMARY KEY (name, part)); ALTER TABLE whole_rows REPLICA IDENTITY FULL;
      INSERT INTO whole_rows SELECT 'k' || i % 100, i / 10.0, 0, ${filler} FROM generate_series(1, ${rows}) i`,
    change: (random) => {
      const i = random(rows)
      const at = `name = 'k${i % 100}' AND part = ${i}/10.0`
      if (random(4) === 0) return `DELETE FROM whole_rows WHERE ${at}`
      if (random(3) === 0)
        return `UPDATE whole_rows SET name = 'k${random(100)}', part = part + 0.05 WHERE ${at}`
      return `UPDATE whole_rows SET n = n + 1 WHERE ${at}`
    },
  },
]

/** Writes to all tables until told to stop; some transactions are rolled back. */
async function write(
  client: Client,
  random: (below: number) => number,
  signal: AbortSignal,
): Promise<number> {
  let transactions = 0
  while (!signal.aborted) {
    await client.query('BEGIN')
    for (const { change } of workloads) {
      await client.query('SAVEPOINT s')
      await client.query(change(random)).catch(async (error: { code?: string }) => {
        // Two writers may get in each other's way; nothing else may go wrong.
        if (!['23505', '40P01', '40001'].includes(error.code ?? '')) throw error
        await client.query('ROLLBACK TO s')
      })
    }
    await client.query(random(8) === 0 ? 'ROLLBACK' : 'COMMIT')
    transactions++
  }
  return transactions
}

const added = 'public.added'
const resnapshot = { [added]: 'once more' }

function copies({ changes }: SourceBatch, topic: string): boolean {
  return changes.some(
    (change) => change.topic === topic && 'batch' in change && change.batch.ops.includes(3),
  )
}

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: a copy beside the stream`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version, settings: { deadlock_timeout: '50ms' } })
    })
    after(async () => server[Symbol.asyncDispose]())

    for (const seed of version === 18 ? [1, 2] : [3]) {
      it(`added and copied again, with crashes, ends as the tables are (seed ${seed})`, async () => {
        await server.query('DROP TABLE IF EXISTS kept, added, whole_rows')
        for (const { create } of workloads) await server.query(create)
        const random = seeded(seed * 7919).int
        const name = `beside_${seed}`
        const config: Record<string, unknown> = {}
        const url = server.url
        await using follower = new Follower({ url, tables: ['public.kept'], config, name })
        await follower.catchUp(server)
        const stop = new AbortController()
        const writers = [1, 2].map(async (n) =>
          write(await server.client(), seeded(seed * 31 + n).int, stop.signal),
        )
        let crashes = 0
        let others = 0
        const copied = async (): Promise<void> => {
          await follower.crash()
          let untilCrash = 2
          for (let quiet = 0; quiet < 20;) {
            const batch = await follower.next()
            const { beside } = parsePosition(follower.position!)
            const tables = Object.values(beside?.tables ?? {})
            const isOver =
              tables.length > 0 &&
              tables.every(
                ({ id, upTo, waiting }) => id !== '' && upTo === undefined && waiting === undefined,
              )
            if (!isOver && batch.changes.some(({ topic }) => topic === 'public.kept')) others++
            quiet = isOver ? quiet + 1 : 0
            if (crashes < 8 && untilCrash-- === 0) {
              await follower.crash()
              crashes++
              untilCrash = random(6)
            }
          }
        }
        try {
          follower.tables = workloads.map(({ table }) => table)
          await copied()
          assert.ok(others > 3, `${others} batches of another table came during the copy`)
          config['resnapshot'] = resnapshot
          let again = 0
          await follower.crash()
          await follower.until((batch) => {
            if (copies(batch, added)) again++
            return again > 0
          })
          await copied()
        } finally {
          stop.abort()
          await Promise.all(writers)
        }
        await follower.catchUp(server)
        for (const { table, columns } of workloads) {
          follower.fold.assertRows(table, await rowsOf(server, table, columns))
        }
        assert.ok(crashes > 3, `${crashes} crashes`)
        await follower.crash()
        await dropSlots(server, `sluice_test_${name}`)
      })
    }

    it('copies again once for each text, beside the changes of all tables', async () => {
      await server.query('DROP TABLE IF EXISTS kept, added, whole_rows')
      for (const { create } of workloads) await server.query(create)
      const config: Record<string, unknown> = { resnapshot: { [added]: 'a' } }
      const tables = workloads.map(({ table }) => table)
      await using follower = new Follower({ url: server.url, tables, config, name: 'again' })
      await follower.catchUp(server)
      const first = follower.snapshotRows
      // The first copy is the one that the text asked for.
      await follower.crash()
      await server.query('UPDATE kept SET n = n + 1')
      await follower.catchUp(server)
      assert.equal(follower.snapshotRows, first)
      for (const text of ['b', 'c']) {
        config['resnapshot'] = { [added]: text }
        const before = follower.snapshotRows
        await follower.crash()
        await follower.until((batch) => copies(batch, added))
        await server.query('UPDATE kept SET n = n + 1')
        await follower.catchUp(server)
        assert.equal(follower.snapshotRows - before, rows)
      }
      for (const { table, columns } of workloads) {
        follower.fold.assertRows(table, await rowsOf(server, table, columns))
      }
      await follower.crash()
      await dropSlots(server, 'sluice_test_again')
    })
  })
}
