/**
 * The suite every sink must pass, with an endpoint that follows the rules of at-least-once delivery:
 * it drops events whose id it has seen, and applies the others in the order of their offsets per key.
 */
import { SluiceError } from '../../../core/errors/error.ts'
import type { Sink, SinkBatch } from '../../../core/connector/sink.ts'
import { webhook } from '../../../sinks/webhook/connector.ts'
import { sinkConformance } from '../../conformance/sink.ts'
import { startReceiver, type Answer, type WebhookEvent } from '../../services/webhook-receiver.ts'
import { jumpClock, openSink, secret, testContext, type JumpClock } from './support.ts'

sinkConformance('webhook', async () => {
  let losing = false
  let stalled: Promise<void> | null = null
  const receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: async ({ event }): Promise<Answer> => {
      await stalled
      if (losing) return { drop: 'answerless' }
      return { status: event.data?.['v'] === 'arsenic' ? 422 : 200 }
    },
  })
  return {
    connector: webhook,
    truncates: true,
    async open() {
      const clock = jumpClock()
      const sink = await openSink(receiver.url, {}, testContext(clock))
      return patient(sink, clock, () => (losing = false))
    },
    delivered: async (topic) =>
      table(
        receiver.taken.map(({ id, event }) => ({ id, event })),
        topic,
      ),
    // One lost answer is tried again within the write; the answers stay lost until the write ends.
    loseNextAnswer: async () => {
      losing = true
    },
    stallNextAnswer: async () => {
      let resolve = (): void => {}
      stalled = new Promise((done) => (resolve = done))
      return {
        release: async () => {
          stalled = null
          resolve()
        },
      }
    },
    poison: { text: 'arsenic', prepare: async () => {} },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  }
})

/** The sink, with a caller that waits after an error for as long as the error says. */
function patient(sink: Sink, clock: JumpClock, ended: () => void): Sink {
  return {
    evolve: (...args) => sink.evolve(...args),
    truncate: (...args) => sink.truncate(...args),
    async write(batch: SinkBatch, signal: AbortSignal) {
      try {
        return await sink.write(batch, signal)
      } catch (thrown) {
        if (thrown instanceof SluiceError) clock.pass(thrown.retryAfterMs ?? 0)
        throw thrown
      } finally {
        ended()
      }
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  }
}

function table(
  taken: readonly { readonly id: string; readonly event: WebhookEvent }[],
  topic: string,
): Record<string, string | null>[] {
  const seen = new Set<string>()
  const rows = new Map<string, { readonly offset: number; readonly data: WebhookEvent['data'] }>()
  for (const { id, event } of taken) {
    if (event.topic !== topic || seen.has(id)) continue
    seen.add(id)
    if (event.op === 'truncate') {
      for (const [key, { offset }] of rows) if (offset < event.offset) rows.delete(key)
    } else {
      rows.set(JSON.stringify(event.key), event)
    }
  }
  return [...rows.values()].map(({ data }) =>
    Object.fromEntries(
      Object.entries(data ?? {}).map(([name, value]) => [name, textOf(value)] as const),
    ),
  )
}

function textOf(value: unknown): string | null {
  return value === null ? null : String(value as string | number)
}
