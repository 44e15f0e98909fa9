/** The view `<table>_live`: the rows as they are now, without what Sluice needs for itself. */
import { SluiceError } from '../../core/errors/error.ts'
import { createLiveView } from './ddl.ts'
import { describeTable, type ColumnDescription, type TableDescription } from './describe.ts'
import { servicePrefix, type TablePlan } from './plan.ts'
import { runDdl, type Evolution } from './run-ddl.ts'
import { liveView } from './tables.ts'

/** The view is a frozen list of columns, so a new column shows only after it is made anew. */
export async function evolveView(
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
  const statement = createLiveView(server.database, plan, columns)
  await runDdl(evolution, plan, `Create view ${name}`, statement)
}

/** With these columns, before others go: a view that names one which is gone fails for whoever reads it. */
export async function showOnly(
  plan: TablePlan,
  columns: readonly ColumnDescription[],
  evolution: Evolution,
): Promise<void> {
  if (!evolution.config.create_tables) return
  const shown = columns.map(({ name }) => name).filter((name) => !name.startsWith(servicePrefix))
  const statement = createLiveView(evolution.server.database, plan, shown)
  await runDdl(evolution, plan, `Create view of ${plan.table}`, statement)
}
