/**
 * Tombstones that are removed: only old ones, and no older row lives again, whatever is sent once more
 * afterwards and wherever a round was interrupted (invariants 5 and 6).
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { makeSchema } from '../../../core/record/schema.ts'
import type { Sink } from '../../../core/connector/sink.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { killedAt } from '../../support/child.ts'
import { keptContext } from '../../support/context.ts'
import { waitFor } from '../../support/env.ts'
import { failsWith } from '../../support/fails-with.ts'
import { cleanedSchema, cleanup, oldDeletion, oldRow } from './cleanup-child.ts'
import { clickhouseSuite, never, openSink, send } from './harness.ts'

const suite = clickhouseSuite()
const { test } = suite

const schema = makeSchema(
  [
    { name: 'k', type: { kind: 'int32' }, nullable: false },
    { name: 'v', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)
const dayUs = 86_400_000_000
const nowUs = 1.8e15
const oldUs = nowUs - 40 * dayUs

/** At a time of its own, so that ages are what the test says. */
function context() {
  const given = keptContext()
  let nowMs = nowUs / 1000
  return {
    ...given,
    clock: { ...given.clock, nowMs: () => nowMs },
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

const open = (ctx: ReturnType<typeof context>): Promise<Sink> =>
  openSink({ url: suite.server.url, cleanup: { deleted_after: '30d', every: '1h' } }, ctx)

const set = (k: number, v: string, timeUs: number): Row => ({ values: { k, v }, timeUs })
const gone = (k: number, timeUs: number): Row => ({ weight: -1, values: { k }, timeUs })

async function rowsOf(table: string) {
  return suite.server.query(
    `SELECT k, v, _sluice_deleted AS d, toInt32(_sluice_version) AS at FROM ${table} ORDER BY k, at`,
  )
}

test('old tombstones go with what they hid, young ones stay, and nothing lives again', async () => {
  const ctx = context()
  const topic = 's.clean'
  {
    await using sink = await openSink({ url: suite.server.url }, ctx)
    await send(
      sink,
      topic,
      batchOf(schema, [set(1, 'a', oldUs), set(2, 'b', oldUs), set(3, 'c', oldUs)]),
    )
    await send(sink, topic, batchOf(schema, [gone(1, oldUs), gone(2, nowUs)]), { offset: 3 })
  }
  await using sink = await open(ctx)
  await send(sink, topic, batchOf(schema, [set(4, 'd', nowUs)]), { offset: 5 })
  await waitFor('the round', async () => !(await rowsOf('clean')).some(({ k }) => k === 1))
  assert.deepEqual(await rowsOf('clean'), [
    { k: 2, v: null, d: 1, at: 5 },
    { k: 3, v: 'c', d: 0, at: 3 },
    { k: 4, v: 'd', d: 0, at: 6 },
  ])
  // The row of a deletion that is gone would be alone; what came after V is taken as before.
  const late = { id: 'late', origin: 'replay' } as const
  const { rejected } = await send(sink, topic, batchOf(schema, [set(1, 'a', oldUs)]), late)
  assert.deepEqual(
    rejected.map(({ row, code }) => [row, code]),
    [[0, 'sink.clickhouse.cleaned_up']],
  )
  const young = { id: 'young', origin: 'retry', offset: 6 } as const
  assert.deepEqual(await send(sink, topic, batchOf(schema, [set(9, 'y', nowUs)]), young), {
    rejected: [],
  })
  const live = async () => suite.server.query('SELECT k FROM clean_live ORDER BY k')
  assert.deepEqual(await live(), [{ k: 3 }, { k: 4 }, { k: 9 }])
  // It is remembered with the table.
  await using restarted = await open(ctx)
  const again = await send(
    restarted,
    topic,
    batchOf(schema, [set(1, 'a', oldUs), gone(3, oldUs)]),
    late,
  )
  assert.deepEqual(
    again.rejected.map(({ row }) => row),
    [0],
  )
  assert.deepEqual(await live(), [{ k: 3 }, { k: 4 }, { k: 9 }])
})

test('a round that the server does not take changes nothing, and the next one does it', async () => {
  const ctx = context()
  const topic = 's.held'
  await using sink = await open(ctx)
  await send(sink, topic, batchOf(schema, [set(1, 'a', oldUs)]))
  await send(sink, topic, batchOf(schema, [gone(1, oldUs)]), { offset: 1 })
  await suite.server.inject([
    { kind: 'refuse', code: 388, type: 'CANNOT_ASSIGN_OPTIMIZE', match: '^OPTIMIZE' },
  ])
  ctx.pass(3_700_000)
  await send(sink, topic, batchOf(schema, [set(2, 'b', nowUs)]), { offset: 2 })
  await waitFor('the refusal', async () => ctx.hasLogged('not removed'))
  assert.equal((await rowsOf('held')).length > 1, true)
  assert.deepEqual(await suite.server.query('SELECT k FROM held_live'), [{ k: 2 }])
  ctx.pass(3_700_000)
  await send(sink, topic, batchOf(schema, [set(3, 'c', nowUs)]), { offset: 3 })
  await waitFor('the round', async () => (await rowsOf('held')).length === 2)
  assert.deepEqual(await suite.server.query('SELECT k FROM held_live ORDER BY k'), [
    { k: 2 },
    { k: 3 },
  ])
})

for (const failpoint of ['cleanup_marked', 'cleanup_merged']) {
  test(`kill -9 at ${failpoint}: what is sent once more does not live again, the next round cleans up`, async () => {
    const topic = `s.killed_${failpoint}`
    const table = `killed_${failpoint}`
    const program = join(import.meta.dirname, 'cleanup-child.ts')
    {
      await using sink = await openSink({ url: suite.server.url })
      await send(sink, topic, oldRow)
      await send(sink, topic, oldDeletion, { offset: 1 })
    }
    await killedAt(`sink.clickhouse.${failpoint}=1`, [program, suite.server.url, topic])
    const ctx = keptContext()
    await using sink = await openSink({ url: suite.server.url, cleanup }, ctx)
    const late = { id: 'late', origin: 'replay' } as const
    const { rejected } = await send(sink, topic, oldRow, late)
    assert.equal(rejected.length, 1)
    assert.deepEqual(await suite.server.query(`SELECT k FROM ${table}_live`), [])
    await send(sink, topic, batchOf(cleanedSchema, [{ values: { k: 2 } }]), { offset: 2 })
    await waitFor(
      'the round',
      async () => (await suite.server.query(`SELECT k FROM ${table}`)).length === 1,
    )
    assert.deepEqual(await suite.server.query(`SELECT k FROM ${table}_live`), [{ k: 2 }])
  })
}

test('without cleanup nothing is removed', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 's.kept', batchOf(schema, [gone(1, oldUs)]))
  assert.equal((await rowsOf('kept')).length, 1)
})

for (const step of ['OPTIMIZE', 'DELETE WHERE']) {
  test(`a table that takes the name during ${step}: none of its tombstones go, nothing lives again`, async () => {
    const ctx = context()
    const table = `swapped_${step.slice(0, 6).toLowerCase()}`
    const topic = `s.${table}`
    const rows = batchOf(schema, [set(1, 'a', oldUs)])
    const deletion = batchOf(schema, [gone(1, oldUs)])
    await using other = await openSink({ url: suite.server.url }, ctx)
    await send(other, topic, rows)
    await send(other, topic, deletion, { offset: 1 })
    await using sink = await open(ctx)
    // Evolved before anything is due, so that the resync does not wait for it.
    await sink.evolve(topic, { from: null, to: schema, agreed: [] }, never)
    const resync = sink.resync!
    const point = { id: 'r', schema }
    await resync.begin(topic, point, never)
    // Its parts stay apart: only OPTIMIZE merges them.
    await suite.server.command(
      `ALTER TABLE ${table}__resync MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1`,
    )
    const again = { topic, attempt: 1, origin: 'resync' } as const
    await sink.write({ ...again, id: 'x', batch: rows, offset: 0 }, never)
    await sink.write({ ...again, id: 'y', batch: deletion, offset: 1 }, never)
    await suite.server.inject([{ kind: 'delay', match: step, ms: 2000 }])
    await suite.server.statements()
    await send(sink, topic, batchOf(schema, [set(2, 'b', nowUs)]), { offset: 2 })
    if (step !== 'OPTIMIZE') {
      await waitFor('the merge', async () =>
        (await suite.server.statements()).some((text) => text.startsWith('OPTIMIZE')),
      )
      await setTimeout(500)
    }
    await sink.write(
      { ...again, id: 'z', batch: batchOf(schema, [set(2, 'b', nowUs)]), offset: 2 },
      never,
    )
    await resync.finish(topic, point, never)
    await setTimeout(2500)
    assert.deepEqual(await suite.server.query(`SELECT k, v FROM ${table}_live`), [{ k: 2, v: 'b' }])
  })
}

test('a table of another topic is not taken for what a resync left', async () => {
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 's.pair', batchOf(schema, [set(1, 'a', nowUs)]))
  await send(sink, 's.pair__resync', batchOf(schema, [set(1, 'other', nowUs)]))
  await assert.rejects(
    sink.resync!.begin('s.pair', { id: 'r', schema }, never),
    failsWith('sink.clickhouse.table_name'),
  )
  assert.deepEqual(await suite.server.query('SELECT v FROM pair__resync_live'), [{ v: 'other' }])
})
