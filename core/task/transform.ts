/**
 * Transform: log → SQL → log. Reads its input chains up to a vector of commits, pushes their rows
 * through the plan, and commits {output rows, input cursors, state delta} in one object. A crash
 * recomputes from the last commit; nothing else is needed (invariants 2, 6, 7).
 */
import { isAbort, SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import { readHead } from '../log/head.ts'
import { ChainReader } from '../log/reader.ts'
import type { Commit, CommitDraft, LogEntry } from '../log/types.ts'
import type { ChainWriter } from '../log/writer.ts'
import { makeBatch, type Batch } from '../record/batch.ts'
import { emptyBatch } from '../record/batch-ops.ts'
import type { Schema } from '../record/schema.ts'
import { compile, type CompiledQuery, type Execution } from '../sql/compile.ts'
import type { RowError } from '../sql/execution.ts'
import type { ParsedQuery } from '../sql/parse/parse.ts'
import type { FlushPolicy, TaskContext } from './context.ts'
import { deadLetterBatch, newLetter, type DeadLetter } from './dead-letters.ts'
import { FlushTimer } from './flush.ts'
import { Lag } from './lag.ts'
import { nextTrail, trailOf, type LetterTrail } from './letter-trail.ts'
import { deadLetterTopic } from './names.ts'
import { openOwnChain } from './own-chain.ts'
import { pollPauses } from './poll.ts'
import { survivingRows } from './surviving.ts'
import { aborted, firstOf, isSettled, timeoutOr } from './wait.ts'

export interface TransformTask {
  readonly query: ParsedQuery
  /** The query's text: a changed query begins anew. */
  readonly sql: string
  /** The topics it reads, with the chain each lives on. */
  readonly inputs: readonly { readonly topic: string; readonly chain: string }[]
  readonly flush: FlushPolicy
}

/** What a transform keeps in its commits beside rows, cursors and state. */
interface TransformNotes {
  readonly sql: string
  readonly letters?: LetterTrail
}

/** One push to the engine. It is given the columns it uses; a dead letter shows the whole row. */
interface Pushed {
  /** Of the first row; null for rows that are taken back because of a truncate. */
  readonly offset: number | null
  readonly whole: () => Promise<Batch | null>
}

/** Deltas are replaced by a full state once they outweigh it, or this. */
const deltaBytesMin = 4 << 20
/** Input rows of one step, so that a backlog is worked off in bounded memory. */
const stepBytesMax = 16 << 20

export async function runTransform(
  task: TransformTask,
  ctx: TaskContext,
  signal: AbortSignal,
): Promise<void> {
  ctx.report({ state: 'starting', detail: 'waiting for its input topics' })
  const schemas = await inputSchemas(task, ctx, signal)
  if (schemas === null) return
  const query = compile(task.query, schemas)
  await using writer = await openOwnChain(ctx, 'transform', signal)
  const transform = new Transform(task, ctx, writer, query, schemas)
  await transform.run(signal)
}

/** The newest schema of each input; waits for topics that nobody has written yet. Null when aborted first. */
async function inputSchemas(
  task: TransformTask,
  ctx: TaskContext,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Schema> | null> {
  const pauses = pollPauses(ctx.log.store.url)
  for (;;) {
    const schemas = new Map<string, Schema>()
    for (const { topic, chain } of task.inputs) {
      const head = await readHead(ctx.log, chain, signal)
      const schema = head?.topics.get(topic)?.schemas.at(-1)
      if (schema !== undefined) schemas.set(topic, schema)
    }
    if (schemas.size === task.inputs.length) return schemas
    await timeoutOr(ctx.clock, pauses.next().value, [aborted(signal)])
    if (signal.aborted) return null
  }
}

class Transform {
  readonly #task: TransformTask
  readonly #ctx: TaskContext
  readonly #writer: ChainWriter
  readonly #query: CompiledQuery
  readonly #timer: FlushTimer
  readonly #lag: Lag
  readonly #execution: Execution
  readonly #schemas: ReadonlyMap<string, Schema>
  readonly #schemaOf = new Map<string, string>()
  #cursors: Record<string, number> = {}
  #readers: { readonly chain: string; readonly reader: ChainReader }[] = []
  #deltaBytes = 0
  #fullBytes = 0
  #deadLetters: DeadLetter[] = []
  /** What the engine was given in this step, so that a row error can name its row. */
  #pushed: Pushed[] = []

  constructor(
    task: TransformTask,
    ctx: TaskContext,
    writer: ChainWriter,
    query: CompiledQuery,
    schemas: ReadonlyMap<string, Schema>,
  ) {
    this.#task = task
    this.#schemas = schemas
    this.#ctx = ctx
    this.#writer = writer
    this.#query = query
    this.#timer = new FlushTimer(task.flush)
    this.#execution = query.start()
    this.#lag = new Lag(ctx.clock)
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#restore(signal)
    this.#ctx.report({ state: 'running', detail: '', lagMs: this.#lag.read })
    const chains = [...new Set(this.#task.inputs.map((input) => input.chain))]
    for (const chain of chains) {
      const from = this.#cursors[chain] ?? 1
      this.#cursors[chain] = from
      this.#readers.push({ chain, reader: ChainReader.open(this.#ctx.log, chain, from) })
    }
    const stopped = aborted(signal)
    const reading = new AbortController()
    const waiting = new Map<string, Promise<Commit>>()
    try {
      while (!signal.aborted) {
        for (const { chain, reader } of this.#readers) {
          if (!waiting.has(chain)) waiting.set(chain, reader.next(reading.signal))
        }
        await firstOf([stopped, ...waiting.values()])
        if (signal.aborted) break
        const dueInMs = this.#timer.dueInMs(this.#ctx.clock.nowMs(), 0)
        if (dueInMs > 0) await timeoutOr(this.#ctx.clock, dueInMs, [stopped])
        if (signal.aborted) break
        await this.#step(waiting, signal)
      }
    } catch (error) {
      // Stopped in the middle of a step, which is made anew from the last commit.
      if (!(isAbort(error) && signal.aborted)) throw error
    } finally {
      reading.abort()
      for (const next of waiting.values()) next.catch(() => {})
      for (const { reader } of this.#readers) await reader[Symbol.asyncDispose]()
    }
  }

  async #restore(signal: AbortSignal): Promise<void> {
    const { head } = this.#writer
    const notes = head.notes as TransformNotes | null
    if (notes === null) {
      // The first commit announces the output's schema, so that readers can start before any row.
      await this.#commit(
        [{ kind: 'rows', topic: this.#ctx.name, batch: emptyBatch(this.#query.output) }],
        true,
      )
      return
    }
    if (notes.sql !== this.#task.sql || !(await this.#restoreState(signal))) {
      // Another query: what the old one said is taken back, and everything is computed anew from
      // the log. Readers see a truncate followed by the new rows.
      this.#ctx.logger.info('query changed: computing anew from the log')
      const entries: LogEntry[] = [
        { kind: 'truncate', topic: this.#ctx.name },
        { kind: 'rows', topic: this.#ctx.name, batch: emptyBatch(this.#query.output) },
      ]
      await this.#commit(entries, true)
      return
    }
    this.#cursors = { ...head.cursors }
  }

  /** False when the state in the log belongs to another plan: the query, or a type it uses, changed. */
  async #restoreState(signal: AbortSignal): Promise<boolean> {
    const { full, deltas } = await this.#writer.state(signal)
    try {
      this.#execution.restore(full, deltas)
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'sql.state_mismatch') return false
      throw error
    }
    this.#fullBytes = full?.length ?? 0
    this.#deltaBytes = deltas.reduce((sum, delta) => sum + delta.length, 0)
    return true
  }

  /** Everything that is there now, up to the byte bound, in the order of the chains; then one commit. */
  async #step(waiting: Map<string, Promise<Commit>>, signal: AbortSignal): Promise<void> {
    let bytes = 0
    let relevant = false
    let rows = 0
    for (const { chain, reader } of this.#readers) {
      let next = await settled(waiting.get(chain))
      while (next !== null) {
        waiting.delete(chain)
        this.#lag.begin(next.timeMs)
        const pushed = await this.#push(next, reader, signal)
        rows += pushed
        if (pushed > 0) relevant = true
        bytes += next.bytes
        this.#cursors[chain] = next.seq + 1
        if (bytes >= stepBytesMax) break
        next = await reader.tryNext(signal)
      }
    }
    if (!relevant) return this.#lag.end()
    const outputs = this.#execution.step()
    await this.#setAside(this.#execution.rowErrors())
    this.#pushed = []
    const entries: LogEntry[] = outputs.map((batch) => ({
      kind: 'rows',
      topic: this.#ctx.name,
      batch,
    }))
    await this.#commit(entries, false)
    this.#lag.end()
    this.#ctx.progress(rows, bytes)
  }

  /** Pushes the rows of one commit; returns how many of its entries were for this query. */
  async #push(commit: Commit, reader: ChainReader, signal: AbortSignal): Promise<number> {
    let pushed = 0
    for (const [index, block] of commit.blocks.entries()) {
      if (!this.#query.inputs.includes(block.topic)) continue
      if (block.kind === 'truncate') {
        await this.#truncate(commit.chain, block.topic, block.baseOffset, signal)
        pushed++
        continue
      }
      if (block.schema !== null && this.#schemaOf.get(block.topic) !== block.schema.id) {
        this.#evolve(block.topic, block.schema)
      }
      if (block.rows === 0) continue
      const wanted = this.#execution.fieldsOf(block.topic)
      const batch = await reader.readBlock(commit, index, signal, wanted)
      if (batch === null) continue
      this.#execution.push(block.topic, batch)
      const whole = async (): Promise<Batch | null> => reader.readBlock(commit, index, signal)
      this.#pushed.push({ offset: block.baseOffset, whole })
      pushed += batch.rows
    }
    return pushed
  }

  /**
   * A schema that the running plan does not fit may fit a new plan of the same query (a column that
   * may be null now): then the task starts again from its last commit, at once. What does not fit the
   * query itself stops it with the engine's error.
   */
  #evolve(topic: string, schema: Schema): void {
    try {
      this.#execution.evolve(topic, schema)
    } catch (cause) {
      compile(this.#task.query, new Map(this.#schemas).set(topic, schema))
      throw new SluiceError('task.replan', {
        message: `${topic} has another schema, which the query is compiled for anew`,
        cause,
      })
    }
    this.#schemaOf.set(topic, schema.id)
  }

  async #truncate(
    chain: string,
    topic: string,
    offset: number,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#execution.truncateNeedsRows.includes(topic)) {
      for (const batch of await survivingRows(this.#ctx.log, chain, topic, offset, signal)) {
        this.#execution.push(topic, negated(batch))
        this.#pushed.push({ offset: null, whole: async () => batch })
      }
    }
    this.#execution.truncate(topic)
  }

  async #setAside(errors: readonly RowError[]): Promise<void> {
    const blocks = new Map<Pushed, Batch | null>()
    for (const { topic, push, row, code, message } of errors) {
      const from = topic === null ? undefined : this.#pushed[push]
      if (from !== undefined && !blocks.has(from)) blocks.set(from, await from.whole())
      const whole = from === undefined ? null : (blocks.get(from) ?? null)
      this.#deadLetters.push({
        topic: topic ?? this.#ctx.name,
        offset: from === undefined || from.offset === null ? null : from.offset + row,
        code,
        message,
        attempts: 1,
        row: whole === null ? null : { batch: whole, row },
      })
    }
  }

  async #commit(entries: readonly LogEntry[], fresh: boolean): Promise<void> {
    const all = [...entries]
    const topic = deadLetterTopic(this.#ctx.name)
    let trail = trailOf(this.#writer.head, topic)
    if (this.#deadLetters.length > 0) {
      const nowMs = this.#ctx.clock.nowMs()
      const rows = this.#deadLetters.map((letter) => newLetter(letter, nowMs))
      all.push({ kind: 'rows', topic, batch: deadLetterBatch(rows) })
      // Which of them are dropped is told by the requests alone, so that none are counted here.
      trail = { ...nextTrail(trail, this.#writer.head.seq + 1), open: null }
      this.#ctx.metrics.count('dead_letters_total', this.#deadLetters.length, {
        task: this.#ctx.name,
      })
    }
    const state = this.#stateOf(fresh)
    const noLetters = trail.last === 0 && trail.unlinked === 0
    const notes: TransformNotes = {
      sql: this.#task.sql,
      ...(noLetters ? {} : { letters: trail }),
    }
    const draft: CommitDraft = { entries: all, cursors: { ...this.#cursors }, notes }
    const startedMs = this.#ctx.clock.nowMs()
    this.#timer.started(startedMs)
    failpoint('transform.before_commit')
    await this.#writer.commit(
      state === null ? draft : { ...draft, state },
      new AbortController().signal,
    )
    failpoint('transform.after_commit')
    const { metrics } = this.#ctx
    const nowMs = this.#ctx.clock.nowMs()
    this.#timer.finished(nowMs)
    metrics.observe('commit_seconds', (nowMs - startedMs) / 1000)
    metrics.count('commits_total')
    metrics.gauge('state_bytes', this.#execution.stateBytes)
    this.#deadLetters = []
    this.#ctx.trouble(null)
  }

  #stateOf(fresh: boolean): NonNullable<CommitDraft['state']> | null {
    if (fresh || this.#deltaBytes > Math.max(deltaBytesMin, this.#fullBytes * 2)) {
      const bytes = this.#execution.fullState()
      // The full state holds what the delta would say; taking it keeps the next delta from repeating it.
      this.#execution.stateDelta()
      this.#fullBytes = bytes.length
      this.#deltaBytes = 0
      return { kind: 'full', bytes }
    }
    const bytes = this.#execution.stateDelta()
    if (bytes.length === 0) return null
    this.#deltaBytes += bytes.length
    return { kind: 'delta', bytes }
  }
}

/** The value of a promise that is settled by now, else null. A rejection is thrown. */
async function settled<T>(promise: Promise<T> | undefined): Promise<T | null> {
  return promise !== undefined && (await isSettled(promise)) ? promise : null
}

function negated(batch: Batch): Batch {
  const weights = batch.weights.map((weight) => -weight)
  return makeBatch(batch.schema, batch.columns, weights, batch.ops, batch.timesUs)
}
