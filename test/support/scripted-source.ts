/**
 * A source that plays a script, as a change stream would: whole transactions, or open ones that
 * interleave and end in commit or abort. After a restart it sends again every step of each
 * transaction that ended after the position it is given. Drives core/task through the real contract.
 */
import { z } from 'zod'
import { position, type Position } from '../../core/connector/source.ts'
import type {
  Source,
  SourceBatch,
  SourceConnector,
  TopicChange,
} from '../../core/connector/source.ts'

export interface Step {
  /** null: a transaction of its own. */
  readonly transaction: { readonly id: string; readonly part: string } | null
  readonly end: 'commit' | 'abort' | null
  readonly changes: readonly TopicChange[]
}

export interface Script {
  readonly steps: readonly Step[]
  /** Positions acknowledged so far, by step number. */
  readonly acknowledged: number[]
  /** Throws (as a lost connection would) before this step, once. */
  failAt?: number
}

export function scriptedSource(script: Script): SourceConnector<unknown> {
  return {
    kind: 'scripted',
    config: z.unknown(),
    check: async () => [],
    open: async () => new ScriptedSource(script),
    atOrAfter: (a, b) => Number(a) >= Number(b),
  }
}

class ScriptedSource implements Source {
  readonly #script: Script

  constructor(script: Script) {
    this.#script = script
  }

  async *read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    const { steps } = this.#script
    const done = after === null ? 0 : Number(after)
    for (const [index, step] of steps.entries()) {
      if (endOf(steps, index) < done) continue
      if (this.#script.failAt === index) {
        delete this.#script.failAt
        throw new Error('connection lost')
      }
      const whole =
        step.transaction === null || (step.end === 'commit' && step.transaction.part === '')
      yield {
        changes: step.changes,
        transaction: step.transaction,
        end: step.end,
        position: whole ? position(String(index + 1)) : null,
      }
    }
    await new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason as Error)
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  }

  async ack(position: Position): Promise<void> {
    this.#script.acknowledged.push(Number(position))
    await Promise.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The step at which the transaction of step `index` ends. */
function endOf(steps: readonly Step[], index: number): number {
  const { transaction } = steps[index]!
  if (transaction === null) return index
  for (let i = index; i < steps.length; i++) {
    const step = steps[i]!
    const ends = step.end !== null && step.transaction?.part === ''
    if (step.transaction?.id === transaction.id && ends) return i
  }
  return steps.length
}
