/**
 * Dead letters of a source: records that did not fit their topic, in `<source>.dead_letters` of its own
 * chain, in the same commit as the position that passes them. What is asked about them (retry, drop) is
 * taken from the requests' chain, as a sink's task does it.
 *
 *   notes = { letters: the trail (letter-trail.ts), windows: rows and letters by topic,
 *             requests: how far the requests' chain is read, and the last ones (request-desk.ts) }
 */
import type { Decoded, RejectedRecords } from '../connector/format/format.ts'
import type { Source, TopicChange } from '../connector/source.ts'
import type { LetterBudget } from '../connector/letter-budget.ts'
import { SluiceError } from '../errors/error.ts'
import type { ChainWriter } from '../log/writer.ts'
import type { Commit, LogEntry } from '../log/types.ts'
import type { Batch } from '../record/batch.ts'
import type { TaskContext } from './context.ts'
import { noRows, overBudget, slide, type RateWindow } from './dead-letter-budget.ts'
import type { LetterRow } from './dead-letters.ts'
import { batchOfKept } from './dead-letter-entry.ts'
import { LetterBook, type OpenLetter } from './letter-book.ts'
import type { LetterTrail } from './letter-trail.ts'
import { deadLetterTopic, sourceTopic, topicInSource } from './names.ts'
import { RequestDesk, type RequestNotes } from './request-desk.ts'
import { takeRequest, type RequestCommit } from './request-intake.ts'
import type { LettersByTopic, Request } from './requests.ts'
import { LetterRows } from './retry-rows.ts'

interface SourceNotes {
  readonly letters?: LetterTrail
  readonly windows?: Readonly<Record<string, RateWindow>>
  readonly requests?: RequestNotes
}

/** A source that rejects records, and can be asked for them once more. */
export type DecodingSource = Source & Required<Pick<Source, 'decodeAgain'>>

export function decodesAgain(source: Source): source is DecodingSource {
  return source.decodeAgain !== undefined
}

/** What a retry needs of the source. */
export interface SourceOfLetters {
  readonly source: DecodingSource
  /** Whether the topic (with the source's name) has rows with a key. */
  readonly isKeyed: (topic: string) => boolean
}

/** What a commit gets beside the rows of the source. */
export interface SealedLetters {
  readonly entries: readonly LogEntry[]
  readonly notes: SourceNotes
  readonly rows: readonly LetterRow[]
}

export class SourceLetters {
  readonly #ctx: TaskContext
  readonly #chain: string
  readonly #book: LetterBook
  readonly #desk: RequestDesk
  readonly #budget: LetterBudget
  #windows: Record<string, RateWindow>
  /** Something happened since the last `seal`. */
  #changed = false

  private constructor(
    ctx: TaskContext,
    { chain, head }: ChainWriter,
    book: LetterBook,
    budget: LetterBudget,
  ) {
    const notes = head.notes as SourceNotes | null
    this.#ctx = ctx
    this.#chain = chain
    this.#book = book
    this.#budget = budget
    this.#desk = new RequestDesk(notes?.requests)
    this.#windows = { ...notes?.windows }
  }

  static async open(
    writer: ChainWriter,
    ctx: TaskContext,
    budget: LetterBudget,
    signal: AbortSignal,
  ): Promise<SourceLetters> {
    const { head, chain } = writer
    const letters = { log: ctx.log, chain, topic: deadLetterTopic(ctx.name) }
    return new SourceLetters(ctx, writer, await LetterBook.load(letters, head, signal), budget)
  }

  /** The commit of the requests' chain to read next. */
  get nextRequest(): number {
    return this.#desk.next
  }

  /** Whether the next commit has something to say of letters. */
  get changed(): boolean {
    return this.#changed
  }

  /** Rows that were taken: what the share of refused ones is of. Counted for topics that had letters. */
  took(topic: string, rows: number): void {
    const window = this.#windows[topic]
    if (window !== undefined) this.#windows[topic] = slide(window, rows, 0)
  }

  refused({ topic: name, batch, errors }: RejectedRecords): void {
    const topic = sourceTopic(this.#ctx.name, name)
    const [first] = errors
    if (first === undefined) return
    const letters = errors.map(({ code, message }, row) => {
      return { topic, offset: null, code, message, attempts: 1, row: { batch, row } }
    })
    const window = this.#windows[topic] ?? noRows
    this.#windows[topic] = slide(window, letters.length, letters.length)
    this.#book.refused(letters, null, this.#ctx.clock.nowMs())
    this.#changed = true
    const { code, message } = first
    this.#ctx.metrics.count('dead_letters_total', letters.length, { task: this.#ctx.name })
    const fields = { topic, rows: letters.length, code, message, see: 'sluice dlq ls' }
    this.#ctx.logger.warn('records set aside', fields)
  }

  /** Why the source may not go on until somebody has seen to its letters; null when it may. */
  overBudget(): SluiceError | null {
    for (const [topic, window] of Object.entries(this.#windows)) {
      const error = overBudget(topic, this.#book.open(topic), window, this.#budget)
      if (error !== null) return error
    }
    return null
  }

  /**
   * Takes the requests of a commit of their chain, and has the source decode again what is to be tried
   * again. Returns the rows for the same commit as what this says of the letters: nothing may be sealed
   * until it resolves.
   */
  async take(
    { requests, next }: RequestCommit,
    source: SourceOfLetters,
    signal: AbortSignal,
  ): Promise<readonly TopicChange[]> {
    const changes: TopicChange[] = []
    for (const { request } of requests) {
      const { body } = request
      if (body.kind === 'retry')
        changes.push(...(await this.#retry(request, body.letters, source, signal)))
      else this.#takeOther(request)
    }
    this.#desk.passed(next)
    // A fence moves the cursor alone, which the next commit tells.
    if (requests.length > 0) this.#changed = true
    return changes
  }

  /** Of the commit `seq`. null: nothing happened. */
  seal(seq: number): SealedLetters | null {
    if (!this.#changed) return null
    this.#changed = false
    const sealed = this.#book.seal(seq)
    const { topic, trail } = this.#book
    const requests = this.#desk.notes
    return {
      entries: sealed === null ? [] : [{ kind: 'rows', topic, batch: sealed.batch }],
      rows: sealed?.rows ?? [],
      notes: {
        ...(trail === undefined ? {} : { letters: trail }),
        ...(Object.keys(this.#windows).length === 0 ? {} : { windows: { ...this.#windows } }),
        ...(requests === undefined ? {} : { requests }),
      },
    }
  }

  /** The commit with what was sealed is written. */
  committed(commit: Commit, { rows }: SealedLetters): void {
    this.#book.committed(commit, rows)
    for (const topic of new Set(rows.map((row) => row.topic))) {
      const labels = { task: this.#ctx.name, topic }
      this.#ctx.metrics.gauge('dead_letters_open', this.#book.open(topic), labels)
    }
  }

  #takeOther(request: Request): void {
    const { kind } = request.body
    if (kind === 'drop' || kind === 'cancel') {
      const nowMs = this.#ctx.clock.nowMs()
      takeRequest({ request, edited: null, delivers: () => false, nowMs }, this.#book, this.#desk)
      return
    }
    const problem = 'letters of a source can be tried again or dropped'
    this.#desk.finish(request, { how: 'failed', problem })
  }

  async #retry(
    request: Request,
    letters: LettersByTopic,
    { source, isKeyed }: SourceOfLetters,
    signal: AbortSignal,
  ): Promise<readonly TopicChange[]> {
    const changes: TopicChange[] = []
    const counts = { sent: 0, refused: 0, skipped: 0 }
    let problem: string | null = null
    const log = { log: this.#ctx.log, chain: this.#chain, topic: this.#book.topic }
    for (const [topic, list] of Object.entries(letters)) {
      if (isKeyed(topic)) {
        problem = keyedText(topic)
        continue
      }
      const name = topicInSource(this.#ctx.name, topic)
      const rows = new LetterRows(log, { name: topic, chain: this.#chain }, null)
      for (const [letter] of list) {
        const open = this.#book.get(letter)
        const kept = open === null ? null : await rows.of(open, signal)
        if (open === null || kept === null) {
          counts.skipped++
          continue
        }
        const batch = batchOfKept([kept])
        const made = await decodedAgain(source, name, batch, signal)
        if ('problem' in made) {
          // So it would be with the others.
          problem = made.problem
          break
        }
        changes.push(...this.#outcome(open, batch, made, request, counts))
      }
    }
    if (problem !== null) {
      this.#ctx.logger.warn('request failed', { request: request.number, reason: problem })
    }
    this.#desk.finish(request, { how: problem === null ? 'done' : 'failed', ...counts, problem })
    return changes
  }

  /** What a letter's record, decoded once more, came to; its rows where it was taken. */
  #outcome(
    open: OpenLetter,
    batch: Batch,
    { changes, rejected }: Decoded,
    request: Request,
    counts: { sent: number; refused: number },
  ): readonly TopicChange[] {
    const by = `request ${request.number}`
    const nowMs = this.#ctx.clock.nowMs()
    const error = rejected[0]?.errors[0]
    if (error === undefined) {
      this.#book.close([open.letter], 'retried', by, nowMs)
      counts.sent++
      return changes
    }
    const { code, message } = error
    this.#book.refusedAgain(open, { code, message, row: { batch, row: 0 } }, by, nowMs)
    counts.refused++
    return []
  }
}

/** Or why nobody can tell now: the letter stays, and the source goes on with what it reads. */
async function decodedAgain(
  source: DecodingSource,
  topic: string,
  batch: Batch,
  signal: AbortSignal,
): Promise<Decoded | { readonly problem: string }> {
  try {
    const made = await source.decodeAgain(topic, batch, signal)
    return made ?? { problem: `${topic} is not read any more: drop its letters, or read it again` }
  } catch (error) {
    signal.throwIfAborted()
    const isOutside =
      error instanceof SluiceError && (error.fault === 'transient' || error.fault === 'config')
    if (!isOutside) throw error
    return { problem: `${error.message} (${error.code})` }
  }
}

/** A record of then would overwrite what came for its key since. */
export function keyedText(topic: string): string {
  return `rows of ${topic} have a key, and a record of then would overwrite what came after it. Have it come once more, then drop the letter: of Kafka send it again, or have the topic read anew (\`restart\`); what is polled comes by itself once \`schema\` is mended; of push its sender sends it again`
}
