/**
 * Sends the rows of one topic that waited, once they are due, beside the live rows. Each goes alone,
 * with an id made of its letter and of the row of the letter that it goes on from, so that what is sent
 * after a crash is what would have been sent before it (invariant 6). What comes of it (taken, waits
 * again, set aside for good) is one commit.
 *
 * The log says what is due. Timers outside of this process (Sink.timers) may wake it; what they do not
 * tell is seen to a little later all the same, so that losing them loses nothing (invariant 5).
 */
import { backoffMs } from '../connector/backoff.ts'
import type { Sink } from '../connector/sink.ts'
import type { Timer } from '../connector/waiting.ts'
import { toSluiceError, type SluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import { Op } from '../record/batch.ts'
import type { TaskContext } from './context.ts'
import { batchOfKept, keptRow, type KeptRow } from './dead-letter-entry.ts'
import type { DeadLetter } from './dead-letters.ts'
import type { DeliveryLog } from './delivery-log.ts'
import { DueQueue } from './due-queue.ts'
import type { OpenLetter } from './letter-book.ts'
import { letterBlock, type LetterBlock } from './letter-trail.ts'
import { deadLetterTopic } from './names.ts'
import type { Target } from './schema-shape.ts'
import type { Sender } from './sender.ts'
import { aborted, timeoutOr } from './wait.ts'
import type { Lane, WaitingRows } from './waiting-rows.ts'

/** Rows under way at a time, and their bytes: most of them wait for an answer that is late. */
const underMax = 256
const underBytesMax = 32 * 2 ** 20
/** Commits of letters that are kept at hand: rows that were set aside together are due together. */
const blocksMax = 8
/** A group is asked again at the latest after this, whatever it said. */
const askAgainMs = 5000
/** Longest sleep: a timer of Node's goes no further than 24 days. */
const lookMs = 3_600_000
/** How often timers are set again that may have been lost. */
const tellAgainMs = 60_000
const failed = { baseMs: 500, maxMs: 30_000 }

export interface WaitingParts {
  readonly topic: string
  readonly rows: WaitingRows
  readonly sink: Sink
  readonly sender: Sender
  readonly commits: DeliveryLog
  readonly ctx: TaskContext
  /** What rows are brought into now. */
  readonly target: (signal: AbortSignal) => Promise<Target>
}

/** Lanes of one group that are due, and since when it may be asked. */
interface Group {
  readonly lanes: Lane[]
  under: number
  /** When it is asked next, and when it may be after a failure. */
  notBeforeMs: number
  failedUntilMs: number
  failures: number
}

interface Unit {
  readonly from: number
  readonly letters: readonly OpenLetter[]
  readonly kept: readonly KeptRow[]
}

export class WaitingDelivery {
  readonly #parts: WaitingParts
  readonly #due = new DueQueue<{ readonly lane: Lane; readonly version: number }>()
  readonly #groups = new Map<string, Group>()
  readonly #blocks = new Map<number, Promise<LetterBlock>>()
  #timers: Timer[] = []
  #tellAgainMs = 0
  #under = 0
  /** How large rows are, about: what one is taken to have until it is read. Large, until one was. */
  #rowBytes = underBytesMax / 8
  #failure: { readonly error: unknown } | null = null
  #wake: () => void = () => {}

  constructor(parts: WaitingParts) {
    this.#parts = parts
  }

  /** Until it is aborted; throws what must end the task. */
  async run(signal: AbortSignal): Promise<void> {
    const { topic, rows, commits, sink, ctx } = this.#parts
    commits.book.watch(topic, (now, before) => {
      for (const lane of rows.changed(now, before)) this.#note(lane)
      ctx.metrics.gauge('sink_waiting_rows', rows.rows, { task: ctx.name, topic })
      this.#wake()
    })
    this.#tellAgainMs = ctx.clock.nowMs() + tellAgainMs
    sink.timers?.start(topic, (offset) => this.#told(offset))
    const stopped = aborted(signal)
    const running = new Set<Promise<void>>()
    while (!signal.aborted && this.#failure === null) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const nextMs = this.#launch(running, signal)
      const pauseMs = Number.isFinite(nextMs)
        ? Math.min(lookMs, Math.max(1, nextMs - ctx.clock.nowMs()))
        : null
      await timeoutOr(ctx.clock, pauseMs, [woken, stopped])
    }
    await Promise.all(running)
    const ended = this.#failure as { readonly error: unknown } | null
    if (ended !== null) throw ended.error
  }

  /** Notes when the lane's first row is due, and sets its timer. */
  #note(lane: Lane): void {
    const [first] = lane.letters
    if (first === undefined || first.waits === null) return
    if (lane.busy || lane.noted === first.at) return
    lane.noted = first.at
    lane.version++
    const { lateMs = 0 } = this.#parts.sink.timers ?? {}
    const { dueUs } = first.waits
    const dueMs = dueUs / 1000
    const far = dueMs > this.#parts.ctx.clock.nowMs()
    this.#due.add(far ? dueMs + lateMs : dueMs, { lane, version: lane.version })
    if (far) this.#setTimer(lane)
  }

  #setTimer({ letters: [first], busy }: Lane): void {
    const { topic, sink } = this.#parts
    if (first?.waits == null || busy || sink.timers === undefined) return
    const { dueUs, group } = first.waits
    const { offset, attempts: attempt } = first
    this.#timers.push({ topic, offset: offset ?? 0, attempt, group, dueMs: dueUs / 1000 })
  }

  /** Sets all timers again: those that are there do not matter, those that were lost come back. */
  #tellAgain(nowMs: number): void {
    if (this.#parts.sink.timers === undefined || nowMs < this.#tellAgainMs) return
    this.#tellAgainMs = nowMs + tellAgainMs
    for (const lane of this.#parts.rows.lanes()) {
      if ((lane.letters[0]?.waits?.dueUs ?? 0) / 1000 > nowMs) this.#setTimer(lane)
    }
  }

  /** A timer has gone off: the row is tried now, also when somebody let the timer go off early. */
  #told(offset: number): void {
    const { topic, rows, commits } = this.#parts
    const letter = commits.book.at(topic, offset)
    const lane = letter?.waits == null ? null : rows.get(letter.waits.lane)
    if (lane === null || lane.busy || lane.letters[0]?.offset !== offset) return
    lane.version++
    this.#due.add(0, { lane, version: lane.version })
    this.#wake()
  }

  /** Sends what is due and may go; returns when to look again. */
  #launch(running: Set<Promise<void>>, signal: AbortSignal): number {
    const { sink, ctx, rows } = this.#parts
    const nowMs = ctx.clock.nowMs()
    this.#gather(nowMs)
    this.#tellAgain(nowMs)
    if (this.#timers.length > 0) {
      sink.timers?.set(this.#timers)
      this.#timers = []
    }
    let nextMs = this.#due.nextMs
    if (sink.timers !== undefined && rows.rows > 0) nextMs = Math.min(nextMs, this.#tellAgainMs)
    for (const [name, group] of this.#groups) {
      while (group.lanes.length > 0) {
        // Whatever ends makes room, and wakes.
        if (!this.#hasRoom) return nextMs
        if (group.notBeforeMs <= nowMs) {
          const readyMs = Math.min(sink.readyMs?.(name, group.under) ?? 0, askAgainMs)
          if (readyMs > 0) group.notBeforeMs = nowMs + readyMs
        }
        if (group.notBeforeMs > nowMs) {
          nextMs = Math.min(nextMs, group.notBeforeMs)
          break
        }
        const run = this.#run(group.lanes.shift()!, group, signal)
        running.add(run)
        void run.then(() => running.delete(run))
      }
      const idle = group.lanes.length === 0 && group.under === 0 && group.failures === 0
      if (idle) this.#groups.delete(name)
    }
    return nextMs
  }

  get #hasRoom(): boolean {
    return this.#under < Math.min(underMax, Math.max(1, underBytesMax / this.#rowBytes))
  }

  /** Moves lanes that are due to their groups. */
  #gather(nowMs: number): void {
    for (;;) {
      const due = this.#due.take(nowMs)
      if (due === null) return
      const { lane, version } = due
      const waits = lane.letters[0]?.waits
      if (version !== lane.version || lane.busy || waits == null) continue
      lane.busy = true
      const group = this.#groups.get(waits.group)
      if (group !== undefined) group.lanes.push(lane)
      else
        this.#groups.set(waits.group, {
          lanes: [lane],
          under: 0,
          notBeforeMs: 0,
          failedUntilMs: 0,
          failures: 0,
        })
    }
  }

  /** Never rejects. */
  async #run(lane: Lane, group: Group, signal: AbortSignal): Promise<void> {
    const { rows } = this.#parts
    this.#under++
    group.under++
    try {
      const [first] = lane.letters
      const unit = first === undefined ? null : await this.#unitOf(first, signal)
      if (unit === null) return
      const bytes = unit.kept.reduce((sum, row) => sum + row.bytes.length, 0)
      this.#rowBytes = Math.max(bytes, this.#rowBytes + (bytes - this.#rowBytes) / 8)
      await this.#send(unit, signal)
      group.failures = 0
    } catch (thrown) {
      if (!signal.aborted) this.#failed(toSluiceError(thrown), thrown, group)
    } finally {
      this.#under--
      group.under--
      group.notBeforeMs = Math.min(group.notBeforeMs, group.failedUntilMs)
      lane.busy = false
      lane.noted = -1
      rows.settle(lane)
      this.#note(lane)
      this.#wake()
    }
  }

  #failed(error: SluiceError, thrown: unknown, group: Group): void {
    const { ctx, topic } = this.#parts
    if (error.fault === 'bug' || error.fault === 'fenced') {
      this.#failure ??= { error: thrown }
      return
    }
    const pauseMs = backoffMs(++group.failures, failed, ctx.random)
    group.failedUntilMs = ctx.clock.nowMs() + Math.max(100, pauseMs, error.retryAfterMs ?? 0)
    group.notBeforeMs = group.failedUntilMs
    const { code, message } = error
    ctx.logger.warn('rows that waited could not be sent', { topic, code, reason: message })
  }

  async #send({ from, letters, kept }: Unit, signal: AbortSignal): Promise<void> {
    const { topic, sender, commits, ctx } = this.#parts
    const [first] = letters
    const batch = batchOfKept(kept)
    const target = await this.#parts.target(signal)
    const id = `sluice:${ctx.pipeline}:${ctx.name}:${topic}:waited:${first!.at}`
    const before = { attempts: first!.attempts, firstMs: first!.firstUs / 1000 }
    const refused = await sender.sendDue(
      {
        kind: 'rows',
        from,
        batch,
        timeMs: batch.timesUs[0]! / 1000,
        waited: { id, before },
        shaping: { target, agreed: [] },
      },
      signal,
    )
    failpoint('waiting.after_send')
    const over = new Set(refused.map(({ offset }) => offset))
    const taken = letters.filter(({ offset }) => !over.has(offset)).map(({ letter }) => letter)
    await commits.waited(taken, refused)
    failpoint('waiting.after_commit')
    ctx.progress(taken.length, taken.length === 0 ? 0 : batch.byteLength)
  }

  /** The row, with the one after it where it is the old half of an update. null: it cannot be sent. */
  async #unitOf(first: OpenLetter, signal: AbortSignal): Promise<Unit | null> {
    const { topic, commits } = this.#parts
    const from = first.offset ?? 0
    const kept = await this.#keptOf(first, signal)
    if (kept === null) {
      await commits.waited([], [lost(topic, first)])
      return null
    }
    if (kept.weight > 0 || kept.op !== Op.update) return { from, letters: [first], kept: [kept] }
    const other = commits.book.at(topic, from + 1)
    const half = other?.waits?.lane === first.waits?.lane ? other : null
    const keptHalf = half === null ? null : await this.#keptOf(half, signal)
    return half === null || keptHalf === null
      ? { from, letters: [first], kept: [kept] }
      : { from, letters: [first, half], kept: [kept, keptHalf] }
  }

  async #keptOf({ seq, at }: OpenLetter, signal: AbortSignal): Promise<KeptRow | null> {
    const { batch, base } = await this.#blockOf(seq, signal)
    return keptRow(batch, at - base)
  }

  #blockOf(seq: number, signal: AbortSignal): Promise<LetterBlock> {
    const known = this.#blocks.get(seq)
    if (known !== undefined) return known
    const { ctx, commits } = this.#parts
    const letters = { log: ctx.log, chain: commits.chain, topic: deadLetterTopic(ctx.name) }
    const reading = letterBlock(letters, seq, null, signal)
    this.#blocks.set(seq, reading)
    reading.catch(() => this.#blocks.delete(seq))
    if (this.#blocks.size > blocksMax) this.#blocks.delete(this.#blocks.keys().next().value!)
    return reading
  }
}

function lost(topic: string, { offset }: OpenLetter): DeadLetter {
  return {
    topic,
    offset,
    code: 'task.letter_without_row',
    message: `row ${offset} of ${topic} was not kept with its letter`,
    attempts: 0,
    row: null,
  }
}
