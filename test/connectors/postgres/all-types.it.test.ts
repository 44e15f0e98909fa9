/**
 * Every built-in type, through the first copy and through the stream: the same value both ways, and
 * the value that the server itself prints. Attacks invariant 9 (exact values).
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { postgresMajors, startPostgres, type PostgresServer } from '../../services/postgres.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import { textAt } from '../../../core/record/value.ts'
import { typeName } from '../../../core/record/types.ts'
import { Follower } from './follow.ts'

interface TypeCase {
  readonly type: string
  /** As SQL literals, without their quotes. */
  readonly values: readonly string[]
  /** The logical type it becomes. */
  readonly as: string
  readonly versionMin?: number
  /** Tried where the server's build has it. */
  readonly extension?: string
}

const floats = [
  '0',
  '-0',
  '1.5',
  '-1e-300',
  '1.7976931348623157e308',
  '5e-324',
  '0.1',
  '123456789012345680',
  'NaN',
  'Infinity',
  '-Infinity',
]
const timestamps = [
  '2026-01-01 00:00:00',
  '1969-12-31 23:59:59.999999',
  '0001-01-01 00:00:00',
  '4713-01-01 00:00:00 BC',
  '294246-12-31 23:59:59.999999',
  '12345-06-07 08:09:10.1',
  'infinity',
  '-infinity',
  '2016-12-31 23:59:60',
]

const cases: readonly TypeCase[] = [
  { type: 'int2', as: 'int16', values: ['0', '-32768', '32767'] },
  { type: 'int4', as: 'int32', values: ['0', '-2147483648', '2147483647'] },
  {
    type: 'int8',
    as: 'int64',
    values: ['0', '-9223372036854775808', '9223372036854775807', '9007199254740993'],
  },
  { type: 'oid', as: 'int64', values: ['0', '4294967295'] },
  {
    type: 'float4',
    as: 'float32',
    values: ['0', '-0', '1.1', '3.4028235e38', '1e-45', 'NaN', 'Infinity', '-Infinity'],
  },
  { type: 'float8', as: 'float64', values: floats },
  {
    type: 'numeric',
    as: 'decimal',
    values: [
      '0',
      '-1.50',
      '12345678901234567890.123456789',
      '1e-20',
      '1e40',
      'NaN',
      'Infinity',
      '-Infinity',
      '0.000',
    ],
  },
  { type: 'numeric(12,2)', as: 'decimal(12,2)', values: ['0', '-9999999999.99', '0.05', 'NaN'] },
  { type: 'numeric(18,4)', as: 'decimal(18,4)', values: ['99999999999999.9999', '-0.0001', 'NaN'] },
  {
    type: 'numeric(38,10)',
    as: 'decimal(38,10)',
    values: ['9999999999999999999999999999.9999999999'],
  },
  { type: 'numeric(5,0)', as: 'decimal(5,0)', values: ['99999', '-1'] },
  {
    type: 'numeric(5,-2)',
    as: 'decimal(5,-2)',
    values: ['12345', '9999949', '-100'],
    versionMin: 15,
  },
  { type: 'numeric(3,5)', as: 'decimal(3,5)', values: ['0.00999', '-0.00001'], versionMin: 15 },
  {
    type: 'text',
    as: 'text',
    values: [
      '',
      'plain',
      'tab\tline\nreturn\rback\\slash "quote"',
      '\\N',
      'ünïcödé 🎈',
      'NULL',
      '\\.',
    ],
  },
  { type: 'varchar(20)', as: 'text', values: ['', 'abc  '] },
  { type: 'char(5)', as: 'text', values: ['ab', '', 'abcde'] },
  { type: '"char"', as: 'text', values: ['x', ''] },
  { type: 'name', as: 'text', values: ['a_name', 'Ä'] },
  { type: 'bytea', as: 'bytes', values: ['\\x', '\\x00ff5c0a09', '\\xdeadbeef'] },
  { type: 'bool', as: 'bool', values: ['true', 'false'] },
  {
    type: 'date',
    as: 'date',
    values: [
      '2026-02-28',
      '1969-12-31',
      '4713-01-01 BC',
      '5874897-12-31',
      '0001-01-01',
      '10000-01-01',
      'infinity',
      '-infinity',
    ],
  },
  { type: 'time', as: 'time', values: ['00:00:00', '24:00:00', '23:59:59.999999', '12:30:00.5'] },
  {
    type: 'timetz',
    as: 'other(timetz)',
    values: ['24:00:00+15:59', '00:00:00-15:59', '12:00:00.25+05:30'],
  },
  { type: 'timestamp', as: 'timestamp', values: timestamps },
  {
    type: 'timestamptz',
    as: 'timestamptz',
    values: timestamps.map((t) =>
      t.endsWith('BC') ? `${t.slice(0, -3)}+00 BC` : t.includes('inf') ? t : `${t}+00`,
    ),
  },
  {
    type: 'interval',
    as: 'interval',
    values: [
      '0',
      '1 year 2 months -3 days 04:05:06.789',
      '-1 mon',
      '178000000 years',
      '-00:00:00.000001',
      '1 mon -1 day',
      '99999 hours',
    ],
  },
  {
    type: 'interval',
    as: 'interval',
    values: ['infinity', '-infinity', '2562047788:00:54.775807'],
    versionMin: 17,
  },
  {
    type: 'uuid',
    as: 'uuid',
    values: ['00000000-0000-0000-0000-000000000000', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  },
  {
    type: 'json',
    as: 'json',
    values: ['{"b":  1, "a":[1,2,{}], "b": 9007199254740993}', 'null', '"\\u00e9\\n"'],
  },
  {
    type: 'jsonb',
    as: 'json',
    values: ['{"b":  1, "a":[1,2,{}]}', '12345678901234567890.10', 'null'],
  },
  {
    type: 'int4[]',
    as: 'list<int32>',
    values: ['{}', '{1,NULL,-3}', '{{1,2},{3,4}}', '[5:6]={1,2}', '[-1:0][2:3]={{1,2},{3,4}}'],
  },
  {
    type: 'text[]',
    as: 'list<text>',
    values: ['{}', '{a,"b c","",NULL,"NULL","q\\"uo\\\\te","{}",","}', '{{a},{b}}'],
  },
  { type: 'numeric(8,2)[]', as: 'list<decimal(8,2)>', values: ['{1.5,NULL,NaN}', '{}'] },
  {
    type: 'timestamptz[]',
    as: 'list<timestamptz>',
    values: ['{"2026-01-01 00:00:00+00",infinity}'],
  },
  { type: 'bit(3)[]', as: 'list<other(bit)>', values: ['{101,010}'] },
  { type: 'uuid[]', as: 'list<uuid>', values: ['{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'] },
  { type: 'bool[]', as: 'list<bool>', values: ['{t,f,NULL}'] },
  { type: 'bytea[]', as: 'list<bytes>', values: ['{"\\\\x00ff",NULL}'] },
  { type: 'box[]', as: 'other(box[])', values: ['{(1,1),(0,0);(2,2),(1,1)}'] },
  { type: 'mood', as: 'text', values: ['sad', 'very happy'] },
  { type: 'mood[]', as: 'list<text>', values: ['{sad,"very happy",NULL}'] },
  { type: 'posint', as: 'int32', values: ['5'] },
  { type: 'price', as: 'decimal(10,2)', values: ['19.90'] },
  { type: 'pair', as: 'other(pair)', values: ['(1,"a b")', '(,"")', '(-7,"q""uote,")'] },
  { type: 'pair[]', as: 'list<other(pair)>', values: ['{"(1,x)","(2,\\"a b\\")"}'] },
  { type: 'money', as: 'other(money)', values: ['12.34', '-92233720368547758.08'] },
  { type: 'bit(5)', as: 'other(bit)', values: ['10101'] },
  { type: 'varbit', as: 'other(varbit)', values: ['', '1', '110011'] },
  { type: 'xml', as: 'other(xml)', values: ['<a b="1">x &amp; y</a>'] },
  { type: 'inet', as: 'other(inet)', values: ['192.168.0.1/24', '::1', '10.0.0.1'] },
  { type: 'cidr', as: 'other(cidr)', values: ['10.0.0.0/8', '2001:db8::/32'] },
  { type: 'macaddr', as: 'other(macaddr)', values: ['08:00:2b:01:02:03'] },
  { type: 'macaddr8', as: 'other(macaddr8)', values: ['08:00:2b:01:02:03:04:05'] },
  { type: 'int4range', as: 'other(int4range)', values: ['empty', '[1,5)', '(,)', '[3,)'] },
  { type: 'numrange', as: 'other(numrange)', values: ['(1.5,2.50]'] },
  { type: 'tstzrange', as: 'other(tstzrange)', values: ['["2026-01-01 00:00:00+00",infinity)'] },
  { type: 'int4multirange', as: 'other(int4multirange)', values: ['{}', '{[1,3),[5,7)}'] },
  { type: 'tsvector', as: 'other(tsvector)', values: ["''a'':1A ''fat'':2B,4C"] },
  { type: 'tsquery', as: 'other(tsquery)', values: ["''fat'' & ( ''rat'' | !''cat'' )"] },
  { type: 'point', as: 'other(point)', values: ['(1,2.5)', '(NaN,-0)'] },
  { type: 'line', as: 'other(line)', values: ['{1,-1,0}'] },
  { type: 'lseg', as: 'other(lseg)', values: ['[(1,2),(3,4)]'] },
  { type: 'box', as: 'other(box)', values: ['(3,4),(1,2)'] },
  { type: 'path', as: 'other(path)', values: ['((1,2),(3,4))', '[(1,2),(3,4)]'] },
  { type: 'polygon', as: 'other(polygon)', values: ['((0,0),(1,0),(1,1))'] },
  { type: 'circle', as: 'other(circle)', values: ['<(1,2),3>'] },
  { type: 'pg_lsn', as: 'other(pg_lsn)', values: ['16/B374D848'] },
  { type: 'regclass', as: 'other(regclass)', values: ['pg_class', 'public.mixed'] },
  { type: 'jsonpath', as: 'other(jsonpath)', values: ['$.a[*]'] },
  { type: 'xid8', as: 'other(xid8)', values: ['18446744073709551615'] },
  { type: 'int2vector', as: 'other(int2vector)', values: ['1 2 3'] },
  {
    type: 'hstore',
    as: 'other(hstore)',
    values: ['', '"a"=>"1", "b"=>NULL', '"a b"=>"c,\\"d"'],
    extension: 'hstore',
  },
  { type: 'citext', as: 'other(citext)', values: ['', 'Ab', 'aB\u00e4'], extension: 'citext' },
  { type: 'citext[]', as: 'list<other(citext)>', values: ['{A,"b c",NULL}'], extension: 'citext' },
]

/** What `textAt` promises to print: PostgreSQL's own text under these settings. */
const printed = `SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1; SET lc_monetary = 'C'; SET search_path = ''`

async function prepare(server: PostgresServer, own: readonly TypeCase[]): Promise<void> {
  // Settings of the database that would change how values are printed, were they not overridden.
  await server.query("ALTER DATABASE postgres SET DateStyle = 'German'")
  await server.query("ALTER DATABASE postgres SET TimeZone = 'Asia/Kathmandu'")
  await server.query("ALTER DATABASE postgres SET IntervalStyle = 'sql_standard'")
  await server.query('ALTER DATABASE postgres SET extra_float_digits = -5')
  await server.query("ALTER DATABASE postgres SET bytea_output = 'escape'")
  const client = await server.client()
  await client.query(`SET DateStyle = 'ISO, MDY'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres';
    CREATE TYPE mood AS ENUM ('sad', 'very happy'); CREATE DOMAIN posint AS int CHECK (value > 0);
    CREATE DOMAIN price AS numeric(10,2); CREATE TYPE pair AS (a int, b text);
    CREATE TABLE mixed (a int)`)
  for (const name of new Set(own.flatMap(({ extension }) => extension ?? []))) {
    await client.query(`CREATE EXTENSION ${name}`)
  }
  const columns = own.map(({ type }, i) => `c${i} ${type}`).join(', ')
  await client.query(`CREATE TABLE every (id int PRIMARY KEY, ${columns})`)
  const rows = Math.max(...own.map(({ values }) => values.length)) + 1
  for (let row = 0; row < rows; row++) {
    // The row after the last value is null, so that null is tried for every type.
    const values = own.map(({ values: given }) => {
      const value = given[row]
      return value === undefined
        ? 'NULL'
        : `E'${value.replaceAll('\\', '\\\\').replaceAll(/(?<!')'(?!')/g, "''")}'`
    })
    await client.query(`INSERT INTO every VALUES (${row}, ${values.join(', ')})`)
  }
  await client.end()
}

function rowsIn(batch: SourceBatch): Map<number, (string | null)[]> {
  const rows = new Map<number, (string | null)[]>()
  for (const change of batch.changes) {
    if (!('batch' in change)) continue
    const { schema, columns, rows: count } = change.batch
    for (let i = 0; i < count; i++) {
      const texts = schema.fields.map((field, c) => textAt(field.type, columns[c]!, i))
      rows.set(Number(texts[0]), texts.slice(1))
    }
  }
  return rows
}

for (const version of await postgresMajors(18, 14)) {
  describe(`PostgreSQL ${version}`, () => {
    it('has the same values in the copy, in the stream and on the server', async () => {
      await using server = await startPostgres({ version })
      const extensions = await server.query<{ name: string }>(
        'SELECT name FROM pg_available_extensions',
      )
      const available = new Set(extensions.map(({ name }) => name))
      const own = cases.filter(
        ({ versionMin = 14, extension }) =>
          version >= versionMin && (extension === undefined || available.has(extension)),
      )
      await prepare(server, own)
      await using follower = new Follower({ url: server.url, tables: ['every'] })
      const copied = await follower.next()
      const change = copied.changes[0]!
      assert.ok('batch' in change)
      const types = change.batch.schema.fields.slice(1).map(({ type }) => typeName(type))
      assert.deepEqual(
        types,
        own.map(({ as }) => as),
      )

      const list = own.map((_, i) => `c${i}`).join(', ')
      await server.query(`INSERT INTO every SELECT id + 1000, ${list} FROM every`)
      const client = await server.client()
      await client.query(printed)
      // Not by a cast to text: for some types that is not what the output function prints.
      const { rows: expected } = await client.query<(string | null)[]>({
        text: `SELECT id, ${list} FROM public.every ORDER BY id`,
        rowMode: 'array',
        types: { getTypeParser: () => (text: string) => text },
      })
      const inCopy = rowsIn(copied)
      const streamed = new Map<number, (string | null)[]>()
      await follower.until((batch) => {
        for (const next of batch.changes) {
          assert.ok('batch' in next)
          assert.equal(
            next.batch.schema.id,
            change.batch.schema.id,
            'copy and stream have one schema',
          )
        }
        for (const [id, texts] of rowsIn(batch)) streamed.set(id, texts)
        return streamed.size > 0
      })
      assert.equal(inCopy.size, streamed.size)
      for (const [id, ...texts] of expected) {
        const where = Number(id) < 1000 ? 'copy' : 'stream'
        const found = (where === 'copy' ? inCopy : streamed).get(Number(id))
        for (const [i, { type }] of own.entries()) {
          assert.equal(found?.[i], texts[i], `${type} in the ${where}, row ${id}`)
        }
      }
    })
  })
}
