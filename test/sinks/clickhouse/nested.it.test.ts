/**
 * JSON, arrays, maps, times and sets in the real engine: what arrives is what was sent, and what their
 * columns would change is refused (invariant 9).
 */
import assert from 'node:assert/strict'
import { test as plain } from 'node:test'
import * as fc from 'fast-check'
import { builderFor } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { makeBatch } from '../../../core/record/batch.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { JsonDocuments } from '../../../sinks/clickhouse/json-document.ts'
import { listParts } from '../../../sinks/clickhouse/lists.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { clickhouseSuite, openSink, send, type ConfigInput } from './harness.ts'

const suite = clickhouseSuite()
const { test } = suite

interface Case {
  readonly name: string
  readonly type: LogicalType
  readonly column: string
  readonly config: Omit<ConfigInput, 'url'>
  /** Value in, what JSON shows out; undefined = refused. */
  readonly values: readonly (readonly [Value, unknown])[]
  readonly nullable?: boolean
}

const json = { kind: 'json' } as const
const list = (element: LogicalType): LogicalType => ({ kind: 'list', element })
const hstore: LogicalType = { kind: 'other', name: 'hstore' }
const nested = { arrays: 'array', json: 'json', hstore: 'map', times: 'time64' } as const

const documents: readonly (readonly [string, unknown])[] = [
  ['{"a":1,"b":{"c":"x"},"list":[1,2,null]}', { a: '1', b: { c: 'x' }, list: ['1', '2', null] }],
  ['{"a.b":1,"a":{"b":2}}', { 'a.b': '1', a: { b: '2' } }],
  [
    '{"day":"2020-01-01","at":"2020-01-01T00:00:00Z"}',
    { day: '2020-01-01', at: '2020-01-01T00:00:00Z' },
  ],
  ['{"mixed":[1,"x",{"y":[true]}]}', { mixed: ['1', 'x', { y: [true] }] }],
  [
    '{"n":18446744073709551615,"m":-9223372036854775808}',
    { n: '18446744073709551615', m: '-9223372036854775808' },
  ],
  ['{"f":0.1,"g":1.5e300,"h":1.50}', { f: 0.1, g: 1.5e300, h: 1.5 }],
  ['{"text":"%2E \\" é😀 12345678901234567890123"}', { text: '%2E " é😀 12345678901234567890123' }],
  // Not kept by the type, and said so in the README.
  ['{"a":null,"b":{},"c":[],"d":""}', { c: [], d: '' }],
  ['[1]', undefined],
  ['null', undefined],
  ['"x"', undefined],
  ['{"n":12345678901234567890123}', undefined],
  ['{"f":0.1234567890123456789}', undefined],
  ['{"f":1e400}', undefined],
  ['{"a":[9007199254740993,1.5]}', undefined],
  ['{"a":[[9007199254740993],[1.5]]}', undefined],
  ['{"a":[true,1]}', undefined],
  ['{"a%2Eb":1}', undefined],
  ['{"a%\\u0032Eb":1}', undefined],
]

const cases: readonly Case[] = [
  { name: 'json', type: json, column: 'JSON', config: nested, values: documents },
  {
    name: 'json, nullable',
    type: json,
    column: 'Nullable(JSON)',
    config: nested,
    values: [['{"a":1}', { a: '1' }], [null, null], ['{"b":[]}', { b: [] }]],
    nullable: true,
  },
  {
    name: 'list of integers',
    type: list({ kind: 'int32' }),
    column: 'Array(Nullable(Int32))',
    config: nested,
    values: [[[1, null, -5], [1, null, -5]], [[], []], [[7], [7]]],
  },
  {
    name: 'list of texts',
    type: list({ kind: 'text' }),
    column: 'Array(Nullable(String))',
    config: nested,
    values: [[['a', '', null, 'é'], ['a', '', null, 'é']], [[], []]],
  },
  {
    name: 'list of large integers and decimals',
    type: list({ kind: 'decimal', precision: 20, scale: 2 }),
    column: 'Array(Nullable(Decimal(20, 2)))',
    config: nested,
    values: [[['123456789012345678.25', null], ['123456789012345678.25', null]]],
  },
  {
    name: 'list of dates, of which one does not fit',
    type: list({ kind: 'date' }),
    column: 'Array(Nullable(Date32))',
    config: nested,
    values: [[[0, null], ['1970-01-01', null]], [[0, 0x7fffffff], undefined]],
  },
  {
    name: 'list, NULL refused',
    type: list({ kind: 'int16' }),
    column: 'Array(Nullable(Int16))',
    config: nested,
    values: [[[1], [1]], [null, undefined]],
    nullable: true,
  },
  {
    name: 'list, NULL as empty',
    type: list({ kind: 'int16' }),
    column: 'Array(Nullable(Int16))',
    config: { arrays: 'array_or_empty' },
    values: [[[1], [1]], [null, []]],
    nullable: true,
  },
  {
    name: 'set',
    type: { kind: 'other', name: 'set' },
    column: 'Array(String)',
    config: nested,
    values: [['a,b', ['a', 'b']], ['', []], ['x y', ['x y']]],
  },
  {
    name: 'enum',
    type: { kind: 'other', name: 'enum' },
    column: 'LowCardinality(String)',
    config: {},
    values: [['red', 'red'], ['', ''], ['red', 'red']],
  },
  {
    name: 'enum, nullable',
    type: { kind: 'other', name: 'enum' },
    column: 'LowCardinality(Nullable(String))',
    config: {},
    values: [['red', 'red'], [null, null]],
    nullable: true,
  },
  {
    name: 'hstore',
    type: hstore,
    column: 'Map(String, Nullable(String))',
    config: nested,
    values: [
      ['"a"=>"1", "b"=>NULL, "c \\"q\\\\"=>"NULL"', { a: '1', b: null, 'c "q\\': 'NULL' }],
      ['', {}],
      ['"é"=>""', { é: '' }],
      ['a=>1', undefined],
    ],
  },
  {
    name: 'time',
    type: { kind: 'time' },
    column: 'Time64(6)',
    config: nested,
    values: [
      [1, '00:00:00.000001'],
      [86_400_000_000, '24:00:00.000000'],
      [-3_020_399_999_999, '-838:59:59.999999'],
    ],
  },
] // prettier-ignore

for (const [index, { name, type, column, config, values, nullable = false }] of cases.entries()) {
  test(name, async () => {
    const schema = makeSchema(
      [
        { name: 'n', type: { kind: 'int32' }, nullable: false },
        { name: 'v', type, nullable },
      ],
      [0],
      'upsert',
    )
    const table = `n${index}`
    const rows = values.map(([v], n) => ({ values: { n, v } }))
    // A tombstone between them: its other columns are blank.
    const withDelete = [...rows, { weight: -1, values: { n: 1000 } }]
    await using sink = await openSink({ url: suite.server.url, ...config })
    const { rejected } = await send(sink, `src.${table}`, batchOf(schema, withDelete))
    const refusedRows = values.flatMap(([, out], n) => (out === undefined ? [n] : []))
    assert.deepEqual(
      rejected.map(({ row }) => row),
      refusedRows,
    )
    for (const { code } of rejected) assert.equal(code, 'sink.clickhouse.value_out_of_range')
    const [described] = await suite.server.query(
      `SELECT type FROM system.columns WHERE table = '${table}' AND name = 'v'`,
    )
    assert.equal(described?.['type'], column)
    const found = await suite.server.query(
      `SELECT n, v FROM ${table}_live ORDER BY n SETTINGS json_type_escape_dots_in_keys = 1`,
    )
    const wanted = values.flatMap(([, out], n) => (out === undefined ? [] : [{ n, v: out }]))
    assert.deepEqual(found, wanted)
  })
}

test('lists that a batch holds as text, because one of them has two dimensions', async () => {
  const of: readonly (readonly [LogicalType, string, readonly unknown[]])[] = [
    [{ kind: 'int64' }, '{1,NULL,9007199254740993}', ['1', null, '9007199254740993']],
    [{ kind: 'text' }, '{a,"b,\\"c\\\\","NULL",NULL,""}', ['a', 'b,"c\\', 'NULL', null, '']],
    [{ kind: 'bool' }, '{t,f}', [true, false]],
    [{ kind: 'float64' }, '{1.5,1e+300}', [1.5, 1e300]],
    [{ kind: 'date' }, '{2020-02-29}', ['2020-02-29']],
    [{ kind: 'timestamp' }, '{"2020-02-29 01:02:03.5"}', ['2020-02-29 01:02:03.500000']],
    [
      { kind: 'uuid' },
      '{00112233-4455-6677-8899-aabbccddeeff}',
      ['00112233-4455-6677-8899-aabbccddeeff'],
    ],
  ]
  for (const [index, [element, text, out]] of of.entries()) {
    const schema = makeSchema(
      [
        { name: 'n', type: { kind: 'int32' }, nullable: false },
        { name: 'v', type: list(element), nullable: true },
      ],
      [0],
      'upsert',
    )
    const texts = new BytesBuilder()
    for (const one of [text, '{{1,2},{3,4}}', '{}', '[0:1]={1,2}']) texts.appendString(one)
    const numbers = builderFor({ kind: 'int32' })
    for (let n = 0; n < 4; n++)
      if ('append' in numbers && !(numbers instanceof BytesBuilder)) numbers.append(n)
    const batch = makeBatch(
      schema,
      [numbers.finish(), texts.finish()],
      new Int32Array(4).fill(1),
      new Uint8Array(4),
      new Float64Array(4).fill(1e15),
    )
    await using sink = await openSink({ url: suite.server.url, arrays: 'array' })
    const { rejected } = await send(sink, `src.text${index}`, batch)
    assert.deepEqual(
      rejected.map(({ row }) => row),
      [1, 3],
    )
    assert.deepEqual(await suite.server.query(`SELECT n, v FROM text${index}_live ORDER BY n`), [
      { n: 0, v: out },
      { n: 2, v: [] },
    ])
  }
})

test('low_cardinality names columns, and a nullable one stays so', async () => {
  const text = { kind: 'text' } as const
  const schema = makeSchema(
    [
      { name: 'n', type: { kind: 'int32' }, nullable: false },
      { name: 'a', type: text, nullable: false },
      { name: 'b', type: text, nullable: true },
    ],
    [0],
    'upsert',
  )
  await using sink = await openSink({
    url: suite.server.url,
    low_cardinality: { 'src.low': ['a', 'b'] },
  })
  await send(sink, 'src.low', batchOf(schema, [{ values: { n: 1, a: 'x', b: null } }]))
  const types = await suite.server.query(
    `SELECT type FROM system.columns WHERE table = 'low' AND name IN ('a', 'b') ORDER BY name`,
  )
  assert.deepEqual(
    types.map(({ type }) => type),
    ['LowCardinality(String)', 'LowCardinality(Nullable(String))'],
  )
  assert.deepEqual(await suite.server.query('SELECT a, b FROM low_live'), [{ a: 'x', b: null }])
})

/** As array_out quotes. */
function written(parts: readonly (string | null)[]): string {
  const one = (part: string | null): string =>
    part === null ? 'NULL' : `"${part.replaceAll(/["\\]/g, '\\$&')}"`
  return `{${parts.map(one).join(',')}}`
}

plain('any list of texts is read as it was written', () => {
  const parts = fc.array(fc.option(fc.string({ unit: 'binary' }), { nil: null }))
  fc.assert(fc.property(parts, (given) => assert.deepEqual(listParts(written(given)), given)))
})

plain(
  'any document of plain values passes; with one number that a double changes, none does',
  () => {
    const documents = new JsonDocuments()
    const fits = (text: string): boolean => {
      const bytes = new TextEncoder().encode(text)
      return documents.fits(bytes, 0, bytes.length)
    }
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        fc.string().filter((text) => !text.includes('%2E')),
        fc.integer().map((n) => (n === 0 ? 0 : n)),
        fc.dictionary(
          fc.string().filter((text) => !text.includes('%2E')),
          tie('any'),
          { maxKeys: 3 },
        ),
        fc.array(fc.string(), { maxLength: 3 }),
      ),
    })).any
    fc.assert(
      fc.property(value, (v) => {
        assert.equal(fits(JSON.stringify({ v }, null, 1)), true)
        assert.equal(fits(`{"v":${JSON.stringify(v)},"w":0.12345678901234567891}`), false)
      }),
    )
  },
)
