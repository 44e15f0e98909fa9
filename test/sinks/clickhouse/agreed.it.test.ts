/**
 * What was agreed to (`SchemaStep.agreed`) on a real engine: done once however often it is told, and
 * never at the price of a value. Attacks invariants 5, 6 and 9.
 */
import assert from 'node:assert/strict'
import type { Sink } from '../../../core/connector/sink.ts'
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import { schemaChanges } from '../../../core/record/schema-change.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { clickhouseSuite, never, openSink } from './harness.ts'
import { failsWith } from '../../support/fails-with.ts'

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
  const lost = (column: string) =>
    failsWith('sink.clickhouse.values_lost', new RegExp(`"${column}"`), /1 value /)
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
    failsWith('sink.clickhouse.table_shape', /RENAME TABLE/),
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
    failsWith('sink.clickhouse.ddl_needed', /DROP COLUMN IF EXISTS `n`/),
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

test('a column that a materialized view reads is not renamed under it', async () => {
  const [before, after] = [schema({ id: int64, note: text }), schema({ id: int64, remark: text })]
  const topic = 's.read'
  await using sink = await openSink({ url: suite.server.url })
  await sink.evolve(topic, { from: null, to: before, agreed: [] }, never)
  await suite.server.command(
    'CREATE TABLE read_out (n Nullable(String)) ENGINE = MergeTree ORDER BY tuple()',
  )
  await suite.server.command(
    'CREATE MATERIALIZED VIEW read_mv TO read_out AS SELECT upper(note) AS n FROM read',
  )
  await assert.rejects(
    tell(sink, { topic, from: before, to: after }),
    failsWith('sink.clickhouse.column_read', /"note".*read_mv/),
  )
  await suite.server.command('DROP VIEW read_mv')
  await tell(sink, { topic, from: before, to: after })
  assert.deepEqual(await columnsOf('read'), ['id Int64', 'remark Nullable(String)'])
})

test('every widening of a column but a sorting one, with its values as they were', async () => {
  const decimal = (precision: number | null, scale: number | null): LogicalType => ({
    kind: 'decimal',
    precision,
    scale,
  })
  const list = (element: LogicalType): LogicalType => ({ kind: 'list', element })
  const cases: readonly (readonly [LogicalType, LogicalType, Value, unknown])[] = [
    [{ kind: 'int16' }, int64, -5, '-5'],
    [{ kind: 'int16' }, { kind: 'float32' }, -32768, -32768],
    [int32, { kind: 'float64' }, 2 ** 31 - 1, 2 ** 31 - 1],
    [int64, text, -9007199254740991, '-9007199254740991'],
    [int64, decimal(20, 1), 9007199254740991, '9007199254740991'],
    [{ kind: 'uint64' }, decimal(20, 0), 18446744073709551615n, '18446744073709551615'],
    [int32, decimal(null, null), 7, '7'],
    [decimal(10, 2), decimal(30, 5), '12345678.25', '12345678.25'],
    [decimal(10, 2), decimal(null, null), '1.25', '1.25'],
    [{ kind: 'float32' }, { kind: 'float64' }, 0.5, 0.5],
    [
      { kind: 'uuid' },
      text,
      '00112233-4455-6677-8899-aabbccddeeff',
      '00112233-4455-6677-8899-aabbccddeeff',
    ],
    [list(int32), list(decimal(12, 0)), [1, null], ['1', null]],
  ]
  for (const [index, [from, to, value, shown]] of cases.entries()) {
    const topic = `s.wide${index}`
    await using sink = await openSink({ url: suite.server.url, arrays: 'array_or_empty' })
    const [before, after] = [schema({ id: int64, v: from }), schema({ id: int64, v: to })]
    await sink.evolve(topic, { from: null, to: before, agreed: [] }, never)
    await write(sink, topic, { schema: before, offset: 0 }, { id: 1, v: value })
    for (let told = 0; told < 2; told++) await tell(sink, { topic, from: before, to: after })
    assert.deepEqual(
      await suite.server.query(`SELECT v FROM wide${index}_live`),
      [{ v: shown }],
      `${from.kind} → ${to.kind}`,
    )
  }
})

test('rows that are sorted by more than their key: whole old rows find them', async () => {
  const fields = [
    { name: 'k', type: int32, nullable: false },
    { name: 'region', type: text, nullable: false },
  ]
  const whole = makeSchema(fields, [0], 'retract')
  const topic = 's.regional'
  await using sink = await openSink({
    url: suite.server.url,
    order_by: { [topic]: ['region', 'k'] },
  })
  await sink.evolve(topic, { from: null, to: whole, agreed: [] }, never)
  const batch = batchOf(whole, [
    { values: { k: 1, region: 'eu' } },
    { values: { k: 2, region: 'eu' } },
    { weight: -1, op: 'update', values: { k: 1, region: 'eu' } },
    { op: 'update', values: { k: 1, region: 'us' } },
    { weight: -1, values: { k: 2, region: 'eu' } },
  ])
  await sink.write({ id: 'a', topic, batch, offset: 0, attempt: 1 }, never)
  assert.deepEqual(await suite.server.query('SELECT * FROM regional_live'), [
    { k: 1, region: 'us' },
  ])
  await sink.truncate(topic, { id: 't', offset: 5 }, never)
  assert.deepEqual(await suite.server.query('SELECT * FROM regional_live'), [])
})
