/**
 * A stream as one poll that does not end: each piece that comes is a step. When it breaks off it is opened
 * again, server-sent events behind the last one that is in a commit. While nobody takes the step, nothing
 * is read, and the server has to wait.
 */
import { backoffMs } from '../../core/connector/backoff.ts'
import type { Context } from '../../core/connector/context.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { otherKind, unusable } from './answer-kind.ts'
import { LineReader } from './line-reader.ts'
import type { PollStream } from './poll-http.ts'
import type { PollRows } from './poll-rows.ts'
import { sleepUntil } from './poll-schedule.ts'
import type { PollSetup } from './poll-setup.ts'
import type { PollState } from './poll-state.ts'
import { pageRequest, type PollStep } from './poll-step.ts'
import type { PollPatience } from './poll-patience.ts'
import { SseReader } from './sse.ts'

const reopenBackoff = { baseMs: 1000, maxMs: 60_000 } as const
/** As long as browsers wait, roughly, where the server does not say. */
const reopenMs = 1000

export class PollStreamReader {
  readonly #setup: PollSetup
  readonly #rows: PollRows
  readonly #patience: PollPatience
  readonly #ctx: Pick<Context, 'clock' | 'random' | 'metrics'>
  /** Connections in a row that brought nothing. */
  #fruitless = 0
  #retryMs = reopenMs

  constructor(
    setup: PollSetup,
    rows: PollRows,
    patience: PollPatience,
    ctx: Pick<Context, 'clock' | 'random' | 'metrics'>,
  ) {
    this.#setup = setup
    this.#rows = rows
    this.#patience = patience
    this.#ctx = ctx
  }

  async *run(from: PollState, signal: AbortSignal): AsyncGenerator<PollStep> {
    const { clock, random } = this.#ctx
    let state = from
    for (;;) {
      signal.throwIfAborted()
      state = { ...state, runMs: clock.nowMs() }
      let waitMs = 0
      try {
        for await (const step of this.#connection(state, signal)) {
          state = step.state ?? state
          yield step
        }
      } catch (error) {
        waitMs = this.#patience.waitMs(error, this.#fruitless + 1, reopenBackoff)
      }
      this.#fruitless++
      waitMs = Math.max(waitMs, this.#retryMs, backoffMs(this.#fruitless, reopenBackoff, random))
      await sleepUntil(clock, clock.nowMs() + waitMs, signal)
    }
  }

  /** One connection, until it ends. */
  async *#connection(from: PollState, signal: AbortSignal): AsyncGenerator<PollStep> {
    const { client, pages } = this.#setup
    const { eventId } = from
    const headers = {
      'cache-control': 'no-store',
      // In UTF-8 (WHATWG HTML 9.2.4), of which headers take the bytes one by one.
      ...(eventId !== undefined && {
        'last-event-id': Buffer.from(eventId).toString('latin1'),
      }),
    }
    const stream = await client.open(
      { ...pageRequest(this.#setup, from, pages.begin()), headers },
      signal,
    )
    try {
      yield* this.#steps(from, stream)
    } finally {
      stream.close()
    }
  }

  async *#steps(from: PollState, stream: PollStream): AsyncGenerator<PollStep> {
    const { records, name, config } = this.#setup
    const isEvents = config.stream === 'sse'
    if (isEvents && stream.status === 200) checkType(name, stream)
    const reader = isEvents
      ? new Events(this.#setup, stream, from.eventId ?? null)
      : new Lines(this.#setup, stream)
    this.#rows.begin()
    let state = from
    for await (const piece of stream.body) {
      try {
        reader.push(piece, this.#ctx.clock.nowMs())
      } catch (error) {
        // What stood before the fault was read, and may not come again.
        if (records.count > 0) yield this.#step(state, reader.lastId)
        throw error
      }
      this.#patience.well()
      this.#retryMs = reader.retryMs ?? this.#retryMs
      if (records.count === 0 && reader.lastId === (state.eventId ?? null)) continue
      this.#fruitless = 0
      const step = this.#step(state, reader.lastId)
      state = step.state
      yield step
    }
    reader.end(this.#ctx.clock.nowMs())
    if (records.count > 0) yield this.#step(state, reader.lastId)
  }

  #step(before: PollState, lastId: string | null): PollStep & { readonly state: PollState } {
    const { records, name } = this.#setup
    const decoded = records.take()
    const { changes, state } = this.#rows.admit(decoded, before)
    // A stream has no end at which `since` could move on: it does with each step.
    const { eventId: _, ...ended } = this.#rows.ended(state)
    const next: PollState = {
      ...ended,
      step: before.step + 1,
      ...(lastId !== null && { eventId: lastId }),
    }
    return { topic: name, changes, rejected: decoded.rejected, state: next }
  }
}

/** Makes records of the pieces of one connection. */
interface PieceReader {
  readonly lastId: string | null
  readonly retryMs: number | null
  push(piece: Buffer, nowMs: number): void
  /** The connection has ended as it should. */
  end(nowMs: number): void
}

class Events implements PieceReader {
  readonly #setup: PollSetup
  readonly #headers: PollStream['headers']
  readonly #sse: SseReader

  constructor(setup: PollSetup, { headers }: PollStream, lastId: string | null) {
    this.#setup = setup
    this.#headers = headers
    this.#sse = new SseReader(`poll.${setup.name}`, setup.config.max_response, lastId)
  }
  get lastId(): string | null {
    return this.#sse.lastId
  }
  get retryMs(): number | null {
    return this.#sse.retryMs
  }
  push(piece: Buffer, nowMs: number): void {
    const { records, config } = this.#setup
    this.#sse.push(piece, ({ type, data, id }) => {
      if (config.events !== undefined && !config.events.includes(type)) return
      records.addOne(data, { headers: this.#headers, event: type, eventId: id }, nowMs)
    })
  }
  end(): void {
    // What has no blank line behind it is no event.
  }
}

class Lines implements PieceReader {
  readonly lastId = null
  readonly retryMs = null
  readonly #setup: PollSetup
  readonly #headers: PollStream['headers']
  readonly #lines: LineReader
  #hasBegun = false

  constructor(setup: PollSetup, { headers }: PollStream) {
    this.#setup = setup
    this.#headers = headers
    this.#lines = new LineReader(`poll.${setup.name}`, setup.config.max_response, false)
  }
  push(piece: Buffer, nowMs: number): void {
    this.#begin(piece)
    this.#lines.push(piece, (line) => this.#add(line, nowMs))
  }
  end(nowMs: number): void {
    this.#add(this.#lines.rest(), nowMs)
  }
  /** A page for people would be a dead letter a line, with each connection. */
  #begin(piece: Buffer): void {
    if (this.#hasBegun || isBlank(piece)) return
    this.#hasBegun = true
    const other = otherKind('stream', piece, this.#headers['content-type'] ?? '')
    if (other !== null) throw unusable(this.#setup.name, other.message, other.remedy)
  }
  #add(line: Buffer, nowMs: number): void {
    // Blank lines keep the connection alive.
    if (isBlank(line)) return
    this.#setup.records.addOne(line, { headers: this.#headers, event: null, eventId: null }, nowMs)
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte <= 0x20)
}

/** Throws `http.poll.answer` where the answer is no stream of events. */
export function checkType(name: string, { headers }: PollStream): void {
  const type = headers['content-type'] ?? ''
  if (/^\s*text\/event-stream\s*(?:;|$)/i.test(type)) return
  const message = `poll.${name}: the answer is no stream of events, but ${type.slice(0, 80) || 'without a type'}`
  throw new SluiceError('http.poll.answer', { message })
}
