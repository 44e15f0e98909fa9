/**
 * Reads a topic's history from the log into the row memory, from its cursor to the head of the chain.
 * The source waits meanwhile, with minutes of history for minutes: whoever looks is told how far it is.
 */
import { readHead } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import { rowKey } from '../record/key.ts'
import type { TaskContext } from './context.ts'
import type { RowMemory } from './row-memory.ts'

/** The cursor moves after so many commits at the latest: what is read twice is bounded. */
const cursorCommits = 64
/** More than so many commits are worth a log line. */
const longCommits = 1000

export interface HistoryOptions {
  readonly log: Log
  readonly chain: string
  readonly ctx: Pick<TaskContext, 'report' | 'logger' | 'clock'>
  readonly signal: AbortSignal
}

export async function readHistory(
  memory: RowMemory,
  topic: string,
  options: HistoryOptions,
): Promise<void> {
  const { log, chain, signal } = options
  const from = await memory.cursor(topic)
  await using reader = ChainReader.open(log, chain, from)
  using progress = new Progress(
    topic,
    from,
    (await readHead(log, chain, signal))?.seq ?? 0,
    options,
  )
  let read = 0
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) break
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic) continue
      const batch = await reader.readBlock(commit, index, signal)
      if (batch === null) {
        await memory.clearTopic(topic)
        continue
      }
      const names = new Set(batch.schema.fields.map(({ name }) => name))
      const gone = new Set([...memory.fieldNames(topic)].filter((name) => !names.has(name)))
      if (gone.size > 0) await memory.dropFields(topic, gone)
      const keys = Array.from({ length: batch.rows }, (_, row) => rowKey(batch, row))
      await memory.put({ topic, batch, keys })
    }
    read = commit.seq
    progress.at(read)
    if (read % cursorCommits === 0) await memory.moveCursors([topic], read + 1)
  }
  if (read > 0) await memory.moveCursors([topic], read + 1)
}

/** How far it is, for the live status, and for the log where it takes long. */
class Progress implements Disposable {
  readonly #topic: string
  readonly #from: number
  readonly #commits: number
  readonly #ctx: HistoryOptions['ctx']
  readonly #startedMs: number
  #percent = -1

  /** Of the commits `from` to `head`. */
  constructor(topic: string, from: number, head: number, { ctx }: HistoryOptions) {
    this.#topic = topic
    this.#from = from
    this.#commits = Math.max(0, head - from + 1)
    this.#ctx = ctx
    this.#startedMs = ctx.clock.nowMs()
    if (this.#isLong) {
      const fields = { topic, commits: this.#commits }
      ctx.logger.info('reading the history of a topic to fill unchanged columns', fields)
    }
    if (this.#commits > 0) this.#show(0)
  }

  at(seq: number): void {
    // The head may have moved on since.
    const part = Math.min(1, (seq - this.#from + 1) / Math.max(1, this.#commits))
    this.#show(Math.floor(part * 100))
  }

  [Symbol.dispose](): void {
    if (this.#percent >= 0) this.#ctx.report({ detail: '' })
    if (!this.#isLong) return
    const seconds = Math.round((this.#ctx.clock.nowMs() - this.#startedMs) / 1000)
    this.#ctx.logger.info('history of the topic read', {
      topic: this.#topic,
      percent: this.#percent,
      seconds,
    })
  }

  get #isLong(): boolean {
    return this.#commits > longCommits
  }

  #show(percent: number): void {
    if (percent === this.#percent) return
    this.#percent = percent
    this.#ctx.report({
      detail: `reading the history of ${this.#topic} to fill unchanged columns: ${percent}%`,
    })
  }
}
