/**
 * Every kind of value through the stream of a real server, against the text that the server itself
 * prints (invariant 9). Among them what is known to go wrong elsewhere: NaN and ±Infinity of numeric,
 * negative scales, `name`, arrays of several dimensions, bit[], multiranges, composites, geometry.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { typeName } from '../../../core/record/types.ts'
import { tableRows } from '../../fixtures/postgres/record.ts'
import { startPostgres, type PostgresServer } from '../../services/postgres.ts'
import { Fold } from '../../support/fold.ts'
import { endLsn, open, prepare, pullUntil } from './streaming.ts'

type TypeCase = readonly [type: string, logical: string, ...values: string[]]

/** Column type, logical type it must become, values as SQL. */
const allCases: readonly TypeCase[] = [
  ['boolean', 'bool', 'true', 'false'],
  ['smallint', 'int16', '-32768', '32767'],
  ['integer', 'int32', '-2147483648', '2147483647', '0'],
  ['bigint', 'int64', '-9223372036854775808', '9223372036854775807', '9007199254740993', '7'],
  ['oid', 'int64', '4294967295', '0'],
  ['real', 'float32', `'NaN'`, `'-Infinity'`, '0.1', '1e-45', '3.4028235e38', '-0.0', '16777217'],
  [
    'float8',
    'float64',
    `'NaN'`,
    `'Infinity'`,
    '0.1',
    '5e-324',
    '1.7976931348623157e308',
    '123456789.125',
  ],
  [
    'numeric',
    'decimal',
    `'NaN'`,
    `'Infinity'`,
    `'-Infinity'`,
    '1e400',
    '0.00000000000000000001',
    '10.50',
  ],
  ['numeric(12,2)', 'decimal(12,2)', '1.5', '-9999999999.99', `'NaN'`, '0'],
  ['numeric(18,4)', 'decimal(18,4)', '99999999999999.9999', '-0.0001', `'NaN'`],
  ['numeric(30,10)', 'decimal(30,10)', '12345678901234567890.0123456789', `'NaN'`],
  ['numeric(5,-2)', 'decimal(5,-2)', '1234567', '-49', '50'],
  ['numeric(3,5)', 'decimal(3,5)', '0.00123'],
  ['text', 'text', `''`, `'NULL'`, `E'tab\\t\\\\ "quoted" ünïcode 🙂'`],
  ['varchar(5)', 'text', `'ab'`],
  ['char(5)', 'text', `'ab'`],
  ['"char"', 'text', `'x'`],
  ['name', 'text', `'a_name'`],
  ['bytea', 'bytes', `'\\x'`, `'\\x00ff'`],
  [
    'date',
    'date',
    `'2026-02-28'`,
    `'infinity'`,
    `'-infinity'`,
    `'4713-01-01 BC'`,
    `'5874897-12-31'`,
    `'0001-01-01'`,
  ],
  ['time', 'time', `'24:00:00'`, `'00:00:00.000001'`, `'23:59:59.9'`],
  ['timetz', 'other(timetz)', `'12:00:00.5+05:30'`],
  [
    'timestamp',
    'timestamp',
    `'2026-01-01 00:00:00.000001'`,
    `'infinity'`,
    `'-infinity'`,
    `'4713-01-01 00:00:00 BC'`,
    `'294246-12-31 23:59:59.999999'`,
    `'1969-12-31 23:59:59.999999'`,
  ],
  [
    'timestamptz',
    'timestamptz',
    `'2026-01-01 00:00:00.000001+03'`,
    `'infinity'`,
    `'-infinity'`,
    `'0044-03-15 12:00:00+00 BC'`,
    `'12026-06-01 00:00:00Z'`,
  ],
  [
    'interval',
    'interval',
    `'1 year 2 mons -3 days -04:05:06.789'`,
    `'-1 mon +2 days'`,
    `'0'`,
    `'infinity'`,
    `'-infinity'`,
    `'2562047788:00:54.775807'`,
    `'-0.000001 s'`,
  ],
  ['uuid', 'uuid', `'00112233-4455-6677-8899-aabbccddeeff'`],
  ['json', 'json', `'{"a" :  1}'`],
  ['jsonb', 'json', `'{"b": 1e2, "a": [null]}'`],
  ['xml', 'other(xml)', `'<a>1</a>'`],
  ['money', 'other(money)', `'-1234.56'`],
  ['bit(3)', 'other(bit)', `B'101'`],
  ['varbit', 'other(varbit)', `B''`, `B'1'`],
  ['inet', 'other(inet)', `'10.0.0.1/8'`, `'::1'`],
  ['cidr', 'other(cidr)', `'10.0.0.0/8'`],
  ['macaddr8', 'other(macaddr8)', `'08:00:2b:01:02:03:04:05'`],
  ['int4range', 'other(int4range)', `'[1,5)'`, `'empty'`],
  ['nummultirange', 'other(nummultirange)', `'{[1.5,2),[3,)}'`],
  ['tsvector', 'other(tsvector)', `'a fat cat'`],
  ['point', 'other(point)', `'(1.5,-2)'`],
  ['box', 'other(box)', `'(1,1),(0,0)'`],
  ['polygon', 'other(polygon)', `'((0,0),(1,1),(2,0))'`],
  ['circle', 'other(circle)', `'<(1,2),3>'`],
  ['line', 'other(line)', `'{1,2,3}'`],
  ['mood', 'text', `'happy'`],
  ['small_amount', 'decimal(6,2)', '12.3'],
  ['pair', 'other(pair)', `ROW(1, 'a,"b"')::pair`],
  ['int4[]', 'list<int32>', `'{}'`, `'{1,NULL,3}'`],
  ['text[]', 'list<text>', `ARRAY['', 'NULL', NULL, 'a,b', 'q"\\', '{x}']`, `'{a}'`],
  ['numeric(6,2)[]', 'list<decimal(6,2)>', `'{1.50,NaN}'`],
  ['timestamptz[]', 'list<timestamptz>', `ARRAY['2026-01-01+00'::timestamptz, 'infinity']`],
  ['jsonb[]', 'list<json>', `ARRAY['{"a": "b\\"c"}'::jsonb]`],
  ['int8[]', 'list<int64>', `'{{1,2},{3,4}}'`, `'{5}'`, 'NULL'],
  ['float8[]', 'list<float64>', `'[0:1]={1,2}'`, `'{0.5}'`],
  ['bit(2)[]', 'list<other(bit)>', `ARRAY[B'10', B'01']`],
  ['mood[]', 'list<text>', `ARRAY['sad', NULL]::mood[]`],
  ['box[]', 'other(box[])', `ARRAY['(1,1),(0,0)'::box, '(2,2),(1,1)']`],
  ['pair[]', 'list<other(pair)>', `ARRAY[ROW(1, 'x')::pair, NULL]`],
  ['int2vector', 'other(int2vector)', `'1 2'`],
]

/** Without what came with PostgreSQL 15 (scales outside of the precision, hours without end) and 17 (infinite intervals). */
function casesOf(version: number): readonly TypeCase[] {
  return allCases
    .filter(([type]) => version >= 15 || (type !== 'numeric(5,-2)' && type !== 'numeric(3,5)'))
    .map(([type, logical, ...values]) => {
      const known = values.filter(
        (value) =>
          (version >= 17 || !value.includes('infinity')) &&
          (version >= 15 || !value.includes('2562047788')),
      )
      return [type, logical, ...(type === 'interval' ? known : values)]
    })
}

describe('values through the stream', () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  it('are what the server prints, for every type', async () => {
    await server.query(`CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN small_amount AS numeric(6,2);
      CREATE TYPE pair AS (a int, b text)`)
    const [row] = await server.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS version",
    )
    const cases = casesOf(row!.version)
    const columns = cases.map(([type], i) => `c${i} ${type}`)
    await server.query(`CREATE TABLE typed (id int PRIMARY KEY, ${columns.join(', ')})`)
    const prepared = await prepare(server, 'typed', ['typed'])
    const rows = Math.max(...cases.map((c) => c.length - 2))
    for (let row = 0; row <= rows; row++) {
      const values = cases.map(([type, , ...values]) =>
        values[row] === undefined ? 'NULL' : `(${values[row]})::${type}`,
      )
      await server.query(`INSERT INTO typed VALUES (${row}, ${values.join(', ')})`)
    }
    const until = await endLsn(server, 'INSERT INTO typed VALUES (-1)')
    const fold = new Fold()
    const types: string[] = []
    await pullUntil(await open(server, prepared), until, (batch) => {
      fold.apply(batch)
      for (const change of batch.changes) {
        if ('batch' in change && types.length === 0) {
          types.push(...change.batch.schema.fields.map(({ type }) => typeName(type)))
        }
      }
    })
    assert.deepEqual(
      types.slice(1),
      cases.map(([, logical]) => logical),
    )
    const found = fold.sorted('public.typed').map((row) => JSON.parse(row) as (string | null)[])
    const expected = (await tableRows(server, 'typed')).map(
      (row) => JSON.parse(row) as (string | null)[],
    )
    for (const [i, row] of expected.entries()) {
      for (const [c, value] of row.entries()) {
        assert.equal(found[i]?.[c], value, `${c === 0 ? 'id' : cases[c - 1]![0]} of row ${row[0]}`)
      }
    }
  })
})
