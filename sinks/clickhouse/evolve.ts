/**
 * Makes a topic's table and view fit its schema: creates, adds columns, widens them; renames, drops and
 * narrows what was agreed to, and nothing else (agreed.ts). A column that is not in the schema stays and
 * is filled with NULL or its default. Idempotent, each statement by itself, so that a crash between two
 * of them does no harm.
 */
import type { SchemaStep } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { followAgreed } from './agreed.ts'
import { alterTable, createLiveView, createTable } from './ddl.ts'
import { describeTable, type TableDescription } from './describe.ts'
import { servicePrefix, type TablePlan } from './plan.ts'
import { runDdl, type Evolution } from './run-ddl.ts'
import { changesFor } from './shape.ts'
import { liveView } from './tables.ts'

export async function evolveTable(
  plan: TablePlan,
  { from, agreed }: SchemaStep,
  evolution: Evolution,
): Promise<void> {
  const { server, signal, ctx } = evolution
  const { database } = server
  let table = await describeTable(server, plan.table, signal)
  if (table === null) {
    await runDdl(evolution, plan, `Create table ${plan.table}`, createTable(database, plan))
    // Read back: another process may have been faster, with another shape.
    table = await describeTable(server, plan.table, signal)
    if (table === null) {
      throw new SluiceError('sink.clickhouse.server', {
        message: `Table ${plan.table} is not there after it was created.`,
      })
    }
  }
  if (await followAgreed(plan, table, agreed, evolution)) {
    table = (await describeTable(server, plan.table, signal)) ?? table
  }
  const changes = changesFor(database, plan, table)
  if (changes.length > 0) {
    const statement = alterTable(database, plan.table, changes)
    await runDdl(evolution, plan, `Alter table ${plan.table}`, statement)
    for (const { kind, name, type } of changes) {
      ctx.logger.info('column changed', { table: plan.table, kind, column: name, type })
    }
    table = (await describeTable(server, plan.table, signal)) ?? table
  }
  for (const { name } of from?.fields ?? []) {
    if (!plan.columns.some((column) => column.name === name)) {
      ctx.logger.info('column left as it is', { table: plan.table, column: name })
    }
  }
  if (plan.mode === 'upsert') await evolveView(plan, table, evolution)
}

/** The view is a frozen list of columns, so a new column shows only after it is made anew. */
async function evolveView(
  plan: TablePlan,
  table: TableDescription,
  evolution: Evolution,
): Promise<void> {
  const { server, config, signal } = evolution
  const name = liveView(plan.table)
  const view = await describeTable(server, name, signal)
  if (view !== null && view.engine !== 'View') {
    throw new SluiceError('sink.clickhouse.table_name', {
      message: `${name} in ClickHouse is no view, so the live rows of ${plan.table} have no place.`,
    })
  }
  const wanted = table.columns.filter((column) => !column.name.startsWith(servicePrefix))
  const current = view?.columns.map((column) => `${column.name} ${column.type}`).join('\n')
  if (current === wanted.map((column) => `${column.name} ${column.type}`).join('\n')) return
  // A user who keeps the DDL to himself may do without the view: nothing is written through it.
  if (!config.create_tables) return
  const columns = wanted.map((column) => column.name)
  const statement = createLiveView(server.database, plan.table, columns)
  await runDdl(evolution, plan, `Create view ${name}`, statement)
}
