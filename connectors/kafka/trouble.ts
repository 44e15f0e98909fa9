/** What is in trouble and tried again, for the live status: the oldest reason is on show until it is over. */
import type { Context } from '../../core/connector/context.ts'

export class Trouble {
  readonly #ctx: Pick<Context, 'report' | 'logger'>
  readonly #reasons = new Map<string, string>()
  #shown: string | null = null

  constructor(ctx: Pick<Context, 'report' | 'logger'>) {
    this.#ctx = ctx
  }

  set(about: string, reason: string): void {
    if (!this.#reasons.has(about)) this.#ctx.logger.warn('trying again', { about, reason })
    this.#reasons.set(about, reason)
    this.#show()
  }

  clear(about: string): void {
    if (!this.#reasons.delete(about)) return
    this.#ctx.logger.info('goes on', { about })
    this.#show()
  }

  #show(): void {
    const [first = null] = this.#reasons.values()
    if (first === this.#shown) return
    this.#shown = first
    if (first === null) this.#ctx.report({ state: 'running', detail: '' })
    else this.#ctx.report({ state: 'retrying', detail: first })
  }
}
