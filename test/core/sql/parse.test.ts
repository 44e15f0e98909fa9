/** What the language refuses, where the error points, and how names in FROM are resolved. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeSchema } from '../../../core/record/schema.ts'
import { compile } from '../../../core/sql/compile.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { sqlSpan } from '../../../core/sql/parse/span.ts'
import { tokenize } from '../../../core/sql/parse/tokens.ts'
import { resolveTopic, tablesOf } from '../../../core/sql/plan/topics.ts'

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    { name: 'region', type: { kind: 'text' }, nullable: true },
    { name: 'amount', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: true },
    { name: 'at', type: { kind: 'timestamptz' }, nullable: true },
    { name: 'doc', type: { kind: 'json' }, nullable: true },
  ],
  [0],
  'retract',
)

/** The code and the marked text of the error that the query gives. */
async function problem(sql: string): Promise<readonly [string, string]> {
  try {
    compile(await parseQuery(sql), new Map([['shop.public.orders', schema]]))
  } catch (error) {
    assert.ok(error instanceof SluiceError, String(error))
    assert.equal(error.fault, 'config')
    const span = sqlSpan(error)
    assert.ok(span !== null, `no span: ${error.message}`)
    return [error.code, sql.slice(span.start, span.end)]
  }
  return ['', '']
}

const refused: readonly (readonly [sql: string, code: string, marked: string])[] = [
  ["SELECT 'é😀', id frm orders whre", 'sql.syntax', 'orders'],
  ['SELECT id FROM orders EMIT CHANGES', 'sql.unsupported', 'EMIT'],
  ['SELECT id FROM orders ORDER BY region', 'sql.unsupported', 'region'],
  ['SELECT id FROM orders LIMIT 3', 'sql.unsupported', 'SELECT id FROM orders LIMIT 3'],
  ['SELECT o.id FROM orders o JOIN orders p ON true', 'sql.unsupported', 'orders'],
  ['SELECT id, row_number() OVER () FROM orders', 'sql.unsupported', 'row_number()'],
  ['SELECT id, now() AS n FROM orders', 'sql.nondeterministic', 'now()'],
  ["SELECT 'é', current_date AS d FROM orders", 'sql.nondeterministic', 'current_date'],
  ['SELECT id, (SELECT 1) AS x FROM orders', 'sql.unsupported', '('],
  ['SELECT 1 AS one', 'sql.unsupported', '1'],
  ['SELECT regoin FROM orders', 'sql.unknown_column', 'regoin'],
  ['SELECT x.region FROM orders o', 'sql.unknown_column', 'x'],
  ['SELECT id FROM public.ordres', 'sql.unknown_table', 'public.ordres'],
  ['SELECT region, id FROM orders GROUP BY region', 'sql.grouping', 'id'],
  ['SELECT region FROM orders WHERE COUNT(*) > 1', 'sql.grouping', 'COUNT(*)'],
  ['SELECT region FROM orders GROUP BY 2', 'sql.grouping', '2'],
  ['SELECT nope(region) AS n FROM orders', 'sql.unknown_function', 'nope(region)'],
  ['SELECT region + 1 AS n FROM orders', 'sql.type', '+'],
  ['SELECT id + 1 FROM orders', 'sql.type', 'id'],
  ['SELECT id, region AS id FROM orders', 'sql.ambiguous_column', 'region'],
  ['SELECT doc FROM orders GROUP BY doc', 'sql.type', 'doc'],
  ["SELECT id FROM orders WHERE id = 'x'", 'sql.type', '='],
  [
    "SELECT COUNT(*) AS c FROM orders GROUP BY HOP(at, INTERVAL '1 s', INTERVAL '2 s')",
    'sql.unsupported',
    "HOP(at, INTERVAL '1 s', INTERVAL '2 s')",
  ],
  [
    "SELECT COUNT(*) AS c FROM orders GROUP BY TUMBLE(at, INTERVAL '1 month')",
    'sql.unsupported',
    'INTERVAL',
  ],
  [
    "SELECT TUMBLE_START(at, INTERVAL '1 s') AS w FROM orders",
    'sql.unsupported',
    "TUMBLE_START(at, INTERVAL '1 s')",
  ],
  ['SELECT SUM(region) AS s FROM orders', 'sql.unknown_function', 'SUM(region)'],
  ['SELECT power(amount, 2) AS p FROM orders', 'sql.unsupported', 'power(amount, 2)'],
]
for (const [sql, code, marked] of refused) {
  test(`refuses ${sql}`, async () => {
    assert.deepEqual(await problem(sql), [code, marked])
  })
}

test('names beside the mistake are suggested', async () => {
  const parsed = await parseQuery('SELECT regoin FROM orders')
  assert.throws(
    () => compile(parsed, new Map([['shop.public.orders', schema]])),
    (error) => error instanceof SluiceError && error.remedy.includes('"region"'),
  )
})

test('topics are found by any unique ending of their name', () => {
  const topics = ['shop.public.orders', 'shop.audit.orders', 'shop.public.customers', 'revenue']
  assert.equal(resolveTopic(['revenue'], topics), 'revenue')
  assert.equal(resolveTopic(['customers'], topics), 'shop.public.customers')
  assert.equal(resolveTopic(['audit', 'orders'], topics), 'shop.audit.orders')
  assert.equal(resolveTopic(['shop', 'public', 'orders'], topics), 'shop.public.orders')
  assert.throws(
    () => resolveTopic(['orders'], topics),
    (error) =>
      error instanceof SluiceError &&
      error.code === 'sql.ambiguous_table' &&
      error.remedy.includes('shop.audit.orders'),
  )
  assert.throws(
    () => resolveTopic(['custmers'], topics),
    (error) => error instanceof SluiceError && error.remedy.includes('"customers"'),
  )
})

test('tables of a query leave out its CTEs', async () => {
  const parsed = await parseQuery(
    'WITH a AS (SELECT x FROM t), b AS (SELECT x FROM a) SELECT x FROM b UNION ALL SELECT x FROM s.u',
  )
  assert.deepEqual(
    tablesOf(parsed).map(({ name }) => name.join('.')),
    ['t', 's.u'],
  )
})

test('tokens keep their places through comments, quotes and dollars', () => {
  const sql = `SELECT /* a /* b */ c */ "q""x", 'it''s', $t$ 'raw' $t$ -- end\n::int`
  assert.deepEqual(
    tokenize(sql).map(({ start, end }) => sql.slice(start, end)),
    ['SELECT', '"q""x"', ',', "'it''s'", ',', "$t$ 'raw' $t$", '::', 'int'],
  )
})
