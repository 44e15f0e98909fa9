/**
 * Watch: looks once a second at requests that wait for their commit, and tells those that have waited too
 * long to come again; counts what was answered, for the metrics.
 */
import type { Context } from '../../core/connector/context.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Delivery } from './delivery.ts'
import type { Refusal } from './push-body.ts'
import type { PushTopic } from './push-topic.ts'

const lookMs = 1000

const late: Refusal = {
  status: 503,
  code: 'http.not_stored_yet',
  detail:
    'the rows are not stored yet; they may be in a moment: send again with the same idempotency key',
  retryAfterS: 5,
}

/** Of those that nothing was done with: for sure they are not stored. */
const away: Refusal = {
  status: 503,
  code: 'http.busy',
  detail: 'the log is slow or away, and nothing of this request was stored; send again',
  retryAfterS: 5,
}

export class Watch {
  readonly #topics: readonly PushTopic[]
  readonly #timeoutMs: number
  readonly #ctx: Context
  /**
   * Those that wait, in the order they came, each linked to its neighbours. Not one stays here after its answer: a
   * second's worth of requests, with their sockets' objects, would grow old and cost the garbage collector more than
   * all else here. Nor in a Set: the table that it outgrew points to the one after, so that one old table keeps them
   * all, and each collection of the young copied 15 MB of answered requests.
   */
  #oldest: Delivery | null = null
  #newest: Delivery | null = null
  /** By topic and status. */
  readonly #counts = new Map<string, Map<number, number>>()
  readonly #forgotten = new Map<PushTopic, number>()

  constructor(topics: readonly PushTopic[], timeoutMs: number, ctx: Context) {
    this.#topics = topics
    this.#timeoutMs = timeoutMs
    this.#ctx = ctx
  }

  add(delivery: Delivery): void {
    delivery.before = this.#newest
    if (this.#newest === null) this.#oldest = delivery
    else this.#newest.behind = delivery
    this.#newest = delivery
  }

  /** Nothing is held for it any more. */
  settled(delivery: Delivery): void {
    this.#unlink(delivery)
    this.count(delivery.parts.topic, delivery.status)
  }

  count(topic: string, status: number): void {
    const counts = this.#counts.get(topic) ?? new Map<number, number>()
    this.#counts.set(topic, counts.set(status, (counts.get(status) ?? 0) + 1))
  }

  /** Until the signal is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ctx.clock.sleep(lookMs, signal).catch(() => {})
      this.#answerLate()
      this.flush()
    }
  }

  /** Hands the counts over to the metrics. */
  flush(): void {
    const { metrics, logger } = this.#ctx
    for (const [topic, counts] of this.#counts) {
      for (const [status, count] of counts) {
        metrics.count('http_requests_total', count, { topic, status: String(status) })
      }
    }
    this.#counts.clear()
    for (const topic of this.#topics) {
      const { idempotency, name } = topic.parts
      if (idempotency === null) continue
      metrics.gauge('http_idempotency_keys', idempotency.size, { topic: name })
      const before = this.#forgotten.get(topic) ?? 0
      if (idempotency.forgotten === before) continue
      this.#forgotten.set(topic, idempotency.forgotten)
      // Said at the first and then at each doubling: it goes on for as long as the load does.
      if (before > 0 && idempotency.forgotten < before * 2) continue
      const message = `${name}: ${idempotency.forgotten} idempotency keys were forgotten before their time`
      const { code, remedy } = new SluiceError('http.keys_forgotten', { message })
      logger.warn(message, { code, remedy })
    }
  }

  #answerLate(): void {
    const oldestMs = this.#ctx.clock.nowMs() - this.#timeoutMs
    let isAway = false
    for (;;) {
      const delivery = this.#oldest
      if (delivery === null || delivery.parts.receivedMs > oldestMs) break
      this.#unlink(delivery)
      if (delivery.isTaken) delivery.answer(late)
      else {
        isAway = true
        delivery.refused(away)
      }
    }
    if (isAway) for (const topic of this.#topics) topic.forgetAnswered()
  }

  /** Of one that is not linked any more, because it was answered before it was settled, too. */
  #unlink(delivery: Delivery): void {
    const { before, behind } = delivery
    if (before !== null) before.behind = behind
    else if (this.#oldest === delivery) this.#oldest = behind
    if (behind !== null) behind.before = before
    else if (this.#newest === delivery) this.#newest = before
    delivery.before = null
    delivery.behind = null
  }
}
