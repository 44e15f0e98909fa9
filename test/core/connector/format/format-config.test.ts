/** How messages are written, as the pipeline file says it: each setting, and what can be wrong between them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import {
  plainFormats,
  plainProblems,
  plainShape,
  type PlainSettings,
} from '../../../../core/connector/format/format-config.ts'

const shape = z.strictObject({ ...plainShape, format: z.enum(plainFormats) })

function issues(value: unknown): string[] {
  const parsed = shape.safeParse(value)
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

function problems(settings: PlainSettings): string[] {
  return plainProblems(settings).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('settings that are right', () => {
  const value = {
    format: 'json',
    schema: { id: 'int64', at: 'timestamptz?', amount: 'decimal(12,2)' },
    key: 'id',
    epoch: { at: 'ms' },
    tombstones: 'ignore',
  }
  assert.deepEqual(issues(value), [])
  const settings = shape.parse(value)
  assert.deepEqual(settings.key, ['id'])
  assert.deepEqual(problems({ ...settings, keyFormat: 'json' }), [])
  assert.deepEqual(problems({ format: 'text' }), [])
  assert.deepEqual(problems({ format: 'bytes' }), [])
  assert.deepEqual(
    problems({ format: 'text', schema: { k: 'int64', v: 'text' }, key: ['k'], keyFormat: 'text' }),
    [],
  )
  // The other columns of a source's schema may do without a value.
  assert.ok(z.toJSONSchema(shape, { io: 'input' }))
})

test('each setting by itself', () => {
  assert.deepEqual(issues({ format: 'json', schema: { id: 'int46' } }), [
    'schema.id: there is no type int46; did you mean "int64"?',
  ])
  // What YAML makes of { amount: decimal(12,2)? }.
  assert.deepEqual(issues({ format: 'json', schema: { amount: 'decimal(12', '2)?': null } }), [
    'schema.amount: expected ")" at character 11; between { } a type with a comma stands in quotes',
    'schema.2)?: expected a type, such as int64 or text; { } ends a type at its comma, quotes do not',
  ])
  assert.deepEqual(issues({ format: 'csv', csv: { delimiter: '||' } }), [
    'csv.delimiter: expected one ASCII character',
  ])
  assert.deepEqual(issues({ format: 'csv', csv: { quote: '\n' } }), [
    'csv.quote: a line break ends a record',
  ])
  assert.equal(issues({ format: 'json', epoch: 'minutes' }).length, 1)
})

test('what is wrong between them', () => {
  const schema = { id: 'int64', name: 'text?', at: 'timestamptz' }
  assert.deepEqual(problems({ format: 'json' }), [
    'schema: format: json needs the columns and their types; sluice schema infer proposes some',
  ])
  assert.deepEqual(problems({ format: 'json', schema, key: ['idd', 'name', 'id', 'id'] }), [
    'key.0: `schema` has no column idd; did you mean "id"?',
    'key.1: name may be null by `schema`, a key may not: take its "?" away',
    'key.3: id is there twice',
  ])
  assert.deepEqual(problems({ format: 'text', schema }), [
    'schema.name: format: text has one column, which is id',
  ])
  assert.deepEqual(problems({ format: 'bytes', schema: { v: 'text' } }), [
    'schema.v: format: bytes makes a column of bytes',
  ])
  assert.deepEqual(problems({ format: 'json', schema, keyFormat: 'json' }), [
    'key_format: there are no columns to read from the message’s key: say which in `key`',
  ])
  assert.deepEqual(problems({ format: 'json', schema, key: ['id', 'at'], keyFormat: 'text' }), [
    'key_format: key_format: text is for one key column; `key` has 2',
  ])
  assert.deepEqual(problems({ format: 'json', schema, key: ['id'], keyFormat: 'bytes' }), [
    'key.0: key_format: bytes needs id to be bytes in `schema`',
  ])
  assert.deepEqual(problems({ format: 'json', schema, epoch: { att: 's', id: 's' } }), [
    'epoch.att: no timestamp column att; did you mean "at"?',
    'epoch.id: no timestamp column id; did you mean "id"?',
  ])
  assert.deepEqual(problems({ format: 'json', schema, csv: {} }), [
    'csv: is for format: csv, and this is json',
  ])
  assert.deepEqual(problems({ format: 'csv', schema, csv: { delimiter: '"' } }), [
    'csv.quote: is the same as the delimiter',
  ])
})
