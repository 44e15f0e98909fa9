/**
 * Parts of a source that are in trouble and tried again while the others go on: each is on show with its
 * reason and cure until it is well, and the task as `retrying` for as long as there is one.
 */
import type { SluiceError } from '../errors/error.ts'
import type { Context } from './context.ts'

export class Troubles implements Disposable {
  readonly #ctx: Pick<Context, 'report' | 'trouble' | 'logger'>
  /** In the order in which they began. */
  readonly #parts = new Set<string>()

  constructor(ctx: Pick<Context, 'report' | 'trouble' | 'logger'>) {
    this.#ctx = ctx
  }

  /** The part failed, once more or for the first time. */
  set(about: string, error: SluiceError): void {
    this.#ctx.trouble?.(error, about)
    if (this.#parts.has(about)) return
    this.#parts.add(about)
    const { code, message, remedy, fault } = error
    const what = fault === 'transient' ? 'trying again' : 'waits for its cure'
    this.#ctx.logger.warn(what, { about, code, reason: message, remedy })
    this.#report()
  }

  /** The part is well, whether it was in trouble or not. */
  clear(about: string): void {
    if (!this.#parts.delete(about)) return
    this.#ctx.trouble?.(null, about)
    this.#ctx.logger.info('goes on', { about })
    this.#report()
  }

  /** The source ends: what ended it is on show, and nothing of these would be taken away otherwise. */
  [Symbol.dispose](): void {
    for (const about of this.#parts) this.#ctx.trouble?.(null, about)
    this.#parts.clear()
  }

  #report(): void {
    const [first = '', ...others] = this.#parts
    const detail = others.length === 0 ? first : `${first} and ${others.length} more`
    this.#ctx.report({ state: first === '' ? 'running' : 'retrying', detail })
  }
}
