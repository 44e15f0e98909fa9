/**
 * Sweeper: for servers on which single fields of a hash do not expire (Redis before 7.4, Valkey before 9):
 * goes round the entities, a step every quarter of a second, and takes away what has lived its time.
 * The keys themselves expire with the last of their views (script.ts); this is for views whose entity
 * has another view that lives longer.
 */
import type { SinkContext } from '../../../core/connector/context.ts'
import type { RedisLink } from '../../../core/connector/redis.ts'
import { isAbort } from '../../../core/errors/error.ts'
import type { FeatureView } from '../view.ts'
import { entityKeyTest, entityPattern, scanStep } from './scan.ts'
import { sweepScript } from './script.ts'

const pauseMs = 250
/** After a failure: the server is down, and writing says so. */
const troublePauseMs = 10_000

export class Sweeper implements AsyncDisposable {
  readonly #link: RedisLink
  readonly #ctx: SinkContext
  readonly #views = new Map<string, FeatureView>()
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null

  constructor(link: RedisLink, ctx: SinkContext) {
    this.#link = link
    this.#ctx = ctx
  }

  /** Keeps the view swept from now on, if there is anything in it that expires. */
  add(view: FeatureView): void {
    if (view.ttlMs === null && view.onDelete !== 'remove') return
    this.#views.set(view.stored, view)
    this.#running ??= this.#run().catch((error: unknown) => {
      if (!isAbort(error)) throw error
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      for (const view of this.#views.values()) {
        try {
          await this.#sweep(view, signal)
        } catch (error) {
          if (signal.aborted) return
          const reason = error instanceof Error ? error.message : String(error)
          this.#ctx.logger.warn('sweep failed', { view: view.name, reason })
          await this.#ctx.clock.sleep(troublePauseMs, signal)
        }
      }
    }
  }

  async #sweep(view: FeatureView, signal: AbortSignal): Promise<void> {
    const pattern = entityPattern(view)
    const isOurs = entityKeyTest(view)
    const text = sweepScript(view)
    await this.#link.ready(signal)
    for (const master of this.#link.masters) {
      let cursor = '0'
      do {
        await this.#ctx.clock.sleep(pauseMs, signal)
        await this.#link.ready(signal)
        const args = [String(this.#ctx.clock.nowMs())]
        cursor = await scanStep(
          this.#link,
          { master, cursor, pattern, isOurs, script: { text, args } },
          signal,
        )
      } while (cursor !== '0')
    }
  }
}
