/**
 * Every logical type, through the encoder into the real engine and back as text (invariant 9: values
 * arrive exactly or are refused).
 */
import assert from 'node:assert/strict'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { clickhouseSuite, openSink, send, type ConfigInput } from './harness.ts'

const suite = clickhouseSuite()
const { test } = suite

interface Case {
  readonly name: string
  readonly type: LogicalType
  readonly column: string
  /** Value in, text that ClickHouse shows out; null = refused. */
  readonly values: readonly (readonly [Value, string | null])[]
  readonly config?: Omit<ConfigInput, 'url'>
}

const int64Max = 0x7fffffffffffffffn
const hex76 = '9'.repeat(76)
const cases: readonly Case[] = [
  { name: 'bool', type: { kind: 'bool' }, column: 'Bool', values: [[true, 'true'], [false, 'false']] },
  { name: 'int16', type: { kind: 'int16' }, column: 'Int16', values: [[-32768, '-32768'], [32767, '32767'], [0, '0']] },
  { name: 'int32', type: { kind: 'int32' }, column: 'Int32', values: [[-2147483648, '-2147483648'], [2147483647, '2147483647']] },
  { name: 'int64', type: { kind: 'int64' }, column: 'Int64', values: [[-1, '-1'], [-int64Max - 1n, '-9223372036854775808'], [int64Max, '9223372036854775807'], [5, '5']] },
  { name: 'int64 in doubles', type: { kind: 'int64' }, column: 'Int64', values: [[-9007199254740991, '-9007199254740991'], [9007199254740991, '9007199254740991'], [-4294967296, '-4294967296'], [-4294967297, '-4294967297'], [4294967295, '4294967295']] },
  { name: 'uint64', type: { kind: 'uint64' }, column: 'UInt64', values: [[0, '0'], [18446744073709551615n, '18446744073709551615']] },
  { name: 'float32', type: { kind: 'float32' }, column: 'Float32', values: [[1.5, '1.5'], [NaN, 'nan'], [-Infinity, '-inf']] },
  { name: 'float64', type: { kind: 'float64' }, column: 'Float64', values: [[0.1, '0.1'], [1.7976931348623157e308, '1.7976931348623157e308'], [5e-324, '5e-324']] },
  { name: 'text', type: { kind: 'text' }, column: 'String', values: [['', ''], ['é😀', 'é😀'], ['x'.repeat(300), 'x'.repeat(300)]] },
  { name: 'text as dictionary', type: { kind: 'text' }, column: 'String', values: Array.from({ length: 40 }, (_, i) => [`v${i % 2}`, `v${i % 2}`] as const) },
  { name: 'json', type: { kind: 'json' }, column: 'String', values: [['{"a": 1e400}', '{"a": 1e400}']] },
  { name: 'other', type: { kind: 'other', name: 'inet' }, column: 'String', values: [['10.0.0.1', '10.0.0.1']] },
  { name: 'uuid', type: { kind: 'uuid' }, column: 'UUID', values: [['00112233-4455-6677-8899-aabbccddeeff', '00112233-4455-6677-8899-aabbccddeeff']] },
  { name: 'date', type: { kind: 'date' }, column: 'Date32', values: [[0, '1970-01-01'], [-719162, '0001-01-01'], [2932896, '9999-12-31'], [-719163, null], [2932897, null], [0x7fffffff, null], [-0x80000000, null]] },
  { name: 'date as text', type: { kind: 'date' }, column: 'String', config: { timestamps: 'string' }, values: [[0x7fffffff, 'infinity'], [-25568, '1899-12-31']] },
  { name: 'timestamptz', type: { kind: 'timestamptz' }, column: "DateTime64(6, 'UTC')", values: [[1, '1970-01-01 00:00:00.000001'], [-1, '1969-12-31 23:59:59.999999'], [-719162n * 86_400_000_000n, '0001-01-01 00:00:00.000000'], [-719162n * 86_400_000_000n - 1n, null], [2932897n * 86_400_000_000n - 1n, '9999-12-31 23:59:59.999999'], [2932897n * 86_400_000_000n, null], [Infinity, null], [-Infinity, null]] },
  { name: 'timestamp wide', type: { kind: 'timestamp' }, column: "DateTime64(6, 'UTC')", values: [[1, '1970-01-01 00:00:00.000001'], [int64Max, null], [-9223372036854775807n, null]] },
  { name: 'timestamp as text', type: { kind: 'timestamp' }, column: 'String', config: { timestamps: 'string' }, values: [[Infinity, 'infinity'], [1, '1970-01-01 00:00:00.000001']] },
  { name: 'time', type: { kind: 'time' }, column: 'Int64', values: [[86_400_000_000, '86400000000'], [1, '1'], [-3_020_399_999_999, '-3020399999999'], [-1, '-1']] },
  { name: 'decimal(4,2)', type: { kind: 'decimal', precision: 4, scale: 2 }, column: 'Decimal(4, 2)', values: [['12.34', '12.34'], ['-99.99', '-99.99'], ['0', '0'], ['NaN', null], ['Infinity', null]] },
  { name: 'decimal(9,0)', type: { kind: 'decimal', precision: 9, scale: 0 }, column: 'Decimal(9, 0)', values: [['-999999999', '-999999999'], ['1000000000', null]] },
  { name: 'decimal(9,2) gone wide', type: { kind: 'decimal', precision: 9, scale: 2 }, column: 'Decimal(9, 2)', values: [['99999999999999999', null], ['-1.25', '-1.25']] },
  { name: 'decimal(15,3)', type: { kind: 'decimal', precision: 15, scale: 3 }, column: 'Decimal(15, 3)', values: [['999999999999.999', '999999999999.999'], ['-0.001', '-0.001'], ['0.0005', null], ['0.1230000', '0.123']] },
  { name: 'decimal(18,2)', type: { kind: 'decimal', precision: 18, scale: 2 }, column: 'Decimal(18, 2)', values: [['9999999999999999.99', '9999999999999999.99'], ['-9999999999999999.99', '-9999999999999999.99'], ['-10000000000000000.00', null], ['10000000000000000.00', null], ['1', '1']] },
  { name: 'decimal(38,10)', type: { kind: 'decimal', precision: 38, scale: 10 }, column: 'Decimal(38, 10)', values: [['9999999999999999999999999999.9999999999', '9999999999999999999999999999.9999999999'], ['-1.5', '-1.5'], ['0.00000000001', null], ['10000000000000000000000000000', null], ['NaN', null]] },
  { name: 'decimal(76,0)', type: { kind: 'decimal', precision: 76, scale: 0 }, column: 'Decimal(76, 0)', values: [[hex76, hex76], [`-${hex76}`, `-${hex76}`], ['0', '0'], ['-0', '0']] },
  { name: 'decimal(77,0)', type: { kind: 'decimal', precision: 77, scale: 0 }, column: 'String', values: [[`${hex76}9`, `${hex76}9`]] },
  { name: 'decimal(3,5)', type: { kind: 'decimal', precision: 3, scale: 5 }, column: 'Decimal(5, 5)', values: [['0.00123', '0.00123']] },
  { name: 'decimal(3,-2)', type: { kind: 'decimal', precision: 3, scale: -2 }, column: 'Decimal(5, 0)', values: [['12300', '12300']] },
  { name: 'numeric', type: { kind: 'decimal', precision: null, scale: null }, column: 'String', values: [['1.10', '1.10'], ['NaN', 'NaN'], ['1e5', '1e5']] },
  { name: 'numeric as decimal', type: { kind: 'decimal', precision: null, scale: null }, column: 'Decimal(76, 38)', config: { unbounded_numeric: 'decimal' }, values: [['-1.10', '-1.1'], ['NaN', null], ['1e5', null]] },
  { name: 'interval', type: { kind: 'interval' }, column: 'String', values: [['0e000000fdffffff0000000000000000', '1 year 2 mons -3 days']] },
  { name: 'list', type: { kind: 'list', element: { kind: 'text' } }, column: 'String', values: [[['a', null, 'b c'], '{a,NULL,"b c"}'], [[], '{}']] },
] // prettier-ignore

for (const { name, type, column, values, config } of cases) {
  for (const nullable of [false, true]) {
    test(`${name}${nullable ? ', nullable' : ''}`, async () => {
      const fields: Field[] = [
        { name: 'n', type: { kind: 'int32' }, nullable: false },
        { name: 'v', type, nullable },
      ]
      const schema = makeSchema(fields, [0], 'upsert')
      const rows = values.map(([v], n) => ({ values: { n, v } }))
      if (nullable) rows.push({ values: { n: rows.length, v: null } })
      const table = `t${nullable ? '1' : '0'} ${name}`
      await using sink = await openSink({ url: suite.server.url, ...config })
      const { rejected } = await send(sink, `src.${table}`, batchOf(schema, rows))
      const stored = table.replaceAll('.', '_')
      const [described] = await suite.server.query(
        `SELECT type FROM system.columns WHERE table = '${stored}' AND name = 'v'`,
      )
      assert.equal(described?.['type'], nullable ? `Nullable(${column})` : column)
      const found = await suite.server.query(
        `SELECT n, toString(v) AS v FROM \`${stored}\` FINAL ORDER BY n`,
      )
      const expected = values
        .map(([, v], n) => ({ n, v }))
        .filter((row) => row.v !== null)
        .map((row) => ({ n: row.n, v: row.v }))
      const all = nullable ? [...expected, { n: values.length, v: null }] : expected
      assert.deepEqual(found, all)
      assert.deepEqual(
        rejected.map(({ row, code }) => [row, code]),
        values.flatMap(([, v], n) =>
          v === null ? [[n, 'sink.clickhouse.value_out_of_range']] : [],
        ),
      )
    })
  }
}

test('bytes arrive as they are', async () => {
  const fields: Field[] = [
    { name: 'n', type: { kind: 'int32' }, nullable: false },
    { name: 'v', type: { kind: 'bytes' }, nullable: false },
  ]
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
  await using sink = await openSink({ url: suite.server.url })
  const schema = makeSchema(fields, [0], 'upsert')
  await send(sink, 'src.bytes', batchOf(schema, [{ values: { n: 1, v: bytes } }]))
  const [row] = await suite.server.query('SELECT hex(v) AS v FROM bytes FINAL')
  assert.equal(row?.['v'], Buffer.from(bytes).toString('hex').toUpperCase())
})
