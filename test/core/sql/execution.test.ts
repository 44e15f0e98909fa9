/** Row errors, schema changes, stored state and its damage, changelogs and keys of outputs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Op } from '../../../core/record/batch.ts'
import { makeSchema, type Changelog, type Field, type Schema } from '../../../core/record/schema.ts'
import { compile, type CompiledQuery } from '../../../core/sql/compile.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { batchOf, rowsOf, type Change } from '../../sql/rows.ts'
import { failsWith } from '../../support/fails-with.ts'

const fields: readonly Field[] = [
  { name: 'id', type: { kind: 'int32' }, nullable: false },
  { name: 'g', type: { kind: 'text' }, nullable: true },
  { name: 'k', type: { kind: 'int32' }, nullable: true },
]
function schemaOf(changelog: Changelog, of: readonly Field[] = fields): Schema {
  return makeSchema(of, changelog === 'append' ? [] : [0], changelog)
}
async function query(sql: string, changelog: Changelog): Promise<CompiledQuery> {
  return compile(await parseQuery(sql), new Map([['t', schemaOf(changelog)]]))
}
function plus(...row: (string | null)[]): Change {
  return { row, weight: 1 }
}
function minus(...row: (string | null)[]): Change {
  return { row, weight: -1 }
}

test('invariant 5: a row that fails is named, and contributes nothing on its way in or out', async () => {
  const execution = (
    await query('SELECT g, COUNT(*) AS c, SUM(10 / k) AS s FROM t GROUP BY g', 'retract')
  ).start()
  const schema = schemaOf('retract')
  execution.push('t', batchOf(schema, [plus('1', 'a', '2')]))
  execution.push(
    't',
    batchOf(schema, [plus('2', 'a', '5'), plus('3', 'a', '0'), plus('4', 'a', '1')]),
  )
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map(({ row }) => row),
    [['a', '3', '17']],
  )
  assert.deepEqual(execution.rowErrors(), [
    { topic: 't', push: 1, row: 1, code: 'sql.division_by_zero', message: 'Division by zero' },
  ])
  execution.push('t', batchOf(schema, [minus('3', 'a', '0'), minus('4', 'a', '1')]))
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map(({ row }) => row),
    [['a', '2', '7']],
  )
  assert.deepEqual(execution.rowErrors(), [])
})

test('an upsert row that fails takes its old image away', async () => {
  const schema = schemaOf('upsert')
  const execution = (await query('SELECT id, 10 / k AS q FROM t', 'upsert')).start()
  execution.push('t', batchOf(schema, [plus('1', 'a', '2'), plus('2', 'a', '5')]))
  execution.step()
  execution.push('t', batchOf(schema, [{ ...plus('1', 'a', '0'), op: Op.update }]))
  const [gone] = execution.step().flatMap(rowsOf)
  assert.deepEqual([gone?.row[0], gone?.weight], ['1', -1])
  assert.equal(execution.rowErrors().length, 1)
})

test('a retraction of what never was is counted, and heals when the row comes', async () => {
  const schema = schemaOf('retract')
  const execution = (await query('SELECT g, COUNT(*) AS c FROM t GROUP BY g', 'retract')).start()
  execution.push('t', batchOf(schema, [minus('1', 'a', '1')]))
  assert.deepEqual(execution.step(), [])
  assert.deepEqual(
    execution.rowErrors().map((error) => error.code),
    ['sql.impossible_retraction'],
  )
  execution.push('t', batchOf(schema, [plus('1', 'a', '1'), plus('2', 'a', '1')]))
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map(({ row }) => row),
    [['a', '1']],
  )
})

test('an append topic that takes rows back is counted', async () => {
  const execution = (await query('SELECT MAX(k) AS m FROM t', 'append')).start()
  execution.push('t', batchOf(schemaOf('append'), [plus('1', 'a', '9'), minus('1', 'a', '9')]))
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map(({ row }) => row),
    [['9']],
  )
  assert.deepEqual(
    execution.rowErrors().map((error) => error.code),
    ['sql.impossible_retraction'],
  )
})

test('columns are found by name after a schema change; a used one that is gone stops the query', async () => {
  const execution = (await query('SELECT g, SUM(k) AS s FROM t GROUP BY g', 'retract')).start()
  const [id, g, k] = fields
  const wider = schemaOf('retract', [
    id!,
    k!,
    { name: 'note', type: { kind: 'text' }, nullable: true },
    g!,
  ])
  execution.push('t', batchOf(schemaOf('retract'), [plus('1', 'a', '2')]))
  execution.evolve('t', wider)
  execution.push('t', batchOf(wider, [plus('2', '3', 'new', 'a')]))
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map(({ row }) => row),
    [['a', '5']],
  )
  execution.evolve('t', schemaOf('retract', [g!, k!]))
  assert.throws(
    () => execution.evolve('t', schemaOf('retract', [id!, g!])),
    failsWith('sql.input_changed'),
  )
  const retyped = schemaOf('retract', [
    id!,
    g!,
    { name: 'k', type: { kind: 'text' }, nullable: true },
  ])
  assert.throws(() => execution.evolve('t', retyped), failsWith('sql.input_changed'))
})

test('outputs say what they are', async () => {
  const cases: readonly (readonly [sql: string, from: Changelog, to: Changelog, key: string])[] = [
    ['SELECT k FROM t', 'append', 'append', ''],
    ['SELECT g, id FROM t', 'upsert', 'upsert', 'id'],
    ['SELECT g FROM t WHERE id > 1', 'upsert', 'retract', ''],
    ['SELECT id, g FROM t', 'retract', 'retract', 'id'],
    ['SELECT COUNT(*) AS c, g AS region FROM t GROUP BY g', 'append', 'upsert', 'region'],
    ['SELECT COUNT(*) AS c FROM t GROUP BY g', 'append', 'retract', ''],
    ['SELECT COUNT(*) AS c FROM t', 'append', 'retract', ''],
    ['SELECT DISTINCT g, k FROM t', 'upsert', 'upsert', 'g,k'],
    ['SELECT g FROM t UNION ALL SELECT g FROM t', 'append', 'append', ''],
  ]
  for (const [sql, from, to, key] of cases) {
    const { output } = await query(sql, from)
    const names = output.key.map((index) => output.fields[index]!.name).join()
    assert.deepEqual([sql, output.changelog, names], [sql, to, key])
  }
})

test('invariant 8: damaged or foreign state is refused and never read past its end', async () => {
  const compiled = await query(
    'SELECT g, MIN(k) AS lo, COUNT(DISTINCT k) AS d FROM t GROUP BY g',
    'upsert',
  )
  const execution = compiled.start()
  const rows = Array.from({ length: 40 }, (_, i) => plus(String(i), `g${i % 7}`, String(i % 5)))
  execution.push('t', batchOf(schemaOf('upsert'), rows))
  execution.step()
  const full = execution.fullState()
  for (let length = 0; length < full.length; length++) {
    assert.throws(
      () => compiled.start().restore(full.slice(0, length), []),
      failsWith('sql.state_corrupt'),
    )
  }
  const other = await query('SELECT g, MAX(k) AS hi FROM t GROUP BY g', 'upsert')
  assert.throws(() => other.start().restore(full, []), failsWith('sql.state_mismatch'))
  assert.throws(
    () => compiled.start().restore(full.with(0, 9), []),
    failsWith('sql.state_mismatch'),
  )
  const back = compiled.start()
  back.restore(full, [])
  assert.deepEqual(back.fullState(), full)
})

test('a delta holds the touched groups alone', async () => {
  const execution = (await query('SELECT g, SUM(k) AS s FROM t GROUP BY g', 'append')).start()
  const rows = Array.from({ length: 5000 }, (_, i) => plus(String(i), `group-${i}`, '1'))
  execution.push('t', batchOf(schemaOf('append'), rows))
  execution.step()
  assert.ok(execution.stateDelta().length > 50_000)
  execution.push('t', batchOf(schemaOf('append'), [plus('1', 'group-17', '1')]))
  execution.step()
  assert.ok(execution.stateDelta().length < 100)
})

test('columns that hold 64-bit integers and bytes in one batch and doubles in the next are one input', async () => {
  const of: readonly Field[] = [
    { name: 'v', type: { kind: 'int64' }, nullable: true },
    { name: 'g', type: { kind: 'text' }, nullable: true },
  ]
  const schema = makeSchema(of, [], 'append')
  const compiled = compile(
    await parseQuery('SELECT g, SUM(v) AS s, MAX(v) AS m FROM t GROUP BY g'),
    new Map([['t', schema]]),
  )
  const execution = compiled.start()
  execution.push(
    't',
    batchOf(
      schema,
      Array.from({ length: 20 }, () => plus('1', 'a')),
    ),
  )
  execution.push(
    't',
    batchOf(schema, [plus('9007199254740993', 'a'), plus(null, null), plus('-1', 'b')]),
  )
  assert.deepEqual(
    execution
      .step()
      .flatMap(rowsOf)
      .map(({ row }) => row),
    [
      ['a', '9007199254741013', '9007199254740993'],
      [null, null, null],
      ['b', '-1', '-1'],
    ],
  )
})

test('invariant 8: interned texts of rows that are gone do not pile up', async () => {
  const sql = 'SELECT g, COUNT(DISTINCT g) AS d, MAX(g) AS hi FROM t GROUP BY g'
  const schema = schemaOf('upsert')
  const execution = (await query(sql, 'upsert')).start()
  let largest = 0
  for (let step = 0; step < 60; step++) {
    const rows = Array.from({ length: 500 }, (_, i) =>
      plus(String(i), `text ${step * 500 + i}`, '1'),
    )
    execution.push('t', batchOf(schema, rows))
    const batches = execution.step()
    execution.stateDelta()
    if (step > 10) largest = Math.max(largest, execution.stateBytes)
    const added = batches.flatMap(rowsOf).filter(({ weight }) => weight > 0)
    assert.equal(added.length, 500)
    assert.deepEqual(added.at(-1)?.row, [
      `text ${step * 500 + 499}`,
      '1',
      `text ${step * 500 + 499}`,
    ])
  }
  // 30,000 texts went through, in at most some 4,600 ids of each of the four tables at once.
  assert.ok(largest < 2_500_000, `${largest} bytes`)
})
