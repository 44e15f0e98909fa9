/** A partitioned table is one topic, whichever way its publication names the partitions. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { tableRows } from '../../fixtures/postgres/record.ts'
import { startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { Fold } from '../../support/fold.ts'
import { endLsn, open, prepare, pullUntil } from './streaming.ts'

describe('partitioned tables', () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  for (const viaRoot of [true, false]) {
    it(`fold into the table's own topic, also those made later; via root: ${viaRoot} (invariant 5)`, async () => {
      const name = viaRoot ? 'by_root' : 'by_leaf'
      await server.query(`
        CREATE TABLE ${name} (id int, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
        CREATE TABLE ${name}_1 PARTITION OF ${name} FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE ${name}_2 (note text, day date NOT NULL, id int NOT NULL, PRIMARY KEY (id, day));
        ALTER TABLE ${name} ATTACH PARTITION ${name}_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')`)
      const prepared = await prepare(server, name, [name])
      await server.query(`ALTER PUBLICATION ${name} SET (publish_via_partition_root = ${viaRoot})`)
      const stream = await open(server, prepared)
      await server.query(
        `INSERT INTO ${name} VALUES (1, '2026-01-05', 'gone'), (2, '2026-02-05', 'gone')`,
      )
      await server.query(`TRUNCATE ${name}`)
      await server.query(
        `INSERT INTO ${name} VALUES (1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')`,
      )
      await server.query(
        `CREATE TABLE ${name}_3 PARTITION OF ${name} FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')`,
      )
      await server.query(`INSERT INTO ${name} VALUES (3, '2026-03-05', 'later')`)
      await server.query(`UPDATE ${name} SET day = '2026-01-09', note = 'moved' WHERE id = 2`)
      const until = await endLsn(server, `INSERT INTO ${name} VALUES (4, '2026-01-01', 'last')`)
      const fold = new Fold()
      await pullUntil(stream, until, (batch) => fold.apply(batch))
      assert.deepEqual([...fold.topics.keys()], [`public.${name}`])
      fold.assertRows(`public.${name}`, await tableRows(server, name))
    })
  }

  it('stop where a partition is truncated that the topic cannot tell apart (invariant 5)', async () => {
    const prepared = await prepare(server, 'part_of', ['by_leaf'])
    const stream = await open(server, prepared)
    await server.query('TRUNCATE by_leaf_1')
    await assert.rejects(
      pullUntil(stream, 1n << 62n, () => {}),
      { code: 'source.postgres.partition_truncated', fault: 'config' },
    )
  })
})
