/** One DDL statement, or the error that gives it to the user to run where Sluice may not. */
import type { Context } from '../../core/connector/context.ts'
import type { ClickHouseServer } from './client.ts'
import type { ClickHouseConfig } from './config.ts'
import type { TablePlan } from './plan.ts'
import { ddlForbidden } from './shape.ts'

export interface Evolution {
  readonly server: ClickHouseServer
  readonly config: ClickHouseConfig
  readonly ctx: Context
  readonly signal: AbortSignal
}

export async function runDdl(
  { server, config, signal }: Evolution,
  plan: TablePlan,
  what: string,
  statement: string,
): Promise<void> {
  if (!config.create_tables) throw ddlForbidden(plan.topic, statement)
  const time64 = plan.columns.some(({ type }) => type.storage.kind === 'time')
  await server.command(what, statement, {
    signal,
    settings: {
      // Before 26.x the type had to be asked for.
      ...(time64 ? { enable_time_time64_type: 1 } : {}),
      // A row that goes to another replica next must find the column there.
      ...(plan.replication === null ? {} : { alter_sync: '2' }),
    },
  })
}
