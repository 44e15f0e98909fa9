/**
 * How fresh the features of each view are, as metrics and, where `freshness_slo` is set, on show.
 *
 * Two questions that are not the same:
 *
 * - How old is the newest feature (`feature_freshness_seconds`)? It grows while nothing happens at the
 *   source, and says nothing about Sluice: no alarm should hang on it alone.
 * - Does the store lack anything that the log has (`feature_freshness_slo_met`)? The objective is missed
 *   while a row waits for longer than it, and while rows arrive that were committed at the source longer
 *   ago than it. A view for which nothing waits is as fresh as it can be, however old its features are.
 */
import type { SinkContext } from '../../core/connector/context.ts'
import { durationOf } from '../../core/connector/duration.ts'
import { isAbort, SluiceError } from '../../core/errors/error.ts'
import { Op } from '../../core/record/batch.ts'
import type { Accepted } from './accept.ts'
import type { FeatureView } from './view.ts'

const lookEveryMs = 1000
/** Rows of a batch whose delays are taken down: enough for quantiles, and nothing to the batch. */
const delaysABatch = 32

interface Watched {
  readonly topic: string
  /** The newest event time that was written, ms since 1970; null: none since the start. */
  newestMs: number | null
  /** When rows that come from the stream were written last, and how long after their commit. */
  writtenMs: number
  lateMs: number
  /** Since when it is beyond its objective; null: it is not. */
  staleSinceMs: number | null
}

export class Freshness implements AsyncDisposable {
  readonly #sloMs: number | null
  readonly #ctx: SinkContext
  readonly #views = new Map<string, Watched>()
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null

  constructor(sloMs: number | null, ctx: SinkContext) {
    this.#sloMs = sloMs
    this.#ctx = ctx
  }

  /** The view counts from now on. */
  watch({ name, topic }: FeatureView): void {
    if (this.#views.get(name)?.topic === topic) return
    const unknown = { newestMs: null, writtenMs: 0, lateMs: 0, staleSinceMs: null }
    this.#views.set(name, { topic, ...unknown })
    this.#running ??= this.#run()
  }

  /** Rows of a view are in its stores. */
  written({ view, sent, rows, seconds, nanos }: Accepted): void {
    const watched = this.#views.get(view.name)
    if (watched === undefined || rows.length === 0) return
    const nowMs = this.#ctx.clock.nowMs()
    const { ops, timesUs } = sent.batch
    let newestMs = watched.newestMs ?? -Infinity
    let oldestCommitUs = Infinity
    for (let i = 0; i < rows.length; i++) {
      newestMs = Math.max(newestMs, seconds[i]! * 1000 + nanos[i]! / 1e6)
      // What a first copy or a replay brings was true long ago, and its delay is nobody's doing.
      if (ops[rows[i]!] !== Op.snapshot)
        oldestCommitUs = Math.min(oldestCommitUs, timesUs[rows[i]!]!)
    }
    watched.newestMs = newestMs
    const isLive = sent.origin === undefined || sent.origin === 'live'
    if (!isLive || oldestCommitUs === Infinity) return
    watched.writtenMs = nowMs
    watched.lateMs = nowMs - oldestCommitUs / 1000
    const step = Math.max(1, Math.floor(rows.length / delaysABatch))
    for (let i = rows.length - 1; i >= 0; i -= step) {
      if (ops[rows[i]!] === Op.snapshot) continue
      const delayMs = Math.max(0, nowMs - seconds[i]! * 1000 - nanos[i]! / 1e6)
      this.#ctx.metrics.observe('feature_write_delay_seconds', delayMs / 1000, { view: view.name })
    }
  }

  /** One look at all views; it is done by itself every second. */
  look(): void {
    const nowMs = this.#ctx.clock.nowMs()
    for (const [view, watched] of this.#views) {
      if (watched.newestMs !== null) {
        const freshness = (nowMs - watched.newestMs) / 1000
        this.#ctx.metrics.gauge('feature_freshness_seconds', freshness, { view })
      }
      if (this.#sloMs !== null) this.#judge(view, watched, { nowMs, sloMs: this.#sloMs })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  #judge(
    view: string,
    watched: Watched,
    { nowMs, sloMs }: { readonly nowMs: number; readonly sloMs: number },
  ): void {
    const waitsSinceMs = this.#ctx.waitsSinceMs?.(watched.topic)
    const waitsMs = typeof waitsSinceMs === 'number' ? nowMs - waitsSinceMs : 0
    // Of rows that came late: for as long as another row might have come in time.
    const lateMs = nowMs - watched.writtenMs <= sloMs ? watched.lateMs : 0
    const isMet = waitsMs <= sloMs && lateMs <= sloMs
    this.#ctx.metrics.gauge('feature_freshness_slo_met', isMet ? 1 : 0, { view })
    if (isMet === (watched.staleSinceMs === null)) return
    watched.staleSinceMs = isMet ? null : nowMs
    this.#show(view, watched.staleSinceMs, sloMs)
  }

  /** The time at which it began tells how long it lasts, and the message does not change every second. */
  #show(view: string, sinceMs: number | null, sloMs: number): void {
    const about = `view ${view}`
    if (sinceMs === null) {
      this.#ctx.trouble?.(null, about)
      this.#ctx.logger.info('features are fresh again', { view })
      return
    }
    const since = new Date(sinceMs).toISOString()
    const message = `View ${view} is beyond its freshness_slo of ${durationOf(sloMs)} since ${since}.`
    this.#ctx.trouble?.(new SluiceError('sink.feast.stale', { message }), about)
    this.#ctx.logger.warn('features are not fresh', { view, since, slo: durationOf(sloMs) })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    try {
      for (;;) {
        this.look()
        await this.#ctx.clock.sleep(lookEveryMs, signal)
      }
    } catch (error) {
      if (!isAbort(error)) throw error
    }
  }
}
