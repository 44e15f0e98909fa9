/**
 * Ingest: source → log. Pulls source batches, gathers whole transactions, commits them with the
 * source's position in one object, and only then tells the source (invariants 1, 2, 3).
 *
 * One commit is in flight at a time; the next one fills meanwhile. Pulling stops while as much again
 * is waiting behind the commit in flight: that is the back-pressure towards the source.
 */
import { position as toPosition, type Position, type Source } from '../connector/source.ts'
import type { SourceBatch, SourceConnector, TopicChange } from '../connector/source.ts'
import { isAbort, SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { Commit, LogEntry } from '../log/types.ts'
import { ChainWriter } from '../log/writer.ts'
import type { FlushPolicy, TaskContext } from './context.ts'
import { FlushTimer } from './flush.ts'
import { Lag } from './lag.ts'
import { chainName, sourceTopic } from './names.ts'
import { entryBytes, Transactions } from './transactions.ts'
import { Unchanged } from './unchanged.ts'
import { aborted, isSettled, timeoutOr } from './wait.ts'

export interface IngestTask {
  readonly connector: SourceConnector<unknown>
  readonly config: unknown
  readonly flush: FlushPolicy
  /** Memory for rows of transactions that have not ended; above it they go to the store. */
  readonly openBytesMax: number
  /** Folder for what can be rebuilt from the log; see unchanged.ts. */
  readonly stateDir: string
}

/** A position without rows is committed at most this often, so that an idle source can forget its log. */
const heartbeatMs = 60_000

export async function runIngest(
  task: IngestTask,
  ctx: TaskContext,
  signal: AbortSignal,
): Promise<void> {
  ctx.report({ state: 'starting', detail: 'taking over the chain' })
  const chain = chainName(ctx.pipeline, 'ingest', ctx.name)
  await using writer = await ChainWriter.open(ctx.log, chain, { writer: ctx.writer, signal })
  await using source = await task.connector.open(task.config, ctx)
  const bytesMax = task.openBytesMax
  const { log } = ctx
  const state = { log, chain, folder: task.stateDir, bytesMax, ctx, signal }
  await using unchanged = new Unchanged(state)
  const ingest = new Ingest(task, ctx, writer, source, unchanged)
  await ingest.run(signal)
}

class Ingest {
  readonly #task: IngestTask
  readonly #ctx: TaskContext
  readonly #writer: ChainWriter
  readonly #source: Source
  readonly #unchanged: Unchanged
  readonly #timer: FlushTimer
  readonly #transactions: Transactions
  readonly #shutdown = new AbortController()
  /** Whole transactions, waiting for the next commit. */
  #ready: LogEntry[] = []
  #readyBytes = 0
  #readyRows = 0
  /** Commit time at the source of the oldest row waiting; Infinity = none is. */
  #oldestUs = Infinity
  readonly #lag: Lag
  /** Whether the source has said anything yet: before, nobody knows how far behind it is. */
  #heard = false
  /** Where the source is once `#ready` is committed. */
  #position: Position | null
  #committed: Position | null
  #lastCommitMs: number
  #inFlight: Promise<void> | null = null

  constructor(
    task: IngestTask,
    ctx: TaskContext,
    writer: ChainWriter,
    source: Source,
    unchanged: Unchanged,
  ) {
    this.#task = task
    this.#ctx = ctx
    this.#writer = writer
    this.#source = source
    this.#unchanged = unchanged
    this.#timer = new FlushTimer(task.flush)
    const stage = (entries: readonly LogEntry[]) => writer.stage(entries, this.#shutdown.signal)
    this.#transactions = new Transactions(stage, {
      segmentBytes: Math.min(task.flush.bytesMax, task.openBytesMax),
      memoryBytesMax: task.openBytesMax,
    })
    this.#committed = writer.head.position === null ? null : toPosition(writer.head.position)
    this.#position = this.#committed
    this.#lastCommitMs = ctx.clock.nowMs()
    this.#lag = new Lag(ctx.clock)
  }

  async run(signal: AbortSignal): Promise<void> {
    // Reading is aborted last: the final commit is still acknowledged through the open source.
    const reading = new AbortController()
    const batches = this.#source.read(this.#committed, reading.signal)[Symbol.asyncIterator]()
    try {
      await this.#loop(batches, signal)
      // What is whole and staged is committed before the task ends; open transactions come again.
      await this.#finish()
    } catch (error) {
      // Stopped in the middle of a batch, while it waited for values: it comes again as a whole.
      if (!(isAbort(error) && signal.aborted)) throw error
    } finally {
      this.#lag.lost()
      this.#shutdown.abort(signal.reason)
      reading.abort(signal.reason)
      await this.#inFlight?.catch(() => {})
      await this.#transactions[Symbol.asyncDispose]()
      await batches.return?.(undefined).catch(() => {})
    }
  }

  async #loop(batches: AsyncIterator<SourceBatch>, signal: AbortSignal): Promise<void> {
    let next: Promise<IteratorResult<SourceBatch>> | null = null
    const stopped = aborted(signal)
    for (;;) {
      if (signal.aborted) {
        // The read is aborted after the last commit; that rejection is ours and nobody else's.
        next?.catch(() => {})
        return
      }
      const full = this.#readyBytes >= this.#task.flush.bytesMax * 2 && this.#inFlight !== null
      if (!full) next ??= batches.next()
      const events: Promise<unknown>[] = [stopped]
      if (next !== null) events.push(next)
      if (this.#inFlight !== null) events.push(this.#inFlight)
      await timeoutOr(this.#ctx.clock, this.#dueInMs(), events)
      if (next !== null && (await isSettled(next))) {
        const taken = await next
        next = null
        if (taken.done === true) throw endedByItself(this.#ctx.name)
        await this.#take(taken.value)
      }
      if (this.#inFlight === null && this.#dueInMs() === 0) this.#startCommit()
    }
  }

  /** Milliseconds until a commit is due; null when there is nothing to commit or one is in flight. */
  #dueInMs(): number | null {
    if (this.#inFlight !== null) return null
    const nowMs = this.#ctx.clock.nowMs()
    if (this.#ready.length > 0) return this.#timer.dueInMs(nowMs, this.#readyBytes)
    if (this.#position === this.#committed) return null
    return Math.max(0, this.#lastCommitMs + heartbeatMs - nowMs)
  }

  async #take(batch: SourceBatch): Promise<void> {
    const { transaction, end } = batch
    if (!this.#heard) this.#ctx.report({ lagMs: this.#lag.read })
    this.#heard = true
    const scope = transaction === null ? null : transaction.id
    const entries: LogEntry[] = []
    for (const change of batch.changes) entries.push(await this.#entryOf(change, batch))
    if (transaction === null || scope === null) this.#append(entries)
    else {
      if (entries.length > 0) await this.#transactions.add(scope, transaction.part, entries)
      if (end === 'abort') {
        this.#transactions.abort(scope, transaction.part)
        await this.#unchanged.abort(scope, transaction.part)
      } else if (end === 'commit') {
        this.#append(await this.#transactions.commit(scope))
        this.#unchanged.commit(scope)
      }
    }
    if (batch.position !== null) this.#moveTo(batch.position)
  }

  async #entryOf(change: TopicChange, { transaction }: SourceBatch): Promise<LogEntry> {
    const topic = sourceTopic(this.#ctx.name, change.topic)
    if ('truncate' in change) {
      await this.#unchanged.truncate(topic, transaction)
      return { kind: 'truncate', topic }
    }
    const batch = await this.#unchanged.resolve(topic, change, transaction)
    return { kind: 'rows', topic, batch }
  }

  #append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (this.#isKnown(entry)) continue
      this.#ready.push(entry)
      if (entry.kind === 'rows' && entry.batch.rows > 0) {
        this.#readyRows += entry.batch.rows
        this.#oldestUs = Math.min(this.#oldestUs, entry.batch.timesUs[0]!)
      }
      if (entry.kind === 'staged')
        for (const block of entry.segment.blocks) this.#readyRows += block.rows
      if (entry.kind !== 'staged') this.#readyBytes += entryBytes(entry)
    }
  }

  /** An announcement of the schema that the topic has already, as each start brings it. */
  #isKnown(entry: LogEntry): boolean {
    if (entry.kind !== 'rows' || entry.batch.rows > 0) return false
    const schemas = this.#writer.head.topics.get(entry.topic)?.schemas
    return schemas?.at(-1)?.id === entry.batch.schema.id
  }

  /** A connector whose position goes backwards would make us acknowledge what is not stored. */
  #moveTo(position: Position): void {
    if (this.#position !== null && !this.#task.connector.atOrAfter(position, this.#position)) {
      throw new SluiceError('task.position_went_back', {
        message: `source ${this.#ctx.name} gave a position that is not after the one before it`,
      })
    }
    this.#position = position
  }

  #startCommit(): void {
    const entries = this.#ready
    const bytes = this.#readyBytes
    const rows = this.#readyRows
    const { clock } = this.#ctx
    const position = this.#position
    if (this.#oldestUs !== Infinity) this.#lag.begin(this.#oldestUs / 1000)
    this.#oldestUs = Infinity
    this.#ready = []
    this.#readyBytes = 0
    this.#readyRows = 0
    this.#timer.started(clock.nowMs())
    const flight = this.#commit(entries, position, { rows, bytes })
    this.#inFlight = flight
    // Awaited by the loop; this only keeps an early rejection from being reported as unhandled.
    flight.catch(() => {})
  }

  async #commit(
    entries: readonly LogEntry[],
    position: Position | null,
    size: { readonly rows: number; readonly bytes: number },
  ): Promise<void> {
    const startedMs = this.#ctx.clock.nowMs()
    const unchanged = this.#unchanged.seal()
    const draft = position === null ? { entries } : { entries, position }
    const commit: Commit = await this.#writer.commit(draft, this.#shutdown.signal)
    failpoint('ingest.after_commit')
    const nowMs = this.#ctx.clock.nowMs()
    this.#ctx.metrics.observe('commit_seconds', (nowMs - startedMs) / 1000)
    this.#ctx.metrics.observe('commit_rows', size.rows)
    this.#ctx.metrics.count('commits_total')
    this.#lag.end()
    this.#lastCommitMs = nowMs
    this.#timer.finished(nowMs)
    await this.#unchanged.committed(unchanged, commit.seq)
    this.#committed = position
    if (position !== null) {
      await this.#source.ack(position)
      failpoint('ingest.after_ack')
    }
    this.#ctx.progress(size.rows, size.bytes)
    this.#ctx.trouble(null)
    this.#inFlight = null
  }

  async #finish(): Promise<void> {
    await this.#inFlight
    if (this.#ready.length > 0 || this.#position !== this.#committed) {
      this.#startCommit()
      await this.#inFlight
    }
  }
}

function endedByItself(source: string): SluiceError {
  return new SluiceError('task.source_ended', {
    message: `source ${source} ended its stream without an error`,
  })
}
