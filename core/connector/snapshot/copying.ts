/**
 * All tables that are being copied, and the one progress of them: what passes of the stream's changes,
 * and what is done between two transactions: handing out chunks whose time has come, beginning new
 * ones, beginning tables anew.
 */
import { SluiceError } from '../../errors/error.ts'
import type { Batch } from '../../record/batch.ts'
import type { Position, SourceBatch, TopicChange } from '../source.ts'
import type { Background } from './background.ts'
import type { BesideOptions } from './beside.ts'
import { CopyWork } from './copy-work.ts'
import { isCopyOf, voidTable, withTable, type SnapshotProgress } from './progress.ts'
import type { SnapshotTable, WholeTable } from './reader.ts'
import { TableCopy, waitingKeysMax } from './table-copy.ts'
import { weave } from './weave.ts'
import { Window } from './window.ts'

/** A third one costs memory and brings no speed: a copy waits for this process, not for the server. */
const chunksAheadDefault = 2
const parallelDefault = 2
const lateBytesMaxDefault = 16 << 20
/** Tables that are asked about at a time. */
const looksMax = 4

type CopyingOptions = Omit<BesideOptions, 'stream' | 'position'>

export class Copying implements AsyncDisposable {
  readonly #options: CopyingOptions
  readonly #signal: AbortSignal
  readonly #background: Background
  readonly #work: CopyWork
  /** Those whose changes have to be looked at; a table that is done is not here. */
  readonly #copies = new Map<string, TableCopy>()
  #progress: SnapshotProgress
  #someWantAnew = false

  constructor(options: CopyingOptions, background: Background, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#background = background
    this.#progress = options.progress
    this.#work = new CopyWork(options.reader, background, options.ctx.clock)
    for (const topic of options.tables) this.#add(topic)
  }

  get isDone(): boolean {
    return this.#copies.size === 0
  }
  get progress(): SnapshotProgress {
    return this.#progress
  }
  joined(position: Position): Position {
    return this.#options.join(position, this.#progress)
  }

  /** No position from the next batch on says that the topic's table is in the log. */
  again(topic: string): void {
    const copy = this.#copies.get(topic) ?? this.#add(topic)
    this.#wantAnew(copy)
    this.#background.ring()
  }

  /** The stream's transaction of which parts came is over. */
  ended(end: 'commit' | 'abort'): void {
    for (const copy of this.#copies.values()) {
      for (const window of copy.allWindows()) {
        // What is kept of a transaction that was rolled back never was.
        if (window.isInTransaction && end === 'abort') {
          this.#giveUp(copy, window, 'a transaction was rolled back meanwhile')
        }
        window.isInTransaction = false
      }
    }
  }

  /** What passes of a batch's changes. */
  async sorted({ changes, transaction }: SourceBatch): Promise<readonly TopicChange[]> {
    this.#beginAnew()
    if (!changes.some(({ topic }) => this.#copies.has(topic))) return changes
    const passing: TopicChange[] = []
    for (const change of changes) {
      const copy = this.#copies.get(change.topic)
      const passed =
        copy === undefined ? change : await this.#sorted(copy, change, transaction !== null)
      if (passed !== null) passing.push(passed)
    }
    return passing
  }

  /** What is to be handed out at this place of the stream, which is between two transactions. */
  async *between(position: Position): AsyncGenerator<SourceBatch> {
    this.#beginAnew()
    let places = this.#options.parallel ?? parallelDefault
    let looks = looksMax
    for (const copy of this.#copies.values()) {
      if (copy.isChanged) {
        copy.failures++
        this.#look(copy)
      }
      if (copy.phase === 'looking' && looks-- > 0 && !copy.isBusy) this.#look(copy)
      if (copy.phase === 'anew') yield this.#anew(copy, position)
      if (copy.phase === 'copying' && places-- > 0) yield* this.#advance(copy, position)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const copy of this.#copies.values()) {
      copy.closeWindows()
      await copy.whole?.[Symbol.asyncDispose]()
    }
  }

  #add(topic: string): TableCopy {
    const copy = new TableCopy(
      topic,
      this.#progress.tables[topic],
      this.#options.lateBytesMax ?? lateBytesMaxDefault,
    )
    this.#copies.set(topic, copy)
    return copy
  }

  async #sorted(
    copy: TableCopy,
    change: TopicChange,
    transaction: boolean,
  ): Promise<TopicChange | null> {
    // How the table's keys compare is not known before the table is.
    while (copy.phase === 'looking' && copy.upTo !== null) {
      if (!copy.isBusy) this.#look(copy)
      await this.#background.wait()
    }
    if ('truncate' in change) {
      if (copy.truncated()) this.#note(copy)
      return change
    }
    if (change.batch.rows === 0) return change
    const waiting = copy.waiting.size
    const passed = await copy.sort(change, transaction, this.#options.reader, this.#signal)
    if (copy.waiting.size !== waiting) this.#note(copy)
    this.#bound(copy)
    return passed
  }

  /** From here on nothing passes of tables that are to be copied anew, until their topics are emptied. */
  #beginAnew(): void {
    if (!this.#someWantAnew) return
    this.#someWantAnew = false
    for (const copy of this.#copies.values()) {
      if (!copy.wantsAnew) continue
      copy.wantsAnew = false
      this.#void(copy)
      this.#look(copy)
    }
  }

  /** Gives up what has become too large to be remembered, to read it again. */
  #bound(copy: TableCopy): void {
    for (const window of copy.allWindows()) {
      if (window.isTooLarge) this.#giveUp(copy, window, 'too many changes came meanwhile')
    }
    if (copy.waiting.size > waitingKeysMax) this.#wantAnew(copy)
  }

  #wantAnew(copy: TableCopy): void {
    copy.wantsAnew = true
    this.#someWantAnew = true
  }

  #giveUp(copy: TableCopy, window: Window, reason: string): void {
    window.close()
    window.failures++
    copy.takeBack(window)
    this.#work.rest(window)
    this.#options.ctx.logger.info('a chunk of a table is read again', {
      topic: copy.topic,
      reason,
      failures: window.failures,
    })
  }

  #look(copy: TableCopy): void {
    this.#work.look(copy, (table) => this.#found(copy, table))
  }

  #found(copy: TableCopy, table: SnapshotTable | null): void {
    const { topic } = copy
    const before = this.#progress.tables[topic]
    copy.table = table
    if (table === null) return this.#absent(copy)
    const asked = this.#options.asked?.[topic]
    if (before === undefined) {
      copy.begin()
      copy.asked = asked
      copy.phase = 'copying'
      if (table.key.length > 0) this.#note(copy)
      return
    }
    // A copy of a whole table cannot go on: nothing says how far it came.
    const goesOn = copy.complete || table.key.length > 0
    if (!goesOn || !isCopyOf(before, table, asked)) {
      this.#void(copy)
      copy.phase = 'anew'
    } else if (copy.complete && copy.waiting.size === 0) this.#copies.delete(topic)
    else copy.phase = 'copying'
  }

  #absent(copy: TableCopy): void {
    // What the log has of a table that is gone stays as it is, until there is a table again.
    if (copy.complete && copy.waiting.size === 0) {
      this.#copies.delete(copy.topic)
      return
    }
    if (copy.phase !== 'absent') {
      this.#options.ctx.logger.warn('a table that is to be copied is not there', {
        topic: copy.topic,
      })
    }
    if (this.#progress.tables[copy.topic] !== undefined) this.#void(copy)
    copy.phase = 'absent'
    this.#work.lookLater(copy, (table) => this.#found(copy, table))
  }

  /** From here on none of the table's changes passes, and the topic has to be emptied. */
  #void(copy: TableCopy): void {
    const { asked } = copy
    copy.begin()
    const table = asked === undefined ? voidTable : { ...voidTable, asked }
    this.#progress = withTable(this.#progress, copy.topic, table)
  }

  #anew(copy: TableCopy, position: Position): SourceBatch {
    const { topic } = copy
    copy.begin()
    copy.asked = this.#options.asked?.[topic] ?? copy.asked
    copy.phase = 'copying'
    this.#note(copy)
    this.#options.ctx.logger.info('the copy of a table begins', { topic })
    return this.#batchOf([{ topic, truncate: true }], position)
  }

  async *#advance(copy: TableCopy, position: Position): AsyncGenerator<SourceBatch> {
    if (copy.table!.key.length === 0 && !copy.complete) {
      yield* this.#wholes(copy, position)
      return
    }
    const first = (): Window | undefined => copy.windows[0]
    for (let window = first(); window !== undefined; window = first()) {
      const batch = this.#handOut(copy, window, position)
      if (batch === null) break
      yield batch
    }
    const batch = copy.keyWindow === null ? null : this.#handOut(copy, copy.keyWindow, position)
    if (batch !== null) yield batch
    if (copy.complete && copy.waiting.size === 0) this.#finish(copy)
    else this.#open(copy, position)
  }

  /** The rows of a window that the stream has passed; null = not yet, or they have to be read again. */
  #handOut(copy: TableCopy, window: Window, position: Position): SourceBatch | null {
    const { chunk } = window
    if (chunk === null || !chunk.isPassed(position)) return null
    const woven = weave(chunk.batches, window.late, window.seen)
    if (woven === null) {
      this.#giveUp(copy, window, 'the columns of the table changed meanwhile')
      return null
    }
    copy.handedOut(window, woven.unknown)
    this.#note(copy)
    return this.#batchOf(this.#changesOf(copy, woven.batches), position)
  }

  #changesOf(copy: TableCopy, batches: readonly Batch[]): TopicChange[] {
    const { topic } = copy
    for (const batch of batches) copy.rows += batch.rows
    this.#options.ctx.report({ state: 'snapshotting', detail: detailOf(copy) })
    return batches.map((batch) => ({ topic, batch }))
  }

  #finish(copy: TableCopy): void {
    const { topic, rows, isResumed } = copy
    if (copy.wantsAnew) return
    this.#copies.delete(topic)
    // Another table has its place now; nothing else may come to say so while the source is idle.
    this.#background.ring()
    this.#options.ctx.logger.info('the table is copied', { topic, rows, resumed: isResumed })
    if (this.isDone) this.#options.ctx.report({ state: 'running', detail: '' })
  }

  /** Begins to read what comes next, while the chunks before it are on their way. */
  #open(copy: TableCopy, position: Position): void {
    const { windows } = copy
    const chunksAhead = this.#options.chunksAhead ?? chunksAheadDefault
    if (copy.nextEnd !== null && windows.length < chunksAhead) {
      this.#rested(copy.addWindow(copy.nextEnd.upTo))
    }
    if (copy.keyWindow === null && copy.waiting.size > 0) this.#rested(copy.addKeyWindow())
    for (const window of copy.allWindows()) {
      if (!window.isOpen && !window.isResting) this.#work.read(copy, window, position)
    }
    if (copy.hasMore && copy.nextEnd === null && !copy.isBusy) this.#work.split(copy)
  }

  /** A window whose like could not be used before waits for a while, too. */
  #rested(window: Window): void {
    if (window.failures > 0) this.#work.rest(window)
  }

  /** A table without a key. */
  async *#wholes(copy: TableCopy, position: Position): AsyncGenerator<SourceBatch> {
    const { whole } = copy
    if (whole === null) {
      if (copy.isBusy) return
      if (this.#options.reader.readWhole === undefined) {
        throw new SluiceError('internal.bug', {
          message: `${copy.topic} has no key to be copied by.`,
        })
      }
      this.#work.readWhole(copy)
    } else if (whole.isPassed(position)) yield* this.#handOutWhole(copy, whole, position)
  }

  /** Nothing is taken from the stream meanwhile: what it brings next is later than all these rows. */
  async *#handOutWhole(
    copy: TableCopy,
    whole: WholeTable,
    position: Position,
  ): AsyncGenerator<SourceBatch> {
    if (!(await whole.release())) {
      copy.whole = null
      await whole[Symbol.asyncDispose]()
      this.#options.ctx.logger.warn(
        'a table without an order of keys was kept from writers for too long; it is locked once more',
        { topic: copy.topic },
      )
      this.#background.ring()
      return
    }
    // A start that finds the table begun and without a key empties the topic first.
    this.#note(copy)
    for await (const batch of whole.batches(this.#signal)) {
      yield this.#batchOf(this.#changesOf(copy, [batch]), position)
    }
    copy.complete = true
    copy.whole = null
    await whole[Symbol.asyncDispose]()
    this.#note(copy)
    yield this.#batchOf([], position)
    this.#finish(copy)
  }

  #batchOf(changes: readonly TopicChange[], position: Position): SourceBatch {
    return { changes, transaction: null, end: null, position: this.joined(position) }
  }

  /** The progress with this table as it is now. */
  #note(copy: TableCopy): void {
    const { topic } = copy
    const table = copy.table ?? this.#progress.tables[topic]
    if (table === undefined) {
      throw new SluiceError('internal.bug', { message: `${topic} was never looked at.` })
    }
    this.#progress = withTable(this.#progress, topic, copy.progress(table))
  }
}

/** `shop.orders: 120,000 of about 400,000 rows`; a copy that goes on says `more`, for it did not count before. */
function detailOf({ topic, rows, isResumed, table }: TableCopy): string {
  const estimate = table?.rowsEstimate ?? 0
  const done = `${topic}: ${rows.toLocaleString('en')}${isResumed ? ' more' : ''}`
  // Guesses are old: one that the rows have passed says nothing.
  return rows <= estimate
    ? `${done} of about ${estimate.toLocaleString('en')} rows`
    : `${done} rows`
}
