/**
 * A sink that does as a test says, and remembers what it was given; and a topic for it to read. Drives
 * the deliver loop through the real contract.
 */
import { z } from 'zod'
import { absorbsAll } from '../../core/connector/sink.ts'
import type { Batching, Sink, SinkBatch, SinkConnector } from '../../core/connector/sink.ts'
import type { RowProblem, SinkResult } from '../../core/connector/sink.ts'
import type { LogEntry } from '../../core/log/types.ts'
import type { Log } from '../../core/log/log.ts'
import { ChainWriter } from '../../core/log/writer.ts'
import { runDeliver, type DeliverTask } from '../../core/task/deliver.ts'
import type { TaskContext } from '../../core/task/context.ts'
import { numbersOf } from './number-rows.ts'

/** One attempt, in the order they came. */
export interface Attempt {
  readonly id: string
  readonly topic: string
  readonly offset: number
  readonly attempt: number
  /** null = truncate. */
  readonly numbers: readonly number[] | null
  /** Of rows that are sent once more. */
  readonly origin?: 'live' | 'retry' | 'replay' | 'resync'
}

export interface SinkScript {
  readonly attempts: Attempt[]
  /** Schemas that were announced, as `topic: field names`. */
  readonly schemas: string[]
  /** What an attempt comes to; taken, when absent. May throw, or never resolve until aborted. */
  answer?: (attempt: Attempt, signal: AbortSignal) => readonly RowProblem[] | Promise<never>
  batching?: Batching
}

export function sinkScript(options: Partial<SinkScript> = {}): SinkScript {
  return { attempts: [], schemas: [], ...options }
}

export function scriptedSink(script: SinkScript): SinkConnector<unknown> {
  const batching = { rowsMax: 100, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }
  return {
    kind: 'scripted',
    config: z.unknown(),
    delivery: 'idempotent',
    schemaChanges: absorbsAll,
    batching: () => script.batching ?? batching,
    check: async () => [],
    open: async () => new ScriptedSink(script),
  }
}

class ScriptedSink implements Sink {
  readonly #script: SinkScript

  constructor(script: SinkScript) {
    this.#script = script
  }

  async evolve(...[topic, { to }]: Parameters<Sink['evolve']>): Promise<void> {
    this.#script.schemas.push(`${topic}: ${to.fields.map(({ name }) => name).join(', ')}`)
    await Promise.resolve()
  }

  async write(sent: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const { id, topic, offset, attempt, batch } = sent
    const { origin } = sent
    const seen = { id, topic, offset, attempt, numbers: numbersOf(batch) }
    return this.#attempt(origin === undefined ? seen : { ...seen, origin }, signal)
  }

  async truncate(...[topic, { id, offset }, signal]: Parameters<Sink['truncate']>): Promise<void> {
    await this.#attempt({ id, topic, offset, attempt: 0, numbers: null }, signal)
  }

  async #attempt(attempt: Attempt, signal: AbortSignal): Promise<SinkResult> {
    signal.throwIfAborted()
    this.#script.attempts.push(attempt)
    return { rejected: (await this.#script.answer?.(attempt, signal)) ?? [] }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export const sourceChain = 'p.source.s'

/** Writes the entries to the source's chain, one commit each. */
export async function writeTopics(log: Log, ...entries: readonly LogEntry[]): Promise<void> {
  const { signal } = new AbortController()
  await using writer = await ChainWriter.open(log, sourceChain, { writer: 'test', signal })
  for (const entry of entries) await writer.commit({ entries: [entry] }, signal)
}

/** Delivers every topic of the source's chain until the signal is aborted, or throws. */
export async function deliverTo(
  script: SinkScript,
  ctx: TaskContext,
  signal: AbortSignal,
  more: Pick<DeliverTask, 'deadLetters' | 'heldBytesMax'> = {},
): Promise<void> {
  const connector = scriptedSink(script)
  const task = { connector, config: {}, from: ['s.*'], chains: [sourceChain], ...more }
  await runDeliver(task, ctx, signal)
}
