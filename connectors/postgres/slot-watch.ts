/**
 * What runs beside the stream, once in a while: how much WAL the slot holds back, for metrics and a
 * warning before it is lost, and the heartbeat of a quiet database. A heartbeat is only sent when the
 * WAL moved on by itself: an idle server stays idle.
 */
import type { ClientConfig } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import { isAbort } from '../../core/errors/error.ts'
import { connect } from './connection.ts'
import { postgresError } from './errors.ts'
import { end } from './generation.ts'

const watchEveryMs = 60_000
/** Other databases' WAL, and not what our own heartbeats and checkpoints of an idle server write. */
const movedBytes = 1 << 20

export interface SlotWatchOptions {
  readonly client: ClientConfig
  readonly slot: string
  /** 0 = never. */
  readonly heartbeatMs: number
  readonly ctx: Pick<Context, 'clock' | 'logger' | 'metrics' | 'name'>
}

interface SlotRow {
  status: string | null
  retained: number | null
  unconfirmed: number | null
  safe: number | null
}

const slotQuery = `
  SELECT wal_status AS status, safe_wal_size::float8 AS safe,
         pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 AS retained,
         pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 AS unconfirmed
    FROM pg_replication_slots WHERE slot_name = $1`

/** Runs until `signal` aborts, and then returns. What fails here is logged and tried again later. */
export async function watchSlot(options: SlotWatchOptions, signal: AbortSignal): Promise<void> {
  const { ctx, heartbeatMs } = options
  const everyMs = heartbeatMs === 0 ? watchEveryMs : heartbeatMs
  try {
    for (;;) {
      await ctx.clock.sleep(everyMs, signal)
      await look(options, signal)
    }
  } catch (error) {
    if (!signal.aborted && !isAbort(error)) throw error
  }
}

async function look(options: SlotWatchOptions, signal: AbortSignal): Promise<void> {
  const { ctx, slot } = options
  try {
    const client = await connect(options.client, signal)
    try {
      const { rows } = await client.query<SlotRow>(slotQuery, [slot])
      const row = rows[0]
      if (row === undefined) return
      ctx.metrics.gauge('source_retained_bytes', row.retained ?? 0, { source: ctx.name })
      if (row.status === 'unreserved') {
        ctx.logger.warn('the server is about to remove WAL that the slot needs', {
          slot,
          retainedBytes: row.retained,
          safeBytes: row.safe,
        })
      }
      if (options.heartbeatMs > 0 && (row.unconfirmed ?? 0) > movedBytes) {
        await client.query("SELECT pg_logical_emit_message(false, 'sluice.heartbeat', '')")
      }
    } finally {
      await end(client)
    }
  } catch (error) {
    signal.throwIfAborted()
    ctx.logger.warn('the slot could not be looked at', {
      slot,
      reason: postgresError(error, 'look at the slot').message,
    })
  }
}
