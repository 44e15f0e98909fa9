/** Rows of earlier schemas that are sent again have their values where the target has them now. Invariants 5, 6. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import type { SchemaPolicy } from '../../../core/connector/schema-policy.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { pastOf } from '../../../core/task/schema-past.ts'
import { batchOf, type Row } from '../../conformance/rows.ts'
import { ask, doneAt, over } from '../../support/letters.ts'
import { sourceChain, writeTopics } from '../../support/scripted-sink.ts'
import { TableTarget, type TableRow } from '../../support/table-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { untilDisposed } from '../../support/while-running.ts'

/** A key `id`, and texts. */
function schemaOf(...names: readonly string[]): Schema {
  const texts = names.map((name) => ({ name, type: { kind: 'text' }, nullable: true }) as const)
  return makeSchema(
    [{ name: 'id', type: { kind: 'int64' }, nullable: false }, ...texts],
    [0],
    'upsert',
  )
}

test('names are followed over several renames, and back', () => {
  const history = [
    schemaOf('a', 'x'),
    schemaOf('b', 'x'),
    schemaOf('c', 'x'),
    schemaOf('c', 'x', 'a'),
  ]
  const names = (then: number, now: number) =>
    Object.fromEntries(pastOf(history, history[now]!.id)(history[then]!).names)
  assert.deepEqual(names(0, 1), { b: 'a' })
  assert.deepEqual(names(0, 2), { c: 'a' })
  assert.deepEqual(names(0, 3), { c: 'a', a: null }, 'another column has the name since')
  assert.deepEqual(names(2, 3), {})
  assert.deepEqual(names(2, 0), { a: 'c' }, 'a schema that came again')
  assert.deepEqual(Object.fromEntries(pastOf(history, 'unknown')(history[0]!).names), {})
})

test('a column that was dropped is not the later one of its name', () => {
  const [old, without, anew] = [schemaOf('a', 'x'), schemaOf('x'), schemaOf('x', 'y', 'a')]
  const names = (history: readonly Schema[], then: Schema, now: Schema) =>
    Object.fromEntries(pastOf(history, now.id)(then).names)
  assert.deepEqual(names([old, without, anew], old, anew), { a: null })
  assert.deepEqual(names([old, without, anew], without, anew), {}, 'there was none')
  assert.deepEqual(names([old, without, anew], anew, old), { a: null }, 'nor back in time')
  assert.deepEqual(names([old, without, old], old, old), {})
})

/** What the target is given when the first of these rows, each of its schema, is sent once more after all of them. */
async function firstSentAgain(
  history: readonly (readonly [Schema, Row['values']])[],
  onSchemaChange: SchemaPolicy = { policy: 'evolve' },
): Promise<TableRow> {
  const log = await testLog()
  const target = new TableTarget()
  for (const [schema, values] of history) {
    await writeTopics(log, { kind: 'rows', topic: 's.t', batch: batchOf(schema, [{ values }]) })
  }
  const { connector } = target
  const task = { connector, config: {}, from: ['s.*'], chains: [sourceChain], onSchemaChange }
  await using _running = untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
  await doneAt(log, history.length)
  const replay = { kind: 'replay', topic: 's.t', from: 0, to: 1, where: null } as const
  assert.equal((await over(log, (await ask(log, replay)).number)).how, 'done')
  return target.table('s.t').written.findLast(({ offset }) => offset === 0)!.row
}

const policies: readonly (readonly [SchemaPolicy, object])[] = [
  [{ policy: 'evolve' }, { b: 'x' }],
  [{ policy: 'lenient' }, { a: 'x', b: null }],
  [{ policy: 'ignore' }, { a: 'x' }],
]

for (const [policy, wanted] of policies) {
  test(`${policy.policy}: a row from before a rename is the same row after it was sent again`, async () => {
    const row = await firstSentAgain(
      [
        [schemaOf('a'), { id: 1, a: 'x' }],
        [schemaOf('b'), { id: 2, b: 'y' }],
      ],
      policy,
    )
    assert.deepEqual(row, { id: '1', ...wanted })
  })
}

test('a row from before a column was dropped brings nothing into the later one of its name', async () => {
  const row = await firstSentAgain([
    [schemaOf('a', 'x'), { id: 1, a: 'old', x: 'x' }],
    [schemaOf('x'), { id: 2, x: 'x' }],
    [schemaOf('x', 'y', 'a'), { id: 3, x: 'x', y: 'y', a: 'young' }],
  ])
  assert.deepEqual(row, { id: '1', x: 'x', y: null, a: null })
})

test('rows of a schema that came again keep their values: nothing was dropped after it', async () => {
  const row = await firstSentAgain([
    [schemaOf('a'), { id: 1, a: 'x' }],
    [schemaOf(), { id: 2 }],
    [schemaOf('a'), { id: 3, a: 'y' }],
    [schemaOf('a', 'x', 'y'), { id: 4, a: 'z', x: 'x', y: 'y' }],
  ])
  assert.deepEqual(row, { id: '1', a: 'x', x: null, y: null })
})

test('rows from before a column with a default have it in them when they are sent again', async () => {
  const log = await testLog()
  const target = new TableTarget()
  const before = schemaOf('a')
  const added: readonly Field[] = [
    { name: 'n', type: { kind: 'int32' }, nullable: false, oldRows: '5' },
    {
      name: 'at',
      type: { kind: 'timestamptz' },
      nullable: true,
      oldRows: '2020-01-01 00:00:00+00',
    },
    { name: 'ok', type: { kind: 'bool' }, nullable: false, oldRows: 't' },
    { name: 'raw', type: { kind: 'bytes' }, nullable: true, oldRows: '\\x00ff' },
    { name: 'none', type: { kind: 'text' }, nullable: true },
  ]
  const after = makeSchema([...before.fields, ...added], [0], 'upsert')
  const old = { values: { id: 1, a: 'x' } }
  const at = new Date('2026-01-31T00:00:00Z').getTime() * 1000
  const young = { values: { id: 2, a: 'y', n: 6, at: BigInt(at), ok: false, raw: null, none: 'z' } }
  await writeTopics(log, { kind: 'rows', topic: 's.t', batch: batchOf(before, [old]) })
  await writeTopics(log, { kind: 'rows', topic: 's.t', batch: batchOf(after, [young as Row]) })
  const task = { connector: target.connector, config: {}, from: ['s.*'], chains: [sourceChain] }
  await using _running = untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
  await doneAt(log, 2)
  const replay = { kind: 'replay', topic: 's.t', from: 0, to: 1, where: null } as const
  const { how, refused } = await over(log, (await ask(log, replay)).number)
  assert.deepEqual([how, refused], ['done', 0])
  const { row } = target.table('s.t').written.findLast(({ offset }) => offset === 0)!
  assert.deepEqual(row, {
    id: '1',
    a: 'x',
    n: '5',
    at: '2020-01-01 00:00:00+00',
    ok: 't',
    raw: '\\x00ff',
    none: null,
  })
})
