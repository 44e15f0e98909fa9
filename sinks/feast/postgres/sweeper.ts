/**
 * Takes expired features out of the tables, and deletions that need not be remembered any more: now and
 * then, a bounded number of rows a transaction, without waiting for any lock.
 */
import type { Context } from '../../../core/connector/context.ts'
import type { FeatureView } from '../view.ts'
import { postgresError } from './errors.ts'
import { rowsAtOnce, sweepStatement, type TableName } from './statements.ts'

const pauseMsMin = 30_000
const pauseMsMax = 600_000
/** Sweeps so many times within the time after which something may go. */
const sweepsATerm = 10

export type Ask = (text: string, values: unknown[], signal: AbortSignal) => Promise<number>

export class Sweeper implements AsyncDisposable {
  readonly #ask: Ask
  readonly #tombstonesMs: number
  readonly #ctx: Context
  readonly #tables = new Map<string, { readonly name: TableName; readonly view: FeatureView }>()
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null

  constructor(ask: Ask, tombstonesMs: number, ctx: Context) {
    this.#ask = ask
    this.#tombstonesMs = tombstonesMs
    this.#ctx = ctx
  }

  watch(view: FeatureView, name: TableName): void {
    this.#tables.set(view.name, { name, view })
    this.#running ??= this.#run()
  }

  /** One sweep of all tables; gives the rows that went. */
  async sweep(signal: AbortSignal): Promise<number> {
    let gone = 0
    for (const { name, view } of this.#tables.values()) {
      const statement = sweepStatement(name)
      for (;;) {
        const nowMs = this.#ctx.clock.nowMs()
        const expired = view.ttlMs === null ? null : new Date(nowMs - view.ttlMs)
        const values = [expired, new Date(nowMs - this.#tombstonesMs)]
        const rows = await this.#ask(statement, values, signal)
        gone += rows
        if (rows < rowsAtOnce) break
      }
    }
    return gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const { clock, logger } = this.#ctx
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#pauseMs(), signal)
        await this.sweep(signal)
      } catch (thrown) {
        if (signal.aborted) return
        const { code, message } = postgresError(thrown, 'take expired features out')
        logger.warn('expired features not taken out, tried again later', { code, message })
      }
    }
  }

  #pauseMs(): number {
    const terms = [...this.#tables.values()].map(({ view }) => view.ttlMs ?? Infinity)
    const shortest = Math.min(this.#tombstonesMs, ...terms)
    return Math.min(pauseMsMax, Math.max(pauseMsMin, shortest / sweepsATerm))
  }
}
