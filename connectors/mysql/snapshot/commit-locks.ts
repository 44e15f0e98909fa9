/**
 * Waits, on a MySQL server without GTIDs, until what is in the binlog now is committed in the engine, so
 * that a snapshot begun then shows it. A transaction holds the server's commit lock from before it is
 * written to the binlog until after its engine commit (ha_commit_trans, sql/handler.cc), and
 * performance_schema lists who holds it; nobody is kept waiting. Where that cannot be read, an instant
 * READ lock of the table waits for all transactions that have written to it, the long ones too: under
 * many writers its moment may be long in coming.
 */
import type { Clock } from '../../../core/connector/context.ts'
import type { Query } from '../schema/catalog.ts'
import { quoteTable, type TableName } from '../schema/table-pattern.ts'

const retryMs = [0, 1, 2, 5, 10, 20]
const lockWaitSeconds = 5
/** The locks of commits under way, and one of this statement's own, without which the list is not kept. */
const commitLocksSql = `SELECT OBJECT_TYPE AS type, CONCAT(OWNER_THREAD_ID, ':', OWNER_EVENT_ID) AS owner
    FROM performance_schema.metadata_locks
   WHERE OBJECT_TYPE = 'COMMIT' AND LOCK_STATUS = 'GRANTED'
      OR OWNER_THREAD_ID = PS_CURRENT_THREAD_ID()`
const lostLocksSql = `SHOW GLOBAL STATUS LIKE 'Performance_schema_metadata_lock_lost'`

export interface CommitWait {
  readonly table: TableName
  readonly clock: Clock
}

/** Throws what `query` throws (ER_LOCK_WAIT_TIMEOUT where the table's lock was not to be had), and the signal's reason. */
export async function waitForCommits(
  query: Query,
  { table, clock }: CommitWait,
  signal: AbortSignal,
): Promise<void> {
  const first = await commitLocks(query)
  if (first === null) return waitByLock(query, table)
  let waiting = [...first]
  for (let attempt = 0; waiting.length > 0; attempt++) {
    await clock.sleep(retryMs[Math.min(attempt, retryMs.length - 1)]!, signal)
    const now = await commitLocks(query)
    if (now === null) return waitByLock(query, table)
    waiting = waiting.filter((owner) => now.has(owner))
  }
}

/** Whether commits under way can be told on this server, by this user. Throws what `query` throws. */
export async function seesCommitLocks(query: Query): Promise<boolean> {
  return (await commitLocks(query)) !== null
}

/** null = the list cannot be read, or does not have every lock. */
async function commitLocks(query: Query): Promise<Set<string> | null> {
  try {
    const rows = await query(commitLocksSql)
    if (rows.every((row) => row['type'] === 'COMMIT')) return null
    const [lost] = await query(lostLocksSql)
    if (String(lost?.['Value']) !== '0') return null
    return new Set(
      rows.filter((row) => row['type'] === 'COMMIT').map((row) => String(row['owner'])),
    )
  } catch (error) {
    // The server's own errors have positive numbers: performance_schema is off (1683), is not to be read
    // (1142), or has no PS_CURRENT_THREAD_ID(), which came with 8.0.16 (1305).
    if (Number((error as { errno?: number }).errno) > 0) return null
    throw error
  }
}

/** MySQL lets writers pass a READ lock that waits, so this keeps nobody waiting. */
async function waitByLock(query: Query, table: TableName): Promise<void> {
  await query(`SET SESSION lock_wait_timeout = ${lockWaitSeconds}`)
  await query(`LOCK TABLES ${quoteTable(table)} READ`)
  await query('UNLOCK TABLES')
}
