/**
 * The replication slot: made together with the snapshot from which its changes go on, freed from a
 * dead session of our own, dropped when nothing of it was ever committed.
 */
import type { Client, ClientConfig } from 'pg'
import type { Clock, Context } from '../../core/connector/context.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { connect } from './connection.ts'
import { end, type ExportedSnapshot } from './generation.ts'
import { oldTransactionsQuery, slotQuery } from './preflight-facts.ts'
import type { OldTransaction, SlotFacts } from './preflight-facts.ts'
import { quoteIdent } from './table-pattern.ts'

/** How long the slot's creation may wait for one transaction; then it is tried again, with a message. */
const lockTimeoutMs = 60_000
const reportEveryMs = 2000
/** A session of ours that still holds the slot after this long has lost its process. */
const staleMs = 5000
const freeTimeoutMs = 15_000
const pollMs = 200

/** The exported snapshot lives until this is disposed. */
export interface NewSlot extends ExportedSnapshot, AsyncDisposable {}

interface CreatedRow {
  consistent_point: string
  snapshot_name: string
}

/**
 * Creates the slot and exports the snapshot of its beginning. The server waits for all transactions
 * that are open; what it waits for is reported. Throws `source.postgres.slot_waits` after a minute.
 */
export async function createSlot(
  config: ClientConfig,
  slot: string,
  control: Client,
  ctx: Pick<Context, 'clock' | 'report'>,
  signal: AbortSignal,
): Promise<NewSlot> {
  const client = await connect(config, signal, true)
  try {
    // statement_timeout does not apply to replication commands; the wait is one for a lock.
    await client.query(`SET lock_timeout = ${lockTimeoutMs}`)
    const created = client.query<CreatedRow>(
      `CREATE_REPLICATION_SLOT ${quoteIdent(slot)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
    )
    const { rows } = await reportWaits(created, control, ctx, signal)
    const { consistent_point: consistentPoint, snapshot_name: name } = rows[0]!
    return { name, consistentPoint, [Symbol.asyncDispose]: () => end(client) }
  } catch (error) {
    await end(client)
    signal.throwIfAborted()
    if ((error as { code?: string }).code !== '55P03') throw error
    throw new SluiceError('source.postgres.slot_waits', {
      message: `Replication slot ${quoteIdent(slot)} cannot be made while older transactions are open: ${await oldTransactions(control)}.`,
      cause: error,
    })
  }
}

/** The result of `work`; while it takes its time, the status says what for. */
async function reportWaits<T>(
  work: Promise<T>,
  control: Client,
  ctx: Pick<Context, 'clock' | 'report'>,
  signal: AbortSignal,
): Promise<T> {
  const over = new AbortController()
  const either = AbortSignal.any([over.signal, signal])
  const reporting = (async (): Promise<void> => {
    for (;;) {
      await ctx.clock.sleep(reportEveryMs, either)
      const what = await oldTransactions(control)
      ctx.report({ state: 'starting', detail: `waiting for transactions to end: ${what}` })
    }
  })().catch(() => {})
  try {
    return await work
  } finally {
    over.abort()
    await reporting
  }
}

/** The transactions that hold things up, for a message. */
export async function oldTransactions(control: Client): Promise<string> {
  const { rows } = await control.query<OldTransaction>(oldTransactionsQuery)
  if (rows.length === 0) return 'short ones'
  return rows.map(({ what, seconds }) => `${what} for ${Math.round(seconds)} s`).join(', ')
}

/**
 * Returns when nobody reads from the slot. A walsender of ours whose process is gone, as after the
 * loss of a host, is ended; somebody else's never is. Throws `source.postgres.slot_active`.
 */
export async function slotFree(
  control: Client,
  slot: string,
  application: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let terminated = false
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const { rows } = await control.query<SlotFacts>(slotQuery, [slot])
    const reader = rows[0]
    if (reader === undefined || reader.activePid === null) return
    const isOurs = reader.activeApplication === application
    if (isOurs && waitedMs >= staleMs && !terminated) {
      terminated = true
      await control.query('SELECT pg_terminate_backend($1)', [reader.activePid])
    }
    if (waitedMs >= freeTimeoutMs) {
      throw new SluiceError('source.postgres.slot_active', {
        message: `Replication slot ${quoteIdent(slot)} is being read by pid ${reader.activePid} (${reader.activeApplication ?? 'of another user'}).`,
      })
    }
    await clock.sleep(pollMs, signal)
  }
}

export async function dropSlot(control: Client, slot: string): Promise<void> {
  await control.query('SELECT pg_drop_replication_slot($1)', [slot])
}
