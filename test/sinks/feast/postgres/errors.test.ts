/** What each error of a server means: the fault decides whether rows wait or somebody is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { postgresError } from '../../../../sinks/feast/postgres/errors.ts'
import { pythonFloat } from '../../../../sinks/feast/postgres/value-text.ts'

const cases: readonly (readonly [string, string, string])[] = [
  ['53100', 'sink.feast.postgres_full', 'transient'],
  ['53300', 'sink.feast.postgres_busy', 'transient'],
  ['40P01', 'sink.feast.postgres_busy', 'transient'],
  ['57014', 'sink.feast.postgres_busy', 'transient'],
  ['57P01', 'sink.feast.postgres_connection', 'transient'],
  ['57P03', 'sink.feast.postgres_connection', 'transient'],
  ['25006', 'sink.feast.postgres_read_only', 'transient'],
  ['ECONNREFUSED', 'sink.feast.postgres_connection', 'transient'],
  ['42501', 'sink.feast.postgres_access', 'config'],
  ['28P01', 'sink.feast.postgres_access', 'config'],
  ['42P01', 'sink.feast.postgres_table', 'config'],
  ['42P10', 'sink.feast.postgres_table', 'config'],
  ['XX000', 'sink.feast.postgres_server', 'config'],
]

test('SQLSTATEs and codes of the socket', () => {
  for (const [code, wanted, fault] of cases) {
    const thrown = Object.assign(new Error('what the server said'), { code, detail: 'a value' })
    const error = postgresError(thrown, 'write view users')
    assert.deepEqual([error.code, error.fault], [wanted, fault], code)
    assert.ok(!error.message.includes('a value'))
  }
  const lost = postgresError(new Error('Connection terminated unexpectedly'), 'write')
  assert.equal(lost.code, 'sink.feast.postgres_connection')
  assert.equal(postgresError(new TypeError('x is not a function'), 'write').fault, 'bug')
})

test('numbers as Python writes them', () => {
  const texts: readonly (readonly [number, string])[] = [
    [0, '0.0'],
    [-0, '-0.0'],
    [1, '1.0'],
    [0.1, '0.1'],
    [1e-5, '1e-05'],
    [0.0001, '0.0001'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e300, '1.5e+300'],
    [NaN, 'nan'],
    [-Infinity, '-inf'],
  ]
  for (const [value, text] of texts) assert.equal(pythonFloat(value), text)
})
