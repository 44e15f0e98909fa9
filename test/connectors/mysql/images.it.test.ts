/**
 * Every row image through the real ingest: MINIMAL and NOBLOB leave out what did not change or was not
 * said, PARTIAL_JSON sends changes of documents; what the log says in the end is the table (invariants
 * 5 and 9). Columns that were added since, defaults of every kind, and keys that change are among it.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mysql } from '../../../connectors/mysql/connector.ts'
import type { SourceConnector } from '../../../core/connector/source.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import type { MysqlServer } from '../../services/mysql-family.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { foldOf } from '../../support/fold-log.ts'
import { rowsOf } from './follow.ts'

const create = `CREATE DATABASE shop; USE shop;
  CREATE TABLE docs (id int PRIMARY KEY, n int NOT NULL DEFAULT 7, small tinyint unsigned DEFAULT 200,
    price decimal(12,3) DEFAULT 1.5, name varchar(50) CHARACTER SET latin1 DEFAULT 'ü', body longtext,
    doc json, day date DEFAULT '2020-02-29', kind enum('a','b,c') NOT NULL DEFAULT 'b,c',
    big bigint unsigned DEFAULT 18446744073709551615);
  CREATE TABLE pairs (a varchar(20) COLLATE utf8mb4_general_ci, b int, note text, n int, PRIMARY KEY (a, b)) CHARSET utf8mb4;
  CREATE TABLE blank (id int PRIMARY KEY, l varchar(5) CHARACTER SET latin1 NOT NULL DEFAULT 'é', b bit(10) NOT NULL DEFAULT b'101',
    f float NOT NULL DEFAULT 0.1234567, t timestamp NOT NULL DEFAULT '2020-01-01', v varchar(9) NOT NULL DEFAULT 'it''s') CHARSET utf8mb4`

const doc = `'{"a": 1, "b": [1, 2, {"c": "${'x'.repeat(60)}"}], "d": "${'y'.repeat(80)}", "n": 12.5}'`

async function fill(server: MysqlServer): Promise<void> {
  await server.query(create)
  const ids = Array.from({ length: 400 }, (_, i) => i)
  await server.query(
    `INSERT INTO shop.docs (id, body, doc) VALUES ${ids.map((id) => `(${id}, REPEAT('b', 500), ${doc})`).join(',')};
     INSERT INTO shop.pairs VALUES ${ids.map((id) => `('k${id % 9}', ${id}, 'note', 0)`).join(',')}`,
  )
}

/** One round of statements over all rows; each leaves something out of the images. */
const changes: readonly string[] = [
  `UPDATE docs SET n = n + 1 WHERE id % 3 = 0`,
  `UPDATE docs SET doc = JSON_SET(doc, '$.a', id, '$.b[2].c', 'z') WHERE id % 2 = 0`,
  `UPDATE docs SET doc = JSON_REMOVE(doc, '$.b[0]') WHERE id % 5 = 0`,
  `UPDATE docs SET doc = JSON_REPLACE(doc, '$.d', 'shorter'), price = price * 2 WHERE id % 7 = 0`,
  `INSERT INTO docs (id) VALUES (1000), (1001), (1002)`,
  `INSERT INTO docs (id, body, doc) VALUES (1003, NULL, NULL), (1004, 'x', ${doc})`,
  `UPDATE docs SET id = id + 2000 WHERE id % 11 = 0`,
  `UPDATE docs SET id = id + 4000, doc = JSON_SET(doc, '$.a', 'moved') WHERE id % 13 = 0`,
  `DELETE FROM docs WHERE id % 17 = 0`,
  `UPDATE docs SET body = NULL, name = NULL, day = NULL WHERE id % 19 = 0`,
  `UPDATE docs SET body = 'back' WHERE id % 38 = 0`,
  `REPLACE INTO docs (id, n) VALUES (1, 5), (1002, 5)`,
  `INSERT INTO docs (id, n) VALUES (2, 1) ON DUPLICATE KEY UPDATE n = n + 100`,
  `INSERT INTO blank (id) VALUES (1), (2)`,
  `UPDATE blank SET id = 3 WHERE id = 2`,
  `UPDATE pairs SET n = n + 1`,
  `UPDATE IGNORE pairs SET a = 'moved' WHERE b % 4 = 0`,
  `UPDATE IGNORE pairs SET a = 'K1' WHERE a = 'k1'`,
  `ALTER TABLE docs ADD COLUMN later int DEFAULT 42, ADD COLUMN word varchar(10) DEFAULT 'w'`,
  `UPDATE docs SET n = n + 1`,
  `INSERT INTO docs (id) VALUES (1010)`,
  `UPDATE docs SET later = id WHERE id % 2 = 1`,
]

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-10.11')) {
  const options = starter.flavour === 'mysql' ? ['', 'PARTIAL_JSON'] : ['']
  for (const image of ['FULL', 'MINIMAL', 'NOBLOB']) {
    for (const option of options) {
      const name = `${starter.name}, ${image}${option === '' ? '' : `, ${option}`}`
      describe(name, () => {
        test('the log is the table', async () => {
          await using server = await starter.start({
            settings: {
              'binlog-row-image': image,
              ...(option === '' ? {} : { 'binlog-row-value-options': option }),
            },
          })
          await fill(server)
          using folder = tempDir('images')
          const log = await testLog(`file://${folder.path}/log`)
          const ctx = taskContext(log, 'my')
          const stop = new AbortController()
          const config = { url: server.url, tables: ['shop.*'], heartbeat: '5s' }
          const running = runIngest(
            {
              connector: mysql as SourceConnector<unknown>,
              config: mysql.config.parse(config),
              flush: { bytesMax: 1 << 20, intervalMs: 5, intervalMsMax: 100 },
              openBytesMax: 64 << 10,
              stateDir: `${folder.path}/state`,
            },
            ctx,
            stop.signal,
          ).catch((error: unknown) => {
            if (!stop.signal.aborted) throw error
          })
          // Told by waitFor below when it fails early.
          let failure: unknown = null
          running.catch((error: unknown) => (failure = error))
          const rowsIn = async (table: string): Promise<number> => {
            if (failure !== null) throw failure
            return (await foldOf(log, 'my')).topics.get(`my.shop.${table}`)?.size ?? 0
          }
          await waitFor('the copy', async () => (await rowsIn('docs')) >= 400)
          const client = await server.client({ database: 'shop' })
          for (const statement of changes) {
            // MariaDB logs a REPLACE of a row that is there as an update without the columns it resets.
            const isLost = starter.flavour === 'mariadb' && image !== 'FULL'
            if (!(isLost && statement.startsWith('REPLACE'))) await client.query(statement)
          }
          await client.query(`CREATE TABLE done (id int PRIMARY KEY); INSERT INTO done VALUES (1)`)
          await waitFor('the changes', async () => (await rowsIn('done')) === 1)
          const fold = await foldOf(log, 'my')
          for (const table of ['docs', 'pairs']) {
            const rows = await rowsOf(server, `shop.${table}`)
            fold.assertRows(`my.shop.${table}`, rows)
          }
          // Every value but the key is a default, of a table that was empty.
          const blank = ['é', '5', '0.1234567', '2020-01-01 00:00:00+00', "it's"]
          fold.assertRows(
            'my.shop.blank',
            ['1', '3'].map((id) => JSON.stringify([id, ...blank])),
          )
          assert.equal(failure, null)
          stop.abort()
          await running
        })
      })
    }
  }
}
