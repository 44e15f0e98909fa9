/**
 * The first copy joined with the stream, with a crash at random batches and writers that never stop:
 * what the log holds in the end is the table, no row lost (invariant 5) and none doubled, and nothing
 * is acknowledged that a crash could take back (invariant 1).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Client } from 'pg'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { seeded } from '../../support/random.ts'
import { Follower, rowsOf } from './follow.ts'
import { dropSlots } from './slots.ts'

interface Workload {
  readonly table: string
  readonly columns: readonly string[]
  readonly create: string
  /** Rows at the start, of about 2 KB: a batch of the copy is about a thousand. */
  readonly fill: string
  /** One transaction's statements. */
  change(random: (below: number) => number): readonly string[]
}

const rows = 6000
/** Of 1.9 KB, so that it stays in line. */
const inLine = 'repeat(md5(random()::text), 60)'
/** Of 12 KB that does not compress: TOASTed, and not sent again when it does not change. */
const large = `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 400))`

function key(random: (below: number) => number): number {
  return random(rows * 1.2)
}

const keyed: readonly Workload[] = [
  {
    table: 'public.full_rows',
    columns: ['id', 'n', 'note'],
    create:
      'CREATE TABLE full_rows (id int PRIMARY KEY, n int, note text); ALTER TABLE full_rows ALTER note SET STORAGE PLAIN; ALTER TABLE full_rows REPLICA IDENTITY FULL',
    fill: `INSERT INTO full_rows SELECT i, 0, ${inLine} FROM generate_series(1, ${rows}) i`,
    change: (random) => {
      const [a, b] = [key(random), key(random)]
      return [
        `UPDATE full_rows SET n = n + 1 WHERE id IN (${a}, ${b})`,
        `DELETE FROM full_rows WHERE id = ${key(random)}`,
        `INSERT INTO full_rows VALUES (${key(random)}, ${random(100)}, 'new') ON CONFLICT (id) DO UPDATE SET n = excluded.n`,
        `UPDATE full_rows SET id = ${key(random)} WHERE id = ${a} AND NOT EXISTS (SELECT FROM full_rows)`,
      ]
    },
  },
  {
    table: 'public.keyed',
    columns: ['name', 'part', 'n', 'note', 'body'],
    create:
      'CREATE TABLE keyed (name text COLLATE "C", part numeric, n int, note text, body text, PRIMARY KEY (name, part)); ALTER TABLE keyed ALTER note SET STORAGE PLAIN; ALTER TABLE keyed ALTER body SET STORAGE EXTERNAL',
    fill: `INSERT INTO keyed SELECT 'k' || i % 100, i / 10.0, 0, ${inLine}, CASE WHEN i % 50 = 0 THEN ${large} END FROM generate_series(1, ${rows}) i`,
    change: (random) => {
      const at = (i: number): string => `name = 'k${i % 100}' AND part = ${i}/10.0`
      const to = key(random)
      return [
        `UPDATE keyed SET n = n + 1 WHERE ${at(key(random))}`,
        `UPDATE keyed SET n = n + 1 WHERE ${at(random(120) * 50)}`,
        `DELETE FROM keyed WHERE ${at(key(random))}`,
        `INSERT INTO keyed VALUES ('k${to % 100}', ${to}/10.0, 5, 'again') ON CONFLICT DO NOTHING`,
        `UPDATE keyed SET name = 'k${random(100)}', part = part + 0.05, n = n + 1 WHERE ${at(key(random))} AND body IS NULL`,
      ]
    },
  },
  {
    table: 'public.no_key',
    columns: ['a', 'note'],
    create:
      'CREATE TABLE no_key (a int, note text); ALTER TABLE no_key ALTER note SET STORAGE PLAIN; ALTER TABLE no_key REPLICA IDENTITY FULL; CREATE INDEX ON no_key (a)',
    fill: `INSERT INTO no_key SELECT i / 2, ${inLine} FROM generate_series(1, ${rows / 2}) i`,
    change: (random) => [
      `INSERT INTO no_key VALUES (${key(random)}, 'new'), (${key(random)}, 'new')`,
      `UPDATE no_key SET a = a + 1 WHERE a = ${key(random)}`,
      `DELETE FROM no_key WHERE a = ${key(random)}`,
    ],
  },
  {
    table: 'public.parted',
    columns: ['id', 'region', 'note'],
    create: `CREATE TABLE parted (id uuid, region text, note text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
      CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN ('eu');
      CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us')`,
    fill: `INSERT INTO parted SELECT md5(i::text)::uuid, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END, ${inLine} FROM generate_series(1, ${rows / 2}) i`,
    change: (random) => {
      const id = `md5('${random(rows / 2)}')::uuid`
      return [
        `UPDATE parted SET note = 'changed' WHERE id = ${id}`,
        `UPDATE parted SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END WHERE id = ${id}`,
        `DELETE FROM parted WHERE id = md5('${random(rows / 2)}')::uuid`,
      ]
    },
  },
]

/** Keys whose order the server alone knows: they are copied in the order of their text. */
const texted: readonly Workload[] = [
  {
    table: 'public.language',
    columns: ['name', 'n', 'note', 'body'],
    create:
      'CREATE TABLE language (name text COLLATE "en-x-icu" PRIMARY KEY, n int, note text, body text); ALTER TABLE language ALTER note SET STORAGE PLAIN; ALTER TABLE language ALTER body SET STORAGE EXTERNAL',
    fill: `INSERT INTO language SELECT CASE i % 3 WHEN 0 THEN 'ä' WHEN 1 THEN 'Z' ELSE 'a' END || i, 0, ${inLine}, CASE WHEN i % 50 = 0 THEN ${large} END FROM generate_series(1, ${rows / 2}) i`,
    change: (random) => {
      const name = (): string => `'${['ä', 'Z', 'a'][random(3)]!}${random(rows / 2)}'`
      return [
        `UPDATE language SET n = n + 1 WHERE name IN (${name()}, ${name()}, ${name()})`,
        `DELETE FROM language WHERE name IN (${name()}, ${name()})`,
        `INSERT INTO language VALUES (${name()}, 5, 'again') ON CONFLICT DO NOTHING`,
        `UPDATE language SET name = ${name()}, n = n + 1 WHERE name IN (${name()}, ${name()}) AND body IS NULL`,
      ]
    },
  },
  {
    table: 'public.moods',
    columns: ['kind', 'at', 'id', 'note'],
    create: `CREATE TABLE moods (kind mood, at inet, id int, note text, PRIMARY KEY (kind, at, id)); ALTER TABLE moods ALTER note SET STORAGE PLAIN`,
    fill: `INSERT INTO moods SELECT (enum_range(NULL::mood))[1 + i % 3], inet '10.0.0.0/8' + i % 7, i, ${inLine} FROM generate_series(1, ${rows / 2}) i`,
    change: (random) => {
      const id = random(rows / 2)
      const mood = ['sad', 'ok', 'glad'][random(3)]!
      return [
        `UPDATE moods SET note = 'changed' WHERE id IN (${id}, ${random(rows / 2)})`,
        `UPDATE moods SET kind = '${mood}' WHERE id BETWEEN ${id} AND ${id + 3}`,
        `UPDATE moods SET at = at + 1 WHERE id BETWEEN ${id} AND ${id + 3}`,
        `DELETE FROM moods WHERE id = ${random(rows / 2)}`,
        `INSERT INTO moods VALUES ('${mood}', '10.0.0.3', ${id}, 'again') ON CONFLICT DO NOTHING`,
      ]
    },
  },
]

/** Writes until told to stop; every transaction goes to every table, some are rolled back. */
class Writer {
  readonly #client: Client
  readonly #random: (below: number) => number
  readonly #workloads: readonly Workload[]
  #stopped = false
  readonly #done: Promise<void>
  transactions = 0

  constructor(client: Client, seed: number, workloads: readonly Workload[]) {
    this.#client = client
    this.#random = seeded(seed).int
    this.#workloads = workloads
    this.#done = this.#write()
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      // Left open for a while, so that snapshots find transactions in progress.
      await this.#client.query('BEGIN')
      for (const workload of this.#workloads) {
        for (const statement of workload.change(this.#random)) {
          if (this.#random(2) === 0) continue
          await this.#client.query(`SAVEPOINT s`)
          await this.#client.query(statement).catch(async (error: { code?: string }) => {
            // Two writers may get in each other's way; nothing else may go wrong.
            if (!['23505', '40P01', '40001'].includes(error.code ?? '')) throw error
            await this.#client.query('ROLLBACK TO s')
          })
        }
      }
      await this.#client.query(this.#random(8) === 0 ? 'ROLLBACK' : 'COMMIT')
      this.transactions++
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }
}

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: a copy with crashes, writers running`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version, settings: { deadlock_timeout: '50ms' } })
    })
    after(async () => server[Symbol.asyncDispose]())

    for (const seed of version === 18 ? [1, 2, 3] : [4]) {
      it(`ends with the tables as they are (seed ${seed})`, async () => {
        const random = seeded(seed * 7919).int
        const workloads = seed % 2 === 0 ? [...keyed, ...texted] : keyed
        await server.query(
          "DROP TABLE IF EXISTS full_rows, keyed, no_key, parted, language, moods; DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')",
        )
        for (const { create, fill } of workloads) {
          await server.query(create)
          await server.query(fill)
        }
        const writers = await Promise.all(
          [1, 2, 3].map(async (n) => new Writer(await server.client(), seed * 31 + n, workloads)),
        )
        await using follower = new Follower({
          url: server.url,
          tables: workloads.map(({ table }) => table),
          name: `seed_${seed}`,
        })
        let crashes = 0
        try {
          while (follower.reports.at(-1)?.state !== 'running') {
            const batches = 1 + random(4)
            for (let i = 0; i < batches; i++) await follower.next()
            if (crashes < 12 && follower.position !== null) {
              await follower.crash()
              crashes++
            }
          }
          for (let i = 0; i < 3; i++) {
            await follower.next()
            await follower.crash()
          }
        } finally {
          await Promise.all(writers.map((writer) => writer.stop()))
        }
        await follower.catchUp(server)
        // Only a table without a key, or one that lost a large value on the way, begins anew.
        for (const { message, fields } of follower.lines) {
          if (message !== 'the table is copied anew') continue
          const { topic } = fields as { readonly topic: string }
          assert.ok(topic !== 'public.full_rows' && topic !== 'public.moods', topic)
        }
        for (const { table, columns } of workloads) {
          follower.fold.assertRows(table, await rowsOf(server, table, columns))
        }
        assert.ok(crashes > 3, `${crashes} crashes`)
        assert.ok(writers.every((writer) => writer.transactions > 3))
        await follower.crash()
        await dropSlots(server, `sluice_test_seed_${seed}`)
      })
    }
  })
}
