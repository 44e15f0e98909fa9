/**
 * Invariant 9 for what operators remember: values that are equal but not the same ('1 mon' and
 * '30 days', 1.0 and 1.00, 0 and −0) come back as they were, and keys are told from converted ones.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Op } from '../../../core/record/batch.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { compile } from '../../../core/sql/compile.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { batchOf, rowsOf, type Change } from '../../sql/rows.ts'

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    { name: 'i', type: { kind: 'interval' }, nullable: true },
    { name: 'n', type: { kind: 'decimal', precision: null, scale: null }, nullable: true },
    { name: 'f', type: { kind: 'float64' }, nullable: true },
  ],
  [0],
  'upsert',
)

function row(...values: string[]): Change {
  return { row: values, weight: 1, op: Op.insert }
}

test('an upsert topic without its key: every row shows its own digits, and an update to equal ones too', async () => {
  const query = compile(await parseQuery('SELECT i, n, f FROM t'), new Map([['t', schema]]))
  let execution = query.start()
  execution.push(
    't',
    batchOf(schema, [row('1', '1 mon', '1.0', '0'), row('2', '30 days', '1.00', '-0')]),
  )
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map((out) => out.row),
    [
      ['1 mon', '1.0', '0'],
      ['30 days', '1.00', '-0'],
    ],
  )
  const state = execution.fullState()
  execution = query.start()
  execution.restore(state, [])
  execution.push('t', batchOf(schema, [{ ...row('1', '30 days', '1.000', '-0'), op: Op.update }]))
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map((out) => [...out.row, out.weight]),
    [
      ['1 mon', '1.0', '0', -1],
      ['30 days', '1.000', '-0', 1],
    ],
  )
})

test('a key that is converted is known from what was remembered', async () => {
  const of = async (sql: string) => compile(await parseQuery(sql), new Map([['t', schema]])).output
  const both = await of('SELECT id::bigint AS wide, id FROM t')
  assert.deepEqual([both.changelog, both.key], ['upsert', [1]])
  const only = await of('SELECT id::bigint AS wide, f FROM t')
  assert.deepEqual([only.changelog, only.key], ['upsert', [0]])
  const execution = compile(
    await parseQuery('SELECT id::text AS name, f FROM t'),
    new Map([['t', schema]]),
  ).start()
  execution.push('t', batchOf(schema, [row('1', '1 day', '1', '1'), row('2', '1 day', '1', '1')]))
  execution.step()
  execution.push(
    't',
    batchOf(schema, [
      { ...row('1', '1 day', '1', '5'), op: Op.update },
      { row: ['2', null, null, null], weight: -1, op: Op.delete },
    ]),
  )
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map((out) => [...out.row, out.weight]),
    [
      ['1', '5', 1],
      ['2', '1', -1],
    ],
  )
})

test('a truncate takes the keys away, also those that stand twice in the result', async () => {
  const query = compile(
    await parseQuery('SELECT id::bigint AS wide, id, id AS same FROM t WHERE f > 0'),
    new Map([['t', schema]]),
  )
  const execution = query.start()
  execution.push('t', batchOf(schema, [row('7', '1 day', '1', '1')]))
  execution.step()
  execution.truncate('t')
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map((out) => [...out.row, out.weight]),
    [['7', '7', '7', -1]],
  )
})
