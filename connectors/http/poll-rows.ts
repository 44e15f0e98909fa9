/**
 * PollRows: what of the rows of a page goes into the log, and what of a whole listing goes out of it; and
 * what that does to the topic's state.
 */
import type { Context } from '../../core/connector/context.ts'
import type { Decoded } from '../../core/connector/format/format.ts'
import type { RowsChange, TopicChange } from '../../core/connector/source.ts'
import { selectChange } from '../../core/connector/change-rows.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { PollSetup } from './poll-setup.ts'
import type { PollState } from './poll-state.ts'

/** Clocks of two machines that wrote the log one after the other may differ by so much. */
const clockDriftMs = 600_000

type History = (
  topic: string,
  sinceMs: number,
  signal: AbortSignal,
) => AsyncIterable<RowsChange['batch']>

export class PollRows {
  readonly #setup: PollSetup
  readonly #ctx: Pick<Context, 'clock' | 'logger' | 'metrics'>
  readonly #deletesAfter: number
  /** Rows are missing that were not deleted: the next run has to look, even if nothing changed. */
  #isPending = false

  constructor(setup: PollSetup, ctx: Pick<Context, 'clock' | 'logger' | 'metrics'>) {
    this.#setup = setup
    this.#ctx = ctx
    const { deletes_after: after, pagination } = setup.config
    const isCounted = pagination?.type === 'page' || pagination?.type === 'offset'
    this.#deletesAfter = after ?? (isCounted ? 2 : 1)
  }

  get isPending(): boolean {
    return this.#isPending
  }

  /** Reads back from the log what is known. */
  async remember(
    history: History | undefined,
    state: PollState,
    signal: AbortSignal,
  ): Promise<void> {
    const { known, since, name } = this.#setup
    if (known === null || history === undefined) return
    const border = since?.border(state) ?? null
    let sinceMs = 0
    if (since !== null) {
      const fromMs = state.borderMs ?? state.runMs
      // Nothing was asked for yet.
      if (fromMs === undefined) return
      sinceMs = fromMs - clockDriftMs
    }
    const nowMs = this.#ctx.clock.nowMs()
    for await (const batch of history(name, sinceMs, signal)) {
      known.load(batch, border, state.borderMs ?? nowMs)
    }
  }

  begin(): void {
    this.#setup.known?.begin()
  }

  /** Rows that were set aside and were decoded after all are what the log says now. */
  decodedAgain({ changes }: Decoded): void {
    for (const change of changes) {
      if ('batch' in change) this.#setup.known?.load(change.batch, null, this.#ctx.clock.nowMs())
    }
  }

  /** The rows of a page that are new or have changed; and the state with the greatest `since` in it. */
  admit({ changes }: Decoded, state: PollState): { changes: TopicChange[]; state: PollState } {
    const { known, since, name } = this.#setup
    if (known === null) return { changes: [...changes], state }
    const nowMs = this.#ctx.clock.nowMs()
    const kept: TopicChange[] = []
    let runSince = state.runSince
    for (const change of changes) {
      if (!('batch' in change) || change.batch.rows === 0) {
        kept.push(change)
        continue
      }
      if (since !== null) runSince = since.later(runSince, known.greatest(change.batch))
      const rows = known.admit(change.batch, nowMs)
      const same = change.batch.rows - rows.length
      if (same > 0) this.#ctx.metrics.count('http_poll_unchanged_rows_total', same, { topic: name })
      if (rows.length > 0) kept.push(selectChange(change, rows))
    }
    return { changes: kept, state: runSince === undefined ? state : { ...state, runSince } }
  }

  /** The state after a run has ended: what is asked for next, and what may come again then. */
  ended(state: PollState): PollState {
    const { known, since } = this.#setup
    const { page: _, runSince, ...ended } = state
    if (since === null || known === null || runSince === undefined) return ended
    const greatest = since.later(state.since, since.order.overlaps ? BigInt(runSince) : runSince)
    if (greatest === undefined) return ended
    const moved = { ...ended, since: greatest }
    const oldestMs = known.forget(since.border(moved)!)
    return oldestMs === null ? moved : { ...moved, borderMs: oldestMs }
  }

  /**
   * Deletes of rows that a listing lacks. `isWhole`: it was read from its first page to its last in one
   * life, and every record of it is a row.
   */
  deletes(isWhole: boolean, records: number): TopicChange[] {
    const { known, config, name } = this.#setup
    if (config.deletes === 'none' || known === null) return []
    this.#isPending = !isWhole
    if (!isWhole) return []
    const before = known.size
    const lacked = known.lacked()
    if (lacked === 0) return []
    const isMuch = lacked > before * config.deletes_max
    if (config.deletes_max < 1 && (isMuch || records === 0)) {
      this.#isPending = true
      const message = `poll.${name}: a listing of ${records} records lacks ${lacked} of ${before} rows; none was deleted`
      const { code, remedy } = new SluiceError('http.poll.listing_refused', { message })
      this.#ctx.logger.warn(message, { code, remedy })
      return []
    }
    const keys = known.missing(this.#deletesAfter)
    this.#isPending = lacked > keys.length
    if (keys.length === 0) return []
    return [{ topic: name, batch: known.deletes(keys, this.#ctx.clock.nowMs() * 1000) }]
  }
}
