/**
 * A database snapshot held open, under which tables are read one after the other, each in a
 * transaction of its own, so that the locks on a table are let go when it is done. The first
 * generation is the snapshot that the slot's creation exported; it shows exactly what committed before
 * the slot's first change. A later one, after a crash or for tables added later, is taken here.
 */
import type { Client, ClientConfig } from 'pg'
import { connect, destroy } from './connection.ts'
import type { Generation } from './snapshot-progress.ts'

export interface HeldSnapshot extends AsyncDisposable {
  /** For SET TRANSACTION SNAPSHOT. */
  readonly name: string
  readonly generation: Generation
  /** The server's clock when it was taken, µs since 1970. */
  readonly timeUs: number
}

/** What CREATE_REPLICATION_SLOT exported, and where its changes begin. */
export interface ExportedSnapshot {
  readonly name: string
  readonly consistentPoint: string
}

interface SnapshotRow {
  name: string
  snapshot: string
  lsn: string
  time_us: string
}

/** The WAL position is read after the snapshot was taken, by the same statement. */
const exportQuery = `
  SELECT pg_export_snapshot() AS name, pg_current_snapshot()::text AS snapshot,
         pg_current_wal_insert_lsn()::text AS lsn,
         trunc(extract(epoch FROM now()) * 1000000)::int8::text AS time_us`

/**
 * Takes a snapshot, or holds on to the exported one, which otherwise goes with its connection. Throws
 * what the driver throws.
 */
export async function holdSnapshot(
  config: ClientConfig,
  exported: ExportedSnapshot | null,
  signal: AbortSignal,
): Promise<HeldSnapshot> {
  const client = await connect(config, signal)
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    if (exported !== null) await client.query(`SET TRANSACTION SNAPSHOT '${exported.name}'`)
    const { rows } = await client.query<SnapshotRow>(exportQuery)
    const row = rows[0]!
    const [xmin = '', xmax = '', xip = ''] = row.snapshot.split(':')
    const inProgress = xip === '' ? [] : xip.split(',')
    // All that an exported snapshot shows committed before the consistent point, by definition.
    const lsn = exported?.consistentPoint ?? row.lsn
    if (exported === null) await flushWal(config, signal)
    return {
      name: row.name,
      generation: { xmin, xmax, xip: inProgress, lsn },
      timeUs: Number(row.time_us),
      [Symbol.asyncDispose]: () => end(client),
    }
  } catch (error) {
    destroy(client)
    throw error
  }
}

/**
 * Makes all that the snapshot shows durable on the server. A transaction that committed with
 * synchronous_commit off is visible before it is on disk; were its rows copied and the server crashed
 * then, the log would hold rows that never were. The commit of a transactional message flushes
 * everything before it, and waits for no standby.
 */
async function flushWal(config: ClientConfig, signal: AbortSignal): Promise<void> {
  const client = await connect(config, signal)
  try {
    await client.query("SET synchronous_commit = 'local'")
    await client.query("SELECT pg_logical_emit_message(true, 'sluice.flush', '')")
  } finally {
    await end(client)
  }
}

/** Ends a session; whatever goes wrong then, it is over. */
export async function end(client: Client): Promise<void> {
  await client.end().catch(() => destroy(client))
}
