/** The pure rules of the ClickHouse sink: names, configuration, outcomes, types, which rows are sent. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClickHouseError } from '@clickhouse/client'
import { dayNumber } from '../../../core/record/calendar.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { addressOf } from '../../../sinks/clickhouse/address.ts'
import { batchingOf, clickhouseConfig } from '../../../sinks/clickhouse/config.ts'
import { marksOf, tableComment, withMark } from '../../../sinks/clickhouse/comment.ts'
import {
  alterTable,
  createLiveView,
  createTable,
  deleteTombstones,
  dropColumn,
  dropTable,
  exchangeTables,
  modifyColumn,
  modifyComment,
  optimizeTable,
  renameColumn,
} from '../../../sinks/clickhouse/ddl.ts'
import { quoteIdentifier, quoteLiteral } from '../../../sinks/clickhouse/identifiers.ts'
import { outcomeOf } from '../../../sinks/clickhouse/outcome.ts'
import { planTable } from '../../../sinks/clickhouse/plan.ts'
import { screen } from '../../../sinks/clickhouse/screen.ts'
import { defaultTable } from '../../../sinks/clickhouse/tables.ts'
import { widens } from '../../../sinks/clickhouse/widen.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'

const url = 'http://127.0.0.1:8123'

test('an address with a % that was not encoded is refused, and not repeated', () => {
  const of = (config: object) => addressOf(clickhouseConfig.parse(config))
  for (const [text, part] of [
    ['http://u:50%off@h:8123', 'password'],
    ['http://u%ser:hunter2@h:8123', 'user'],
    ['http://u:hunter2@h:8123/d%b', 'database'],
    ['http://u:%E0%A4%A@h:8123', 'password'],
  ] as const) {
    for (const given of [text, [text, 'http://b:8123']]) {
      assert.throws(
        () => of({ url: given }),
        (error: unknown) => {
          assert.ok(error instanceof SluiceError, String(error))
          assert.deepEqual([error.code, error.fault], ['sink.clickhouse.url', 'config'])
          assert.match(error.message, new RegExp(`^url has a % in its ${part} `))
          assert.match(error.remedy, /%25/)
          assert.doesNotMatch(
            `${error.message}${error.remedy}${String(error.cause)}`,
            /hunter2|off|%E0|%ser|d%b/,
          )
          return true
        },
        text,
      )
    }
  }
  assert.equal(of({ url: 'http://u:50%25off@h:8123' }).password, '50%off')
  // What stands in its own field is text as it is.
  assert.equal(of({ url: 'http://u@h:8123', password: '50%off' }).password, '50%off')
})

test('a topic names its table without looking at the others', () => {
  const names: Readonly<Record<string, string>> = {
    'shop.public.orders': 'orders',
    'shop.sales.orders': 'sales_orders',
    'shop.orders': 'orders',
    revenue_per_minute: 'revenue_per_minute',
    'kafka.a.b.c': 'a_b_c',
    'shop.public.public.x': 'public_x',
  }
  for (const [topic, table] of Object.entries(names)) assert.equal(defaultTable(topic), table)
})

test('quoted names and texts end where they should', () => {
  assert.equal(quoteIdentifier('a`b\\'), '`a\\`b\\\\`')
  assert.equal(quoteIdentifier('\\`; DROP'), '`\\\\\\`; DROP`')
  assert.equal(quoteLiteral("it's\\"), "'it\\'s\\\\'")
  assert.equal(quoteIdentifier('a\0b'), '`a\\0b`')
})

test('flush fixes the batching, whole or in part', () => {
  const of = (flush?: unknown) => batchingOf(clickhouseConfig.parse({ url, flush }))
  const defaults = { rowsMax: 50_000, bytesMax: 16 * 2 ** 20, pauseMsMin: 50, pauseMsMax: 1000 }
  assert.deepEqual(of(), defaults)
  assert.deepEqual(of('5s'), { ...defaults, pauseMsMin: 5000, pauseMsMax: 5000 })
  assert.deepEqual(of({ rows: 10 }), { ...defaults, rowsMax: 10 })
  assert.deepEqual(of({ bytes: '1MiB', interval: '250ms' }), {
    ...defaults,
    bytesMax: 2 ** 20,
    pauseMsMin: 250,
    pauseMsMax: 250,
  })
  for (const flush of ['soon', 5, { rows: 0 }, { rows: 2e6 }, { row: 1 }]) {
    assert.equal(clickhouseConfig.safeParse({ url, flush }).success, false, JSON.stringify(flush))
  }
  assert.equal(clickhouseConfig.safeParse({ url, tabels: {} }).success, false)
})

test('user, password and database may stand in the address or in their own fields', () => {
  const of = (config: object) => addressOf(clickhouseConfig.parse(config))
  const account = { user: 'u', password: 'p@:/', database: 'd' }
  const plain = { urls: ['https://h:8443'], ...account }
  assert.deepEqual(of({ url: 'https://u:p%40%3A%2F@h:8443/d' }), plain)
  assert.deepEqual(of({ url: 'https://h:8443', ...account }), plain)
  assert.deepEqual(of({ url: 'http://h' }), {
    urls: ['http://h'],
    user: 'default',
    password: '',
    database: 'default',
  })
})

test('each error has its outcome, and the message never repeats a value', () => {
  const server = (code: number, type: string) =>
    outcomeOf(
      new ClickHouseError({ code: String(code), type, message: "Column 'email' is 'a@b.c'" }),
      'Insert',
    )
  const table: readonly (readonly [number, string, string])[] = [
    [252, 'sink.clickhouse.busy', 'transient'],
    [241, 'sink.clickhouse.memory', 'transient'],
    [159, 'sink.clickhouse.server', 'transient'],
    [319, 'sink.clickhouse.server', 'transient'],
    [999, 'sink.clickhouse.server', 'transient'],
    [77_777, 'sink.clickhouse.server', 'transient'],
    [60, 'sink.clickhouse.table_missing', 'config'],
    [16, 'sink.clickhouse.table_shape', 'config'],
    [516, 'sink.clickhouse.auth', 'config'],
    [497, 'sink.clickhouse.denied', 'config'],
    [62, 'sink.clickhouse.refused', 'config'],
    [469, 'sink.clickhouse.row_refused', 'row'],
    [349, 'sink.clickhouse.row_refused', 'row'],
  ]
  for (const [code, ours, fault] of table) {
    const outcome = server(code, 'TYPE')
    assert.deepEqual([outcome.code, outcome.fault], [ours, fault], String(code))
    const cause = outcome.cause instanceof Error ? outcome.cause.message : ''
    assert.ok(!`${outcome.message} ${cause}`.includes('a@b.c'))
    assert.equal(outcome.retryAfterMs !== null, /busy|memory/.test(ours))
  }
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  assert.equal(outcomeOf(reset, 'Insert').code, 'sink.clickhouse.unreachable')
  assert.equal(outcomeOf(new Error('Timeout error.'), 'Insert').fault, 'transient')
  const page = outcomeOf(new Error('<html>user:secret</html>'), 'Insert')
  assert.equal(page.fault, 'transient')
  assert.ok(!page.message.includes('secret'))
  assert.equal(outcomeOf(new TypeError('x is not a function'), 'Insert').fault, 'bug')
  const expired = Object.assign(new Error('x'), { code: 'CERT_HAS_EXPIRED' })
  assert.equal(outcomeOf(expired, 'Insert').fault, 'config')
})

test('only a type that holds every value of the other takes its place', () => {
  const yes = [
    ['Int16', 'Int64'], ['Int32', 'Nullable(Int64)'], ['Nullable(Int16)', 'Nullable(Int32)'],
    ['Float32', 'Float64'], ['String', 'LowCardinality(String)'], ['UUID', 'String'],
    ['Nullable(String)', 'LowCardinality(Nullable(String))'], ['Decimal(5, 1)', 'Decimal(12, 3)'],
    ["DateTime64(6, 'UTC')", "DateTime64(6, 'Asia/Tokyo')"], ['Bool', 'Bool'],
    ['Int16', 'Float32'], ['Int32', 'Nullable(Float64)'], ['Int64', 'Decimal(19, 0)'], ['UInt64', 'Decimal(22, 2)'],
    ['Decimal(10, 2)', 'String'], ['JSON', 'Nullable(String)'],
    ['Array(Nullable(Int32))', 'Array(Nullable(Int64))'], ['Array(Int32)', 'Array(Nullable(Decimal(12, 2)))'],
  ] // prettier-ignore
  const no = [
    ['Int64', 'Int32'], ['Nullable(Int32)', 'Int32'], ['String', 'Int64'], ['Int64', 'Float64'],
    ['UInt64', 'Int64'], ['Decimal(12, 3)', 'Decimal(12, 2)'], ['Decimal(5, 1)', 'Decimal(6, 3)'],
    ["DateTime64(6, 'UTC')", "DateTime64(3, 'UTC')"], ["DateTime64(6, 'UTC')", 'DateTime64(9)'],
    ['Date32', 'Date'], ['Bool', 'String'],
    ['Int32', 'Float32'], ['Int64', 'Decimal(18, 0)'], ['Int64', 'Decimal(20, 2)'], ['String', 'JSON'],
    ['Array(Nullable(Int32))', 'Array(Int32)'], ['Array(String)', 'String'], ['Float64', 'Decimal(76, 38)'], ['String', 'FixedString(4)'], ['Nullable(String)', 'LowCardinality(String)'],
  ] // prettier-ignore
  for (const [from, to] of yes) assert.equal(widens(from!, to!), true, `${from} → ${to}`)
  for (const [from, to] of no) assert.equal(widens(from!, to!), false, `${from} → ${to}`)
})

const schema = makeSchema(
  [
    { name: 'k', type: { kind: 'text' }, nullable: true },
    { name: 'd', type: { kind: 'date' }, nullable: false },
  ],
  [0],
  'upsert',
)
const config = clickhouseConfig.parse({ url })

function sent(rows: readonly Row[], mode?: 'append') {
  const plan = planTable('t', 't', schema, mode === undefined ? config : { ...config, mode })
  const { rows: kept, refused } = screen(plan, batchOf(schema, rows))
  return { kept: [...kept], refused: refused.map(({ row }) => row) }
}

test('the old image directly before the new one of its key is left out; other −1 rows are tombstones', () => {
  const rows: Row[] = [
    { weight: -1, values: { k: 'a' } },
    { values: { k: 'a', d: 0 } },
    { weight: -1, values: { k: 'a' } },
    { values: { k: 'b', d: 0 } },
    { weight: -1, values: { k: null } },
    { values: { k: null, d: 0 } },
    { weight: -1, values: { k: '' } },
    { values: { k: null, d: 0 } },
    { weight: -1, values: { k: 'b' } },
    { weight: -1, values: { k: 'b' } },
  ]
  assert.deepEqual(sent(rows), { kept: [1, 2, 3, 5, 6, 7, 8, 9], refused: [] })
  assert.equal(sent(rows, 'append').kept.length, rows.length)
})

test('dates are refused from the first day that ClickHouse clamps (invariant 9)', () => {
  const days = [
    dayNumber(1899, 12, 31),
    dayNumber(1900, 1, 1),
    dayNumber(2299, 12, 31),
    dayNumber(2300, 1, 1),
  ]
  const rows: Row[] = days.map((d, i) => ({ values: { k: String(i), d } }))
  assert.deepEqual(sent(rows), { kept: [1, 2], refused: [0, 3] })
  // Of a −1 row only the key is written, so nothing else of it can be refused.
  const gone: Row[] = rows.map((row) => ({ ...row, weight: -1 }))
  assert.deepEqual(sent(gone), { kept: [0, 1, 2, 3], refused: [] })
})

const keyed = (changelog: 'upsert' | 'retract', regionNullable = false) =>
  makeSchema(
    [
      { name: 'k', type: { kind: 'text' }, nullable: false },
      { name: 'region', type: { kind: 'text' }, nullable: regionNullable },
    ],
    [0],
    changelog,
  )

test('sorting columns beside the key need whole old rows, and the error has the statement', () => {
  const topic = 'shop.public.orders'
  const sorted = { ...config, order_by: { [topic]: ['region', 'k'] } }
  const plan = planTable(topic, 'orders', keyed('retract'), sorted)
  assert.deepEqual(plan.orderBy, ['region', 'k'])
  const refused = (schema: ReturnType<typeof keyed>, words: RegExp) =>
    assert.throws(
      () => planTable(topic, 'orders', schema, sorted),
      (error) => {
        assert.ok(error instanceof SluiceError)
        assert.equal(error.code, 'sink.clickhouse.order_by')
        assert.match(`${error.message} ${error.remedy}`, words)
        return true
      },
    )
  refused(keyed('upsert'), /region.*ALTER TABLE "public"."orders" REPLICA IDENTITY FULL/)
  refused(keyed('retract', true), /region.*NOT NULL/)
  // An update that moves the row among them leaves a tombstone at the old place.
  const rows: Row[] = [
    { weight: -1, op: 'update', values: { k: 'a', region: 'eu' } },
    { op: 'update', values: { k: 'a', region: 'us' } },
    { weight: -1, op: 'update', values: { k: 'a', region: 'us' } },
    { op: 'update', values: { k: 'a', region: 'us' } },
  ]
  assert.deepEqual([...screen(plan, batchOf(plan.schema, rows)).rows], [0, 1, 3])
})

test('replicated tables: the statements, on every server of the cluster', () => {
  const of = (replicated: unknown, mode: 'upsert' | 'append' = 'upsert') =>
    planTable('s.t', 't', keyed('upsert'), clickhouseConfig.parse({ url, mode, replicated }))
  const made = createTable('d', of({ cluster: 'c`1' }))
  assert.match(made, /^CREATE TABLE IF NOT EXISTS `d`.`t` ON CLUSTER `c\\`1` \(/)
  assert.match(
    made,
    /ENGINE = ReplicatedReplacingMergeTree\(`_sluice_version`, `_sluice_deleted`\)/,
  )
  assert.match(
    made,
    /replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800/,
  )
  const path = '/tables/{uuid}/{shard}'
  assert.match(
    createTable('d', of({ path, replica: '{host}' })),
    /ReplicatedReplacingMergeTree\('\/tables\/\{uuid\}\/\{shard\}', '\{host\}', `_sluice_version`, `_sluice_deleted`\)/,
  )
  assert.match(createTable('d', of(true, 'append')), /ENGINE = ReplicatedMergeTree\nORDER BY/)
  assert.equal(
    clickhouseConfig.safeParse({ url, replicated: { path: '/t/{shard}' } }).success,
    false,
  )
  const plan = of({ cluster: 'c' })
  for (const statement of [
    alterTable('d', plan, [{ kind: 'add', name: 'x', type: 'Int8', comment: null, oldRows: null }]),
    createLiveView('d', plan, ['k']),
    dropColumn('d', plan, 'x'),
    renameColumn('d', plan, 'x', 'y'),
    modifyColumn('d', plan, 'x', 'Int16'),
    exchangeTables('d', plan, 't__resync'),
    dropTable('d', plan, 't__resync'),
    modifyComment('d', plan, 'c'),
    optimizeTable('d', plan),
    deleteTombstones('d', plan, 5, 7),
  ]) {
    assert.match(statement, / ON CLUSTER `c`/)
  }
  assert.doesNotMatch(createTable('d', of(false)), /CLUSTER|Replicated|\breplicated_/)
})

test('what is remembered in a comment is read again, whatever topic and text stand before it', () => {
  for (const comment of [tableComment('a; resync b'), '', 'mine; yours', "it's"]) {
    assert.deepEqual(marksOf(comment), { resync: null, gone: 0 })
    const once = withMark(withMark(comment, 'gone', 7), 'resync', 'x1')
    assert.deepEqual(marksOf(once), { resync: 'x1', gone: 7 })
    assert.deepEqual(marksOf(withMark(once, 'gone', 9)), { resync: 'x1', gone: 9 })
    assert.ok(once.startsWith(comment))
  }
})
