/**
 * The source stopped and reopened at random batches, while writers, DDL and online schema changes run:
 * the topics are the tables in the end, no row lost (invariant 5) and none copied that was there. With
 * a binlog that describes its tables, and with one that does not (schemas followed by the DDL in it).
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { seeded } from '../../support/random.ts'
import { Follower, rowsOf } from './follow.ts'

const tables = ['shop.items', 'shop.words', 'shop.loose']
const crashesMin = 5

async function fill(server: MysqlServer): Promise<void> {
  await server.query(`CREATE DATABASE shop; USE shop; CREATE TABLE marker (id int PRIMARY KEY);
    CREATE TABLE items (id int PRIMARY KEY, n int, note varchar(2000));
    CREATE TABLE words (word varchar(40) COLLATE utf8mb4_general_ci, part int, n int, PRIMARY KEY (word, part)) CHARSET utf8mb4;
    CREATE TABLE loose (a int, b varchar(20))`)
  for (let at = 0; at < 6000; at += 500) {
    const ids = Array.from({ length: 500 }, (_, i) => at + i)
    await server.query(
      `INSERT INTO shop.items VALUES ${ids.map((id) => `(${id}, 0, REPEAT('x', 1500))`).join(',')}`,
    )
    const words = ids.map((id) => `('${id % 2 === 0 ? 'Ä' : 'b'}${id % 97}', ${id}, 0)`)
    await server.query(`INSERT INTO shop.words VALUES ${words.join(',')}`)
  }
  await server.query(`INSERT INTO shop.loose VALUES (1, 'a'), (1, 'a'), (2, 'b')`)
}

/** Writes until told to stop; only to columns that no DDL touches. */
async function write(
  server: MysqlServer,
  random: (below: number) => number,
  stop: AbortSignal,
): Promise<number> {
  const client = await server.client({ database: 'shop' })
  let transactions = 0
  while (!stop.aborted) {
    const id = random(7000)
    const statements = [
      `UPDATE items SET n = n + 1 WHERE id IN (${id}, ${random(7000)})`,
      `DELETE FROM items WHERE id = ${random(7000)}`,
      `REPLACE INTO items (id, n, note) VALUES (${id}, 7, 'again')`,
      `UPDATE IGNORE items SET id = id + 1 WHERE id = ${random(7000)}`,
      `UPDATE words SET n = n + 1 WHERE word = 'ä${random(97)}'`,
      `UPDATE IGNORE words SET word = 'C${random(97)}' WHERE part = ${random(6000)}`,
      `DELETE FROM words WHERE part = ${random(6000)}`,
      `INSERT INTO loose (a, b) VALUES (${random(3)}, 'new')`,
      `UPDATE loose SET b = 'c' WHERE a = ${random(3)} LIMIT 2`,
    ]
    await client.query('BEGIN')
    for (const statement of statements) {
      if (random(2) === 0) continue
      await client.query(statement).catch((error: { errno?: number }) => {
        // Another writer was in the way, or the table was swapped out for a moment.
        if (![1213, 1205, 1146, 1412].includes(error.errno ?? 0)) throw error
      })
    }
    await client.query(random(8) === 0 ? 'ROLLBACK' : 'COMMIT')
    transactions++
  }
  await client.end()
  return transactions
}

/** Schema changes of every kind, in order. */
const ddl: readonly string[] = [
  `ALTER TABLE items ADD COLUMN price decimal(10,2) DEFAULT 1.50 AFTER id`,
  `ALTER TABLE words ADD COLUMN extra tinyint(1), ADD INDEX (n)`,
  `ALTER TABLE items RENAME COLUMN price TO cost, ADD kind varchar(10) CHARACTER SET latin1 DEFAULT 'ü' FIRST`,
  `ALTER TABLE words MODIFY extra bigint AFTER word`,
  `ALTER TABLE items MODIFY note varchar(3000)`,
  `ALTER TABLE loose ADD c int UNSIGNED DEFAULT 9`,
  `ALTER TABLE items DROP COLUMN kind`,
  // A new table filled beside the old one, and put in its place while nobody writes: `swap`.
  `CREATE TABLE _items_new LIKE items; ALTER TABLE _items_new ADD COLUMN swapped int DEFAULT 3;
   LOCK TABLES items WRITE, _items_new WRITE; INSERT INTO _items_new SELECT *, 3 FROM items`,
  `TRUNCATE TABLE loose`,
]

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11')) {
  const without = starter.flavour === 'mysql' ? 'MINIMAL' : 'NO_LOG'
  for (const metadata of ['FULL', without]) {
    describe(`${starter.name}, binlog_row_metadata=${metadata}`, () => {
      test('stopped anywhere, with writers and DDL', async () => {
        const seed = 7
        const random = seeded(seed).int
        await using server = await starter.start({ settings: { 'binlog-row-metadata': metadata } })
        await fill(server)
        const stop = new AbortController()
        await using follower = new Follower({ url: server.url, tables: ['shop.*'] })
        const writing = Promise.all([
          write(server, seeded(seed * 3).int, stop.signal),
          write(server, seeded(seed * 5).int, stop.signal),
        ])
        const changing = change(server)
        try {
          const running = Promise.race([changing, writing])
          const state = { done: false }
          void running.then(
            () => (state.done = true),
            () => (state.done = true),
          )
          // However slow the machine is: the writers go on meanwhile.
          while (!state.done || follower.crashes <= crashesMin) {
            for (let i = 1 + random(6); i > 0; i--) await follower.next()
            if (follower.position !== null && follower.crashes < 30) await follower.crash()
          }
          await changing
        } finally {
          stop.abort()
          await writing
        }
        await follower.catchUp(server, 1)
        const notes = follower.lines.map(({ message }) => message)
        for (const table of tables) {
          // Rows from before an ADD COLUMN have no value in the topic, as with every change of a schema.
          assert.equal(
            follower.fold.topics.get(table)?.size,
            keysOf(await rowsOf(server, table)),
            `${table}, seed ${seed}`,
          )
        }
        assert.ok(!notes.includes('a followed table was dropped; its topic keeps the rows'))
        // Copied once more, every row has the values of today: exactly the table.
        follower.config = {
          ...follower.config,
          resnapshot: Object.fromEntries(tables.map((table) => [table, 'compare'])),
        }
        await follower.crash()
        await follower.catchUp(server, 2)
        for (const table of tables) {
          follower.fold.assertRows(table, await rowsOf(server, table))
        }
      })
    })
  }
}

/** Keyless rows are counted by the Fold as one entry each that is equal. */
function keysOf(rows: readonly string[]): number {
  return new Set(rows).size
}

/** As pt-online-schema-change and gh-ost do it at once, and in two steps where a lock is held (MariaDB). */
const swap = {
  mysql: 'RENAME TABLE items TO _items_old, _items_new TO items; UNLOCK TABLES',
  mariadb:
    'ALTER TABLE items RENAME TO _items_old; ALTER TABLE _items_new RENAME TO items; UNLOCK TABLES',
}

async function change(server: MysqlServer): Promise<void> {
  const client = await server.client({ database: 'shop' })
  for (const statements of ddl) {
    await new Promise((resolve) => setTimeout(resolve, 300))
    await client.query(statements)
    if (statements.includes('_items_new')) await client.query(swap[server.flavour])
  }
  await client.end()
}
