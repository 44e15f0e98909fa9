/**
 * The change stream against real servers: what is read folds to the tables under interleaved, rolled
 * back and interrupted transactions; nothing is acknowledged that was not said to be durable; a quiet,
 * slow, stopped or hung server ends as it should.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseLsn } from '../../../connectors/postgres/lsn.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { tableRows } from '../../fixtures/postgres/record.ts'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { seeded } from '../../support/random.ts'
import { waitFor } from '../../support/env.ts'
import { Fold } from '../../support/fold.ts'
import { slotsFree } from './slots.ts'
import { endLsn, open, prepare, pullUntil } from './streaming.ts'

async function confirmed(server: PostgresServer, slot: string): Promise<bigint> {
  const [row] = await server.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return parseLsn(row!.lsn)
}

/** Pulls one batch; fails the test instead of hanging when none comes. */
async function pull(batches: AsyncIterator<SourceBatch>): Promise<SourceBatch> {
  const timer = new AbortController()
  const late = sleep(90_000, undefined, { signal: timer.signal }).then(() => {
    throw new Error('no batch within 90 s')
  })
  try {
    const result = await Promise.race([batches.next(), late])
    assert.ok(result.done !== true)
    return result.value
  } finally {
    timer.abort()
    await late.catch(() => {})
  }
}

/** Writers with open transactions beside each other: savepoints, roll backs, key changes, large rows. */
async function write(server: PostgresServer, seed: number, steps: number): Promise<void> {
  const random = seeded(seed).int
  const writers = await Promise.all([0, 1, 2].map(() => server.client()))
  // Each writer has keys of its own, so that no statement waits for another transaction.
  const keys = (writer: number): number => random(300) * 3 + writer
  const statements = (writer: number): string[] => [
    `INSERT INTO orders SELECT (i * 3 + ${writer}), 'n' || i, i / 7.0, repeat('x', ${random(400)}), NULL
       FROM generate_series(${random(300)}, ${random(300) + 200}) i ON CONFLICT DO NOTHING`,
    `UPDATE orders SET amount = amount + 1 WHERE id % 3 = ${writer} AND id < ${random(900)}`,
    `UPDATE orders SET big = repeat(md5('${random(99)}'), 100) WHERE id = ${keys(writer)}`,
    `UPDATE orders SET id = ${(1000 + random(100_000)) * 3 + writer} WHERE id = ${keys(writer)}`,
    `DELETE FROM orders WHERE id % 3 = ${writer} AND id % 10 = ${random(10)}`,
    `INSERT INTO events VALUES (${writer}, 'e${random(5)}', ${random(9)}), (${writer}, NULL, 1)`,
    `UPDATE events SET n = n + 1 WHERE writer = ${writer} AND kind = 'e${random(5)}'`,
    `DELETE FROM events WHERE writer = ${writer} AND n > 5`,
  ]
  const inTransaction = [false, false, false]
  for (let step = 0; step < steps; step++) {
    const writer = random(3)
    const client = writers[writer]!
    const statement = (): string => statements(writer)[random(8)]!
    if (inTransaction[writer] !== true && random(2) === 0) {
      await client.query('BEGIN')
      inTransaction[writer] = true
    }
    await client.query(statement())
    if (inTransaction[writer] !== true) continue
    const next = random(6)
    if (next === 0) {
      await client.query('SAVEPOINT s')
      await client.query(statement())
      await client.query(random(2) === 0 ? 'ROLLBACK TO s' : 'RELEASE s')
    } else if (next < 3) {
      await client.query(random(4) === 0 ? 'ROLLBACK' : 'COMMIT')
      inTransaction[writer] = false
    }
  }
  for (const client of writers) {
    await client.query('COMMIT')
    await client.end()
  }
}

const tables = ['orders', 'events'] as const

for (const version of await postgresMajors(18, 14)) {
  describe(`change stream of PostgreSQL ${version}`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ version, settings: { logical_decoding_work_mem: '64kB' } })
      await server.query(`
        CREATE TABLE orders (id int PRIMARY KEY, note text, amount numeric, big text, at timestamptz);
        ALTER TABLE orders ALTER big SET STORAGE EXTERNAL;
        CREATE TABLE events (writer int, kind text, n int);
        ALTER TABLE events REPLICA IDENTITY FULL`)
    })
    after(() => server[Symbol.asyncDispose]())

    for (const streaming of [true, false]) {
      it(`folds to the tables through interruptions, streaming ${streaming} (invariants 1, 3, 5)`, async () => {
        const seed = 20_261_122 + version
        const name = `fold_${streaming}`
        await server.query('TRUNCATE orders, events')
        const prepared = await prepare(server, name, tables)
        const random = seeded(seed).int
        const fold = new Fold()
        const state = { at: prepared.start, end: null as bigint | null }
        const writing = (async () => {
          await write(server, seed, 400)
          state.end = await endLsn(server, `INSERT INTO events VALUES (9, 'last', 0)`)
        })()
        const isOver = (): boolean => state.end !== null && state.at >= state.end
        while (!isOver()) {
          const stop = new AbortController()
          await slotsFree(server, name)
          const stream = await open(server, prepared, {
            after: state.at,
            signal: stop.signal,
            streaming,
          })
          fold.forgetOpen()
          let batches = 5 + random(200)
          // What was pulled and had no position by the time of the break will come again.
          await pullUntil(stream, 1n << 62n, (batch) => {
            fold.apply(batch)
            if (batch.position !== null) {
              const lsn = parseLsn(batch.position)
              assert.ok(lsn >= state.at, `seed ${seed}: positions rise`)
              state.at = lsn
              if (random(3) === 0) stream.acknowledge(lsn)
            }
            batches--
            if (batches < 0 || isOver()) stop.abort(new Error('interrupted'))
          }).catch((error: Error) => assert.equal(error.message, 'interrupted'))
        }
        await writing
        for (const table of tables) {
          fold.assertRows(`public.${table}`, await tableRows(server, table))
        }
        assert.equal(fold.transactionsInParts > 0, streaming, 'large transactions came in parts')
      })
    }

    it('acknowledges what it is told and nothing else (invariant 1)', async () => {
      const prepared = await prepare(server, 'acks', tables)
      const begin = await confirmed(server, 'acks')
      await server.query(`INSERT INTO events SELECT 7, 'ack', i FROM generate_series(1, 100) i`)
      const stream = await open(server, prepared)
      const batches = stream[Symbol.asyncIterator]()
      let last = prepared.start
      for (let rows = 0; rows < 100;) {
        const batch = await pull(batches)
        for (const change of batch.changes) rows += 'batch' in change ? change.batch.rows : 0
        if (batch.position !== null) last = parseLsn(batch.position)
      }
      await sleep(300)
      assert.equal(await confirmed(server, 'acks'), begin)
      stream.acknowledge(last)
      await waitFor('the slot to advance', async () => (await confirmed(server, 'acks')) === last)
      await batches.return?.()
    })

    it('moves on while only others write, with empty batches (invariant 1)', async () => {
      const prepared = await prepare(server, 'idle', tables)
      await server.query('CREATE TABLE elsewhere (n int)')
      const stop = new AbortController()
      const stream = await open(server, prepared, { signal: stop.signal })
      const batches = stream[Symbol.asyncIterator]()
      await server.query('INSERT INTO elsewhere SELECT generate_series(1, 20000)')
      const until = await endLsn(server, 'INSERT INTO elsewhere VALUES (0)')
      let at = prepared.start
      while (at < until) {
        const batch = await pull(batches)
        assert.deepEqual(batch.changes, [])
        at = parseLsn(batch.position!)
      }
      stop.abort(new Error('enough'))
      await assert.rejects(batches.next(), /enough/)
    })

    it('is aborted at once in the middle of waiting', async () => {
      const prepared = await prepare(server, 'aborted', tables)
      const stop = new AbortController()
      const batches = (await open(server, prepared, { signal: stop.signal }))[
        Symbol.asyncIterator
      ]()
      const waiting = (async () => {
        for (;;) await batches.next()
      })()
      await sleep(200)
      stop.abort(new Error('enough'))
      await assert.rejects(waiting, /enough/)
      await waitFor('the slot to be free', async () => {
        const [row] = await server.query<{ active: boolean }>(
          `SELECT active FROM pg_replication_slots WHERE slot_name = 'aborted'`,
        )
        return row?.active === false
      })
    })

    it('says what is wrong with a slot or a publication', async () => {
      const prepared = await prepare(server, 'wrong', ['events'])
      const first = (await open(server, prepared))[Symbol.asyncIterator]()
      await server.query(`INSERT INTO events VALUES (0, 'x', 0)`)
      await first.next()
      const fails = async (
        other: Partial<typeof prepared>,
        code: string,
        fault: string,
      ): Promise<void> => {
        const stream = await open(server, { ...prepared, ...other })
        const error: unknown = await pullUntil(stream, 1n << 62n, () => {}).catch((e: unknown) => e)
        assert.ok(error instanceof SluiceError, String(error))
        assert.deepEqual([error.code, error.fault], [code, fault], error.message)
      }
      await fails({}, 'source.postgres.slot_active', 'transient')
      await fails({ slot: 'nobody' }, 'source.postgres.slot_missing', 'config')
      await first.return?.()
      const [other] = [await prepare(server, 'gone', ['events'])]
      await server.query(`DROP PUBLICATION gone; INSERT INTO events VALUES (0, 'y', 0)`)
      await fails({ ...other }, 'source.postgres.publication_missing', 'config')
    })
  })
}
