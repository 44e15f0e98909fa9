/**
 * What was agreed to (`SchemaStep.agreed`) on a real engine: done once however often it is told, and
 * never at the price of a value. Attacks invariants 5, 6 and 9.
 */
import assert from 'node:assert/strict'
import type { Sink } from '../../../core/connector/sink.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import { schemaChanges } from '../../../core/record/schema-change.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { clickhouseSuite, never, openSink } from './harness.ts'

const suite = clickhouseSuite()
const { test } = suite

const int32: LogicalType = { kind: 'int32' }
const int64: LogicalType = { kind: 'int64' }
const text: LogicalType = { kind: 'text' }
const schema = (
  fields: Readonly<Record<string, LogicalType>>,
  key: readonly number[] = [0],
): Schema =>
  makeSchema(
    Object.entries(fields).map(([name, type], i): Field => ({ name, type, nullable: i > 0 })),
    key,
    key.length === 0 ? 'append' : 'upsert',
  )

interface Change {
  readonly topic: string
  readonly from: Schema
  readonly to: Schema
}

/** Tells a step as a new process is told it: all of what leads from the one to the other. */
async function tell(sink: Sink, { topic, from, to }: Change): Promise<void> {
  await sink.evolve(topic, { from: null, to, agreed: schemaChanges(from, to) }, never)
}

async function write(
  sink: Sink,
  topic: string,
  { schema, offset }: { readonly schema: Schema; readonly offset: number },
  ...rows: readonly Readonly<Record<string, Value>>[]
): Promise<void> {
  const batch = batchOf(
    schema,
    rows.map((values) => ({ values })),
  )
  await sink.write({ id: `${topic}-${offset}`, topic, batch, offset, attempt: 1 }, never)
}

async function columnsOf(table: string): Promise<readonly string[]> {
  const found = await suite.server.query(
    `SELECT name, type FROM system.columns WHERE database = 'default' AND table = '${table}'
     AND NOT startsWith(name, '_sluice_') ORDER BY position`,
  )
  return found.map(({ name, type }) => `${String(name)} ${String(type)}`)
}

test('a rename and a drop, told three times, keep the values and the view', async () => {
  const topic = 's.told'
  const before = schema({ id: int32, old: text, gone: text })
  const after = schema({ id: int32, fresh: text })
  const agreed = [
    { kind: 'rename', from: before.fields[1]!, to: after.fields[1]! },
    { kind: 'drop', from: before.fields[2]! },
  ] as const
  await using first = await openSink({ url: suite.server.url })
  await first.evolve(topic, { from: null, to: before, agreed: [] }, never)
  await write(first, topic, { schema: before, offset: 0 }, { id: 1, old: 'a', gone: 'g' })
  for (let start = 0; start < 3; start++) {
    await using sink = await openSink({ url: suite.server.url })
    await sink.evolve(topic, { from: null, to: after, agreed }, never)
    if (start === 2) await write(sink, topic, { schema: after, offset: 1 }, { id: 2, fresh: 'b' })
  }
  assert.deepEqual(await columnsOf('told'), ['id Int32', 'fresh Nullable(String)'])
  assert.deepEqual(await suite.server.query('SELECT * FROM told_live ORDER BY id'), [
    { id: 1, fresh: 'a' },
    { id: 2, fresh: 'b' },
  ])
})

test('a step that a crash cut short is finished: the column is renamed, the view is not', async () => {
  const topic = 's.cut'
  const from = schema({ id: int32, old: text })
  const to = schema({ id: int32, fresh: text })
  await using sink = await openSink({ url: suite.server.url })
  await sink.evolve(topic, { from: null, to: from, agreed: [] }, never)
  await write(sink, topic, { schema: from, offset: 0 }, { id: 1, old: 'a' })
  await suite.server.command('ALTER TABLE cut RENAME COLUMN old TO fresh')
  await tell(sink, { topic, from, to })
  assert.deepEqual(await suite.server.query('SELECT * FROM cut_live'), [{ id: 1, fresh: 'a' }])
})

test('a narrower type waits until every value fits it, and says how many do not', async () => {
  const topic = 's.slim'
  const from = schema({ id: int32, n: int64, f: { kind: 'float64' } })
  const to = schema({ id: int32, n: int32, f: int64 })
  await using sink = await openSink({ url: suite.server.url })
  await sink.evolve(topic, { from: null, to: from, agreed: [] }, never)
  const rows = [
    { id: 1, n: 2 ** 40, f: 2 },
    { id: 2, n: 7, f: 0.5 },
    { id: 3, n: null, f: null },
  ]
  await write(sink, topic, { schema: from, offset: 0 }, ...rows)
  const lost = (column: string) => (error: unknown) =>
    error instanceof SluiceError &&
    error.code === 'sink.clickhouse.values_lost' &&
    error.message.includes(`"${column}"`) &&
    error.message.includes('1 value ')
  await assert.rejects(tell(sink, { topic, from, to }), lost('n'))
  assert.equal((await columnsOf('slim'))[1], 'n Nullable(Int64)')
  // A newer row takes the value's place; the old one beneath it does not matter any more.
  await sink.evolve(topic, { from: null, to: from, agreed: [] }, never)
  await write(sink, topic, { schema: from, offset: 3 }, { id: 1, n: 1, f: 2 })
  await assert.rejects(tell(sink, { topic, from, to }), lost('f'))
  await sink.evolve(
    topic,
    { from: null, to: schema({ id: int32, n: int32, f: { kind: 'float64' } }), agreed: [] },
    never,
  )
  await suite.server.command(
    'ALTER TABLE slim UPDATE f = 1 WHERE f = 0.5 SETTINGS mutations_sync = 1',
  )
  await tell(sink, { topic, from, to })
  await tell(sink, { topic, from, to })
  assert.deepEqual(await columnsOf('slim'), ['id Int32', 'n Nullable(Int32)', 'f Nullable(Int64)'])
  assert.deepEqual(await suite.server.query('SELECT * FROM slim_live ORDER BY id'), [
    { id: 1, n: 1, f: '2' },
    { id: 2, n: 7, f: '1' },
    { id: 3, n: null, f: null },
  ])
})

test('a column of the sorting key is not renamed: the cure is a new table', async () => {
  const from = schema({ id: int32, n: int32 })
  const to = schema({ uid: int32, n: int32 })
  await using sink = await openSink({ url: suite.server.url })
  await sink.evolve('s.sorted', { from: null, to: from, agreed: [] }, never)
  await assert.rejects(
    tell(sink, { topic: 's.sorted', from, to }),
    (error) =>
      error instanceof SluiceError &&
      error.code === 'sink.clickhouse.table_shape' &&
      error.remedy.includes('RENAME TABLE'),
  )
})

test('where Sluice may run no DDL, the statement is given', async () => {
  const from = schema({ id: int32, n: int32 })
  {
    await using owner = await openSink({ url: suite.server.url })
    await owner.evolve('s.guest', { from: null, to: from, agreed: [] }, never)
  }
  await using sink = await openSink({ url: suite.server.url, create_tables: false })
  await assert.rejects(
    tell(sink, { topic: 's.guest', from, to: schema({ id: int32 }) }),
    (error) =>
      error instanceof SluiceError &&
      error.code === 'sink.clickhouse.ddl_needed' &&
      error.remedy.includes('DROP COLUMN IF EXISTS `n`'),
  )
})

test('parts of one delivery, sent again after a crash, are there once (invariant 6)', async () => {
  const topic = 's.parts'
  const one = schema({ n: int32 }, [])
  const part = (offset: number, values: readonly number[], upTo: number) => ({
    id: `parts/${offset}`,
    topic,
    batch: batchOf(
      one,
      values.map((n) => ({ values: { n } })),
    ),
    offset,
    upTo,
    attempt: 1,
  })
  for (let start = 0; start < 3; start++) {
    await using sink = await openSink({ url: suite.server.url })
    await sink.evolve(topic, { from: null, to: one, agreed: [] }, never)
    // Row 2 was set aside; the second process finds what comes after it there already.
    await sink.write(part(0, [0, 1], 5), never)
    if (start > 0) await sink.write(part(3, [3, 4], 5), never)
  }
  assert.deepEqual(await suite.server.query('SELECT n FROM parts ORDER BY n'), [
    { n: 0 },
    { n: 1 },
    { n: 3 },
    { n: 4 },
  ])
})
