/**
 * HttpSource: what is pushed and what is polled as one source. One position holds how far both are, so that
 * rows of either are committed together or not at all.
 */
import type { SourceContext } from '../../core/connector/context.ts'
import type { Decoded } from '../../core/connector/format/format.ts'
import type { Position, Source, SourceBatch } from '../../core/connector/source.ts'
import type { Batch } from '../../core/record/batch.ts'
import { merged } from './merged.ts'
import type { PollSource } from './poll-source.ts'
import type { PollState } from './poll-state.ts'
import type { PollStep } from './poll-step.ts'
import { formatPosition, parsePosition } from './position.ts'

/** What either of the two brings. */
type Part =
  | { readonly kind: 'push'; readonly batch: SourceBatch }
  | { readonly kind: 'poll'; readonly step: PollStep }

export class HttpSource implements Source {
  readonly #push: Source | null
  readonly #poll: PollSource
  readonly #ctx: Pick<SourceContext, 'report'>
  readonly #stop = new AbortController()
  #reader: AsyncGenerator<SourceBatch> | null = null

  /** Takes both over, and disposes of them. */
  constructor(push: Source | null, poll: PollSource, ctx: Pick<SourceContext, 'report'>) {
    this.#push = push
    this.#poll = poll
    this.#ctx = ctx
  }

  read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    this.#reader = this.#read(after, AbortSignal.any([signal, this.#stop.signal]))
    return this.#reader
  }

  async ack(position: Position): Promise<void> {
    await this.#push?.ack(position)
  }

  async decodeAgain(topic: string, batch: Batch, signal: AbortSignal): Promise<Decoded | null> {
    const polled = this.#poll.decodeAgain(topic, batch)
    if (polled !== null) return polled
    return (await this.#push?.decodeAgain?.(topic, batch, signal)) ?? null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    // Runs what is left of the reader to its end.
    await this.#reader?.return(undefined).catch(() => {})
    await this.#push?.[Symbol.asyncDispose]()
    await this.#poll[Symbol.asyncDispose]()
  }

  async *#read(after: Position | null, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    signal.throwIfAborted()
    let { push, poll = {} } = after === null ? { push: 0 } : parsePosition(after)
    const states = poll
    const makers = [(stop: AbortSignal) => polled(this.#poll.read(states, stop))]
    const pushing = this.#push
    if (pushing === null) this.#ctx.report({ state: 'running', detail: '' })
    else makers.push((stop) => pushed(pushing.read(after, stop)))
    for await (const part of merged<Part>(makers, signal)) {
      if (part.kind === 'push') {
        const { position } = part.batch
        if (position !== null) push = parsePosition(position).push
        yield { ...part.batch, position: position && formatPosition({ push, poll }) }
        continue
      }
      const { topic, changes, rejected, state } = part.step
      if (state !== null) poll = withState(poll, topic, state)
      yield {
        changes,
        transaction: null,
        end: null,
        position: state === null ? null : formatPosition({ push, poll }),
        ...(rejected.length > 0 && { rejected }),
      }
    }
  }
}

function withState(
  states: Readonly<Record<string, PollState>>,
  topic: string,
  state: PollState,
): Readonly<Record<string, PollState>> {
  return { ...states, [topic]: state }
}

async function* polled(steps: AsyncIterable<PollStep>): AsyncGenerator<Part> {
  for await (const step of steps) yield { kind: 'poll', step }
}

async function* pushed(batches: AsyncIterable<SourceBatch>): AsyncGenerator<Part> {
  for await (const batch of batches) yield { kind: 'push', batch }
}
