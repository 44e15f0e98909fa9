/** Waiting until a replica has what the others took, before a question that has to see all of it. */
import type { ClickHouseServer } from './client.ts'
import { qualified } from './identifiers.ts'

/** A replica that lags would say of rows that they are not there. Asked of replicated tables alone. */
export async function catchUp(
  server: ClickHouseServer,
  table: string,
  signal: AbortSignal,
): Promise<void> {
  const statement = `SYSTEM SYNC REPLICA ${qualified(server.database, table)} LIGHTWEIGHT`
  await server.command(`Wait for the replica of ${table}`, statement, { signal })
}
