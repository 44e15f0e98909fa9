/**
 * A table built anew beside the one in use, with kill −9 at each of its steps: at the end the table is
 * what the log says, in the new shape, live rows that came meanwhile are in it once, and a materialized
 * view on it has seen each of them once and none of the old rows. Attacks invariants 2, 5, 6 and 9.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LogEntry } from '../../../core/log/types.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { sluice } from '../../bin/support.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { runChild } from '../../support/child.ts'
import { tempDir } from '../../support/env.ts'
import { notesOf } from '../../support/letters.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { failsWith } from '../../support/fails-with.ts'
import { clickhouseSuite, never, openSink, send } from './harness.ts'
import type { ResyncChild } from './resync-child.ts'

const suite = clickhouseSuite()
const { test } = suite

const schema = makeSchema(
  [
    { name: 'k', type: { kind: 'int32' }, nullable: false },
    { name: 'v', type: { kind: 'text' }, nullable: true },
    { name: 'tags', type: { kind: 'list', element: { kind: 'int32' } }, nullable: false },
  ],
  [0],
  'upsert',
)
type Entry = Row | 'truncate'
const set = (k: number, v: string): Row => ({ values: { k, v, tags: [k, k + 1] } })
const gone = (k: number): Row => ({ weight: -1, values: { k } })

/** A truncate, updates and deletions before; as many live rows after that they have turns of their own. */
const before: readonly Entry[] = [
  ...[1, 2, 3, 4, 5].map((k) => set(k, 'lost')),
  'truncate',
  ...[1, 2, 3, 6, 7, 8, 9].map((k) => set(k, 'old')),
  gone(2),
  set(2, 'again'),
  gone(7),
]
const after: readonly Entry[] = [
  ...[10, 11, 12, 13, 14, 15, 16, 17].map((k) => set(k, 'live')),
  gone(3),
  set(1, 'live'),
]
const all = [...before, ...after]

function entriesOf(topic: string, entries: readonly Entry[]): LogEntry[] {
  return entries.map((entry) =>
    entry === 'truncate'
      ? { kind: 'truncate', topic }
      : { kind: 'rows', topic, batch: batchOf(schema, [entry]) },
  )
}

function child(options: Omit<ResyncChild, 'url'>, failpoints = '') {
  const program = join(import.meta.dirname, 'resync-child.ts')
  const told: ResyncChild = { ...options, url: suite.server.url }
  return runChild([program, JSON.stringify(told)], { failpoints })
}

/** By the command, beside whatever is running. */
async function askResync(folder: string, topic: string): Promise<void> {
  const file = join(folder, 'p.yaml')
  writeFileSync(
    file,
    [
      'version: 1',
      'name: p',
      `log: { url: "file://${folder}/log" }`,
      'sources: { s: { type: postgres, url: "postgres://127.0.0.1/x" } }',
      `sinks: { k: { type: clickhouse, url: "${suite.server.url}", from: ["s.*"] } }`,
    ].join('\n'),
  )
  const { code, stderr } = await sluice(['resync', file, '--sink', 'k', '--topic', topic])
  assert.equal(code, 0, stderr)
}

async function check(table: string, mode: 'upsert' | 'append'): Promise<void> {
  const live = new Map<number, string>()
  for (const entry of all) {
    if (entry === 'truncate') live.clear()
    else if ((entry.weight ?? 1) < 0) live.delete(Number(entry.values['k']))
    else live.set(Number(entry.values['k']), String(entry.values['v']))
  }
  if (mode === 'upsert') {
    const wanted = [...live].map(([k, v]) => ({ k, v, tags: `{${k},${k + 1}}` }))
    assert.deepEqual(
      await suite.server.query(`SELECT * FROM ${table}_live ORDER BY k`),
      wanted.sort((a, b) => a.k - b.k),
    )
  } else {
    const found = await suite.server.query(
      `SELECT toInt32(_sluice_offset) AS o, v FROM ${table} ORDER BY o`,
    )
    const wanted = all.map((entry, o) => ({
      o,
      v: entry === 'truncate' ? null : (entry.values['v'] ?? null),
    }))
    assert.deepEqual(found, wanted)
  }
  const seen = await suite.server.query(
    `SELECT k, toInt32(count()) AS c FROM ${table}_seen GROUP BY k ORDER BY k`,
  )
  const keys = after
    .filter((entry) => entry !== 'truncate')
    .map(({ values }) => Number(values['k']))
  assert.deepEqual(
    seen,
    keys.sort((a, b) => a - b).map((k) => ({ k, c: 1 })),
    'the materialized view goes on, and sees no row of the log again',
  )
  const tables = await suite.server.query(
    `SELECT name FROM system.tables WHERE name LIKE '${table}%' ORDER BY name`,
  )
  const names = [
    table,
    ...(mode === 'upsert' ? [`${table}_live`] : []),
    `${table}_mv`,
    `${table}_seen`,
  ]
  assert.deepEqual(
    tables.map(({ name }) => name),
    names,
  )
}

/** The pass of a failpoint that kills, and how often it is passed until it does not any more. */
const steps = [
  ['sink.clickhouse.resync_created', 1],
  ['sink.clickhouse.after_insert', 2],
  ['resync.after_send', 2],
  ['resync.after_step', 2],
  ['sink.clickhouse.resync_exchanged', 1],
  ['sink.clickhouse.resync_viewed', 1],
  ['sink.clickhouse.resync_dropped', 1],
  ['resync.after_finish', 1],
] as const

for (const mode of ['upsert', 'append'] as const) {
  test(`${mode}: kill -9 at each step of a resync`, async () => {
    using folder = tempDir('resync')
    const logUrl = `file://${folder.path}/log`
    const log = await testLog(logUrl)
    const table = `again_${mode}`
    const topic = `s.${table}`
    await writeTopics(log, ...entriesOf(topic, before))
    const options = { logUrl, topic, mode, requests: 0 } as const
    assert.equal(await child({ ...options, end: before.length }), 0)
    await suite.server.command(
      `CREATE TABLE ${table}_seen (k Int32) ENGINE = MergeTree ORDER BY k SETTINGS non_replicated_deduplication_window = 1000`,
    )
    await suite.server.command(
      `CREATE MATERIALIZED VIEW ${table}_mv TO ${table}_seen AS SELECT k FROM ${table}`,
    )
    // Rows that somebody deleted in the table alone come back with it.
    await suite.server.command(
      `ALTER TABLE ${table} DELETE WHERE k = 6 SETTINGS mutations_sync = 1`,
    )
    await writeTopics(log, ...entriesOf(topic, after))
    await askResync(folder.path, topic)
    const anew = { ...options, end: all.length, requests: 1 }
    let kills = 0
    for (const [failpoint, pass] of steps) {
      const how = await child(anew, `${failpoint}=${pass}`)
      assert.ok(how === 'SIGKILL' || how === 0, `${failpoint}: ${String(how)}`)
      if (how === 'SIGKILL') kills++
    }
    assert.ok(kills >= 6, `${kills} kills`)
    assert.equal(await child(anew), 0)
    await check(table, mode)
    const [over] = (await notesOf(log))!.requests!.over
    assert.equal(over!.how, 'done', over!.problem ?? '')
  })
}

test('a user’s own table keeps its partitions; what is in the way, or is taken away, is told', async () => {
  const plain = makeSchema([schema.fields[0]!, schema.fields[1]!], [0], 'upsert')
  const wider = makeSchema(
    [...plain.fields, { name: 'w', type: { kind: 'text' }, nullable: true }],
    [0],
    'upsert',
  )
  const service = "_sluice_version UInt64, _sluice_deleted UInt8, _sluice_ts DateTime64(6, 'UTC')"
  await suite.server.command(
    `CREATE TABLE mine (v Nullable(String), k Int32, ${service}) ENGINE = ReplacingMergeTree(_sluice_version, _sluice_deleted)
     PARTITION BY intDiv(k, 100) ORDER BY k COMMENT 'of the team'`,
  )
  const topic = 's.mine'
  await using sink = await openSink({ url: suite.server.url })
  const rows = batchOf(plain, [{ values: { k: 1, v: 'a' } }, { values: { k: 200, v: 'b' } }])
  await send(sink, topic, rows)
  const resync = sink.resync!
  const point = { id: 'r1', schema: plain }
  await suite.server.command('CREATE TABLE mine__resync (a Int8) ENGINE = MergeTree ORDER BY a')
  await assert.rejects(resync.begin(topic, point, never), failsWith('sink.clickhouse.table_name'))
  await suite.server.command('DROP TABLE mine__resync')
  assert.equal(await resync.begin(topic, point, never), 'fresh')
  const again = { id: 'x', topic, batch: rows, offset: 0, attempt: 1, origin: 'resync' } as const
  await sink.write(again, never)
  await sink.write(again, never)
  assert.equal(await resync.begin(topic, point, never), 'going')
  // Another schema: what is there does not hold it any more.
  await sink.evolve(topic, { from: plain, to: wider, agreed: [] }, never)
  assert.equal(await resync.begin(topic, { id: 'r1', schema: wider }, never), 'fresh')
  await resync.abandon(topic, never)
  await assert.rejects(
    resync.finish(topic, { id: 'r1', schema: wider }, never),
    failsWith('sink.clickhouse.table_missing'),
  )
  const last = { id: 'r2', schema: wider }
  assert.equal(await resync.begin(topic, last, never), 'fresh')
  const all = batchOf(wider, [{ values: { k: 1, v: 'c', w: 'w' } }])
  await sink.write({ ...again, id: 'y', batch: all }, never)
  await resync.truncate(topic, { id: 't', offset: 1 }, never)
  await sink.write({ ...again, id: 'z', batch: all, offset: 2 }, never)
  for (let told = 0; told < 2; told++) await resync.finish(topic, last, never)
  assert.equal(await resync.begin(topic, last, never), 'over')
  assert.deepEqual(await suite.server.query('SELECT k, v, w FROM mine_live'), [
    { k: 1, v: 'c', w: 'w' },
  ])
  const [table] = await suite.server.query(
    `SELECT partition_key AS p, startsWith(comment, 'of the team') AS c FROM system.tables WHERE name = 'mine'`,
  )
  assert.deepEqual(table, { p: 'intDiv(k, 100)', c: 1 })
})

test('a table that another topic was written to before is built anew, again and again', async () => {
  const plain = makeSchema([schema.fields[0]!, schema.fields[1]!], [0], 'upsert')
  const batch = batchOf(plain, [{ values: { k: 1, v: 'a' } }])
  {
    await using sink = await openSink({ url: suite.server.url })
    await send(sink, 'shop.moved', batch)
  }
  await suite.server.command('TRUNCATE TABLE moved')
  const topic = 'store.moved'
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, topic, batch)
  const resync = sink.resync!
  for (const id of ['r1', 'r2']) {
    const point = { id, schema: plain }
    assert.equal(await resync.begin(topic, point, never), 'fresh')
    await sink.write({ id, topic, batch, offset: 0, attempt: 1, origin: 'resync' }, never)
    await resync.finish(topic, point, never)
  }
  assert.equal(await resync.begin(topic, { id: 'r3', schema: plain }, never), 'fresh')
  await resync.abandon(topic, never)
  assert.deepEqual(
    await suite.server.query(`SELECT name FROM system.tables WHERE name = 'moved__resync'`),
    [],
  )
  assert.deepEqual(await suite.server.query('SELECT k, v FROM moved_live'), [{ k: 1, v: 'a' }])
})

test('without DDL nothing is begun, and what can be done is said', async () => {
  const plain = makeSchema([schema.fields[0]!, schema.fields[1]!], [0], 'upsert')
  const topic = 's.by_hand'
  {
    await using sink = await openSink({ url: suite.server.url })
    await send(sink, topic, batchOf(plain, [{ values: { k: 1, v: 'a' } }]))
  }
  await using sink = await openSink({ url: suite.server.url, create_tables: false })
  await sink.evolve(topic, { from: null, to: plain, agreed: [] }, never)
  await assert.rejects(
    sink.resync!.begin(topic, { id: 'r', schema: plain }, never),
    failsWith('sink.clickhouse.ddl_needed', 'config', /create_tables: true/),
  )
  await sink.resync!.abandon(topic, never)
})

test('a table that is altered while rows go in is mended; one that is renamed is gone on with once it is there', async () => {
  const plain = makeSchema([schema.fields[0]!, schema.fields[1]!], [0], 'upsert')
  const topic = 's.altered'
  await using sink = await openSink({ url: suite.server.url })
  const row = (k: number) => batchOf(plain, [{ values: { k, v: `v${k}` } }])
  await send(sink, topic, row(1))
  const at = (offset: number, attempt: number) => ({
    id: `b${offset}`,
    topic,
    batch: row(offset + 1),
    offset,
    attempt,
  })
  await suite.server.command('DROP VIEW altered_live')
  await suite.server.command('ALTER TABLE altered DROP COLUMN v')
  await sink.write(at(1, 1), never)
  await suite.server.command('RENAME TABLE altered TO elsewhere')
  await assert.rejects(
    sink.write(at(2, 1), never),
    failsWith('sink.clickhouse.table_missing', 'config'),
  )
  await suite.server.command('RENAME TABLE elsewhere TO altered')
  await sink.write(at(2, 2), never)
  assert.deepEqual(await suite.server.query('SELECT k, v FROM altered_live ORDER BY k'), [
    { k: 1, v: null },
    { k: 2, v: 'v2' },
    { k: 3, v: 'v3' },
  ])
})
