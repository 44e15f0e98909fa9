/** Rows in the shape that a target keeps: shared where alike, refused where a value has no place. Invariants 5, 9. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonRows } from '../../../core/record/json.ts'
import { makeSchema, type Changelog, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { piecesOf } from '../../../core/task/delivery-pieces.ts'
import { shapeBatch, targetOf, type TopicShape } from '../../../core/task/schema-shape.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'

const int32: LogicalType = { kind: 'int32' }
const int64: LogicalType = { kind: 'int64' }
const text: LogicalType = { kind: 'text' }
const field = (name: string, type: LogicalType, nullable = true): Field => ({
  name,
  type,
  nullable,
})

const topicOf = (changelog: Changelog) =>
  makeSchema([field('id', int64, false), field('n', int64), field('v', text)], [0], changelog)

/** The target keeps 32 bits, and NOT NULL. */
const shape = (schema: string): TopicShape => ({
  schema,
  as: [
    { from: 'id', field: field('id', int32, false) },
    { from: 'n', field: field('n', int32, false) },
  ],
})

const large = 2 ** 40
const given: readonly Row[] = [
  { values: { id: 1, n: 1, v: 'a' } },
  { values: { id: 2, n: large, v: 'b' } },
  { values: { id: 3, n: null, v: 'c' } },
  { values: { id: large, n: 4, v: 'd' } },
  { weight: -1, values: { id: 5, n: large, v: 'e' } },
  { weight: -1, values: { id: 6, n: null, v: null } },
  { weight: -1, values: { id: large, n: null, v: null } },
]

function misfits(changelog: Changelog): readonly string[] {
  const topic = topicOf(changelog)
  const shaped = shapeBatch(batchOf(topic, given), targetOf(shape(topic.id), topic))
  return shaped.misfits.map(
    ({ row, field, isNull }) => `${row} ${field.name}${isNull ? ' null' : ''}`,
  )
}

test('a row is refused for what matters of it: of a deletion in an upsert topic, its key', () => {
  assert.deepEqual(misfits('upsert'), ['1 n', '2 n null', '3 id', '6 id'])
  assert.deepEqual(misfits('retract'), ['1 n', '2 n null', '3 id', '4 n', '5 n null', '6 id'])
})

test('pieces have the offsets of their rows, and the same ids each time', () => {
  const topic = topicOf('upsert')
  const target = targetOf(shape(topic.id), topic)
  const delivery = {
    kind: 'rows',
    from: 100,
    batch: batchOf(topic, given),
    timeMs: 0,
    shaping: { target, agreed: [] },
  } as const
  const { pieces, rejected } = piecesOf(delivery, 'x')
  assert.deepEqual(
    pieces.map(({ id, row, batch }) => [id, row, batch.rows, batch.schema.id]),
    [
      ['x/0-1', 0, 1, target.schema.id],
      ['x/4-6', 4, 2, target.schema.id],
    ],
  )
  assert.deepEqual(
    rejected.map(({ row, code, attempts }) => [row, code, attempts]),
    [1, 2, 3, 6].map((row) => [row, 'schema.value_not_held', 1]),
  )
  for (const { message } of rejected) assert.ok(!message.includes(String(large)), message)
  assert.deepEqual(piecesOf(delivery, 'x'), { pieces, rejected })
})

test('columns that are alike are shared, and rows as they are when all are', () => {
  const topic = topicOf('append')
  const batch = batchOf(topic, given.slice(0, 1))
  assert.equal(shapeBatch(batch, targetOf({ schema: topic.id }, topic)).batch, batch)
  const out = shapeBatch(batch, targetOf({ schema: topic.id, out: ['n'] }, topic)).batch
  assert.equal(out.columns[0], batch.columns[0])
  assert.equal(out.columns[1], batch.columns[2])
})

test('rows of an older schema are found by their names', () => {
  const topic = topicOf('upsert')
  const kept: TopicShape = { schema: topic.id, kept: [field('old', text)] }
  const before = makeSchema([field('old', text), field('id', int32, false)], [1], 'upsert')
  const { batch, misfits: none } = shapeBatch(
    batchOf(before, [{ values: { id: 7, old: 'o' } }]),
    targetOf(kept, topic),
  )
  assert.deepEqual(none, [])
  assert.equal(jsonRows(batch)(0), '{"id":7,"n":null,"v":null,"old":"o"}')
})
