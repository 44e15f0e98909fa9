/**
 * The deliver task's commits: per topic what is done and what was planned next. Topics run side by
 * side; their changes are gathered into one commit while the one before is under way, so that a
 * round costs one PUT however many topics moved.
 */
import type { SluiceError } from '../errors/error.ts'
import type { LogEntry } from '../log/types.ts'
import type { Batch } from '../record/batch.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import type { ChainWriter } from '../log/writer.ts'
import type { TaskContext } from './context.ts'
import { usualBudget, type LetterBudget } from '../connector/letter-budget.ts'
import { noRows, overBudget, slide, type RateWindow } from './dead-letter-budget.ts'
import type { DeadLetter } from './dead-letters.ts'
import { LetterBook } from './letter-book.ts'
import type { LetterTrail } from './letter-trail.ts'
import { deadLetterTopic, deliveriesTopic, schemaChangesTopic } from './names.ts'
import {
  RequestDesk,
  type Counts,
  type Job,
  type JobNotes,
  type RequestNotes,
} from './request-desk.ts'
import { takeRequest, type AcceptedRequest } from './request-intake.ts'
import { requestChain } from './requests.ts'
import { schemaChangesBatch, type DecisionAt } from './schema-journal.ts'
import type { TopicShape } from './schema-shape.ts'

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
  /** The target's shape, decided with the plan of the first rows in it; none before any row was planned. */
  readonly shape?: TopicShape
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
  /** What the target is brought to follow before these rows; over with them, when it fits for sure. */
  readonly agreed?: readonly SchemaChange[]
  /** A truncate that `on_schema_change` keeps from the target. */
  readonly skip?: true
}

export interface DeliveredTopic {
  readonly name: string
  /** Where it lives. */
  readonly chain: string
}

/** The notes of a sink's chain. */
export interface DeliveryNotes {
  readonly topics: Readonly<Record<string, TopicState>>
  readonly letters?: LetterTrail
  /** What the rate of refused rows is taken over, by topic; only of topics that had some. */
  readonly windows?: Readonly<Record<string, RateWindow>>
  readonly requests?: RequestNotes
}

/** What a step of a request came to. */
export interface AgainChange {
  readonly job: Job
  /** null: the job is over. */
  readonly notes: JobNotes | null
  readonly counts: Counts
  readonly refused: readonly DeadLetter[]
  /** Rows that were sent, as ranges of offsets. */
  readonly sent: readonly { readonly from: number; readonly to: number }[]
  readonly problem: string | null
}

export interface DeliveryParts {
  readonly book: LetterBook
  readonly desk: RequestDesk
  readonly budget: LetterBudget
}

export class DeliveryLog {
  readonly #writer: ChainWriter
  readonly #ctx: TaskContext
  readonly book: LetterBook
  readonly desk: RequestDesk
  readonly #budget: LetterBudget
  readonly #chainOf = new Map<string, string>()
  #topics: Record<string, TopicState>
  #windows: Record<string, RateWindow>
  #decisions: DecisionAt[] = []
  #journal: Batch[] = []
  /** Counts changes; those up to `#durable` are committed. */
  #version = 0
  #durable = 0
  #running: Promise<void> | null = null

  constructor(writer: ChainWriter, ctx: TaskContext, parts: Partial<DeliveryParts> = {}) {
    this.#writer = writer
    this.#ctx = ctx
    const notes = writer.head.notes as DeliveryNotes | null
    this.#topics = { ...notes?.topics }
    this.#windows = { ...notes?.windows }
    this.book = parts.book ?? new LetterBook(deadLetterTopic(ctx.name), writer.head)
    this.desk = parts.desk ?? new RequestDesk(notes?.requests)
    this.#budget = parts.budget ?? usualBudget
  }

  /** With the open letters and the requests that were under way, which the chain's head does not hold. */
  static async open(
    writer: ChainWriter,
    ctx: TaskContext,
    budget: LetterBudget,
    signal: AbortSignal,
  ): Promise<DeliveryLog> {
    const { head, chain } = writer
    const notes = head.notes as DeliveryNotes | null
    const letters = { log: ctx.log, chain, topic: deadLetterTopic(ctx.name) }
    const book = await LetterBook.load(letters, head, signal)
    const desk = await RequestDesk.load(ctx.log, requestChain(chain), notes?.requests, signal)
    return new DeliveryLog(writer, ctx, { book, desk, budget })
  }

  /** The sink's own chain. */
  get chain(): string {
    return this.#writer.chain
  }

  /** Why a topic may not go on until somebody has seen to its dead letters; null when it may. */
  overBudget(topic: string): SluiceError | null {
    const open = this.book.open(topic)
    return open === 0 ? null : overBudget(topic, open, this.#windows[topic] ?? noRows, this.#budget)
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

  /** Decisions about a topic's shape, for the commit of the `update` that follows and uses them. */
  decided(decisions: readonly DecisionAt[]): void {
    this.#decisions.push(...decisions)
  }

  /** What the sink says of its attempts, for the next commit: the one that tells what they came to. */
  journal(rows: Batch): void {
    this.#journal.push(rows)
  }

  /** Resolves when the new state of a topic that has begun is durable. */
  async update(
    topic: DeliveredTopic,
    state: TopicState,
    letters: readonly DeadLetter[],
  ): Promise<void> {
    const rows = state.done - (this.#topics[topic.name]?.done ?? state.done)
    const window = this.#windows[topic.name]
    const refused = refusedOf(letters)
    if (window !== undefined || refused > 0) {
      const next = slide(window ?? noRows, rows, refused)
      this.#windows = { ...this.#windows, [topic.name]: next }
    }
    this.#topics = { ...this.#topics, [topic.name]: state }
    this.book.refused(letters, null, this.#ctx.clock.nowMs())
    this.#count(letters)
    await this.#durably()
  }

  /** What came of rows that waited; durable when it resolves. `taken`: letters whose rows were. */
  async waited(taken: readonly number[], letters: readonly DeadLetter[]): Promise<void> {
    const nowMs = this.#ctx.clock.nowMs()
    this.book.close(taken, 'retried', 'waited', nowMs)
    this.book.refused(letters, 'waited', nowMs)
    this.#count(letters)
    await this.#durably()
  }

  /** A step of a request: how far its job is now, and what became of its rows. */
  async again(topic: DeliveredTopic, state: TopicState, change: AgainChange): Promise<void> {
    const { job, notes, counts, refused, sent, problem } = change
    const { name } = topic
    const nowMs = this.#ctx.clock.nowMs()
    const by = `request ${job.request.number}`
    const offsets = new Set(refused.map(({ offset }) => offset ?? -1))
    const over = sent.flatMap(({ from, to }) => this.book.delivered(name, from, to, offsets))
    this.book.close(over, 'retried', by, nowMs)
    this.book.refused(refused, by, nowMs)
    this.#count(refused)
    this.desk.progress(job, notes ?? job.notes, counts)
    if (notes === null) this.desk.end(job, problem)
    this.#topics = { ...this.#topics, [name]: state }
    await this.#durably()
  }

  /**
   * Takes the requests of the commits before `next` of their chain; durable when it resolves.
   * `delivers` tells whether this sink gets a topic.
   */
  async accept(
    requests: readonly AcceptedRequest[],
    next: number,
    delivers: (topic: string) => boolean,
  ): Promise<void> {
    const nowMs = this.#ctx.clock.nowMs()
    for (const { request, edited } of requests) {
      takeRequest({ request, edited, delivers, nowMs }, this.book, this.desk)
    }
    this.desk.passed(next)
    // A fence moves the cursor alone, which the next commit tells.
    if (requests.length > 0) await this.#durably()
  }

  /** Whoever watches the pipeline hears of the first of them; `sluice dlq ls` has all. */
  #count(letters: readonly DeadLetter[]): void {
    const rows = refusedOf(letters)
    const refused = letters.filter(({ waits }) => waits === undefined)
    const [first] = refused
    if (first === undefined) return
    const { topic, message } = first
    const code = [...new Set(refused.map((letter) => letter.code))].join(', ')
    this.#ctx.metrics.count('dead_letters_total', rows, { task: this.#ctx.name })
    this.#ctx.logger.warn('rows set aside', { topic, rows, code, message, see: 'sluice dlq ls' })
  }

  async #durably(): Promise<void> {
    const mine = ++this.#version
    // The commit under way may have begun without this change; then the one after it has it.
    while (this.#durable < mine) {
      this.#running ??= this.#commitAll()
      await this.#running
    }
  }

  async #commitAll(): Promise<void> {
    const version = this.#version
    try {
      await this.#commit()
      this.#durable = version
    } finally {
      this.#running = null
    }
  }

  async #commit(): Promise<void> {
    const topic = this.book.topic
    const sealed = this.book.seal(this.#writer.head.seq + 1)
    const { trail } = this.book
    const requests = this.desk.notes
    const notes: DeliveryNotes = {
      topics: this.#topics,
      ...(trail === undefined ? {} : { letters: trail }),
      ...(Object.keys(this.#windows).length === 0 ? {} : { windows: this.#windows }),
      ...(requests === undefined ? {} : { requests }),
    }
    const cursors: Record<string, number> = { ...this.#writer.head.cursors }
    const lowest: Record<string, number> = {}
    for (const [name, state] of Object.entries(this.#topics)) {
      const chain = this.#chainOf.get(name)
      if (chain === undefined) continue
      lowest[chain] = Math.min(lowest[chain] ?? Infinity, state.seq)
    }
    // Named only once it exists: retention must not wait for a chain that nobody ever wrote.
    if (requests !== undefined) lowest[requestChain(this.#writer.chain)] = this.desk.cursor
    const entries: LogEntry[] =
      sealed === null ? [] : [{ kind: 'rows', topic, batch: sealed.batch }]
    if (this.#decisions.length > 0) {
      const batch = schemaChangesBatch(this.#decisions, this.#ctx.clock.nowMs())
      this.#decisions = []
      entries.push({ kind: 'rows', topic: schemaChangesTopic(this.#ctx.name), batch })
    }
    for (const batch of this.#journal) {
      entries.push({ kind: 'rows', topic: deliveriesTopic(this.#ctx.name), batch })
    }
    this.#journal = []
    const draft = { entries, cursors: { ...cursors, ...lowest }, notes }
    const commit = await this.#writer.commit(draft, new AbortController().signal)
    if (sealed === null) return
    this.book.committed(commit, sealed.rows)
    for (const name of new Set(sealed.rows.map((row) => row.topic))) {
      const labels = { task: this.#ctx.name, topic: name }
      this.#ctx.metrics.gauge('dead_letters_open', this.book.open(name), labels)
    }
  }
}

/** Those that wait are neither refused nor counted. */
function refusedOf(letters: readonly DeadLetter[]): number {
  return letters.filter(({ waits }) => waits === undefined).length
}
