/** Sends one delivery to the sink until it is taken: evolve, write, classify by fault, wait, again. */
import { backoffMs } from '../connector/backoff.ts'
import type { RowProblem, Sink, SinkBatch } from '../connector/sink.ts'
import type { RowWait, WaitingPlaces } from '../connector/waiting.ts'
import { toSluiceError, type SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { Batch } from '../record/batch.ts'
import type { Schema } from '../record/schema.ts'
import type { SchemaChange } from '../record/schema-change.ts'
import type { TaskContext } from './context.ts'
import type { DeadLetter, LetterWait } from './dead-letters.ts'
import { piecesOf } from './delivery-pieces.ts'
import { deliveryEnd, type Delivery } from './topic-feed.ts'

const retry = { baseMs: 100, maxMs: 30_000 }
/** A parked topic is tried again after this: what stopped it may have been cured at the target. */
const parkedRetryMs = 60_000

export interface SenderEvents {
  /** The sink asked for time. */
  readonly pressed: () => void
  /** It failed, and is tried again by itself. */
  readonly retrying: (error: SluiceError) => void
  /** The sink cannot go on until somebody cures the target. */
  readonly parked: (error: SluiceError) => Promise<void>
  /** What had failed was taken. */
  readonly well: () => void
  /** What the sink says of its attempts, for the next commit. */
  readonly journal: (rows: Batch) => void
}

/** What came of a row that was not taken. */
type Refusal = RowProblem | RowWait

interface Turn {
  readonly before: Promise<void>
  readonly entered: () => void
}

interface Attempt {
  readonly delivery: Delivery
  readonly attempt: number
  readonly turn: Turn
}

export class Sender {
  readonly #topic: string
  readonly #sink: Sink
  readonly #ctx: TaskContext
  readonly #events: SenderEvents
  readonly #waiting: WaitingPlaces
  #schema: Schema | null = null
  #evolving: Promise<void> | null = null
  /** Resolves when the newest delivery was given to the sink for the first time. */
  #entered: Promise<void> = Promise.resolve()

  constructor(
    topic: string,
    { sink, waiting }: { readonly sink: Sink; readonly waiting: WaitingPlaces },
    ctx: TaskContext,
    events: SenderEvents,
  ) {
    this.#topic = topic
    this.#sink = sink
    this.#waiting = waiting
    this.#ctx = ctx
    this.#events = events
  }

  /** `sluice:pipeline:sink:topic:from-to:schema`, the same for ever. */
  idOf(delivery: Delivery): string {
    const { pipeline, name } = this.#ctx
    if (delivery.kind === 'rows' && delivery.again !== undefined) return delivery.again.id
    if (delivery.kind === 'rows' && delivery.waited !== undefined) return delivery.waited.id
    const schema = delivery.kind === 'rows' ? delivery.batch.schema.id : 'truncate'
    return `sluice:${pipeline}:${name}:${this.#topic}:${delivery.from}-${deliveryEnd(delivery)}:${schema}`
  }

  /** Returns the rows that the sink refused. Throws on abort, and what must end the task. */
  async send(delivery: Delivery, signal: AbortSignal): Promise<DeadLetter[]> {
    const turn = this.#takeTurn()
    for (let attempt = 1; ; attempt++) {
      try {
        const rejected = await this.#attempt({ delivery, attempt, turn }, signal)
        if (attempt > 1) this.#events.well()
        return this.#letters(delivery, rejected)
      } catch (thrown) {
        if (signal.aborted) throw signal.reason
        await this.#failed(toSluiceError(thrown), attempt, signal)
      }
    }
  }

  /** One attempt with rows that waited. Throws what the sink throws. */
  async sendDue(delivery: Delivery, signal: AbortSignal): Promise<DeadLetter[]> {
    const turn = { before: Promise.resolve(), entered: (): void => {} }
    return this.#letters(delivery, await this.#attempt({ delivery, attempt: 1, turn }, signal))
  }

  /** Deliveries side by side enter the sink in their order, whatever happens to them after. */
  #takeTurn(): Turn {
    const before = this.#entered
    let entered = (): void => {}
    this.#entered = new Promise((resolve) => {
      entered = resolve
    })
    return { before, entered }
  }

  async #attempt(
    { delivery, attempt, turn }: Attempt,
    signal: AbortSignal,
  ): Promise<readonly Refusal[]> {
    const topic = this.#topic
    const id = this.idOf(delivery)
    if (delivery.kind === 'truncate') {
      turn.entered()
      await this.#sink.truncate(topic, { id, offset: delivery.from }, signal)
      return []
    }
    const { from, again, waited, shaping } = delivery
    const { pieces, rejected } = piecesOf(delivery, id)
    await this.#evolve(
      shaping?.target.schema ?? delivery.batch.schema,
      shaping?.agreed ?? [],
      signal,
    )
    await turn.before
    failpoint('deliver.before_send')
    const { clock, metrics } = this.#ctx
    const refused: Refusal[] = [...rejected]
    for (const [index, piece] of pieces.entries()) {
      const startMs = clock.nowMs()
      const offset = from + piece.row
      const whole = pieces.length === 1 ? {} : { upTo: deliveryEnd(delivery) }
      const sent = { id: piece.id, topic, batch: piece.batch, offset, ...whole, attempt }
      const writing = this.#sink.write({ ...sent, ...this.#originOf(delivery) }, signal)
      if (index === pieces.length - 1) turn.entered()
      const { rejected: problems, waiting = [], journal } = await writing
      for (const problem of [...problems, ...waiting]) {
        refused.push({ ...problem, row: piece.row + problem.row })
      }
      if (journal !== undefined && journal.rows > 0) this.#events.journal(journal)
      metrics.observe('sink_batch_seconds', (clock.nowMs() - startMs) / 1000)
      metrics.observe('sink_batch_rows', piece.batch.rows)
    }
    // Of a batch none of whose rows the target holds, nothing is sent.
    turn.entered()
    const firstUs = delivery.batch.timesUs[0]!
    if (again === undefined && waited === undefined)
      metrics.observe('e2e_latency_seconds', Math.max(0, clock.nowMs() / 1000 - firstUs / 1e6))
    return refused.toSorted((a, b) => a.row - b.row)
  }

  /** What the sink is told of where rows come from, and whether they may wait. */
  #originOf({ again, waited }: Delivery & { readonly kind: 'rows' }): Partial<SinkBatch> {
    if (again !== undefined) return { origin: again.origin }
    if (waited === undefined) return { waiting: this.#waiting }
    return { origin: 'retry', waiting: this.#waiting, waited: waited.before }
  }

  /** Deliveries side by side have one schema: a new one waits until those before it are over. */
  async #evolve(to: Schema, agreed: readonly SchemaChange[], signal: AbortSignal): Promise<void> {
    // The step that is under way may be another one's: rows that waited, brought into the shape before.
    while (this.#schema?.id !== to.id) {
      this.#evolving ??= this.#sink
        .evolve(this.#topic, { from: this.#schema, to, agreed }, signal)
        .then(() => {
          this.#schema = to
        })
        .finally(() => {
          this.#evolving = null
        })
      await this.#evolving
    }
  }

  /** Waits before the next attempt, or throws what must end the task. */
  async #failed(error: SluiceError, attempt: number, signal: AbortSignal): Promise<void> {
    const { clock, metrics, random } = this.#ctx
    if (error.fault === 'bug' || error.fault === 'fenced') throw error
    metrics.count('retries_total', 1, { task: this.#ctx.name, topic: this.#topic })
    if (error.fault === 'transient') {
      this.#events.retrying(error)
      if (error.retryAfterMs !== null) this.#events.pressed()
      const pauseMs = Math.max(backoffMs(attempt, retry, random), error.retryAfterMs ?? 0)
      return clock.sleep(pauseMs, signal)
    }
    await this.#events.parked(error)
    await clock.sleep(parkedRetryMs, signal)
  }

  #letters(delivery: Delivery, rejected: readonly Refusal[]): DeadLetter[] {
    if (delivery.kind === 'truncate' || rejected.length === 0) return []
    return rejected.map((problem) => ({
      topic: this.#topic,
      offset: delivery.from + problem.row,
      code: problem.code,
      message: problem.message,
      attempts: problem.attempts,
      row: { batch: delivery.batch, row: problem.row },
      ...('dueMs' in problem ? { waits: waitOf(problem) } : {}),
    }))
  }
}

function waitOf({ dueMs, lane, group }: RowWait): LetterWait {
  return { dueUs: Math.round(dueMs) * 1000, lane, group }
}
