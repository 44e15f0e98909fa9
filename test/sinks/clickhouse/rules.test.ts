/** The pure rules of the ClickHouse sink: names, configuration, outcomes, types, which rows are sent. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClickHouseError } from '@clickhouse/client'
import { dayNumber } from '../../../core/record/calendar.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { addressOf } from '../../../sinks/clickhouse/address.ts'
import { batchingOf, clickhouseConfig } from '../../../sinks/clickhouse/config.ts'
import { quoteIdentifier, quoteLiteral } from '../../../sinks/clickhouse/identifiers.ts'
import { outcomeOf } from '../../../sinks/clickhouse/outcome.ts'
import { planTable } from '../../../sinks/clickhouse/plan.ts'
import { screen } from '../../../sinks/clickhouse/screen.ts'
import { defaultTable } from '../../../sinks/clickhouse/tables.ts'
import { widens } from '../../../sinks/clickhouse/widen.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'

const url = 'http://127.0.0.1:8123'

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
    [241, 'sink.clickhouse.busy', 'transient'],
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
    assert.equal(outcome.retryAfterMs !== null, ours === 'sink.clickhouse.busy')
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
  ] // prettier-ignore
  const no = [
    ['Int64', 'Int32'], ['Nullable(Int32)', 'Int32'], ['String', 'Int64'], ['Int64', 'Float64'],
    ['UInt64', 'Int64'], ['Decimal(12, 3)', 'Decimal(12, 2)'], ['Decimal(5, 1)', 'Decimal(6, 3)'],
    ["DateTime64(6, 'UTC')", "DateTime64(3, 'UTC')"], ["DateTime64(6, 'UTC')", 'DateTime64(9)'],
    ['Date32', 'Date'], ['Bool', 'String'], ['String', 'FixedString(4)'], ['Nullable(String)', 'LowCardinality(String)'],
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
