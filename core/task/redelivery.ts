/**
 * Sends rows of one topic once more, as a request asks: plan in a commit, send, then pass them in a
 * commit together with what became of their letters. A step that a crash interrupts is sent again
 * exactly as it was planned, under the same ids (invariant 6):
 *
 *   id = sluice:pipeline:sink:topic:retry|replay:request:batch
 *
 * Rows of an older schema are brought into the shape that the target has (schema-shape.ts). The caller sees to it that nothing
 * else of the topic is under way.
 */
import type { Batching } from '../connector/sink.ts'
import { SluiceError, toSluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import { readHead } from '../log/head.ts'
import type { AgainRows, Step } from './again-rows.ts'
import type { TaskContext } from './context.ts'
import type { DeadLetter } from './dead-letters.ts'
import { combinedHash } from './delivery-hash.ts'
import type { AgainChange, DeliveredTopic, DeliveryLog, TopicState } from './delivery-log.ts'
import { everyRow, matchingRows, rowsOfKeys } from './again-selection.ts'
import { passOver, ReplayRows, schemaAt } from './replay-rows.ts'
import type { Job, JobNotes } from './request-desk.ts'
import { LetterRows, RetryRows } from './retry-rows.ts'
import { RowFilter } from './row-filter.ts'
import { targetFor } from './schema-gate.ts'
import { pastOf, type Past } from './schema-past.ts'
import type { Target } from './schema-shape.ts'
import type { Sender } from './sender.ts'
import { deadLetterTopic } from './names.ts'

interface Parts {
  readonly commits: DeliveryLog
  readonly sender: Sender
  readonly ctx: TaskContext
}

/** Rows of a job that are at hand from one step to the next. */
interface Open {
  readonly request: number
  readonly rows: AgainRows
  readonly end: number | null
}

const nothing = { sent: 0, refused: 0, skipped: 0 }

export class Redelivery implements AsyncDisposable {
  readonly #topic: DeliveredTopic
  readonly #batching: Batching
  readonly #commits: DeliveryLog
  readonly #sender: Sender
  readonly #ctx: TaskContext
  #open: Open | null = null
  /** What the topic's earlier schemas called the fields of one. */
  #past: { readonly of: string; readonly past: Past } | null = null

  constructor(topic: DeliveredTopic, batching: Batching, { commits, sender, ctx }: Parts) {
    this.#topic = topic
    this.#batching = batching
    this.#commits = commits
    this.#sender = sender
    this.#ctx = ctx
  }

  /** One step; `state` goes with its commits. False when the request was cancelled meanwhile. */
  async step(job: Job, state: TopicState, signal: AbortSignal): Promise<boolean> {
    const stop = AbortSignal.any([signal, job.signal])
    try {
      const found = await this.#read(job, state, stop)
      if (found === 'nothing') {
        const problem = undecidedText(job.notes)
        await this.#close()
        await this.#record(job, state, { problem })
      } else if (found !== 'over') await this.#deliver(found, state, stop)
      return true
    } catch (thrown) {
      if (signal.aborted || !job.signal.aborted) throw thrown
      await this.#close()
      return false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  /** The next step, planned durably; or that there is nothing more, or that the job was given up. */
  async #read(
    job: Job,
    state: TopicState,
    signal: AbortSignal,
  ): Promise<Planned | 'nothing' | 'over'> {
    try {
      return (await this.#plan(job, state, signal)) ?? 'nothing'
    } catch (thrown) {
      if (signal.aborted) throw thrown
      const error = toSluiceError(thrown)
      // What only this request stumbles over must not stop the topic.
      if (error.fault !== 'config' && error.fault !== 'row') throw thrown
      this.#ctx.logger.warn('request cannot go on', {
        request: job.request.number,
        topic: this.#topic.name,
        code: error.code,
        reason: error.message,
      })
      await this.#close()
      await this.#record(job, state, { problem: `${error.code}: ${error.message}` })
      return 'over'
    }
  }

  async #plan(job: Job, state: TopicState, signal: AbortSignal): Promise<Planned | null> {
    const { rows, end } = await this.#rowsOf(job, state, signal)
    const { plan, batch } = job.notes
    const place = job.notes.next ?? rows.start
    if (plan === null && job.request.body.kind === 'replay') {
      const over = this.#commits.overBudget(this.#topic.name)
      if (over !== null) throw over
    }
    const step = await rows.read(place, plan?.to ?? null, signal)
    if (step === null) return null
    const target = await this.target(state, signal)
    const { runs } = step
    const hash = combinedHash(runs.map((run) => run.batch))
    const batches = runs.length
    if (plan === null && batches > 0) {
      const planned = { to: step.to, batches, hash }
      const notes = { ...job.notes, next: place, end, batch, plan: planned }
      await this.#record(job, state, { notes })
      failpoint('again.after_plan')
    } else if (plan !== null && (plan.hash !== hash || plan.batches !== batches)) {
      throw new SluiceError('task.plan_changed', {
        message: `${this.#topic.name}: the rows of request ${job.request.number} are not those that were planned`,
      })
    }
    const passed = { next: step.to, end, batch: batch + batches, plan: null }
    const undecided = (job.notes.undecided ?? 0) + step.undecided
    const notes = undecided === 0 ? passed : { ...passed, undecided }
    return { job, step, target, first: batch, notes }
  }

  async #deliver(planned: Planned, state: TopicState, signal: AbortSignal): Promise<void> {
    const { job, step, notes } = planned
    const { runs, unsendable } = step
    const answers = await this.#send(planned, signal)
    if (runs.length > 0) failpoint('again.after_send')
    const refused = [...unsendable, ...answers]
    const rows = runs.reduce((sum, { batch }) => sum + batch.rows, 0)
    const counts = {
      sent: rows - answers.length,
      refused: refused.length,
      skipped: step.skipped,
    }
    const sent = runs.map(({ from, batch }) => ({ from, to: from + batch.rows }))
    await this.#record(job, state, { notes, counts, refused, sent })
    failpoint('again.after_done')
    this.#ctx.progress(
      rows,
      runs.reduce((sum, { batch }) => sum + batch.byteLength, 0),
    )
  }

  /** Sends the batches in their order, as many side by side as the sink takes. */
  async #send(planned: Planned, signal: AbortSignal): Promise<readonly DeadLetter[]> {
    const { job, step, target, first } = planned
    const { pipeline, name } = this.#ctx
    const origin = job.request.body.kind === 'retry' ? 'retry' : 'replay'
    const stem = `sluice:${pipeline}:${name}:${this.#topic.name}:${origin}:${job.request.number}`
    const shaping = { target, agreed: [] }
    const refused: DeadLetter[] = []
    const under = new Set<Promise<void>>()
    for (const [index, { from, batch }] of step.runs.entries()) {
      const again = { id: `${stem}:${first + index}`, origin } as const
      const timeMs = batch.timesUs[0]! / 1000
      const sending = this.#sender
        .send({ kind: 'rows', from, batch, timeMs, again, shaping }, signal)
        .then((letters) => {
          refused.push(...letters)
          under.delete(sending)
        })
      under.add(sending)
      // Awaited below; an early rejection must not be reported as unhandled meanwhile.
      sending.catch(() => {})
      if (under.size > (this.#batching.ahead ?? 0)) await Promise.race(under)
    }
    await Promise.all(under)
    return refused.toSorted((a, b) => (a.offset ?? 0) - (b.offset ?? 0))
  }

  async #record(job: Job, state: TopicState, change: Partial<AgainChange>): Promise<void> {
    const usual = { job, notes: null, counts: nothing, refused: [], sent: [], problem: null }
    await this.#commits.again(this.#topic, state, { ...usual, ...change })
  }

  async #rowsOf(job: Job, state: TopicState, signal: AbortSignal): Promise<Open> {
    if (this.#open?.request === job.request.number) return this.#open
    await this.#close()
    this.#open = await this.#openRows(job, state, signal)
    return this.#open
  }

  async #openRows(job: Job, state: TopicState, signal: AbortSignal): Promise<Open> {
    const { log } = this.#ctx
    const { number: request, body } = job.request
    const limits = this.#batching
    const name = this.#topic.name
    const letters = { log, chain: this.#commits.chain, topic: deadLetterTopic(this.#ctx.name) }
    const rows = new LetterRows(letters, this.#topic, job.edited)
    if (body.kind === 'retry') {
      const list = body.letters[name] ?? []
      const { book } = this.#commits
      return { request, end: null, rows: new RetryRows(name, list, { book, rows }, limits) }
    }
    // Rows that were not delivered yet come by themselves.
    if (body.kind === 'replay') {
      const end = job.notes.end ?? Math.min(body.to, state.done)
      const range = { from: body.from, end }
      if (body.where === null) {
        return { request, end, rows: new ReplayRows(log, this.#topic, range, everyRow, limits) }
      }
      const filter = await RowFilter.parse(body.where)
      const select = matchingRows(filter)
      return { request, end, rows: new ReplayRows(log, this.#topic, range, select, limits) }
    }
    // Live rows wait meanwhile, so that they follow the last one that is sent here.
    const end = job.notes.end ?? state.done
    const list = body.kind === 'replay_keys' ? (body.letters[name] ?? []) : []
    const from = list[0]?.[1] ?? end
    const select = rowsOfKeys(list)
    const again = (until: number): ReplayRows =>
      new ReplayRows(log, this.#topic, { from, end: until }, select, limits)
    if (job.notes.next !== null) await passOver(again(job.notes.next), signal)
    return { request, end, rows: again(end) }
  }

  /** What the sink was given last, which it is not turned back from. */
  async target({ shape, done }: TopicState, signal: AbortSignal): Promise<Target> {
    const { log } = this.#ctx
    const { name, chain } = this.#topic
    const head = shape === undefined ? null : await readHead(log, chain, signal)
    const known = head?.topics.get(name)?.schemas.find(({ id }) => id === shape?.schema)
    const schema = known ?? (await schemaAt(log, this.#topic, Math.max(0, done - 1), signal))
    if (schema !== null) {
      return this.withPast(targetFor(shape, schema), signal)
    }
    throw new SluiceError('task.request_refused', {
      message: `${name}: nothing was delivered yet, so that there is nothing to send again`,
    })
  }

  /** Also for rows of earlier schemas. */
  async withPast(target: Target, signal: AbortSignal): Promise<Target> {
    const { topic: schema } = target
    if (this.#past?.of !== schema) {
      const { name, chain } = this.#topic
      const head = await readHead(this.#ctx.log, chain, signal)
      const past = pastOf(head?.topics.get(name)?.schemas ?? [], schema)
      this.#past = { of: schema, past }
    }
    return { ...target, past: this.#past.past }
  }

  async #close(): Promise<void> {
    const open = this.#open
    this.#open = null
    await open?.rows[Symbol.asyncDispose]()
  }
}

/** Nobody can tell whether these rows were meant: not sent, and said. null when there was none. */
function undecidedText({ undecided: rows = 0 }: JobNotes): string | null {
  if (rows === 0) return null
  return `the condition failed for ${rows} ${rows === 1 ? 'row' : 'rows'} (a division by zero, say), which were left out`
}

interface Planned {
  readonly job: Job
  readonly step: Step
  readonly target: Target
  /** Number of the first batch. */
  readonly first: number
  /** Where the job is once they are delivered. */
  readonly notes: JobNotes
}
