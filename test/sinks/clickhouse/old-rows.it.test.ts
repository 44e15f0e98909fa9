/**
 * A column that is added with a constant default, on the real engine: rows from before read exactly as
 * a row that was sent with that value, type by type, or as NULL where no value is (invariant 9).
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { step } from '../../support/schema-step.ts'
import { clickhouseSuite, never, openSink, send, type ConfigInput } from './harness.ts'

const suite = clickhouseSuite()
const { test } = suite

const id: Field = { name: 'id', type: { kind: 'int64' }, nullable: false }
const narrow = makeSchema([id], [0], 'upsert')

interface Case {
  readonly type: LogicalType
  readonly value: Value
}

const simple = (kind: Exclude<LogicalType['kind'], 'decimal' | 'list' | 'other'>) =>
  ({ kind }) as LogicalType
const decimal = (precision: number | null, scale: number | null): LogicalType => ({
  kind: 'decimal',
  precision,
  scale,
})
const day = (text: string): number => Date.parse(text) / 86_400_000
const us = (text: string): number => Date.parse(`${text}Z`) * 1000

const cases: readonly Case[] = [
  ...[true, false].map((value) => ({ type: simple('bool'), value })),
  ...[-32768, 0, 5, 32767].map((value) => ({ type: simple('int16'), value })),
  ...[-2147483648, 5, 2147483647].map((value) => ({ type: simple('int32'), value })),
  ...[-9223372036854775808n, 5, 9007199254740993n, 9223372036854775807n].map((value) => ({
    type: simple('int64'),
    value,
  })),
  ...[0, 18446744073709551615n].map((value) => ({ type: simple('uint64'), value })),
  ...[0, -0, 0.1, 1e-40, 16777217, 3.4028234e38, Infinity, -Infinity, NaN].map((value) => ({
    type: simple('float32'),
    value: Math.fround(value),
  })),
  ...[0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 123456789.12345679, -0, Infinity, NaN].map(
    (value) => ({ type: simple('float64'), value }),
  ),
  ...['0.000', '-1.500', '999999999.999'].map((value) => ({ type: decimal(12, 3), value })),
  ...['-99999999999999999999999999.99', '0.01'].map((value) => ({ type: decimal(28, 2), value })),
  { type: decimal(76, 10), value: `${'9'.repeat(66)}.${'1'.repeat(10)}` },
  { type: decimal(null, null), value: '1.50' },
  ...['', 'w', "it's \\ `x` \n\t ü 𐍈", "'); DROP TABLE t --"].map((value) => ({
    type: simple('text'),
    value,
  })),
  { type: simple('json'), value: '{"a": [1, "\\u00e9"]}' },
  { type: simple('bytes'), value: Uint8Array.of(0, 0xff, 0x27, 0x5c) },
  { type: simple('bytes'), value: new Uint8Array(0) },
  { type: simple('uuid'), value: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' },
  ...['1900-01-01', '1969-12-31', '2020-02-29', '2299-12-31'].map((text) => ({
    type: simple('date'),
    value: day(text),
  })),
  ...[0, 1, 86_400_000_000, -3_020_399_999_999].map((value) => ({ type: simple('time'), value })),
  ...(['timestamp', 'timestamptz'] as const).flatMap((kind) => [
    { type: simple(kind), value: us('1900-01-01T00:00:00') },
    { type: simple(kind), value: us('1969-12-31T23:59:59') + 999_999 },
    { type: simple(kind), value: us('2026-11-22T10:00:00') + 123_456 },
    { type: simple(kind), value: 10_413_791_999_999_999n },
  ]),
  { type: { kind: 'other', name: 'inet' }, value: '10.0.0.1/8' },
  { type: { kind: 'list', element: { kind: 'text' } }, value: ['a', null, 'b,"c'] },
]

/** Fields with the values as what older rows have, as a source gives them. */
function fieldsOf(given: readonly Case[], nullable: boolean): Field[] {
  return given.map(({ type, value }, i) => {
    const name = `c${i}`
    const one = makeSchema([{ name, type, nullable }], [], 'append')
    const oldRows = textAt(type, batchOf(one, [{ values: { [name]: value } }]).columns[0]!, 0)
    assert.ok(oldRows !== null)
    return { name, type, nullable, oldRows }
  })
}

let tables = 0

/** Row 1 is there before the columns are, row 2 is sent with the values. */
async function bothRows(
  given: readonly Case[],
  nullable: boolean,
  config: Partial<ConfigInput> = {},
): Promise<readonly (readonly unknown[])[]> {
  const name = `d${++tables}`
  const wide = makeSchema([id, ...fieldsOf(given, nullable)], [0], 'upsert')
  await using sink = await openSink({ url: suite.server.url, ...config })
  await send(sink, `s.${name}`, batchOf(narrow, [{ values: { id: 1 } }]))
  await sink.evolve(`s.${name}`, step(narrow, wide), never)
  const values = Object.fromEntries(given.map(({ value }, i) => [`c${i}`, value]))
  const nulls = nullable ? [{ values: { id: 3 } }] : []
  const rows = batchOf(wide, [{ values: { id: 2, ...values } }, ...nulls])
  const { rejected } = await send(sink, `s.${name}`, rows, { offset: 1 })
  assert.deepEqual(rejected, [])
  const columns = given.map(({ type }, i) => {
    const bits = /^(?:float|text|bytes)/.test(type.kind)
    return `${bits ? 'hex' : 'toString'}(c${i})`
  })
  const found = await suite.server.query(
    `SELECT id, ${columns.join(', ')} FROM ${name}_live ORDER BY id`,
  )
  return found.map((row) => Object.values(row).slice(1))
}

test('rows from before a column read as those that were sent with its default, type by type', async () => {
  for (const nullable of [false, true]) {
    const [old, sent, nulls] = await bothRows(cases, nullable)
    for (const [i, { type, value }] of cases.entries()) {
      assert.deepEqual(old?.[i], sent?.[i], `${JSON.stringify(type)} ${String(value)}`)
    }
    if (nullable)
      assert.ok(
        nulls?.every((value) => value === null),
        'NULL that is sent is NULL',
      )
  }
})

test('numbers of every size are exact in rows from before', async () => {
  const one = fc.oneof(
    fc.double().map((value): Case => ({ type: simple('float64'), value })),
    fc.float().map((value): Case => ({ type: simple('float32'), value })),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((value): Case => ({ type: simple('int64'), value })),
    fc.string({ unit: 'binary' }).map((value): Case => ({ type: simple('text'), value })),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(one, { minLength: 30, maxLength: 60 }), async (given) => {
      const [old, sent] = await bothRows(given, false)
      assert.deepEqual(old, sent)
    }),
    { numRuns: 4 },
  )
})

test('what a column cannot hold is NULL in rows from before, or its text', async () => {
  const outside: readonly Case[] = [
    { type: simple('date'), value: day('1899-12-31') },
    { type: simple('timestamp'), value: Infinity },
    { type: decimal(12, 3), value: 'NaN' },
  ]
  const wide = makeSchema([id, ...fieldsOf(outside, true)], [0], 'upsert')
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 's.outside', batchOf(narrow, [{ values: { id: 1 } }]))
  await sink.evolve('s.outside', step(narrow, wide), never)
  assert.deepEqual(await suite.server.query('SELECT c0, c1, c2 FROM outside_live'), [
    { c0: null, c1: null, c2: null },
  ])
  const [old, sent] = await bothRows(outside.slice(0, 2), true, { timestamps: 'string' })
  assert.deepEqual(old, sent)
})

test('a retract topic that is folded has no row twice after a column was added', async () => {
  const before = makeSchema([id], [], 'retract')
  const after = makeSchema(
    [id, { name: 'n', type: { kind: 'int32' }, nullable: false, oldRows: '5' }],
    [],
    'retract',
  )
  await using sink = await openSink({ url: suite.server.url })
  await send(sink, 's.folded', batchOf(before, [{ values: { id: 1 } }]))
  await sink.evolve('s.folded', step(before, after), never)
  const update = batchOf(after, [
    { weight: -1, op: 'update', values: { id: 1, n: 5 } },
    { op: 'update', values: { id: 1, n: 6 } },
  ])
  await send(sink, 's.folded', update, { offset: 1 })
  assert.deepEqual(
    await suite.server.query(
      'SELECT id, n FROM folded GROUP BY id, n HAVING sum(_sluice_weight) > 0',
    ),
    [{ id: '1', n: 6 }],
  )
})
