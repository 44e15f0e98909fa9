/**
 * What a step says: nothing is both given and taken back (retract), nothing is said of an update that
 * the query does not see, and −1 comes before +1 of the same key (invariant 7: the fold is the same).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Op, type Batch } from '../../../core/record/batch.ts'
import { makeSchema, type Changelog, type Schema } from '../../../core/record/schema.ts'
import { compile, type Execution } from '../../../core/sql/compile.ts'
import { consolidate } from '../../../core/sql/operators/consolidate.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { batchOf, rowsOf, type Change } from '../../sql/rows.ts'

function schemaOf(changelog: Changelog): Schema {
  return makeSchema(
    [
      { name: 'id', type: { kind: 'int64' }, nullable: false },
      { name: 'g', type: { kind: 'text' }, nullable: true },
      { name: 'k', type: { kind: 'float64' }, nullable: true },
    ],
    changelog === 'append' ? [] : [0],
    changelog,
  )
}

async function started(sql: string, changelog: Changelog): Promise<Execution> {
  return compile(await parseQuery(sql), new Map([['t', schemaOf(changelog)]])).start()
}

function update(id: string, from: readonly string[], to: readonly string[]): readonly Change[] {
  return [
    { row: [id, ...from], weight: -1, op: Op.update },
    { row: [id, ...to], weight: 1, op: Op.update },
  ]
}

function said(batches: readonly Batch[]): readonly (readonly unknown[])[] {
  return batches.flatMap(rowsOf).map(({ row, weight, op }) => [...row, weight, op])
}

test('an update of a column that the query does not use says nothing', async () => {
  for (const sql of ['SELECT id, g FROM t', 'SELECT g FROM t', "SELECT g || '!' AS g FROM t"]) {
    const execution = await started(sql, 'retract')
    execution.push('t', batchOf(schemaOf('retract'), update('1', ['a', '1'], ['a', '2'])))
    assert.deepEqual(execution.step(), [], sql)
  }
})

test('a row that is updated twice in a step goes from its first to its last image', async () => {
  const execution = await started('SELECT g FROM t', 'retract')
  const schema = schemaOf('retract')
  execution.push('t', batchOf(schema, update('1', ['a', '1'], ['b', '1'])))
  execution.push('t', batchOf(schema, update('2', ['x', '1'], ['y', '1'])))
  execution.push('t', batchOf(schema, update('1', ['b', '1'], ['c', '1'])))
  assert.deepEqual(said(execution.step()), [
    ['a', -1, Op.delete],
    ['x', -1, Op.update],
    ['y', 1, Op.update],
    ['c', 1, Op.insert],
  ])
  execution.push('t', batchOf(schema, [{ row: ['3', 'z', '1'], weight: 1 }]))
  execution.push('t', batchOf(schema, [{ row: ['3', 'z', '1'], weight: -1 }]))
  assert.deepEqual(execution.step(), [])
})

test('groups: one change per group and step; upsert results have no −1 but for a key that goes', async () => {
  const schema = schemaOf('retract')
  const sums = await started('SELECT g, SUM(k) AS s FROM t GROUP BY g', 'retract')
  sums.push('t', batchOf(schema, [{ row: ['1', 'a', '1'], weight: 1 }]))
  assert.deepEqual(said(sums.step()), [['a', '1', 1, Op.insert]])
  sums.push('t', batchOf(schema, update('1', ['a', '1'], ['a', '2'])))
  sums.push('t', batchOf(schema, update('1', ['a', '2'], ['b', '2'])))
  sums.push('t', batchOf(schema, [{ row: ['2', 'a', '5'], weight: 1 }]))
  assert.deepEqual(said(sums.step()), [
    ['a', '5', 1, Op.update],
    ['b', '2', 1, Op.insert],
  ])
  sums.push('t', batchOf(schema, [{ row: ['2', 'a', '5'], weight: -1 }]))
  assert.deepEqual(said(sums.step()), [['a', '5', -1, Op.delete]])
})

test('invariant 7: −1 of a key comes before its +1 in a step, in every kind of keyed result', async () => {
  const queries = [
    ['SELECT id, g FROM t', 'upsert'],
    ["SELECT id, g FROM t WHERE g <> 'b'", 'upsert'],
    ['SELECT id, g FROM t', 'retract'],
    ['SELECT g, COUNT(*) AS n FROM t GROUP BY g', 'upsert'],
    ['SELECT g, COUNT(*) AS n FROM t GROUP BY g HAVING COUNT(*) > 1', 'retract'],
    ['SELECT DISTINCT g FROM t', 'upsert'],
    [
      'SELECT n, COUNT(*) AS m FROM (SELECT g, COUNT(*) AS n FROM t GROUP BY g) s GROUP BY n',
      'upsert',
    ],
  ] as const
  for (const [sql, changelog] of queries) {
    const execution = await started(sql, changelog)
    const schema = schemaOf(changelog)
    const key = execution.output.key
    const old = (row: readonly string[]): (string | null)[] =>
      changelog === 'upsert' ? [row[0]!, null, null] : [...row]
    const model = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom('a', 'b', 'c', null)),
    )
    const rows = new Map<string, string>()
    fc.assert(
      fc.property(model, (actions) => {
        const touched = new Set<string>()
        for (const [id, g] of actions) {
          const name = String(id)
          // Each key once a step: a key that comes and goes again has its order from the source.
          if (touched.has(name)) continue
          touched.add(name)
          const before = rows.get(name)
          const changes: Change[] = []
          if (before !== undefined && (g === null || changelog === 'retract'))
            changes.push({
              row: old([name, before, '1']),
              weight: -1,
              op: g === null ? Op.delete : Op.update,
            })
          if (g !== null)
            changes.push({
              row: [name, g, '1'],
              weight: 1,
              op: before === undefined ? Op.insert : Op.update,
            })
          if (g === null) rows.delete(name)
          else rows.set(name, g)
          if (changes.length > 0) execution.push('t', batchOf(schema, changes))
        }
        const came = new Set<string>()
        for (const { row, weight } of execution.step().flatMap(rowsOf)) {
          const text = JSON.stringify(key.map((index) => row[index]))
          if (weight > 0) came.add(text)
          else assert.ok(!came.has(text), `${sql}: ${text} goes after it came`)
        }
      }),
      { numRuns: 100 },
    )
  }
})

test('any batches: the fold stays, no row is left with both signs, whatever the encodings', () => {
  const schema = makeSchema(schemaOf('retract').fields, [], 'retract')
  const change = fc.record({
    row: fc.tuple(
      // Unsafe integers bring another encoding to the whole column.
      fc.constantFrom('1', '2', '9007199254740993'),
      fc.constantFrom('a', 'b', null),
      fc.constantFrom('0', '-0', 'NaN', null),
    ),
    weight: fc.constantFrom<1 | -1>(1, -1),
  })
  fc.assert(
    fc.property(fc.array(fc.array(change, { minLength: 1 }), { maxLength: 4 }), (parts) => {
      const batches = parts.map((part) => batchOf(schema, part))
      const totals = (list: readonly Batch[]): Map<string, number> => {
        const sums = new Map<string, number>()
        for (const { row, weight } of list.flatMap(rowsOf)) {
          const text = JSON.stringify(row)
          const sum = (sums.get(text) ?? 0) + weight
          if (sum === 0) sums.delete(text)
          else sums.set(text, sum)
        }
        return sums
      }
      const out = consolidate(batches)
      assert.deepEqual(totals(out), totals(batches))
      const expected = [...totals(batches).values()].reduce(
        (sum, count) => sum + Math.abs(count),
        0,
      )
      assert.equal(
        out.reduce((sum, batch) => sum + batch.rows, 0),
        expected,
      )
    }),
    { numRuns: 500 },
  )
})
