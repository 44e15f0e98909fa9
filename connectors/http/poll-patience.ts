/**
 * PollPatience: what a topic that is polled does about what went wrong. What passes is waited out, and asked for
 * again for as long as it takes. What the operator has to mend ends the source where the topic is all of it; else
 * it is on show and looked at again now and then, while the others go on: an API that refuses a token must not
 * turn away the webhooks of others.
 */
import { backoffMs, type Backoff } from '../../core/connector/backoff.ts'
import type { Context } from '../../core/connector/context.ts'
import type { Troubles } from '../../core/connector/troubles.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { sleepUntil } from './poll-schedule.ts'

/** As long as a whole source waits for its cure. */
const cureMs = 60_000

export interface PatienceOptions {
  readonly topic: string
  readonly troubles: Troubles
  /** The source has nothing else to do. */
  readonly isAlone: boolean
}

export class PollPatience {
  readonly #options: PatienceOptions
  readonly #ctx: Pick<Context, 'clock' | 'random'>

  constructor(options: PatienceOptions, ctx: Pick<Context, 'clock' | 'random'>) {
    this.#options = options
    this.#ctx = ctx
  }

  well(): void {
    this.#options.troubles.clear(this.#options.topic)
  }

  /** How long to wait before it is asked again, as the error that is put on show wants it; or throws it. */
  waitMs(error: unknown, attempt: number, backoff: Backoff): number {
    const { topic, troubles, isAlone } = this.#options
    if (!(error instanceof SluiceError)) throw error
    const isPassing = error.fault === 'transient'
    if (!isPassing && (isAlone || error.fault !== 'config' || isLasting(error))) throw error
    troubles.set(topic, error)
    if (!isPassing) return cureMs
    return Math.max(backoffMs(attempt, backoff, this.#ctx.random), error.retryAfterMs ?? 0)
  }

  /**
   * What a topic cannot go on after in this life: the source ends where the topic is all of it; else it is on show
   * until the source ends, and the others go on.
   */
  async rest(error: unknown, signal: AbortSignal): Promise<void> {
    const { topic, troubles, isAlone } = this.#options
    if (isAlone || !(error instanceof SluiceError) || error.fault !== 'config') throw error
    troubles.set(topic, error)
    await sleepUntil(this.#ctx.clock, Number.POSITIVE_INFINITY, signal)
  }

  /** Waits so long, and then throws nothing: the caller asks again. */
  async wait(
    error: unknown,
    attempt: number,
    backoff: Backoff,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#ctx
    await sleepUntil(clock, clock.nowMs() + this.waitMs(error, attempt, backoff), signal)
  }
}

/** In the middle of a batch: rows were taken for known that were not written, and may not come again. */
function isLasting({ code }: SluiceError): boolean {
  return code === 'http.poll.too_many_keys'
}
