/**
 * Which rows of a batch a table holds already. Asked once after a start, and in append mode before
 * every retry, because there only the server's deduplication window stands between a batch sent twice
 * and its rows appearing twice (docs/decisions/0005).
 *
 * Rows that are sent once more (`origin`) lie behind the newest ones: of them exactly their own offsets
 * are looked for, at every attempt, since they may be there from any time before.
 *
 * It also finds the table of another log: one whose log was deleted and begun anew counts offsets
 * from 0 again, and its rows would lose against the old ones in silence.
 */
import { renamedSink } from '../../core/connector/place-by-name.ts'
import type { SinkBatch } from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { catchUp } from './catch-up.ts'
import type { ClickHouseServer } from './client.ts'
import { qualified, quoteIdentifier } from './identifiers.ts'
import { orderColumn, type TablePlan } from './plan.ts'

/** 1 for each row of the batch that the table holds. Throws `sink.clickhouse.table_ahead`. */
export async function rowsPresent(
  server: ClickHouseServer,
  plan: TablePlan,
  { batch, offset, upTo, origin = 'live' }: SinkBatch,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { name, base } = orderColumn(plan.mode)
  const column = quoteIdentifier(name)
  // Beyond the newest delivery there is nothing of ours, so that whatever is found there is not ours.
  const beyond = upTo === undefined ? '' : ` OR ${column} >= {upTo:UInt64}`
  const until =
    origin === 'live' && upTo === undefined ? '' : `AND (${column} < {to:UInt64}${beyond})`
  if (plan.replication !== null) await catchUp(server, plan.table, signal)
  const found = await server.query<{ at: string; us: string }>(
    `Look for rows in ${plan.table}`,
    `SELECT ${column} AS at, toUnixTimestamp64Micro(\`_sluice_ts\`) AS us
     FROM ${qualified(server.database, plan.table)} WHERE ${column} >= {from:UInt64} ${until}
     LIMIT {limit:UInt64}`,
    {
      params: {
        from: offset + base,
        to: offset + base + batch.rows,
        upTo: (upTo ?? 0) + base,
        limit: batch.rows + 1,
      },
      signal,
    },
  )
  const present = new Uint8Array(batch.rows)
  for (const { at, us } of found) {
    const row = Number(at) - base - offset
    // One log never writes two times at one offset, and a live batch is the newest one of ours.
    if (row >= batch.rows || Number(us) !== batch.timesUs[row]) throw ahead(server, plan)
    present[row] = 1
  }
  return present
}

function ahead(server: ClickHouseServer, plan: TablePlan): SluiceError {
  const table = qualified(server.database, plan.table)
  return new SluiceError('sink.clickhouse.table_ahead', {
    message: `Table ${plan.table} holds rows that come after the next batch of topic ${plan.topic}, or that are not of this log.`,
    remedy:
      `${renamedSink} If the log was begun anew or its cursor set back: empty the table so that the topic fills it anew: TRUNCATE TABLE ${table}; ` +
      'or give the topic another table: tables: {…}.',
  })
}
