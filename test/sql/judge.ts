/** One scalar expression over the edge rows, in PostgreSQL (PGlite) and in the engine. */
import { PGlite } from '@electric-sql/pglite'
import { makeSchema } from '../../core/record/schema.ts'
import { compile } from '../../core/sql/compile.ts'
import { parseQuery } from '../../core/sql/parse/parse.ts'
import { edgeFields, edgeRows } from './edge-rows.ts'
import { batchOf, rowsOf } from './rows.ts'

const schema = makeSchema(
  [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    ...edgeFields.map(({ field }) => field),
  ],
  [],
  'append',
)
const failed = 'fails'

export async function openJudge(): Promise<PGlite> {
  const db = await PGlite.create()
  const columns = edgeFields.map(({ field, postgres }) => `${field.name} ${postgres}`)
  await db.exec(`CREATE TABLE t (id int4, ${columns.join(', ')})`)
  for (const row of edgeRows) {
    const places = row.map((_, i) => `$${i + 1}`)
    await db.query(`INSERT INTO t VALUES (${places.join(', ')})`, [...row])
  }
  return db
}

/** Per edge row the expression's text, null, or that it fails. */
export async function inPostgres(
  db: PGlite,
  expression: string,
): Promise<readonly (string | null)[]> {
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

export async function inEngine(expression: string): Promise<readonly (string | null)[]> {
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
