/** Tables and views that follow a topic's schema, on the real engine; what they cannot follow is refused. */
import assert from 'node:assert/strict'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { batchOf } from '../../conformance/rows.ts'
import { clickhouseSuite, never, openSink, send } from './harness.ts'
import { keptContext } from '../../support/context.ts'
import { step } from '../../support/schema-step.ts'
import { failsWith } from '../../support/fails-with.ts'

const suite = clickhouseSuite()
const { test } = suite

const id: Field = { name: 'id', type: { kind: 'int64' }, nullable: false }
function field(name: string, type: LogicalType, nullable = false): Field {
  return { name, type, nullable }
}
const text: LogicalType = { kind: 'text' }

async function columnsOf(table: string): Promise<Record<string, unknown>> {
  const rows = await suite.server.query(
    `SELECT name, type FROM system.columns WHERE table = '${table}' AND name NOT LIKE '\\_sluice%' ORDER BY position`,
  )
  return Object.fromEntries(rows.map((row) => [String(row['name']), row['type']])) as Record<
    string,
    unknown
  >
}

test('columns are added and widened, rows before and after read right, the view shows both', async () => {
  await using sink = await openSink({ url: suite.server.url })
  const narrow = makeSchema(
    [id, field('a', { kind: 'int16' }), field('d', { kind: 'decimal', precision: 5, scale: 1 })],
    [0],
    'upsert',
  )
  const wide = makeSchema(
    [
      id,
      field('a', { kind: 'int64' }, true),
      field('d', { kind: 'decimal', precision: 12, scale: 3 }),
      field('b', text),
      field('c', text, true),
    ],
    [0],
    'upsert',
  )
  await send(sink, 's.public.w', batchOf(narrow, [{ values: { id: 1, a: -5, d: '1.5' } }]))
  await sink.evolve('s.public.w', step(narrow, wide), never)
  const row = { id: 2, a: null, d: '123456789.125', b: 'x', c: null }
  await send(sink, 's.public.w', batchOf(wide, [{ values: row }]), { offset: 1 })
  assert.deepEqual(await columnsOf('w'), {
    id: 'Int64',
    a: 'Nullable(Int64)',
    d: 'Decimal(12, 3)',
    b: 'String',
    c: 'Nullable(String)',
  })
  assert.deepEqual(await suite.server.query('SELECT * FROM w_live ORDER BY id'), [
    { id: '1', a: '-5', d: '1.5', b: '', c: null },
    { id: '2', a: null, d: '123456789.125', b: 'x', c: null },
  ])
})

test('a batch of an older schema still goes into the wider table', async () => {
  const narrow = makeSchema([id, field('a', { kind: 'int16' })], [0], 'upsert')
  const wide = makeSchema([id, field('a', { kind: 'int64' }, true)], [0], 'upsert')
  await using sink = await openSink({ url: suite.server.url })
  await sink.evolve('s.old', step(null, wide), never)
  await send(sink, 's.old', batchOf(narrow, [{ values: { id: 1, a: -32768 } }]))
  assert.deepEqual(await suite.server.query('SELECT * FROM old_live'), [{ id: '1', a: '-32768' }])
  assert.equal((await columnsOf('old'))['a'], 'Nullable(Int64)')
})

test('a dropped column stays and is filled with NULL or its default, and is logged', async () => {
  const context = keptContext()
  await using sink = await openSink({ url: suite.server.url }, context)
  const both = makeSchema([id, field('gone', text), field('gone2', text, true)], [0], 'upsert')
  const one = makeSchema([id], [0], 'upsert')
  await send(sink, 's.drop', batchOf(both, [{ values: { id: 1, gone: 'g', gone2: 'h' } }]))
  await sink.evolve('s.drop', step(both, one), never)
  await sink.write(
    {
      id: 'd',
      topic: 's.drop',
      batch: batchOf(one, [{ values: { id: 2 } }]),
      offset: 1,
      attempt: 1,
    },
    never,
  )
  assert.deepEqual(await suite.server.query('SELECT * FROM drop_live ORDER BY id'), [
    { id: '1', gone: 'g', gone2: 'h' },
    { id: '2', gone: '', gone2: null },
  ])
  assert.ok(context.hasLogged('"gone"'))
})

test('what no ALTER can do is refused with the statements that cure it', async () => {
  await using sink = await openSink({ url: suite.server.url })
  const a = makeSchema([id, field('v', text)], [0], 'upsert')
  const b = makeSchema([id, field('v', { kind: 'bool' })], [0], 'upsert')
  await sink.evolve('s.typed', step(null, a), never)
  await assert.rejects(
    sink.evolve('s.typed', step(a, b), never),
    failsWith(
      'sink.clickhouse.table_shape',
      'config',
      /String, and Bool.*RENAME TABLE .*CREATE TABLE/,
    ),
  )
  const small = makeSchema([field('id', { kind: 'int32' })], [0], 'upsert')
  await sink.evolve('s.keyed', step(null, small), never)
  await assert.rejects(
    sink.evolve('s.keyed', step(small, makeSchema([id], [0], 'upsert')), never),
    failsWith('sink.clickhouse.table_shape', 'config', /Int32, and Int64/),
  )
})

test('tables in which rows would be lost in silence are refused', async () => {
  await using sink = await openSink({ url: suite.server.url })
  const schema = makeSchema([id, field('v', text)], [0], 'upsert')
  const service = "_sluice_version UInt64, _sluice_deleted UInt8, _sluice_ts DateTime64(6, 'UTC')"
  const engine = 'ENGINE = ReplacingMergeTree(_sluice_version, _sluice_deleted)'
  const tables = {
    bad_engine: `(id Int64, v String, ${service}) ENGINE = MergeTree ORDER BY id`,
    bad_version: `(id Int64, v String, ${service}) ENGINE = ReplacingMergeTree(_sluice_version) ORDER BY id`,
    bad_sort: `(id Int64, v String, ${service}) ${engine} ORDER BY (id, v)`,
    bad_sort2: `(id Int64, v String, ${service}) ${engine} ORDER BY v`,
    bad_sort3: `(id Int64, v String, ${service}) ${engine} ORDER BY intDiv(id, 10)`,
    bad_part: `(id Int64, v String, ${service}) ${engine} PARTITION BY v ORDER BY id`,
    bad_type: `(id Int32, v String, ${service}) ${engine} ORDER BY id`,
  }
  for (const [table, definition] of Object.entries(tables)) {
    await suite.server.command(`CREATE TABLE ${table} ${definition}`)
    const topic = `s.${table}`
    await assert.rejects(
      sink.evolve(topic, step(null, schema), never),
      failsWith('sink.clickhouse.table_shape', 'config', new RegExp(table)),
      table,
    )
  }
})

test("a user's own table is taken when it fits", async () => {
  const schema = makeSchema(
    [id, field('v', text), field('at', { kind: 'timestamptz' })],
    [0],
    'upsert',
  )
  await suite.server.command(
    `CREATE TABLE own (v LowCardinality(String), id Int64, note String DEFAULT 'mine', at DateTime64(6, 'Europe/Paris'),
      _sluice_version UInt64, _sluice_deleted UInt8, _sluice_ts DateTime64(6, 'UTC'))
     ENGINE = ReplacingMergeTree(_sluice_version, _sluice_deleted) PARTITION BY intDiv(id, 1000) ORDER BY (intDiv(id, 10), id)`,
  )
  await using sink = await openSink({ url: suite.server.url, create_tables: false })
  await send(sink, 's.own', batchOf(schema, [{ values: { id: 3, v: 'w', at: 0 } }]))
  assert.deepEqual(
    await suite.server.query('SELECT id, v, note, toUnixTimestamp64Micro(at) AS at FROM own FINAL'),
    [{ id: '3', v: 'w', note: 'mine', at: '0' }],
  )
})

test('create_tables: false says which statement is missing', async () => {
  await using sink = await openSink({ url: suite.server.url, create_tables: false })
  const schema = makeSchema([id], [0], 'upsert')
  await assert.rejects(
    sink.evolve('s.none', step(null, schema), never),
    failsWith(
      'sink.clickhouse.ddl_needed',
      'config',
      /Run: CREATE TABLE IF NOT EXISTS `default`.`none`/,
    ),
  )
})

test('two topics never share a table, nor a table a view', async () => {
  await using sink = await openSink({ url: suite.server.url })
  const schema = makeSchema([id], [0], 'upsert')
  await sink.evolve('a.public.same', step(null, schema), never)
  const collision = (name: string) =>
    failsWith('sink.clickhouse.table_name', 'config', new RegExp(`a.public.same and .*${name}`))
  await assert.rejects(sink.evolve('b.public.same', step(null, schema), never), collision('same'))
  await assert.rejects(
    sink.evolve('a.same_live', step(null, schema), never),
    collision('same_live'),
  )
  await using other = await openSink({
    url: suite.server.url,
    tables: { 'b.public.same': 'other' },
  })
  await other.evolve('a.public.same', step(null, schema), never)
  await other.evolve('b.public.same', step(null, schema), never)
})

test('order_by may reorder the key, and neither lack nor add a column', async () => {
  const key = [id, field('tenant', text), field('v', text)]
  const schema = makeSchema(key, [0, 1], 'upsert')
  const topic = 's.sorted'
  await using sink = await openSink({
    url: suite.server.url,
    order_by: { [topic]: ['tenant', 'id'] },
  })
  await sink.evolve(topic, step(null, schema), never)
  const [table] = await suite.server.query(
    `SELECT sorting_key AS k FROM system.tables WHERE name = 'sorted'`,
  )
  assert.equal(table?.['k'], 'tenant, id')
  for (const columns of [['tenant'], ['tenant', 'id', 'v'], ['tenant', 'tenant']]) {
    await using wrong = await openSink({ url: suite.server.url, order_by: { [topic]: columns } })
    await assert.rejects(
      wrong.evolve(topic, step(null, schema), never),
      failsWith('sink.clickhouse.order_by', 'config', /tenant/),
    )
  }
})

test('no key under mode: upsert, and columns of our own names, are refused', async () => {
  await using sink = await openSink({ url: suite.server.url, mode: 'upsert' })
  await assert.rejects(
    sink.evolve('s.keyless', step(null, makeSchema([id], [], 'retract')), never),
    failsWith('sink.clickhouse.no_key', 'config', /REPLICA IDENTITY/),
  )
  const taken = makeSchema([id, field('_sluice_version', { kind: 'int64' })], [0], 'upsert')
  await assert.rejects(
    sink.evolve('s.taken', step(null, taken), never),
    failsWith('sink.clickhouse.column_name', 'config', /_sluice_version/),
  )
})

test('a keyless retract topic is appended as a changelog with the old images', async () => {
  const schema = makeSchema([field('v', text)], [], 'retract')
  await using sink = await openSink({ url: suite.server.url })
  const rows = [
    { values: { v: 'a' } },
    { weight: -1, op: 'update', values: { v: 'a' } },
    { op: 'update', values: { v: 'b' } },
  ] as const
  await send(sink, 's.log', batchOf(schema, rows))
  assert.deepEqual(
    await suite.server.query(
      'SELECT v, _sluice_offset AS o, _sluice_op AS op, _sluice_weight AS w FROM log ORDER BY o',
    ),
    [
      { v: 'a', o: '0', op: 'insert', w: 1 },
      { v: 'a', o: '1', op: 'update', w: -1 },
      { v: 'b', o: '2', op: 'update', w: 1 },
    ],
  )
  assert.deepEqual(
    await suite.server.query('SELECT v FROM log GROUP BY v HAVING sum(_sluice_weight) > 0'),
    [{ v: 'b' }],
  )
})

test('append: a truncate is one marker row, however often it is sent', async () => {
  const schema = makeSchema([field('v', text, true)], [], 'append')
  await using sink = await openSink({ url: suite.server.url })
  await sink.truncate('s.never', { id: 't', offset: 0 }, never)
  await send(sink, 's.marked', batchOf(schema, [{ values: { v: 'a' } }]))
  for (let i = 0; i < 2; i++) await sink.truncate('s.marked', { id: 't', offset: 1 }, never)
  await send(sink, 's.marked', batchOf(schema, [{ values: { v: 'b' } }]), { offset: 2 })
  await sink.truncate('s.marked', { id: 't', offset: 1 }, never)
  assert.deepEqual(
    await suite.server.query(
      'SELECT v, _sluice_op AS op, _sluice_weight AS w FROM marked ORDER BY _sluice_offset',
    ),
    [
      { v: 'a', op: 'insert', w: 1 },
      { v: null, op: 'truncate', w: 0 },
      { v: 'b', op: 'insert', w: 1 },
    ],
  )
})

test('nullable: default stores the default of the type', async () => {
  const schema = makeSchema(
    [id, field('v', text, true), field('n', { kind: 'int64' }, true)],
    [0],
    'upsert',
  )
  await using sink = await openSink({ url: suite.server.url, nullable: 'default' })
  const { rejected } = await send(sink, 's.plain', batchOf(schema, [{ values: { id: 1 } }]))
  assert.deepEqual(rejected, [])
  assert.deepEqual(await suite.server.query('SELECT * FROM plain_live'), [
    { id: '1', v: '', n: '0' },
  ])
})

test('NULL in a column that is declared without is refused, not stored as 0 (invariant 9)', async () => {
  const schema = makeSchema([id, field('n', { kind: 'int64' })], [0], 'upsert')
  await using sink = await openSink({ url: suite.server.url })
  const rows = [{ values: { id: 1, n: null } }, { values: { id: 2, n: 5 } }]
  const { rejected } = await send(sink, 's.strict', batchOf(schema, rows))
  assert.deepEqual(
    rejected.map(({ row }) => row),
    [0],
  )
  assert.deepEqual(await suite.server.query('SELECT * FROM strict_live'), [{ id: '2', n: '5' }])
})
