/** Rows as JSON: exact values (invariant 9), type by type, through a JSON reader that uses doubles. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { makeBatch } from '../../../core/record/batch.ts'
import {
  BoolBuilder,
  Fixed16Builder,
  Int32Builder,
  NumberBuilder,
} from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import { ListBuilder } from '../../../core/record/list-builder.ts'
import { textAt } from '../../../core/record/value.ts'
import { isoTimestamp, jsonColumn, jsonDefaults, jsonRows } from '../../../core/record/json.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { dateInfinity, dateNegativeInfinity, type LogicalType } from '../../../core/record/types.ts'
import type { Column } from '../../../core/record/column.ts'

const encoder = new TextEncoder()

function all(type: LogicalType, column: Column, options = jsonDefaults): string[] {
  const write = jsonColumn(type, column, options)
  return Array.from({ length: column.length }, (_, row) => write(row))
}

function texts(...values: readonly (string | Uint8Array | null)[]): Column {
  const builder = new BytesBuilder()
  for (const value of values) {
    if (value === null) builder.appendNull()
    else if (typeof value === 'string') builder.appendString(value)
    else builder.append(value, 0, value.length)
  }
  return builder.finish()
}

function numbers(wide: 'int64' | 'uint64', ...values: readonly (number | bigint)[]): Column {
  const builder = new NumberBuilder(wide)
  for (const value of values) {
    if (typeof value === 'bigint') builder.appendBigInt(value)
    else builder.append(value)
  }
  return builder.finish()
}

test('int64: a number while a double holds it, else a string (invariant 9)', () => {
  const max = 2n ** 53n - 1n
  const values = [0n, -1n, max, -max, max + 1n, -max - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
  const column = numbers('int64', ...values)
  assert.equal(column.encoding, 'int64')
  const quoted = (value: bigint): string => `"${value}"`
  assert.deepEqual(
    all({ kind: 'int64' }, column),
    values.map((value, i) => (i < 4 ? String(value) : quoted(value))),
  )
  assert.deepEqual(
    all({ kind: 'int64' }, column, { ...jsonDefaults, int64: 'string' }),
    values.map((value) => quoted(value)),
  )
  assert.deepEqual(
    all({ kind: 'int64' }, column, { ...jsonDefaults, int64: 'number' }),
    values.map((value) => String(value)),
  )
  assert.deepEqual(all({ kind: 'uint64' }, numbers('uint64', 7, 2n ** 64n - 1n)), [
    '7',
    '"18446744073709551615"',
  ])
})

test('int64: whatever the reader makes of it, it is the same integer (invariant 9)', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), { minLength: 1 }), (values) => {
      const read = all({ kind: 'int64' }, numbers('int64', ...values)).map((text) =>
        BigInt(JSON.parse(text) as number | string),
      )
      assert.deepEqual(read, values)
    }),
  )
})

test('float64 and float32: shortest text that reads back the same; no NaN or infinity as number', () => {
  const special = [NaN, Infinity, -Infinity, -0, 1e21, 5e-324, 0.1]
  assert.deepEqual(all({ kind: 'float64' }, numbers('int64', ...special)), [
    '"NaN"',
    '"Infinity"',
    '"-Infinity"',
    '-0',
    '1e+21',
    '5e-324',
    '0.1',
  ])
  const singles = [-0, Math.fround(0.1), 16_777_216, Math.fround(1e-45), Math.fround(3.4028235e38)]
  assert.deepEqual(all({ kind: 'float32' }, numbers('int64', ...singles)), [
    '-0',
    '0.1',
    '16777216',
    '1e-45',
    '3.4028235e+38',
  ])
  fc.assert(
    fc.property(fc.float(), fc.double(), (single, double) => {
      const [a] = all({ kind: 'float32' }, numbers('int64', single))
      const [b] = all({ kind: 'float64' }, numbers('int64', double))
      assert.ok(Object.is(Math.fround(Number(JSON.parse(a!))), single), a)
      assert.ok(Object.is(Number(JSON.parse(b!)), double), b)
    }),
  )
})

test('decimal: exact digits, scale kept, as a string unless asked otherwise', () => {
  const builder = new DecimalBuilder(12, 2)
  for (const text of ['12.30', '-0.05', 'NaN'])
    builder.appendText(encoder.encode(text), 0, text.length)
  const column = builder.finish()
  const type: LogicalType = { kind: 'decimal', precision: 12, scale: 2 }
  assert.deepEqual(all(type, column), ['"12.30"', '"-0.05"', '"NaN"'])
  assert.deepEqual(all(type, column, { ...jsonDefaults, decimal: 'number' }), [
    '12.30',
    '-0.05',
    '"NaN"',
  ])
  const wide = '123456789012345678901234567890.000000001'
  assert.deepEqual(all({ kind: 'decimal', precision: null, scale: null }, texts(wide)), [
    `"${wide}"`,
  ])
})

test('text: every string reads back as itself, byte order mark and control characters too', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (values) => {
      const read = all({ kind: 'text' }, texts(...values)).map((text) => JSON.parse(text) as string)
      assert.deepEqual(read, values)
    }),
  )
  assert.equal(JSON.parse(all({ kind: 'text' }, texts('\uFEFFa\u2028'))[0]!), '\uFEFFa\u2028')
  assert.deepEqual(all({ kind: 'text' }, texts('\uFFFD')), ['"\uFFFD"'])
})

test('text that is not UTF-8 is refused, never changed (invariant 9)', () => {
  const column = texts(Uint8Array.of(0x61, 0xff), 'fine')
  const write = jsonColumn({ kind: 'text' }, column, jsonDefaults)
  assert.throws(() => write(0), TypeError)
  assert.equal(write(1), '"fine"')
})

test('dictionary columns say the same as plain ones', () => {
  const values = Array.from({ length: 200 }, (_, i) => (i % 7 === 0 ? null : `v${i % 3}`))
  const column = texts(...values)
  assert.equal(column.encoding, 'dictionary')
  assert.deepEqual(
    all({ kind: 'text' }, column),
    values.map((value) => JSON.stringify(value)),
  )
})

test('json is embedded as it is; bytes are base64', () => {
  assert.deepEqual(all({ kind: 'json' }, texts('{"a": 12345678901234567890}', 'null', null)), [
    '{"a": 12345678901234567890}',
    'null',
    'null',
  ])
  assert.deepEqual(all({ kind: 'bytes' }, texts(Uint8Array.of(0, 255, 254), new Uint8Array())), [
    '"AP/+"',
    '""',
  ])
})

test('times: six digits always, zone only where there is one, every year', () => {
  assert.equal(isoTimestamp(1_767_225_600_123_456, 'Z'), '2026-01-01T00:00:00.123456Z')
  assert.equal(isoTimestamp(-1, ''), '1969-12-31T23:59:59.999999')
  assert.equal(isoTimestamp(Infinity, 'Z'), 'infinity')
  assert.equal(isoTimestamp(-0x8000000000000000n, 'Z'), '-infinity')
  // The last instant JavaScript knows, and the first day PostgreSQL does (4714 BC is year −4713).
  assert.deepEqual(
    all(
      { kind: 'timestamptz' },
      numbers('int64', 8_640_000_000_000_000_000n, -210_866_803_200_000_000n),
    ),
    ['"+275760-09-13T00:00:00.000000Z"', '"-004713-11-24T00:00:00.000000Z"'],
  )
  const days = new Int32Builder()
  for (const day of [0, -719_528, 2_932_897, dateInfinity, dateNegativeInfinity]) days.append(day)
  assert.deepEqual(all({ kind: 'date' }, days.finish()), [
    '"1970-01-01"',
    '"0000-01-01"',
    '"+010000-01-01"',
    '"infinity"',
    '"-infinity"',
  ])
  assert.deepEqual(all({ kind: 'time' }, numbers('int64', 0, 86_399_999_999, 86_400_000_000)), [
    '"00:00:00.000000"',
    '"23:59:59.999999"',
    '"24:00:00.000000"',
  ])
  // MySQL's times are durations: invariant 9, exact values.
  const durations = numbers('int64', -1, -3_020_399_999_999, 3_020_399_999_999, -86_400_000_000)
  assert.deepEqual(all({ kind: 'time' }, durations), [
    '"-00:00:00.000001"',
    '"-838:59:59.999999"',
    '"838:59:59.999999"',
    '"-24:00:00.000000"',
  ])
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => textAt({ kind: 'time' }, durations, row)),
    ['-00:00:00.000001', '-838:59:59.999999', '838:59:59.999999', '-24:00:00'],
  )
})

test('timestamps: what JavaScript reads back is the same millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: -8.64e15, max: 8.64e15 }), (ms) => {
      assert.equal(
        Date.parse(isoTimestamp(BigInt(ms) * 1000n + 999n, 'Z').replace(/\d{3}Z$/, 'Z')),
        ms,
      )
    }),
  )
})

test('interval: ISO 8601, each part with its sign', () => {
  const builder = new Fixed16Builder()
  const parts: readonly (readonly [number, number, bigint])[] = [
    [14, 3, 14_706_700_000n],
    [0, 0, 0n],
    [-1, 1, -500_000n],
    [0, 0, 3_600_000_000n],
    [0x7fffffff, 0x7fffffff, 0x7fffffffffffffffn],
  ]
  for (const [months, days, us] of parts) {
    const at = builder.reserve()
    const view = new DataView(builder.bytes.buffer, builder.bytes.byteOffset + at, 16)
    view.setInt32(0, months, true)
    view.setInt32(4, days, true)
    view.setBigInt64(8, us, true)
  }
  assert.deepEqual(all({ kind: 'interval' }, builder.finish()), [
    '"P1Y2M3DT4H5M6.7S"',
    '"PT0S"',
    '"P-1M1DT-0.5S"',
    '"PT1H"',
    '"infinity"',
  ])
})

test('lists are arrays, nulls inside them too; a list only its source can write is its text', () => {
  const child = new NumberBuilder('int64')
  const lists = new ListBuilder(child)
  child.append(1)
  child.appendNull()
  child.append(3)
  lists.endList()
  lists.endList()
  lists.appendNull()
  const type: LogicalType = { kind: 'list', element: { kind: 'int64' } }
  assert.deepEqual(all(type, lists.finish()), ['[1,null,3]', '[]', 'null'])
  assert.deepEqual(all(type, texts('[0:1]={1,2}')), ['"[0:1]={1,2}"'])
})

test('rows: fields in order, hostile names, a choice of fields, nulls', () => {
  const flags = new BoolBuilder()
  flags.append(1)
  flags.appendNull()
  const schema = makeSchema(
    [
      { name: 'a"\\\n', type: { kind: 'text' }, nullable: false },
      { name: '__proto__', type: { kind: 'bool' }, nullable: true },
    ],
    [0],
    'upsert',
  )
  const batch = makeBatch(
    schema,
    [texts('x', 'y'), flags.finish()],
    Int32Array.of(1, 1),
    new Uint8Array(2),
    new Float64Array(2),
  )
  const row = jsonRows(batch)
  assert.equal(row(0), '{"a\\"\\\\\\n":"x","__proto__":true}')
  assert.equal(row(1), '{"a\\"\\\\\\n":"y","__proto__":null}')
  assert.equal(jsonRows(batch, [1])(0), '{"__proto__":true}')
  assert.equal(jsonRows(batch, [])(0), '{}')
})
