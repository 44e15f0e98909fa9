/** Schemas read off samples: cautious, and never one that its own sample does not fit (invariant 5). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { valueFormat, type PlainSettings } from '../../../../core/connector/format/format-config.ts'
import { inferSchema } from '../../../../core/connector/format/infer.ts'
import { readAll } from './support.ts'

/** Type of the one column `v` with these values in JSON. */
function typeOf(...values: string[]): string | undefined {
  return inferSchema(
    { format: 'json' },
    values.map((value) => Buffer.from(`{"v":${value}}`)),
  ).schema['v']
}

test('types of a column', () => {
  assert.equal(typeOf('1', '2'), 'int64')
  assert.equal(typeOf('1', '9223372036854775808'), 'uint64')
  assert.equal(typeOf('-1', '9223372036854775808'), 'decimal')
  assert.equal(typeOf('1', 'null'), 'int64?')
  assert.equal(typeOf('1', '2.50'), 'decimal(18,4)')
  assert.equal(typeOf('1.0'), 'decimal(18,4)')
  assert.equal(typeOf('0.12345', '1e-7'), 'float64')
  assert.equal(typeOf('0.30000000000000004'), 'float64')
  assert.equal(typeOf('0.123456789012345678901'), 'decimal')
  assert.equal(typeOf('1e400'), 'decimal')
  assert.equal(typeOf('true', 'false'), 'bool')
  assert.equal(typeOf('"a"', '"2026-01-31"'), 'text')
  assert.equal(typeOf('"2026-01-31"'), 'date')
  assert.equal(typeOf('"2026-02-31"'), 'text')
  assert.equal(typeOf('"2026-01-31T10:00:00Z"', '"2026-01-31 10:00:00.5+01:00"'), 'timestamptz')
  assert.equal(typeOf('"2026-01-31T10:00:00"'), 'timestamp')
  assert.equal(typeOf('"2026-01-31T10:00:00Z"', '"2026-01-31T10:00:00"'), 'text')
  assert.equal(typeOf('"2026-01-31T10:00:00.1234567Z"'), 'text')
  assert.equal(typeOf('"2026-01-31T10:00:00.1234560Z"'), 'timestamptz')
  assert.equal(typeOf('"10:00:00"'), 'time')
  assert.equal(typeOf('"10:00"'), 'text')
  assert.equal(typeOf('"6ba7b810-9dad-11d1-80b4-00c04fd430c8"'), 'uuid')
  assert.equal(typeOf('"d41d8cd98f00b204e9800998ecf8427e"'), 'text')
  assert.equal(typeOf('"12"'), 'text')
  assert.equal(typeOf('"infinity"'), 'text')
  assert.equal(typeOf('1', '"a"'), 'text')
  assert.equal(typeOf('1', '{}'), 'json')
  assert.equal(typeOf('{"a":1}'), 'json')
  assert.equal(typeOf('[1]', '[null]'), 'list<int64>')
  assert.equal(typeOf('[1]', '[{}]'), 'json')
  assert.equal(typeOf('[[1],[]]'), 'list<list<int64>>')
  assert.equal(typeOf('[]'), 'json')
  assert.equal(typeOf('null'), 'json?')
})

test('columns in the order of the records, with what their reader should know', () => {
  const { schema, records, remarks } = inferSchema({ format: 'json' }, [
    Buffer.from('{"id":1,"mixed":1,"created_at":1700000000123,"none":null}'),
    Buffer.from('{"id":2,"mixed":"a","created_at":1700000000124,"new":[]}'),
    Buffer.from('[1]'),
    Buffer.from('{"id":'),
  ])
  assert.deepEqual(Object.entries(schema), [
    ['id', 'int64'],
    ['mixed', 'text'],
    ['created_at', 'int64'],
    ['none', 'json?'],
    ['new', 'json?'],
  ])
  assert.equal(records, 2)
  assert.deepEqual(remarks, [
    'mixed: values of several kinds: number 1×, text 1×; proposed: text',
    'created_at: looks like a time: timestamptz with `epoch: ms` would read it as one; proposed: int64',
    'none: always null in the sample; proposed: json',
    'new: arrays, all of them empty; proposed: json',
    '2 of 4 values cannot be read as json',
  ])
})

test('CSV, with names and without; text and bytes', () => {
  const rows = ['1,"a, ""b""",true,007', '2,,FALSE,12'].map((line) => Buffer.from(line))
  assert.deepEqual(inferSchema({ format: 'csv' }, rows).schema, {
    column_1: 'int64',
    column_2: 'text?',
    column_3: 'bool',
    column_4: 'text',
  })
  const named = rows.map((row) => Buffer.concat([Buffer.from('id,name,ok,code\n'), row]))
  assert.deepEqual(
    Object.keys(inferSchema({ format: 'csv', csv: { header: true } }, named).schema),
    ['id', 'name', 'ok', 'code'],
  )
  assert.deepEqual(inferSchema({ format: 'text' }, rows).schema, { value: 'text' })
  assert.deepEqual(inferSchema({ format: 'text' }, [Buffer.of(0xff)]).schema, { value: 'bytes' })
  assert.deepEqual(inferSchema({ format: 'bytes' }, rows).schema, { value: 'bytes' })
})

const scalar = fc.oneof(
  fc.constantFrom(
    'null',
    'true',
    'false',
    '1',
    '-0',
    '1.5',
    '1e5',
    '1e999',
    '123456789012345678901234567890',
    '0.1234567890123456789',
  ),
  fc.constantFrom('"a"', '"2026-01-31"', '"2026-01-31T10:00:00Z"', '"10:00:00"', '"\\ud800"', '""'),
  fc
    .double()
    .filter(Number.isFinite)
    .map(String)
    .filter((text) => !text.includes('e')),
)
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }).map((all) => `[${all.join(',')}]`),
  scalar.map((inner) => `{"x":${inner}}`),
)

test('every value of a sample fits the schema that is proposed for it', () => {
  const member = fc.tuple(fc.constantFrom('a', 'b', 'é', '__proto__', 'c d'), value)
  fc.assert(
    fc.property(
      fc.array(fc.array(member, { maxLength: 4 }), { minLength: 1, maxLength: 5 }),
      (documents) => {
        const values = documents.map((members) =>
          Buffer.from(
            `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`,
          ),
        )
        const { schema, records } = inferSchema({ format: 'json' }, values)
        assert.equal(records, values.length)
        const settings: PlainSettings = { format: 'json', schema }
        for (const [i, row] of readAll(valueFormat(settings), values).entries()) {
          assert.ok(
            Array.isArray(row),
            `${values[i]!.toString()} as ${JSON.stringify(schema)}: ${JSON.stringify(row)}`,
          )
        }
      },
    ),
    { numRuns: 1000 },
  )
})
