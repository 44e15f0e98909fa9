/**
 * PollRows: what of the rows of a page goes into the log, and what of a whole listing goes out of it; and
 * what that does to the topic's state.
 */
import { hash } from 'node:crypto'
import type { Context } from '../../core/connector/context.ts'
import type { Decoded, RejectedRecords } from '../../core/connector/format/format.ts'
import type { RowsChange, TopicChange } from '../../core/connector/source.ts'
import { selectChange } from '../../core/connector/change-rows.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { selectRows } from '../../core/record/batch-ops.ts'
import { bytesAt } from '../../core/record/value.ts'
import type { PollSetup } from './poll-setup.ts'
import type { PollState } from './poll-state.ts'
import { restoredSince } from './since.ts'

/** Records that were set aside are told apart by hash, so many of them. */
const lettersMax = 10_000

/** Clocks of two machines that wrote the log one after the other may differ by so much. */
const clockDriftMs = 600_000

type History = (
  topic: string,
  sinceMs: number,
  signal: AbortSignal,
) => AsyncIterable<RowsChange['batch']>

export interface Listing {
  /** It was read from its first page to its last in one life. */
  readonly isWhole: boolean
  readonly records: number
  /** Records that were set aside: each may be any row. */
  readonly unread: number
}

export class PollRows {
  readonly #setup: PollSetup
  readonly #ctx: Pick<Context, 'clock' | 'logger' | 'metrics'>
  readonly #deletesAfter: number
  /** Rows are missing that were not deleted: the next run has to look, even if nothing changed. */
  #isPending = false
  #run = 0
  /** Why the listing before this one deleted nothing; null = it had no reason to, or did. */
  #refused: string | null = null
  /** Hashes of records that were set aside, and the run that did it, oldest first. */
  readonly #letters = new Map<string, number>()

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
    this.#run++
    this.#setup.known?.begin()
  }

  /**
   * Of the records that do not fit those that no run before has set aside: one broken record in a listing
   * would otherwise make a dead letter with each run.
   */
  newLetters(rejected: readonly RejectedRecords[]): readonly RejectedRecords[] {
    return rejected.flatMap((records): readonly RejectedRecords[] => {
      const { batch, errors, indexes } = records
      const values = batch.columns[batch.schema.fields.findIndex(({ name }) => name === 'value')]!
      const rows: number[] = []
      for (let row = 0; row < batch.rows; row++) {
        const text = hash('sha256', bytesAt(values, row), 'base64url')
        const run = this.#letters.get(text) ?? this.#run
        this.#letters.delete(text)
        this.#letters.set(text, run)
        if (run === this.#run) rows.push(row)
      }
      for (const [oldest] of this.#letters) {
        if (this.#letters.size <= lettersMax) break
        this.#letters.delete(oldest)
      }
      if (rows.length === batch.rows) return [records]
      if (rows.length === 0) return []
      const kept = selectRows(batch, Int32Array.from(rows))
      return [
        {
          ...records,
          batch: kept,
          errors: rows.map((row) => errors[row]!),
          indexes: rows.map((row) => indexes[row]!),
        },
      ]
    })
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
      if (since !== null)
        runSince = since.later(runSince, known.greatest(change.batch, since.max(nowMs)))
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
    const greatest = since.later(state.since, restoredSince(since.order, runSince))
    if (greatest === undefined) return ended
    const moved = { ...ended, since: greatest }
    const oldestMs = known.forget(since.border(moved)!)
    return oldestMs === null ? moved : { ...moved, borderMs: oldestMs }
  }

  /** Deletes of rows that a whole listing lacks. */
  deletes({ isWhole, unread, records }: Listing): TopicChange[] {
    const { known, config, name } = this.#setup
    if (config.deletes === 'none' || known === null) return []
    const before = known.sizeBefore
    const lacked = known.lacked()
    this.#isPending = lacked > 0
    if (isWhole && lacked === 0) this.#refused = null
    if (!isWhole || lacked === 0) return []
    if (unread > 0) {
      this.#refuse(`${unread} of ${records} records of a listing are no rows`)
      return []
    }
    const isMuch = lacked > before * config.deletes_max
    if (config.deletes_max < 1 && (isMuch || records === 0)) {
      this.#refuse(`a listing of ${records} records lacks ${lacked} of ${before} rows`)
      return []
    }
    this.#refused = null
    const keys = known.missing(this.#deletesAfter)
    this.#isPending = lacked > keys.length
    if (keys.length === 0) return []
    return [{ topic: name, batch: known.deletes(keys, this.#ctx.clock.nowMs() * 1000) }]
  }

  /** Said once for as long as it is the same: a listing may come every second. */
  #refuse(why: string): void {
    if (why === this.#refused) return
    this.#refused = why
    const message = `poll.${this.#setup.name}: ${why}; none was deleted`
    const { code, remedy } = new SluiceError('http.poll.listing_refused', { message })
    this.#ctx.logger.warn(message, { code, remedy })
  }
}
