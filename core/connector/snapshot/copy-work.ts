/**
 * What is asked of the database for one table's copy: what the table is, where its next chunk ends, the
 * chunk's rows. Each answer is put into the TableCopy for the loop to find; one that comes after the
 * copy began anew is thrown away.
 */
import type { Clock } from '../context.ts'
import type { Position } from '../source.ts'
import type { Background } from './background.ts'
import { SnapshotTableChanged, type SnapshotReader, type SnapshotTable } from './reader.ts'
import type { TableCopy } from './table-copy.ts'
import type { Window } from './window.ts'

/** How long until a table that is not there is looked for again. */
const lookAgainMs = 5000

export class CopyWork {
  readonly #reader: SnapshotReader
  readonly #background: Background
  readonly #clock: Clock

  constructor(reader: SnapshotReader, background: Background, clock: Clock) {
    this.#reader = reader
    this.#background = background
    this.#clock = clock
  }

  /** Asks what the table is; `found` hears of it (null = it is not there). */
  look(copy: TableCopy, found: (table: SnapshotTable | null) => void): void {
    const { whole } = copy
    copy.whole = null
    copy.closeWindows()
    copy.phase = 'looking'
    this.#ask(copy, async (signal, isCurrent) => {
      await whole?.[Symbol.asyncDispose]()
      if (copy.failures > 0) await this.#background.pause(copy.failures, signal)
      const describe = (): ReturnType<SnapshotReader['describe']> =>
        this.#reader.describe(copy.topic, signal)
      const table = await this.#background.retried(copy.topic, describe, signal)
      if (isCurrent()) found(table)
    })
  }

  /** Looks for a table that is not there, after a while. */
  lookLater(copy: TableCopy, found: (table: SnapshotTable | null) => void): void {
    const { version } = copy
    this.#background.run(async (signal) => {
      await this.#clock.sleep(lookAgainMs, signal)
      if (copy.version === version && copy.phase === 'absent') this.look(copy, found)
    })
  }

  /** Lets a window that was given up wait before it is read again. */
  rest(window: Window): void {
    window.isResting = true
    this.#background.run(async (signal) => {
      await this.#background.pause(window.failures, signal)
      window.isResting = false
    })
  }

  /** Asks where the chunk after the last window ends. */
  split(copy: TableCopy): void {
    const last = copy.windows.at(-1)
    const after = last === undefined ? copy.upTo : last.upTo
    const table = copy.table!
    this.#ask(copy, async (signal, isCurrent) => {
      const split = (): ReturnType<SnapshotReader['split']> =>
        this.#reader.split(table, after, signal)
      const upTo = await this.#background.retried(copy.topic, split, signal)
      if (isCurrent()) copy.nextEnd = { upTo }
    })
  }

  /** Begins to read the window's rows, as of the stream's place `from` or later. */
  read(copy: TableCopy, window: Window, from: Position): void {
    const reading = window.open()
    const { version } = copy
    const table = copy.table!
    this.#background.run(async (stop) => {
      const signal = AbortSignal.any([reading, stop])
      try {
        const read = (): ReturnType<SnapshotReader['read']> =>
          this.#reader.read(table, window.rows, from, signal)
        const chunk = await this.#background.retried(copy.topic, read, signal)
        if (!reading.aborted) window.chunk = chunk
      } catch (error) {
        if (reading.aborted) return
        this.#changed(copy, version, error)
      }
    })
  }

  /** Begins to read a table without a key. */
  readWhole(copy: TableCopy): void {
    const table = copy.table!
    this.#ask(copy, async (signal, isCurrent) => {
      const read = (): ReturnType<Required<SnapshotReader>['readWhole']> =>
        this.#reader.readWhole!(table, signal)
      const whole = await this.#background.retried(copy.topic, read, signal)
      if (isCurrent()) copy.whole = whole
      else await whole[Symbol.asyncDispose]()
    })
  }

  #ask(
    copy: TableCopy,
    work: (signal: AbortSignal, isCurrent: () => boolean) => Promise<void>,
  ): void {
    const { version } = copy
    const isCurrent = (): boolean => copy.version === version
    copy.isBusy = true
    this.#background.run(async (signal) => {
      try {
        await work(signal, isCurrent)
      } catch (error) {
        this.#changed(copy, version, error)
      } finally {
        if (isCurrent()) copy.isBusy = false
      }
    })
  }

  /** A changed table is looked at again; anything else ends the source. */
  #changed(copy: TableCopy, version: number, error: unknown): void {
    if (!(error instanceof SnapshotTableChanged)) throw error
    if (copy.version === version) copy.isChanged = true
  }
}
