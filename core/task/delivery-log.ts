/**
 * The deliver task's commits: per topic what is done and what was planned next. Topics run side by
 * side; their changes are gathered into one commit while the one before is under way, so that a
 * round costs one PUT however many topics moved.
 */
import type { LogEntry } from '../log/types.ts'
import type { ChainWriter } from '../log/writer.ts'
import type { TaskContext } from './context.ts'
import { deadLetterBatch, type DeadLetter } from './dead-letters.ts'
import { deadLetterTopic } from './names.ts'

/** What a sink's chain says of one topic. */
export interface TopicState {
  /** Everything before this offset is delivered or dead-lettered. */
  readonly done: number
  /** A commit at or before the one that holds `done`. */
  readonly seq: number
  /** The next delivery, decided before it was sent: retried exactly so, also after a restart. */
  readonly plan: DeliveryPlan | null
  /** Those after it that are under way already, in order; see `Batching.ahead`. */
  readonly ahead?: readonly DeliveryPlan[]
  /** Why the topic does not go on, while the others do. */
  readonly parked: {
    readonly code: string
    readonly message: string
    readonly remedy: string
  } | null
}

export interface DeliveryPlan {
  readonly kind: 'rows' | 'truncate'
  /** Offset after the last row. */
  readonly to: number
  readonly id: string
  readonly schema: string
  /** CRC32C of the rows' buffers: a plan whose rows changed is never sent. */
  readonly hash: number
}

export interface DeliveredTopic {
  readonly name: string
  /** Where it lives. */
  readonly chain: string
}

interface Notes {
  readonly topics: Readonly<Record<string, TopicState>>
}

export class DeliveryLog {
  readonly #writer: ChainWriter
  readonly #ctx: TaskContext
  readonly #chainOf = new Map<string, string>()
  #topics: Record<string, TopicState>
  #letters: DeadLetter[] = []
  /** Counts changes; those up to `#durable` are committed. */
  #version = 0
  #durable = 0
  #running: Promise<void> | null = null

  constructor(writer: ChainWriter, ctx: TaskContext) {
    this.#writer = writer
    this.#ctx = ctx
    const notes = writer.head.notes as Notes | null
    this.#topics = { ...notes?.topics }
  }

  /**
   * The topic's state, to go on from; at first that everything from commit `firstSeq` on is to be
   * delivered. From now on the chain's cursor waits for this topic too, also while it is parked.
   */
  begin(topic: DeliveredTopic, firstSeq: number): TopicState {
    this.#chainOf.set(topic.name, topic.chain)
    const state = this.#topics[topic.name] ?? { done: 0, seq: firstSeq, plan: null, parked: null }
    this.#topics = { ...this.#topics, [topic.name]: state }
    return state
  }

  /** Resolves when the new state of a topic that has begun is durable. */
  async update(
    topic: DeliveredTopic,
    state: TopicState,
    letters: readonly DeadLetter[],
  ): Promise<void> {
    this.#topics = { ...this.#topics, [topic.name]: state }
    this.#letters.push(...letters)
    const mine = ++this.#version
    // The commit under way may have begun without this change; then the one after it has it.
    while (this.#durable < mine) {
      this.#running ??= this.#commitAll()
      await this.#running
    }
  }

  async #commitAll(): Promise<void> {
    const version = this.#version
    const letters = this.#letters
    this.#letters = []
    try {
      await this.#commit(letters)
      this.#durable = version
    } finally {
      this.#running = null
    }
  }

  async #commit(letters: readonly DeadLetter[]): Promise<void> {
    const notes: Notes = { topics: this.#topics }
    const cursors: Record<string, number> = { ...this.#writer.head.cursors }
    const lowest: Record<string, number> = {}
    for (const [name, state] of Object.entries(this.#topics)) {
      const chain = this.#chainOf.get(name)
      if (chain === undefined) continue
      lowest[chain] = Math.min(lowest[chain] ?? Infinity, state.seq)
    }
    const entries: LogEntry[] = []
    if (letters.length > 0) {
      const topic = deadLetterTopic(this.#ctx.name)
      entries.push({
        kind: 'rows',
        topic,
        batch: deadLetterBatch(letters, this.#ctx.clock.nowMs()),
      })
      this.#ctx.metrics.count('dead_letters_total', letters.length, { task: this.#ctx.name })
    }
    const draft = { entries, cursors: { ...cursors, ...lowest }, notes }
    await this.#writer.commit(draft, new AbortController().signal)
  }
}
