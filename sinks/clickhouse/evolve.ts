/**
 * Makes a topic's table and view fit its schema: creates, adds columns, widens them; renames, drops and
 * narrows what was agreed to, and nothing else (agreed.ts). A column that is not in the schema stays and
 * is filled with NULL or its default. Idempotent, each statement by itself, so that a crash between two
 * of them does no harm.
 */
import type { SchemaStep } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { followAgreed } from './agreed.ts'
import { alterTable, createTable } from './ddl.ts'
import { describeTable, type TableDescription } from './describe.ts'
import { evolveView } from './live-view.ts'
import type { TablePlan } from './plan.ts'
import { runDdl, type Evolution } from './run-ddl.ts'
import { changesFor } from './shape.ts'

/** Resolves to the table as it is then. */
export async function evolveTable(
  plan: TablePlan,
  { from, agreed }: SchemaStep,
  evolution: Evolution,
): Promise<TableDescription> {
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
    const statement = alterTable(database, plan, changes)
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
  return table
}
