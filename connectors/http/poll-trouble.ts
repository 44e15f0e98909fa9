/** What is in trouble and tried again, for the live status: the oldest reason is on show until it is over. */
import type { Context } from '../../core/connector/context.ts'
import type { SluiceError } from '../../core/errors/error.ts'

export class PollTrouble {
  readonly #ctx: Pick<Context, 'report' | 'logger'>
  readonly #reasons = new Map<string, string>()
  #shown: string | null = null

  constructor(ctx: Pick<Context, 'report' | 'logger'>) {
    this.#ctx = ctx
  }

  set(topic: string, { code, message, remedy }: SluiceError): void {
    if (!this.#reasons.has(topic)) {
      this.#ctx.logger.warn('trying again', { topic, code, reason: message, remedy })
    }
    this.#reasons.set(topic, message)
    this.#show()
  }

  clear(topic: string): void {
    if (!this.#reasons.delete(topic)) return
    this.#ctx.logger.info('goes on', { topic })
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
