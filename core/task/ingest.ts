/**
 * Ingest: source → log. Pulls source batches, gathers whole transactions, commits them with the
 * source's position in one object, and only then tells the source (invariants 1, 2, 3).
 *
 * One commit is in flight at a time; the next one fills meanwhile, and its rows are encoded as they come. Pulling
 * stops while as much again is waiting behind the commit in flight: that is the back-pressure towards the source.
 */
import type { SourceContext } from '../connector/context.ts'
import type { RejectedRecords } from '../connector/format/format.ts'
import { usualBudget } from '../connector/letter-budget.ts'
import { position as toPosition, type Position, type Source } from '../connector/source.ts'
import type { SourceBatch, SourceConnector, TopicChange } from '../connector/source.ts'
import { isAbort, SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import type { Commit, CommitDraft, EncodedRows, LogEntry } from '../log/types.ts'
import { ChainReader } from '../log/reader.ts'
import type { ChainWriter } from '../log/writer.ts'
import type { FlushPolicy, TaskContext } from './context.ts'
import { FlushTimer } from './flush.ts'
import { Lag } from './lag.ts'
import { deadLetterTopic, sourceTopic, topicInSource } from './names.ts'
import { openOwnChain } from './own-chain.ts'
import { ownHistory } from './own-history.ts'
import { nextRequests, requestCommits, type RequestCommit } from './request-intake.ts'
import { requestChain } from './requests.ts'
import { decodesAgain, SourceLetters, type SealedLetters } from './source-letters.ts'
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
  await using writer = await openOwnChain(ctx, 'ingest', signal)
  const { chain } = writer
  const { log } = ctx
  const history: SourceContext['history'] = (topic, sinceMs, until) =>
    ownHistory(log, chain, { topic: sourceTopic(ctx.name, topic), sinceMs }, until)
  const budget = task.connector.letterBudget?.(task.config) ?? usualBudget
  const letters = await SourceLetters.open(writer, ctx, budget, signal)
  await using source = await task.connector.open(task.config, { ...ctx, history })
  const bytesMax = task.openBytesMax
  const state = { log, chain, folder: task.stateDir, bytesMax, ctx, signal }
  await using unchanged = new Unchanged(state)
  const ingest = new Ingest(task, ctx, { writer, source, unchanged, letters })
  await ingest.run(signal)
}

/** What goes into one commit. */
interface Step {
  readonly entries: CommitDraft['entries']
  readonly position: Position | null
  readonly letters: SealedLetters | null
}

interface IngestParts {
  readonly writer: ChainWriter
  readonly source: Source
  readonly unchanged: Unchanged
  readonly letters: SourceLetters
}

class Ingest {
  readonly #task: IngestTask
  readonly #ctx: TaskContext
  readonly #writer: ChainWriter
  readonly #source: Source
  readonly #unchanged: Unchanged
  readonly #letters: SourceLetters
  readonly #timer: FlushTimer
  readonly #transactions: Transactions
  readonly #shutdown = new AbortController()
  /** Whole transactions, waiting for the next commit. */
  #ready: (LogEntry | EncodedRows)[] = []
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
  /** Why nothing more is read, once what was is committed. */
  #over: SluiceError | null = null

  constructor(task: IngestTask, ctx: TaskContext, parts: IngestParts) {
    const { writer, source, unchanged, letters } = parts
    this.#task = task
    this.#ctx = ctx
    this.#writer = writer
    this.#source = source
    this.#unchanged = unchanged
    this.#letters = letters
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
    await this.#takeWaitingRequests(signal)
    if (this.#over !== null) return this.#finish()
    const batches = this.#source.read(this.#committed, reading.signal)[Symbol.asyncIterator]()
    const requests = this.#requests(reading.signal)
    try {
      await this.#loop(batches, requests, signal)
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
      await requests?.return(undefined).catch(() => {})
    }
  }

  async #loop(
    batches: AsyncIterator<SourceBatch>,
    requests: AsyncGenerator<RequestCommit, void> | null,
    signal: AbortSignal,
  ): Promise<void> {
    let next: Promise<IteratorResult<SourceBatch>> | null = null
    let asked: Promise<IteratorResult<RequestCommit, void>> | null = null
    const stopped = aborted(signal)
    for (;;) {
      if (signal.aborted || this.#over !== null) {
        // The read is aborted after the last commit; that rejection is ours and nobody else's.
        next?.catch(() => {})
        asked?.catch(() => {})
        return
      }
      const full = this.#readyBytes >= this.#task.flush.bytesMax * 2 && this.#inFlight !== null
      if (!full) next ??= batches.next()
      const events: Promise<unknown>[] = [stopped]
      if (next !== null) events.push(next)
      asked ??= requests?.next() ?? null
      if (asked !== null) events.push(asked)
      if (this.#inFlight !== null) events.push(this.#inFlight)
      await timeoutOr(this.#ctx.clock, this.#dueInMs(), events)
      if (next !== null && (await isSettled(next))) {
        const taken = await next
        next = null
        if (taken.done === true) throw endedByItself(this.#ctx.name)
        await this.#take(taken.value)
      }
      if (asked !== null && (await isSettled(asked))) {
        const taken = await asked
        asked = null
        if (taken.done !== true) await this.#takeRequests(taken.value, signal)
      }
      if (this.#inFlight === null && this.#dueInMs() === 0) this.#startCommit()
    }
  }

  /** Milliseconds until a commit is due; null when there is nothing to commit or one is in flight. */
  #dueInMs(): number | null {
    if (this.#inFlight !== null) return null
    const nowMs = this.#ctx.clock.nowMs()
    if (this.#ready.length > 0 || this.#letters.changed)
      return this.#timer.dueInMs(nowMs, this.#readyBytes)
    if (this.#position === this.#committed) return null
    const sinceMs = nowMs - this.#lastCommitMs
    // A clock that was set back ends the wait too.
    return sinceMs < 0 ? 0 : Math.max(0, heartbeatMs - sinceMs)
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
    if (batch.rejected !== undefined) this.#setAside(batch.rejected)
    if (batch.position !== null) this.#moveTo(batch.position)
  }

  #setAside(rejected: readonly RejectedRecords[]): void {
    for (const records of rejected) this.#letters.refused(records)
    if (rejected.length > 0) this.#over = this.#letters.overBudget()
  }

  /** Only a source that rejects records can be asked about them; each look at the chain costs a GET. */
  #requests(signal: AbortSignal): AsyncGenerator<RequestCommit, void> | null {
    if (!decodesAgain(this.#source)) return null
    const chain = requestChain(this.#writer.chain)
    return requestCommits(this.#ctx, chain, this.#letters.nextRequest, signal)
  }

  /** A budget that was used up is looked at only when what was asked meanwhile is done. */
  async #takeWaitingRequests(signal: AbortSignal): Promise<void> {
    if (!decodesAgain(this.#source)) return
    const chain = requestChain(this.#writer.chain)
    await using reader = ChainReader.open(this.#ctx.log, chain, this.#letters.nextRequest)
    for (;;) {
      const found = await nextRequests(reader, signal)
      if (found === null) break
      await this.#takeRequests(found, signal)
    }
    this.#over = this.#letters.overBudget()
  }

  async #takeRequests(asked: RequestCommit, signal: AbortSignal): Promise<void> {
    const isKeyed = (topic: string): boolean =>
      this.#writer.head.topics.get(topic)?.schemas.at(-1)?.changelog !== 'append'
    const source = this.#source
    if (!decodesAgain(source)) return
    const letters = { source, isKeyed }
    for (const change of await this.#letters.take(asked, letters, signal)) {
      const topic = sourceTopic(this.#ctx.name, change.topic)
      if ('batch' in change) this.#append([{ kind: 'rows', topic, batch: change.batch }])
    }
    for (const { request } of asked.requests) {
      const { number, body, by } = request
      this.#ctx.logger.info('request taken', { request: number, kind: body.kind, by })
    }
  }

  async #entryOf(change: TopicChange, { transaction }: SourceBatch): Promise<LogEntry> {
    const topic = sourceTopic(this.#ctx.name, change.topic)
    if (topic === deadLetterTopic(this.#ctx.name)) throw reserved(topic)
    if ('truncate' in change) {
      await this.#unchanged.truncate(topic, transaction)
      return { kind: 'truncate', topic }
    }
    const batch = await this.#unchanged.resolve(topic, change, transaction)
    // Rows with a key may be remembered beyond the commit, and filled-in ones share what is.
    const owned = change.owned === true && batch === change.batch && batch.schema.key.length === 0
    return { kind: 'rows', topic, batch, owned }
  }

  #append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (this.#isKnown(entry)) continue
      if (entry.kind === 'rows' && entry.batch.rows > 0) {
        this.#letters.took(entry.topic, entry.batch.rows)
        if (!this.#isBookkeeping(entry.topic)) this.#readyRows += entry.batch.rows
        this.#oldestUs = Math.min(this.#oldestUs, entry.batch.timesUs[0]!)
      }
      if (entry.kind === 'staged')
        for (const block of entry.segment.blocks) this.#readyRows += block.rows
      if (entry.kind !== 'staged') this.#readyBytes += entryBytes(entry)
      this.#ready.push(this.#writer.encode(entry))
    }
  }

  #isBookkeeping(topic: string): boolean {
    return this.#task.connector.isBookkeeping?.(topicInSource(this.#ctx.name, topic)) ?? false
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
    const letters = this.#letters.seal(this.#writer.head.seq + 1)
    const flight = this.#commit({ entries, position, letters }, { rows, bytes })
    this.#inFlight = flight
    // Awaited by the loop; this only keeps an early rejection from being reported as unhandled.
    flight.catch(() => {})
  }

  async #commit(
    { entries, position, letters }: Step,
    size: { readonly rows: number; readonly bytes: number },
  ): Promise<void> {
    const startedMs = this.#ctx.clock.nowMs()
    const unchanged = this.#unchanged.seal()
    const draft = {
      entries: letters === null ? entries : [...entries, ...letters.entries],
      ...(position === null ? {} : { position }),
      ...(letters === null ? {} : { notes: letters.notes }),
    }
    const commit: Commit = await this.#writer.commit(draft, this.#shutdown.signal)
    failpoint('ingest.after_commit')
    const nowMs = this.#ctx.clock.nowMs()
    this.#ctx.metrics.observe('commit_seconds', (nowMs - startedMs) / 1000)
    this.#ctx.metrics.observe('commit_rows', size.rows)
    this.#ctx.metrics.count('commits_total')
    this.#lag.end()
    this.#lastCommitMs = nowMs
    this.#timer.finished(nowMs)
    if (letters !== null) this.#letters.committed(commit, letters)
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
    if (this.#ready.length > 0 || this.#letters.changed || this.#position !== this.#committed) {
      this.#startCommit()
      await this.#inFlight
    }
    if (this.#over !== null) throw this.#over
  }
}

/** Two kinds of rows in one topic would be read as one kind. */
function reserved(topic: string): SluiceError {
  return new SluiceError('task.topic_reserved', {
    message: `the source has a topic ${topic}, where records that it cannot read are set aside`,
  })
}

function endedByItself(source: string): SluiceError {
  return new SluiceError('task.source_ended', {
    message: `source ${source} ended its stream without an error`,
  })
}
