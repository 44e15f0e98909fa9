/**
 * What somebody said yes to, done to a table: renames, drops and narrower types (`SchemaStep.agreed`).
 * Each is looked for in the table first, so that a step that is told again does nothing.
 *
 * A narrower type is given to a column only when each value in it stays what it is: ALTER … MODIFY COLUMN
 * casts, and a cast wraps what does not fit (2^40 becomes 0 in an Int32) without a word. NULL is not
 * taken away from a column: tombstones hold it in every column beside the key.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { SchemaChange } from '../../core/record/schema-change.ts'
import { sameType } from '../../core/record/types.ts'
import { catchUp } from './catch-up.ts'
import { dropColumn, modifyColumn, renameColumn } from './ddl.ts'
import type { ColumnDescription, TableDescription } from './describe.ts'
import { qualified, quoteIdentifier, quoteLiteral } from './identifiers.ts'
import { showOnly } from './live-view.ts'
import type { TablePlan } from './plan.ts'
import { runDdl, type Evolution } from './run-ddl.ts'
import { unfit } from './shape.ts'
import { columnType } from './types.ts'
import { isScalar, unwrap } from './widen.ts'

/** Whether the table is another one than `table` says now. */
export async function followAgreed(
  plan: TablePlan,
  table: TableDescription,
  agreed: readonly SchemaChange[],
  evolution: Evolution,
): Promise<boolean> {
  let columns = table.columns
  for (const change of agreed) {
    const after = await follow(plan, columns, change, evolution)
    if (after === columns) continue
    evolution.ctx.logger.info('column changed', { table: plan.table, kind: change.kind })
    columns = after
  }
  return columns !== table.columns
}

type Columns = readonly ColumnDescription[]

/** The columns after the change; the same ones when there is nothing to do. */
async function follow(
  plan: TablePlan,
  columns: Columns,
  change: SchemaChange,
  evolution: Evolution,
): Promise<Columns> {
  if (change.kind !== 'rename' && change.kind !== 'drop' && change.kind !== 'narrow') return columns
  const { database } = evolution.server
  const column = columns.find(({ name }) => name === change.from.name)
  if (column === undefined) return columns
  if (change.kind === 'narrow') return narrow(plan, columns, column, { change, evolution })
  if (column.inSortingKey || column.inPartitionKey) {
    const why = `it is sorted or partitioned by column ${JSON.stringify(column.name)}, which cannot be ${change.kind === 'drop' ? 'dropped' : 'renamed'}`
    throw unfit(database, plan, why)
  }
  const others = columns.filter((one) => one !== column)
  const what = `Alter table ${plan.table}`
  if (change.kind === 'drop') {
    // Without the column first: a view that names one which is gone fails for whoever reads it.
    if (plan.mode === 'upsert') await showOnly(plan, others, evolution)
    await runDdl(evolution, plan, what, dropColumn(database, plan, column.name))
    return others
  }
  const { name } = change.to
  if (others.some((one) => one.name === name)) {
    throw unfit(
      database,
      plan,
      `it has a column ${JSON.stringify(name)} already, to which another is renamed`,
    )
  }
  await checkReaders(plan, column.name, evolution)
  await runDdl(evolution, plan, what, renameColumn(database, plan, column.name, name))
  return columns.map((one) => (one === column ? { ...one, name } : one))
}

/**
 * The server refuses to drop a column that a materialized view reads, and renames one without a word;
 * from then on every INSERT fails with 47, UNKNOWN_IDENTIFIER.
 */
async function checkReaders(
  plan: TablePlan,
  column: string,
  { server, signal }: Evolution,
): Promise<void> {
  const { database } = server
  const views = await server.query<{ name: string; as_select: string }>(
    `Look for views that read ${plan.table}`,
    `SELECT name, as_select FROM system.tables
     WHERE engine = 'MaterializedView' AND (database, name) IN (
       SELECT tupleElement(one, 1), tupleElement(one, 2) FROM (
         SELECT arrayJoin(arrayZip(dependencies_database, dependencies_table)) AS one
         FROM system.tables WHERE database = {database:String} AND name = {table:String}))`,
    { params: { database, table: plan.table }, signal },
  )
  const reader = views.find(({ as_select }) => mentions(as_select, column))
  if (reader === undefined) return
  throw new SluiceError('sink.clickhouse.column_read', {
    message: `Column ${JSON.stringify(column)} of table ${plan.table} is read by the materialized view ${reader.name}, which would fail once it has another name.`,
    remedy: `ALTER TABLE ${qualified(database, reader.name)} MODIFY QUERY without the column, or drop the view, and it goes on by itself; or keep the column with on_schema_change: { rename: keep }.`,
  })
}

function mentions(query: string, column: string): boolean {
  if (query.includes(quoteIdentifier(column))) return true
  return query.split(/[^\p{L}\p{N}_]+/u).includes(column)
}

async function narrow(
  plan: TablePlan,
  columns: Columns,
  column: ColumnDescription,
  {
    change,
    evolution,
  }: { readonly change: SchemaChange & { readonly kind: 'narrow' }; readonly evolution: Evolution },
): Promise<Columns> {
  const { server, config } = evolution
  if (sameType(change.from.type, change.to.type)) return columns
  const plain = columnType({ ...change.to, nullable: false }, config).wire
  const { name: actual, nullable } = unwrap(column.type)
  if (plain === actual) return columns
  const type = nullable ? `Nullable(${plain})` : plain
  if (column.inSortingKey || column.inPartitionKey) {
    const why = `column ${JSON.stringify(column.name)} is ${column.type} and in its sorting or partition key, and ${type} is needed`
    throw unfit(server.database, plan, why)
  }
  if (!isScalar(column.type) || !isScalar(plain)) {
    const why = `column ${JSON.stringify(column.name)} is ${column.type}, and ${type} is needed, which its values cannot be compared with`
    throw unfit(server.database, plan, why)
  }
  const lost = await valuesLost(plan, column, plain, evolution)
  if (lost > 0) {
    throw new SluiceError('sink.clickhouse.values_lost', {
      message: `Column ${JSON.stringify(column.name)} of table ${plan.table} has ${lost} ${lost === 1 ? 'value' : 'values'} that ${plain} does not hold, and cannot be made narrower.`,
      remedy: `Correct or delete these rows, and it goes on by itself; or keep the wider column with on_schema_change: { narrow: keep }.`,
    })
  }
  const statement = modifyColumn(server.database, plan, column.name, type)
  await runDdl(evolution, plan, `Alter table ${plan.table}`, statement)
  return columns.map((one) => (one === column ? { ...one, type } : one))
}

/** Values that would come out of the cast, and back again, as others (as text: NaN equals nothing); of rows that a reader sees. */
async function valuesLost(
  plan: TablePlan,
  { name, type }: ColumnDescription,
  to: string,
  { server, signal }: Evolution,
): Promise<number> {
  if (plan.replication !== null) await catchUp(server, plan.table, signal)
  const column = quoteIdentifier(name)
  const cast = `accurateCastOrNull(${column}, ${quoteLiteral(to)})`
  const back = `accurateCastOrNull(${cast}, ${quoteLiteral(unwrap(type).name)})`
  const [found] = await server.query<{ lost: string }>(
    `Look for values of ${plan.table} that do not fit`,
    `SELECT count() AS lost FROM ${qualified(server.database, plan.table)}${plan.mode === 'upsert' ? ' FINAL' : ''}
     WHERE ${column} IS NOT NULL AND (${back} IS NULL OR toString(${back}) != toString(${column}))`,
    { signal },
  )
  return Number(found?.lost ?? 0)
}
