import { waitFor } from '../../support/env.ts'
import type { PostgresServer } from '../../services/postgres.ts'

/** Until nobody reads from slots whose names are like `pattern`: a walsender lets go a moment after its client went. */
export async function slotsFree(server: PostgresServer, pattern = '%'): Promise<void> {
  await waitFor('the slots to be free', async () => {
    const [row] = await server.query<{ active: string }>(
      `SELECT count(*) AS active FROM pg_replication_slots WHERE active AND slot_name LIKE $1`,
      [pattern],
    )
    return row?.active === '0'
  })
}

/** Drops the slots whose names are like `pattern`. */
export async function dropSlots(server: PostgresServer, pattern = '%'): Promise<void> {
  await slotsFree(server, pattern)
  await server.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE $1',
    [pattern],
  )
}
