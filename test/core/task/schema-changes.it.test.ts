/**
 * What Postgres, MySQL and MariaDB say when a table changes, all the way to a target with columns: each
 * ALTER is the one change that it is, and the target follows it in its place. Attacks invariants 5, 6.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mysql } from '../../../connectors/mysql/connector.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import type { SourceConnector } from '../../../core/connector/source.ts'
import type { SchemaPolicy } from '../../../core/connector/schema-policy.ts'
import type { Log } from '../../../core/log/log.ts'
import { typeName } from '../../../core/record/types.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { runIngest } from '../../../core/task/ingest.ts'
import { chainName } from '../../../core/task/names.ts'
import { mysqlServers } from '../../services/mysql-servers.ts'
import { postgresMajors, startPostgres } from '../../services/postgres.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { TableTarget } from '../../support/table-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { ownRows } from '../../support/letters.ts'

interface Source {
  readonly connector: SourceConnector<unknown>
  readonly config: unknown
  readonly topic: string
  run(sql: string): Promise<unknown>
  /** ALTERs whose words differ. */
  readonly alter: { readonly widen: string; readonly narrow: string; readonly key: string }
}

const columns = 'id int NOT NULL, grp int NOT NULL, n int, note varchar(20), gone varchar(20)'

/** A change of the table, the row after it, and what is said of it. */
function steps({
  widen,
  narrow,
  key,
}: Source['alter']): readonly (readonly [string, string, string])[] {
  return [
    [
      'ADD COLUMN extra int DEFAULT 5',
      "(2, 2, 2, 'b', 'y', 6)",
      'add extra: null → extra int32: apply',
    ],
    [
      'RENAME COLUMN note TO remark',
      "(3, 3, 3, 'c', 'y', 6)",
      'rename note: note text → remark text: apply',
    ],
    [widen, "(4, 4, 1099511627776, 'd', 'y', 6)", 'widen n: n int32 → n int64: apply'],
    [narrow, "(5, 5, 5, 'e', 'y', 6)", 'narrow grp: grp int32 not null → grp int16 not null: keep'],
    ['DROP COLUMN gone', "(6, 6, 6, 'f', 6)", 'drop gone: gone text → null: apply'],
    [key, "(7, 7, 7, 'g', 6)", 'key null: (id) → (id, grp): apply'],
  ]
}

const policy: SchemaPolicy = { policy: 'evolve', drop: 'apply', truncate: 'apply' }

async function decisions(log: Log): Promise<readonly string[]> {
  const told = await ownRows(log, 'k.schema_changes')
  return told.map(
    ({ change, column, from, to, action }) =>
      `${String(change)} ${String(column)}: ${String(from)} → ${String(to)}: ${String(action)}`,
  )
}

async function check(source: Source): Promise<void> {
  using folder = tempDir('schema-changes')
  const log = await testLog(`file://${folder.path}/log`)
  const stop = new AbortController()
  const target = new TableTarget()
  const { connector, config, topic } = source
  const flush = { bytesMax: 1 << 20, intervalMs: 5, intervalMsMax: 100 }
  const stateDir = `${folder.path}/state`
  const tasks = [
    runIngest(
      { connector, config, flush, openBytesMax: 1 << 20, stateDir },
      taskContext(log, 's'),
      stop.signal,
    ),
    runDeliver(
      {
        connector: target.connector,
        config: {},
        from: ['s.*'],
        chains: [chainName('p', 'ingest', 's')],
        onSchemaChange: policy,
      },
      taskContext(log, 'k'),
      stop.signal,
    ),
  ]
  const ended = Promise.all(tasks).then(
    () => null,
    (error: unknown) => error,
  )
  const arrived = async (id: string): Promise<void> => {
    const there = waitFor(`row ${id}`, () =>
      [...target.table(topic).rows.values()].some((row) => row['id'] === id),
    )
    await Promise.race([there, ended.then((error) => assert.fail(String(error)))])
  }
  try {
    await source.run("INSERT INTO t VALUES (1, 1, 1, 'a', 'y')")
    await arrived('1')
    for (const [alter, row] of steps(source.alter)) {
      await source.run(`ALTER TABLE t ${alter}`)
      await source.run(`INSERT INTO t VALUES ${row}`)
      await arrived(row.slice(1, row.indexOf(',')))
    }
    const { columns: found, rows } = target.table(topic)
    assert.deepEqual(found.map(({ name, type }) => `${name} ${typeName(type)}`).toSorted(), [
      'extra int32',
      'grp int32',
      'id int32',
      'n int64',
      'remark text',
    ])
    const added = target.table(topic).steps.flatMap(({ agreed }) => agreed)[0]
    assert.ok(added?.kind === 'add' && added.to.oldRows === '5', 'what old rows have is told too')
    assert.deepEqual(
      [...rows.values()].map(({ id, remark, n }) => `${id} ${remark} ${n}`),
      ['1 a 1', '2 b 2', '3 c 3', '4 d 1099511627776', '5 e 5', '6 f 6', '7 g 7'],
    )
    await source.run('TRUNCATE TABLE t')
    await source.run("INSERT INTO t VALUES (8, 8, 8, 'h', 6)")
    await arrived('8')
    assert.deepEqual(
      [...rows.values()].map(({ id }) => id),
      ['8'],
    )
    assert.deepEqual(await decisions(log), [
      ...steps(source.alter).map(([, , said]) => said),
      'truncate null: null → null: apply',
    ])
  } finally {
    stop.abort()
    assert.equal(await ended, null)
  }
}

for (const version of await postgresMajors(18)) {
  describe(`PostgreSQL ${version}`, () => {
    test('each ALTER is the change that it is, and the target follows it', async () => {
      await using server = await startPostgres({ version })
      await server.query(`CREATE TABLE t (${columns}, CONSTRAINT t_key PRIMARY KEY (id))`)
      await check({
        connector: postgres as SourceConnector<unknown>,
        config: postgres.config.parse({ url: server.url, tables: ['public.t'] }),
        topic: 's.public.t',
        run: (sql) => server.query(sql),
        alter: {
          widen: 'ALTER COLUMN n TYPE bigint',
          narrow: 'ALTER COLUMN grp TYPE smallint',
          key: 'DROP CONSTRAINT t_key, ADD PRIMARY KEY (id, grp)',
        },
      })
    })
  })
}

for (const starter of await mysqlServers('mysql-9.7', 'mariadb-11.8')) {
  describe(starter.name, () => {
    test('each ALTER is the change that it is, and the target follows it', async () => {
      await using server = await starter.start()
      await server.query('CREATE DATABASE shop')
      const client = await server.client({ database: 'shop' })
      await client.query(`CREATE TABLE t (${columns}, PRIMARY KEY (id))`)
      await check({
        connector: mysql as SourceConnector<unknown>,
        config: mysql.config.parse({ url: server.url, tables: ['shop.t'] }),
        topic: 's.shop.t',
        run: (sql) => client.query(sql),
        alter: {
          widen: 'MODIFY n bigint',
          narrow: 'MODIFY grp smallint NOT NULL',
          key: 'DROP PRIMARY KEY, ADD PRIMARY KEY (id, grp)',
        },
      })
    })
  })
}
