/**
 * Random histories of two tables, run through the engine and through PostgreSQL (PGlite) side by side.
 * After every step the folded output of the engine must equal the query over the rows that are left.
 */
import type { PGlite } from '@electric-sql/pglite'
import fc from 'fast-check'
import { Op, type Batch } from '../../core/record/batch.ts'
import { makeSchema, type Changelog, type Schema } from '../../core/record/schema.ts'
import { compile, type CompiledQuery, type Execution } from '../../core/sql/compile.ts'
import { parseQuery } from '../../core/sql/parse/parse.ts'
import { batchOf, Folded, rowsOf, type Change, type Row } from './rows.ts'

export type Table = 't' | 's'

/** One change as the tables' owner makes it. `pick` chooses an existing row by its place. */
export interface Action {
  readonly table: Table
  readonly kind: 'insert' | 'update' | 'delete' | 'rekey' | 'truncate'
  readonly pick: number
  readonly values: Row
}
export interface Step {
  readonly batches: readonly (readonly Action[])[]
  /** Whether the engine is stopped after this step and goes on from its stored state. */
  readonly restart: boolean
  /** Whether this step's commit holds the full state. */
  readonly full: boolean
}
export interface History {
  readonly query: string
  readonly changelog: Changelog
  readonly steps: readonly Step[]
}

const columns = [
  ['g', { kind: 'text' }, 'text'],
  ['k', { kind: 'int32' }, 'int4'],
  ['v', { kind: 'int64' }, 'int8'],
  ['d', { kind: 'decimal', precision: 10, scale: 2 }, 'numeric(10,2)'],
  ['n', { kind: 'decimal', precision: null, scale: null }, 'numeric'],
  ['f', { kind: 'float64' }, 'float8'],
  ['b', { kind: 'bool' }, 'bool'],
  ['ts', { kind: 'timestamptz' }, 'timestamptz'],
] as const

export function schemaOf(changelog: Changelog): Schema {
  const fields = columns.map(([name, type]) => ({ name, type, nullable: true }))
  const id = { name: 'id', type: { kind: 'int32' }, nullable: false } as const
  return makeSchema([id, ...fields], changelog === 'append' ? [] : [0], changelog)
}

/** The windows of the engine, as PostgreSQL can say them. */
export const preparation = `
  CREATE TABLE t (id int4 PRIMARY KEY, ${columns.map(([name, , type]) => `${name} ${type}`).join(', ')});
  CREATE TABLE s (LIKE t INCLUDING ALL);
  CREATE FUNCTION tumble(timestamptz, interval) RETURNS timestamptz LANGUAGE sql IMMUTABLE
    AS $$ SELECT date_bin($2, $1, '1970-01-01+00') $$;`

/** PostgreSQL wants what is selected to be the very expression that is grouped by. */
function forPostgres(query: string): string {
  return query
    .replaceAll('TUMBLE_START(', 'tumble(')
    .replaceAll(/TUMBLE_END\(([^,]+), (INTERVAL '[^']+')\)/g, '(tumble($1, $2) + $2)')
}

function maybe(value: fc.Arbitrary<string>): fc.Arbitrary<string | null> {
  return fc.option(value, { freq: 6 })
}
const values: fc.Arbitrary<Row> = fc.tuple(
  maybe(fc.constantFrom('a', 'b', 'c', 'é', '😀', '')),
  maybe(fc.integer({ min: -3, max: 3 }).map(String)),
  maybe(
    fc.oneof(
      fc.integer({ min: -9, max: 9 }).map(String),
      fc.constantFrom('9007199254740993', '-9007199254740995', '4611686018427387904'),
    ),
  ),
  maybe(fc.integer({ min: -500, max: 500 }).map((cents) => (cents / 100).toFixed(2))),
  maybe(fc.constantFrom('1', '1.0', '1.00', '0.001', '-2.5', '99999999999999999999.75', 'NaN')),
  maybe(fc.constantFrom('0.25', '-1.5', '3', '0', '1024.75', 'NaN', 'Infinity', '-Infinity')),
  maybe(fc.constantFrom('true', 'false')),
  maybe(
    fc
      .integer({ min: -300, max: 300 })
      .map((s) => `${new Date(s * 1000).toISOString().slice(0, 19).replace('T', ' ')}+00`),
  ),
)
const action: fc.Arbitrary<Action> = fc.record({
  table: fc.constantFrom<Table>('t', 't', 't', 's'),
  kind: fc.oneof(
    { weight: 60, arbitrary: fc.constant('insert' as const) },
    { weight: 25, arbitrary: fc.constant('update' as const) },
    { weight: 12, arbitrary: fc.constant('delete' as const) },
    { weight: 4, arbitrary: fc.constant('rekey' as const) },
    { weight: 1, arbitrary: fc.constant('truncate' as const) },
  ),
  pick: fc.nat(1000),
  values,
})
const step: fc.Arbitrary<Step> = fc.record({
  batches: fc.array(fc.array(action, { minLength: 1, maxLength: 12 }), { maxLength: 3 }),
  restart: fc.oneof(
    { weight: 4, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  full: fc.boolean(),
})
export function history(query: string, changelogs: readonly Changelog[]): fc.Arbitrary<History> {
  return fc.record({
    query: fc.constant(query),
    changelog: fc.constantFrom(...changelogs),
    steps: fc.array(step, { minLength: 1, maxLength: 7, size: 'max' }),
  })
}

/** The tables as their owner sees them. */
class Tables {
  readonly rows = { t: new Map<string, Row>(), s: new Map<string, Row>() }
  #nextId = 1
  readonly #changelog: Changelog
  constructor(changelog: Changelog) {
    this.#changelog = changelog
  }

  /** The action as changes of the topic and as a statement; null when there is nothing to act on. */
  apply(action: Action): { changes: readonly Change[]; sql: string } | null {
    const rows = this.rows[action.table]
    if (action.kind === 'insert' || this.#changelog === 'append') {
      const row = [String(this.#nextId++), ...action.values]
      rows.set(row[0]!, row)
      return { changes: [{ row, weight: 1, op: Op.insert }], sql: insert(action.table, row) }
    }
    const old = [...rows.values()][action.pick % Math.max(1, rows.size)]
    if (old === undefined) return null
    const id = old[0]!
    rows.delete(id)
    const remove = `DELETE FROM ${action.table} WHERE id = ${id};`
    if (action.kind === 'delete')
      return { changes: [{ row: this.#oldImage(old), weight: -1, op: Op.delete }], sql: remove }
    const row = [action.kind === 'rekey' ? String(this.#nextId++) : id, ...action.values]
    rows.set(row[0]!, row)
    const gone: Change = { row: this.#oldImage(old), weight: -1, op: Op.update }
    const come: Change = { row, weight: 1, op: Op.update }
    const silent = this.#changelog === 'upsert' && action.kind === 'update'
    return { changes: silent ? [come] : [gone, come], sql: remove + insert(action.table, row) }
  }

  /** What a −1 row carries: of an upsert topic only the key. */
  #oldImage(row: Row): Row {
    return this.#changelog === 'upsert' ? row.map((value, i) => (i === 0 ? value : null)) : row
  }

  truncate(table: Table): readonly Change[] {
    const rows = [...this.rows[table].values()]
    this.rows[table].clear()
    return rows.map((row) => ({ row: this.#oldImage(row), weight: -1, op: Op.delete }))
  }
}

function insert(table: Table, row: Row): string {
  const texts = row.map((value) => (value === null ? 'NULL' : `'${value}'`))
  return `INSERT INTO ${table} VALUES (${texts.join(', ')});`
}

/** Runs the history; returns what differs, or null. */
export async function run(
  db: PGlite,
  { query, changelog, steps }: History,
): Promise<string | null> {
  await db.exec('TRUNCATE t; TRUNCATE s;')
  const schema = schemaOf(changelog)
  const compiled = compile(
    await parseQuery(query),
    new Map([
      ['t', schema],
      ['s', schema],
    ]),
  )
  const tables = new Tables(changelog)
  const folded = new Folded(compiled.output)
  let execution = compiled.start()
  let full: Uint8Array | null = null
  let deltas: Uint8Array[] = []
  for (const [index, { batches, restart, full: wantsFull }] of steps.entries()) {
    for (const batch of batches)
      await db.exec(`BEGIN;${pushBatch(execution, schema, tables, batch)}COMMIT;`)
    const outputs = execution.step()
    const pingPong = givenAndTaken(outputs)
    if (pingPong !== null) return `step ${index}: ${pingPong}`
    for (const batch of outputs) folded.apply(batch)
    const errors = execution.rowErrors()
    if (errors.length > 0) return `step ${index}: ${JSON.stringify(errors)}`
    deltas.push(execution.stateDelta())
    if (wantsFull) {
      full = execution.fullState()
      deltas = []
    }
    if (restart) {
      const bytes = execution.fullState()
      execution = restored(compiled, full, deltas)
      if (Buffer.compare(bytes, execution.fullState()) !== 0)
        return `step ${index}: another state after a restart`
    }
    const expected = await rowsInPostgres(db, query, compiled)
    const actual = folded
      .rows()
      .map((row) => comparable(row, compiled.output))
      .sort()
    if (actual.join('\n') !== expected.join('\n'))
      return `step ${index}\nhere:\n${actual.join('\n')}\nPostgreSQL:\n${expected.join('\n')}`
  }
  return null
}

/**
 * What a step must not say: on a retract topic the same row with both signs. Null when all is well.
 */
function givenAndTaken(batches: readonly Batch[]): string | null {
  const signs = new Map<string, number>()
  for (const batch of batches) {
    if (batch.schema.changelog !== 'retract') continue
    for (const { row, weight } of rowsOf(batch)) {
      const text = JSON.stringify(row)
      if ((signs.get(text) ?? weight) !== weight) return `${text} was given and taken back`
      signs.set(text, weight)
    }
  }
  return null
}

function restored(
  compiled: CompiledQuery,
  full: Uint8Array | null,
  deltas: readonly Uint8Array[],
): Execution {
  const execution = compiled.start()
  execution.restore(full, deltas)
  return execution
}

/** Pushes the batch, cut where the table changes; returns the statements. */
function pushBatch(
  execution: Execution,
  schema: Schema,
  tables: Tables,
  batch: readonly Action[],
): string {
  let sql = ''
  let pending: Change[] = []
  let table: Table = 't'
  const flush = (): void => {
    if (pending.length > 0) execution.push(table, batchOf(schema, pending))
    pending = []
  }
  for (const action of batch) {
    if (action.table !== table) flush()
    table = action.table
    if (action.kind === 'truncate' && schema.changelog !== 'append') {
      flush()
      const gone = tables.truncate(table)
      if (execution.truncateNeedsRows.includes(table) && gone.length > 0)
        execution.push(table, batchOf(schema, gone))
      execution.truncate(table)
      sql += `TRUNCATE ${table};`
      continue
    }
    const applied = tables.apply(action)
    if (applied === null) continue
    pending.push(...applied.changes)
    sql += applied.sql
  }
  flush()
  return sql
}

async function rowsInPostgres(
  db: PGlite,
  query: string,
  { output }: CompiledQuery,
): Promise<string[]> {
  const names = output.fields.map((_, i) => `c${i}`)
  const sql = `SELECT ${names.map((name) => `${name}::text`).join(', ')} FROM (${forPostgres(query)}) q(${names.join(', ')})`
  const { rows } = await db.query<(string | null)[]>(sql, [], { rowMode: 'array' })
  return rows
    .map((row) =>
      comparable(
        row.map((value, i) => boolLetter(value, output.fields[i]!.type.kind)),
        output,
      ),
    )
    .sort()
}

/** bool::text is true, and bool as a value prints t. */
function boolLetter(value: string | null, kind: string): string | null {
  return kind === 'bool' && value !== null ? value.charAt(0) : value
}

/** Decimals without trailing zeros, doubles to twelve digits. */
function comparable(row: Row, schema: Schema): string {
  return JSON.stringify(
    row.map((value, i) => {
      if (value === null) return null
      const { kind } = schema.fields[i]!.type
      if (kind === 'decimal' && value.includes('.')) return value.replace(/\.?0+$/, '')
      return kind === 'float64' ? Number(value).toPrecision(12) : value
    }),
  )
}
