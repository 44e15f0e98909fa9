/**
 * What people do to a server while rows are on their way: a table is dropped or altered, a right is
 * taken away, a disk is full. The topic that it is about says what cures it and goes on after that; the
 * other one never stops. Attacks invariants 5 and 9.
 */
import assert from 'node:assert/strict'
import type { Log } from '../../../core/log/log.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import type { TopicState } from '../../../core/task/delivery-log.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import { batchOf } from '../../conformance/rows.ts'
import type { ClickHouse } from '../../services/clickhouse.ts'
import { waitFor } from '../../support/env.ts'
import { ask, over, statesOf } from '../../support/letters.ts'
import { sourceChain, writeTopics } from '../../support/scripted-sink.ts'
import { taskContext, testLog, type TestContext } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'
import { leapClock } from '../webhook/deliver-support.ts'
import { clickhouseSuite } from './harness.ts'

const suite = clickhouseSuite()
const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int64' }, nullable: false },
    { name: 'n', type: { kind: 'int32' }, nullable: true },
  ],
  [0],
  'upsert',
)

/** One row for each of two topics, `s.<name>_bad` and `s.<name>_good`. */
async function write(log: Log, name: string, id: number, n = id): Promise<void> {
  for (const side of ['bad', 'good']) {
    const batch = batchOf(schema, [{ timeUs: 1e15 + id, values: { id, n } }])
    await writeTopics(log, { kind: 'rows', topic: `s.${name}_${side}`, batch })
  }
}

interface Stage {
  readonly server: ClickHouse
  readonly log: Log
  readonly ctx: TestContext
  readonly pass: (ms: number) => void
  readonly state: (side: 'bad' | 'good') => Promise<TopicState | undefined>
  /** Waits until the topic has come so far. */
  readonly reached: (side: 'bad' | 'good', done: number) => Promise<void>
  readonly ids: (side: 'bad' | 'good') => Promise<readonly number[]>
}

async function running(
  server: ClickHouse,
  name: string,
  log: Log,
  body: (stage: Stage) => Promise<void>,
  mode: 'upsert' | 'append' = 'upsert',
): Promise<void> {
  const config = clickhouse.config.parse({ url: server.url, mode })
  const task = { connector: clickhouse, config, from: ['s.*'], chains: [sourceChain] }
  const { pass, ...clock } = leapClock()
  const ctx = { ...taskContext(log, 'k'), clock }
  const state: Stage['state'] = async (side) => (await statesOf(log))[`s.${name}_${side}`]
  const stage: Stage = {
    server,
    log,
    ctx,
    pass,
    state,
    reached: async (side, done) => {
      await waitFor(`${side} at ${done}`, async () => (await state(side))?.done === done)
    },
    ids: async (side) => {
      const rows = await server.query(`SELECT id FROM ${name}_${side}_live ORDER BY id`)
      return rows.map(({ id }) => Number(id))
    },
  }
  await whileRunning(
    (stop) => runDeliver(task as Parameters<typeof runDeliver>[0], ctx, stop),
    () => body(stage),
  )
}

suite.test('a table that is dropped is said to be, and comes back whole', async (server) => {
  const log = await testLog()
  await write(log, 'dropped', 1)
  await running(server, 'dropped', log, async ({ reached, state, ids }) => {
    await reached('bad', 1)
    await server.command('DROP TABLE dropped_bad')
    await write(log, 'dropped', 2)
    await reached('good', 2)
    await waitFor('the stop', async () => (await state('bad'))?.parked != null)
    const parked = (await state('bad'))?.parked
    assert.equal(parked?.code, 'sink.clickhouse.table_missing')
    assert.match(parked.remedy, /restart .* `sluice resync`/)
    await write(log, 'dropped', 3)
    await reached('good', 3)
    assert.deepEqual(await ids('good'), [1, 2, 3])
  })
  // As the remedy says: a restart makes the table, a resync fills it.
  await running(server, 'dropped', log, async ({ reached, ids }) => {
    await reached('bad', 3)
    const body = { kind: 'resync', topic: 's.dropped_bad', from: null } as const
    const { number } = await ask(log, body)
    assert.equal((await over(log, number)).how, 'done')
    assert.deepEqual(await ids('bad'), [1, 2, 3])
  })
})

suite.test('a right that is taken away stops one topic until it is given back', async (server) => {
  const log = await testLog()
  await write(log, 'denied', 1)
  await running(server, 'denied', log, async ({ reached, state, ids, pass }) => {
    await reached('bad', 1)
    // The engine behind the test has no users, so its answer is put in front of it.
    await server.inject([
      { kind: 'refuse', code: 497, type: 'ACCESS_DENIED', match: '^INSERT INTO .*denied_bad' },
    ])
    await write(log, 'denied', 2)
    await reached('good', 2)
    await waitFor('the stop', async () => (await state('bad'))?.parked != null)
    const parked = (await state('bad'))?.parked
    assert.equal(parked?.code, 'sink.clickhouse.denied')
    assert.match(parked.remedy, /GRANT .*INSERT/)
    pass(600_000)
    await reached('bad', 2)
    assert.equal((await state('bad'))?.parked, null)
    assert.deepEqual(await ids('bad'), [1, 2])
  })
})

suite.test('a full disk is waited for, and its reason is on show', async (server) => {
  const log = await testLog()
  await write(log, 'full', 1)
  await running(server, 'full', log, async ({ ctx, reached, state, ids, pass }) => {
    await reached('bad', 1)
    await server.inject([
      { kind: 'refuse', code: 243, type: 'NOT_ENOUGH_SPACE', match: '^INSERT INTO .*full_bad' },
    ])
    await write(log, 'full', 2)
    await reached('good', 2)
    await waitFor('the reason', async () => ctx.troubles.length > 0)
    const [trouble] = ctx.troubles
    assert.equal(trouble?.code, 'sink.clickhouse.disk_full')
    assert.match(trouble.message, /no disk space left/)
    assert.equal((await state('bad'))?.parked, null)
    pass(60_000)
    await reached('bad', 2)
    assert.deepEqual(await ids('bad'), [1, 2])
    assert.equal(ctx.troubles.at(-1), null)
  })
})

suite.test('a column that somebody drops is made again; nothing else stops', async (server) => {
  const log = await testLog()
  await write(log, 'column', 1)
  await running(server, 'column', log, async ({ reached, ids }) => {
    await reached('bad', 1)
    await server.command('DROP VIEW column_bad_live')
    await server.command('ALTER TABLE column_bad DROP COLUMN n')
    await write(log, 'column', 2)
    await reached('good', 2)
    await waitFor('the column', async () => {
      return (
        (await server.query('SELECT id, n FROM column_bad WHERE n = 2').catch(() => [])).length > 0
      )
    })
    await reached('bad', 2)
    assert.deepEqual(await ids('bad'), [1, 2])
  })
})

for (const mode of ['upsert', 'append'] as const) {
  const name = `narrow_${mode}`
  suite.test(
    `${mode}: a column that somebody narrows changes no value (invariant 9)`,
    async (server) => {
      const log = await testLog()
      await write(log, name, 1)
      await running(
        server,
        name,
        log,
        async ({ reached }) => {
          await reached('bad', 1)
          await server.command(`ALTER TABLE ${name}_bad MODIFY COLUMN n Nullable(Int16)`)
          await write(log, name, 2, 100_000)
          await reached('good', 2)
          await waitFor('the row', async () => {
            return (await server.query(`SELECT n FROM ${name}_bad WHERE id = 2`)).length > 0
          })
          const rows = await server.query(
            `SELECT n, toTypeName(n) AS type FROM ${name}_bad WHERE id = 2`,
          )
          assert.deepEqual(rows, [{ n: 100_000, type: 'Nullable(Int32)' }])
        },
        mode,
      )
    },
  )
}

suite.test('a column that somebody widens takes its rows as before', async (server) => {
  const log = await testLog()
  await write(log, 'wide', 1)
  await running(server, 'wide', log, async ({ reached, ids, state }) => {
    await reached('bad', 1)
    await server.command('ALTER TABLE wide_bad MODIFY COLUMN n Nullable(Int64)')
    await write(log, 'wide', 2)
    await reached('good', 2)
    await waitFor('the row', async () => {
      return (await state('bad'))?.done === 2
    })
    assert.deepEqual(await ids('bad'), [1, 2])
  })
})

suite.test(
  'a column that no ALTER mends is refused with the statements that cure it',
  async (server) => {
    const log = await testLog()
    await write(log, 'unfit', 1)
    await running(server, 'unfit', log, async ({ reached, pass, ids, state }) => {
      await reached('bad', 1)
      await server.command('ALTER TABLE unfit_bad MODIFY COLUMN n Nullable(UInt8)')
      await write(log, 'unfit', 2, 100_000)
      await reached('good', 2)
      await waitFor('the stop', async () => (await state('bad'))?.parked != null)
      const parked = (await state('bad'))?.parked
      assert.equal(parked?.code, 'sink.clickhouse.table_shape')
      assert.match(
        parked.message,
        /column "n" is Nullable\(UInt8\), and Nullable\(Int32\) is needed/,
      )
      assert.match(parked.remedy, /RENAME TABLE/)
      await server.command('ALTER TABLE unfit_bad MODIFY COLUMN n Nullable(Int32)')
      pass(60_000)
      await reached('bad', 2)
      assert.deepEqual(await ids('bad'), [1, 2])
    })
  },
)
