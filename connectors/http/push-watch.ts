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

export class Watch {
  readonly #topics: readonly PushTopic[]
  readonly #timeoutMs: number
  readonly #ctx: Context
  /**
   * In the order they came. Not one stays here after its answer: a second's worth of requests, with their
   * sockets' objects, would grow old and cost the garbage collector more than all else here.
   */
  readonly #waiting = new Set<Delivery>()
  /** By topic and status. */
  readonly #counts = new Map<string, Map<number, number>>()
  readonly #forgotten = new Map<PushTopic, number>()

  constructor(topics: readonly PushTopic[], timeoutMs: number, ctx: Context) {
    this.#topics = topics
    this.#timeoutMs = timeoutMs
    this.#ctx = ctx
  }

  add(delivery: Delivery): void {
    this.#waiting.add(delivery)
  }

  /** Nothing is held for it any more. */
  settled(delivery: Delivery): void {
    this.#waiting.delete(delivery)
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
    for (const delivery of this.#waiting) {
      if (delivery.parts.receivedMs > oldestMs) return
      this.#waiting.delete(delivery)
      delivery.answer(late)
    }
  }
}
