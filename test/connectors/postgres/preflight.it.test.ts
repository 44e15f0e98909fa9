/**
 * Preflight on a real server: each thing that can be wrong is found, all at once, and the statement
 * given as its remedy cures it; the source refuses to start over a gap (invariant 5).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { position } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { postgres } from '../../../connectors/postgres/connector.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { quietContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'
import { Follower, rowsOf } from './follow.ts'
import { dropSlots, slotsFree } from './slots.ts'

async function problems(url: string, tables: readonly string[], more: object = {}, name = 'shop') {
  const config = postgres.config.parse({ url, tables, ...more })
  return postgres.check(config, quietContext({ name }))
}

/** Runs the statements of a remedy as a person would who reads it. */
async function cure(server: PostgresServer, remedy: string): Promise<void> {
  for (const statement of remedy
    .split(';')
    .filter((text) => /^\s*(ALTER|CREATE|GRANT)/.test(text))) {
    await server.query(statement)
  }
}

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}: preflight`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version })
    })
    after(async () => server[Symbol.asyncDispose]())

    it('finds nothing wrong where nothing is', async () => {
      await server.query('CREATE TABLE good (id int PRIMARY KEY)')
      assert.deepEqual(await problems(server.url, ['good', 'public.good']), [])
    })

    it('finds everything that is wrong with tables at once, and its remedies cure it', async () => {
      await server.query(`
        CREATE TABLE "no.Key" (a int); CREATE TABLE nothing (a int PRIMARY KEY);
        ALTER TABLE nothing REPLICA IDENTITY NOTHING;
        CREATE TABLE deferred (a int PRIMARY KEY DEFERRABLE);
        CREATE UNLOGGED TABLE fleeting (a int PRIMARY KEY);
        CREATE TABLE lost_index (a int NOT NULL); CREATE UNIQUE INDEX lost ON lost_index (a);
        ALTER TABLE lost_index REPLICA IDENTITY USING INDEX lost; DROP INDEX lost;
        CREATE TABLE parts (a int PRIMARY KEY) PARTITION BY LIST (a);
        CREATE TABLE "parts 1" PARTITION OF parts FOR VALUES IN (1);
        ALTER TABLE "parts 1" REPLICA IDENTITY FULL;
        CREATE VIEW seen AS SELECT 1 AS a`)
      const tables = [
        '"no.Key"',
        'nothing',
        'deferred',
        'fleeting',
        'lost_index',
        'parts',
        'seen',
        'absent',
        'nowhere.*',
      ]
      const found = await problems(server.url, tables)
      const of = (text: string) => found.filter(({ message }) => message.includes(text))
      assert.equal(found.length, tables.length, JSON.stringify(found, null, 1))
      for (const name of ['"no.Key"', '"nothing"', '"deferred"', '"lost_index"']) {
        assert.equal(of(name)[0]?.code, 'source.postgres.no_key', name)
      }
      assert.match(of('"parts 1"')[0]!.message, /another replica identity/)
      assert.equal(of('absent').length + of('nowhere').length + of('"seen"').length, 3)

      for (const { remedy } of found.filter(({ remedy }) => !remedy.includes('…'))) {
        await cure(server, remedy)
      }
      await cure(server, 'ALTER TABLE "no.Key" REPLICA IDENTITY FULL')
      await cure(server, 'ALTER TABLE deferred REPLICA IDENTITY FULL')
      await cure(server, 'ALTER TABLE lost_index REPLICA IDENTITY FULL')
      assert.deepEqual(await problems(server.url, tables.slice(0, 6)), [])
    })

    it('suggests the name that was probably meant', async () => {
      await server.query(`CREATE SCHEMA spelled; CREATE TABLE spelled.orders (id int PRIMARY KEY);
        CREATE TABLE spelled."order lines" (id int PRIMARY KEY)`)
      const wrong = ['spelled.order', 'spelled.Orderss', 'speled.orders', 'speled.*']
      const right = ['spelled.orders', 'spelled.orders', 'spelled.orders', 'spelled.*']
      const found = await problems(server.url, [...wrong, 'spelled.order_lines', 'spelled.absent'])
      assert.deepEqual(
        found.slice(0, 4).map(({ message, remedy }) => [message, remedy]),
        wrong.map((name, i) => [
          name.endsWith('*')
            ? `There is no table in ${name}.`
            : `There is no table ${name} in database "postgres".`,
          `Correct \`tables\`: did you mean "${right[i]}"?`,
        ]),
      )
      assert.match(found[4]!.remedy, /did you mean "spelled\."order lines""\?$/)
      assert.match(found[5]!.remedy, /as shown there\.$/)
    })

    it('finds what a user without privileges lacks, and its remedies cure it', async () => {
      await server.query(`
        CREATE ROLE "Poor One" LOGIN PASSWORD 'poor'; CREATE SCHEMA closed;
        CREATE TABLE closed.things (a int PRIMARY KEY);
        CREATE TABLE hidden (a int PRIMARY KEY); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON hidden USING (a = 1); GRANT SELECT ON hidden TO "Poor One"`)
      const url = server.url.replace('postgres:postgres@', 'Poor%20One:poor@')
      const tables = ['closed.things', 'hidden']
      const found = await problems(url, tables)
      assert.deepEqual(found.map(({ code }) => code).sort(), [
        'source.postgres.permission',
        'source.postgres.permission',
        'source.postgres.publication',
        'source.postgres.row_security',
      ])
      // The remedies are for an administrator to run.
      for (const { remedy } of found) await cure(server, remedy)
      assert.deepEqual(await problems(url, tables), [])
      await using follower = new Follower({ url, tables })
      await server.query('INSERT INTO hidden VALUES (1), (2)')
      await follower.catchUp(server)
      follower.fold.assertRows('public.hidden', await rowsOf(server, 'hidden', ['a']))
      await follower.crash()
      await dropSlots(server, 'sluice_test_shop')
    })

    it('says what a publication lacks when it may not change it', async () => {
      await server.query(`CREATE TABLE one (a int PRIMARY KEY); CREATE TABLE two (a int PRIMARY KEY);
        CREATE PUBLICATION "My.Pub" FOR TABLE one WITH (publish = 'insert, update')`)
      const own = { publication: 'My.Pub', create_publication: false }
      const found = await problems(server.url, ['one', 'two'], own)
      assert.deepEqual(
        found.map(({ severity }) => severity),
        ['error', 'warning'],
      )
      for (const { remedy } of found) await cure(server, remedy)
      assert.deepEqual(await problems(server.url, ['one', 'two'], own), [])
    })

    it('allows a table without key where only inserts are sent', async () => {
      await server.query(`CREATE TABLE events (a int);
        CREATE PUBLICATION only_inserts FOR TABLE events WITH (publish = 'insert')`)
      const found = await problems(server.url, ['events'], { publication: 'only_inserts' })
      assert.deepEqual(
        found.map(({ severity }) => severity),
        ['warning'],
      )
    })

    it('refuses to start over a gap, and says where it is', async () => {
      await server.query('CREATE TABLE gap (a int PRIMARY KEY)')
      await using follower = new Follower({ url: server.url, tables: ['gap'], name: 'gap' })
      follower.acks = false
      await follower.catchUp(server)
      await follower.crash()
      const before = follower.position
      await server.query('INSERT INTO gap VALUES (1)')
      // Somebody else reads from the slot.
      await slotsFree(server, 'sluice_test_gap')
      await server.query(
        `SELECT pg_replication_slot_advance('sluice_test_gap', pg_current_wal_lsn())`,
      )
      await assert.rejects(follower.next(), (error: SluiceError) => {
        assert.equal(error.code, 'source.postgres.slot_ahead')
        assert.equal(error.fault, 'config')
        return true
      })
      await follower.crash()
      await dropSlots(server, 'sluice_test_gap')
      await assert.rejects(follower.next(), { code: 'source.postgres.slot_missing' })
      await follower.crash()
      follower.position = position(before!.replace(/"lsn":"[^"]+"/, '"lsn":"FFF/0"'))
      await assert.rejects(follower.next(), { code: 'source.postgres.position' })
    })

    it('does not take over a slot of another kind, and waits for none that is read', async () => {
      await server
        .query(`SELECT pg_create_logical_replication_slot('decoding', 'test_decoding')`)
        .catch(async () => server.query(`SELECT pg_create_physical_replication_slot('decoding')`))
      const [found] = await problems(server.url, ['good'], { slot: 'decoding' })
      assert.equal(found?.code, 'source.postgres.slot_in_use')
    })

    it('warns of old transactions that a new slot would wait for', async () => {
      const client = await server.client()
      await client.query('BEGIN; INSERT INTO good VALUES (77)')
      await client.query("PREPARE TRANSACTION 'left over'")
      await using follower = new Follower({ url: server.url, tables: ['good'], name: 'waits' })
      const first = follower.next()
      await waitFor('the warning', () =>
        /waiting for transactions to end/.test(follower.reports.at(-1)?.detail ?? ''),
      )
      await server.query("COMMIT PREPARED 'left over'")
      await first
      await follower.catchUp(server)
      follower.fold.assertRows('public.good', await rowsOf(server, 'good', ['id']))
    })
  })
}

describe('preflight of a server that is not set up', () => {
  it('names wal_level, and a full house', async () => {
    await using server = await startPostgres({
      settings: { wal_level: 'replica', max_replication_slots: '0' },
    })
    await server.query('CREATE TABLE good (id int PRIMARY KEY)')
    const found = await problems(server.url, ['good'])
    assert.deepEqual(
      found.map(({ code }) => code),
      ['source.postgres.wal_level', 'source.postgres.capacity'],
    )
  })

  it('throws, with a code and without the password, when it cannot look at all', async () => {
    for (const [url, code] of [
      ['postgres://u:secret-pw@127.0.0.1:1/db', 'source.postgres.connection'],
      ['mysql://u:secret-pw@localhost/db', 'source.postgres.url'],
      ['postgres://u:secret-pw@localhost/db?sslmode=prefer', 'source.postgres.url'],
      ['postgres://u:secret-pw@local host/db', 'source.postgres.url'],
    ] as const) {
      await assert.rejects(problems(url, ['good']), (error: SluiceError) => {
        assert.equal(error.code, code)
        assert.ok(!`${error.stack} ${String(error.cause)}`.includes('secret-pw'))
        return true
      })
    }
  })
})
