/**
 * Invariant 9 for scalars: every expression of expressions.txt gives, for rows full of edge values,
 * exactly the text that PostgreSQL (PGlite) gives, and fails for exactly the rows that fail there.
 */
import { PGlite } from '@electric-sql/pglite'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { makeSchema } from '../../core/record/schema.ts'
import { compile } from '../../core/sql/compile.ts'
import { parseQuery } from '../../core/sql/parse/parse.ts'
import { batchOf, rowsOf } from './rows.ts'
import { edgeFields, edgeRows } from './edge-rows.ts'

const expressions = readFileSync(new URL('expressions.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.trim() !== '')

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    ...edgeFields.map(({ field }) => field),
  ],
  [],
  'append',
)
const failed = 'fails'
let db: PGlite

before(async () => {
  db = await PGlite.create()
  const columns = edgeFields.map(({ field, postgres }) => `${field.name} ${postgres}`)
  await db.exec(`CREATE TABLE t (id int4, ${columns.join(', ')})`)
  for (const row of edgeRows) {
    const places = row.map((_, i) => `$${i + 1}`)
    await db.query(`INSERT INTO t VALUES (${places.join(', ')})`, [...row])
  }
})
after(() => db.close())

async function inPostgres(expression: string): Promise<readonly (string | null)[]> {
  const results: (string | null)[] = []
  for (const row of edgeRows) {
    try {
      const sql = `SELECT (${expression})::text AS x FROM t WHERE id = ${row[0]}`
      results.push((await db.query<{ x: string | null }>(sql)).rows[0]!.x)
    } catch {
      results.push(failed)
    }
  }
  return results
}

async function here(expression: string): Promise<readonly (string | null)[]> {
  const parsed = await parseQuery(`SELECT id, (${expression})::text AS x FROM t`)
  const execution = compile(parsed, new Map([['t', schema]])).start()
  execution.push(
    't',
    batchOf(
      schema,
      edgeRows.map((row) => ({ row, weight: 1 })),
    ),
  )
  const results = new Map<string, string | null>()
  for (const batch of execution.step()) {
    for (const { row } of rowsOf(batch)) results.set(row[0]!, row[1] ?? null)
  }
  for (const error of execution.rowErrors()) results.set(edgeRows[error.row]![0]!, failed)
  return edgeRows.map((row) => results.get(row[0]!) ?? null)
}

test('scalar expressions give what PostgreSQL gives', async () => {
  const wrong: string[] = []
  for (const expression of expressions) {
    const expected = await inPostgres(expression)
    const actual = await here(expression)
    if (JSON.stringify(actual) !== JSON.stringify(expected))
      wrong.push(
        `${expression}\n  here       ${JSON.stringify(actual)}\n  PostgreSQL ${JSON.stringify(expected)}`,
      )
  }
  assert.equal(wrong.join('\n'), '')
  assert.ok(expressions.length > 250)
})
