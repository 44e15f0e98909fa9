/**
 * PollTopic: one topic that is asked for, run after run and page after page. Each page is one step: its
 * rows, and the state from which a new life asks for the next page. What fails is asked for again, for as
 * long as it takes; what the operator has to mend stops the source.
 */
import type { SourceContext } from '../../core/connector/context.ts'
import type { Decoded, RejectedRecords } from '../../core/connector/format/format.ts'
import type { TopicChange } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import { unusable } from './answer-kind.ts'
import { StatusError } from './poll-client.ts'
import type { PollAnswer } from './poll-http.ts'
import type { PollPatience } from './poll-patience.ts'
import { PollRows } from './poll-rows.ts'
import { nextRunMs, sleepUntil } from './poll-schedule.ts'
import type { PollSetup } from './poll-setup.ts'
import type { PageState, PollState } from './poll-state.ts'
import { pageRequest, type PollStep } from './poll-step.ts'
import { PollStreamReader } from './poll-stream.ts'

const pollBackoff = { baseMs: 1000, maxMs: 300_000 } as const

/** What servers answer to a cursor or page that they do not have any more. */
const goneStatuses: ReadonlySet<number> = new Set([400, 404, 410, 422])

/** Rows that are decoded before others of this process get their turn: some ten milliseconds. */
const decodedAtOnce = 4096

/** The answer of a page, and how many records it has. */
interface Page {
  readonly answer: PollAnswer
  readonly records: number
  /** Of what was asked, for the validators of the answer. */
  readonly asked: string
}

/** What its records are, some thousand at a time, and the page behind it; null = it was the last. */
interface DecodedPage extends Page {
  readonly parts: readonly Decoded[]
  readonly misfits: number
  readonly next: PageState | null
}

/** More records of one answer that do not fit, or more of them, are no dead letters: what was said of them is wrong. */
const misfitsMax = 10_000
const misfitsBytesMax = 64 << 20

export class PollTopic {
  readonly name: string
  readonly #setup: PollSetup
  readonly #ctx: SourceContext
  readonly #patience: PollPatience
  readonly #rows: PollRows
  #state: PollState
  /** A run that was broken off has ended: only a whole one tells what is gone, and it comes at once. */
  #isDue = false

  constructor(setup: PollSetup, state: PollState, ctx: SourceContext, patience: PollPatience) {
    this.name = setup.name
    this.#setup = setup
    this.#state = state
    this.#ctx = ctx
    this.#patience = patience
    this.#rows = new PollRows(setup, ctx)
  }

  decodeAgain(batch: Batch): Decoded {
    const decoded = this.#setup.records.decodeAgain(batch)
    this.#rows.decodedAgain(decoded)
    return decoded
  }

  /** Until the signal is aborted. */
  async *run(signal: AbortSignal): AsyncGenerator<PollStep> {
    try {
      yield* this.#runs(signal)
    } catch (error) {
      await this.#patience.rest(error, signal)
    }
  }

  async *#runs(signal: AbortSignal): AsyncGenerator<PollStep> {
    yield { topic: this.name, changes: this.#setup.announced, rejected: [], state: null }
    await this.#rows.remember(this.#ctx.history, this.#state, signal)
    if (this.#setup.config.stream !== undefined) {
      const reader = new PollStreamReader(this.#setup, this.#rows, this.#patience, this.#ctx)
      yield* reader.run(this.#state, signal)
      return
    }
    for (;;) {
      const { page } = this.#state
      if (page === undefined) yield* this.#pages(await this.#next(signal), signal)
      else {
        this.#isDue = this.#setup.config.deletes !== 'none'
        yield* this.#pages(page, signal)
      }
    }
  }

  /** Waits until the next run is due; its first page. */
  async #next(signal: AbortSignal): Promise<PageState> {
    const { clock } = this.#ctx
    if (!this.#isDue) {
      const atMs = nextRunMs(this.#setup.config, this.#state.runMs, clock.nowMs())
      await sleepUntil(clock, atMs, signal)
    }
    this.#isDue = false
    const { runSince: _, ...state } = this.#state
    this.#state = { ...state, runMs: clock.nowMs() }
    return this.#setup.pages.begin()
  }

  async *#pages(first: PageState, signal: AbortSignal): AsyncGenerator<PollStep> {
    let page = first
    let records = 0
    let unread = 0
    const isWhole = page.taken === 0
    this.#rows.begin()
    for (;;) {
      const got = await this.#page(page, page === first && page.taken > 0, signal)
      if (got === 'gone') return this.#breakOff()
      if (got === 'unchanged') {
        yield this.#step([], [], this.#rows.ended(this.#state))
        return
      }
      const { answer, asked, next } = got
      records += got.records
      unread += got.misfits
      const { changes, rejected, state } = await this.#admit(got.parts, signal)
      if (next === null) {
        const deletes = this.#rows.deletes({ isWhole, records, unread })
        const ended = this.#rows.ended(validated(state, page.taken === 0 ? answer : null, asked))
        yield this.#step([...changes, ...deletes], rejected, ended)
        return
      }
      page = next
      yield this.#step(changes, rejected, { ...state, page })
    }
  }

  /** What the records of a page are, of which some thousand are decoded at a time. */
  async #decode(signal: AbortSignal): Promise<Pick<DecodedPage, 'parts' | 'misfits'>> {
    const { records } = this.#setup
    const parts: Decoded[] = []
    let misfits = 0
    let misfitsBytes = 0
    for (;;) {
      const part = records.take(decodedAtOnce)
      for (const { errors, batch } of part.rejected) {
        misfits += errors.length
        misfitsBytes += batch.byteLength
      }
      parts.push(part)
      if (misfits > misfitsMax || misfitsBytes > misfitsBytesMax) {
        const first = parts.flatMap(({ rejected }) => rejected)[0]!.errors[0]!
        const many = misfits > misfitsMax ? `more than ${misfitsMax}` : misfits
        const message = `poll.${this.name}: ${many} records of an answer do not fit; the first: ${first.message}`
        throw new SluiceError('http.poll.unfit_records', { message })
      }
      if (records.count === 0) return { parts, misfits }
      await turn(signal)
    }
  }

  /** What of them is news, from now on. */
  async #admit(
    parts: readonly Decoded[],
    signal: AbortSignal,
  ): Promise<Decoded & { readonly state: PollState }> {
    const all = { changes: [] as TopicChange[], rejected: [] as RejectedRecords[] }
    let state = this.#state
    for (const part of parts) {
      all.rejected.push(...this.#rows.newLetters(part.rejected))
      const admitted = this.#rows.admit(part, state)
      all.changes.push(...admitted.changes)
      state = admitted.state
      if (part !== parts.at(-1)) await turn(signal)
    }
    return { ...all, state }
  }

  #after(page: PageState, { answer, records }: Page): PageState | null {
    const { body, headers, url } = answer
    const next = this.#setup.pages.after(page, { body, headers, url, records })
    if (next?.url === undefined) return next
    return { ...next, url: this.#setup.client.admitted(next.url) }
  }

  /** The place that a run was to go on from is gone: it begins anew. */
  #breakOff(): void {
    this.#ctx.logger.warn('the server does not know the page to go on from; the run begins anew', {
      topic: this.name,
    })
    const { page: _, runSince: __, ...state } = this.#state
    this.#state = state
    this.#isDue = true
  }

  #step(
    changes: readonly TopicChange[],
    rejected: readonly RejectedRecords[],
    state: PollState,
  ): PollStep {
    this.#state = { ...state, step: this.#state.step + 1 }
    return { topic: this.name, changes, rejected, state: this.#state }
  }

  /** One page with its records decoded, however often it has to be asked for. */
  async #page(
    page: PageState,
    isResumed: boolean,
    signal: AbortSignal,
  ): Promise<DecodedPage | 'unchanged' | 'gone'> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted()
      try {
        const got = await this.#ask(page, signal)
        // Before its rows are known: what fails here is asked for once more.
        const whole =
          got === 'unchanged'
            ? got
            : { ...got, next: this.#after(page, got), ...(await this.#decode(signal)) }
        this.#patience.well()
        return whole
      } catch (error) {
        this.#setup.records.clear()
        if (isResumed && error instanceof StatusError && goneStatuses.has(error.status)) {
          return 'gone'
        }
        await this.#patience.wait(error, attempt, pollBackoff, signal)
      }
    }
  }

  async #ask(page: PageState, signal: AbortSignal): Promise<Page | 'unchanged'> {
    const { client, records } = this.#setup
    const request = pageRequest(this.#setup, this.#state, page)
    const asked = client.question(request)
    const answer = await client.ask(
      { ...request, headers: page.taken === 0 ? this.#validators(asked) : {} },
      signal,
    )
    if (answer.status === 304) return 'unchanged'
    const { headers, status, body } = answer
    if (status !== 204 && body.length === 0 && this.#setup.config.deletes !== 'none') {
      throw unusable(this.name, 'it is empty, and would be a listing of nothing')
    }
    const parts = { headers, event: null, eventId: null }
    const number = this.#setup.config.pagination === undefined ? 0 : page.taken + 1
    const count = records.add(answer.body, parts, this.#ctx.clock.nowMs(), number)
    return { answer, records: count, asked }
  }

  /** What the server said the answer was: it need not send it again. */
  #validators(asked: string): Readonly<Record<string, string>> {
    const { etag, modified, askedFor } = this.#state
    if (this.#rows.isPending || askedFor !== asked) return {}
    return {
      ...(etag !== undefined && { 'if-none-match': etag }),
      ...(modified !== undefined && { 'if-modified-since': modified }),
    }
  }
}

/** Lets others of this process have theirs. */
async function turn(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  signal.throwIfAborted()
}

/** With what the answer says of itself, where it was all of the run. */
function validated(state: PollState, answer: PollAnswer | null, asked: string): PollState {
  const { etag: _, modified: __, askedFor: ___, ...rest } = state
  const etag = answer?.headers['etag']
  const modified = answer?.headers['last-modified']
  if (etag === undefined && modified === undefined) return rest
  return {
    ...rest,
    askedFor: asked,
    ...(etag !== undefined && { etag }),
    ...(modified !== undefined && { modified }),
  }
}
