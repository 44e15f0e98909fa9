/**
 * The offline log: every row that was delivered, for ever, as Parquet files by day of the event time.
 *
 * A batch becomes one file a day that it touches, durable before `append` returns. The files are named
 * by the offsets and the content of their rows (names.ts), so that a repeat writes the same bytes to
 * the same name. Where files of the same offsets are there already (a repeat, a replay, a log begun
 * anew), the rows that they hold are left out: each row is in the log once.
 */
import type { Context } from '../../../core/connector/context.ts'
import type { FileStore } from '../../../core/connector/file-store.ts'
import type { RowProblem } from '../../../core/connector/sink.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { failpoint } from '../../../core/errors/failpoint.ts'
import { Compactor, type CompactionOptions } from './compactor.ts'
import { DayFiles } from './day-files.ts'
import { DayLocks } from './day-locks.ts'
import { unfitRows } from './fit.ts'
import { identity, openFile, placesOf, unsteady } from './identity.ts'
import { offlineLayout, ownColumns, type OfflineLayout, type OfflineView } from './layout.ts'
import { contentTag, dayFolder, fileName, schemaFileName, topicTag, type LogFile } from './names.ts'
import { ParquetOut } from './parquet-file.ts'
import { byDay, rowsFile, type OfflineRows } from './rows.ts'
import { deletionFiles, type Truncate } from './truncate.ts'

/** Files of one batch on their way at a time: each holds its rows in memory. */
const writesAtOnce = 8
const looksMax = 5

export type OfflineContext = Pick<Context, 'clock' | 'logger' | 'metrics' | 'name'>

export class OfflineLog implements AsyncDisposable {
  readonly #files: FileStore
  readonly #days: DayFiles
  readonly #locks = new DayLocks()
  readonly #compactor: Compactor | null
  readonly #layouts = new Map<string, OfflineLayout>()
  readonly #ctx: OfflineContext

  /** `files` is disposed of with the log. `compaction`: null to leave files as they were written. */
  constructor(files: FileStore, compaction: CompactionOptions | null, ctx: OfflineContext) {
    this.#files = files
    this.#ctx = ctx
    this.#days = new DayFiles(files)
    const parts = { files, days: this.#days, locks: this.#locks }
    this.#compactor = compaction === null ? null : new Compactor(parts, compaction, ctx)
  }

  get url(): string {
    return this.#files.url
  }

  /**
   * Before the first rows of a view, and when its columns change. Writes a file without rows that tells
   * readers the columns as they are from now on. Throws `sink.feast.offline_name_taken`.
   */
  async evolve(view: OfflineView, signal: AbortSignal): Promise<void> {
    const taken = [...view.entities, ...view.features].find(({ name }) => ownColumns.includes(name))
    if (taken !== undefined) {
      throw new SluiceError('sink.feast.offline_name_taken', {
        message: `view ${view.name}: the offline log has a column ${taken.name} of its own`,
      })
    }
    const layout = offlineLayout(view)
    const schema = new ParquetOut(layout.elements, layout.schemaId).finish()
    await this.#files.put(schemaFileName(view.name), schema, signal)
    this.#layouts.set(view.name, layout)
    this.#compactor?.watch(view.name)
  }

  /**
   * Merges files of the view also before its first rows: an earlier process may have ended between a merge
   * and the removal of what was merged, and rows may not come for a long time.
   */
  watch(view: string): void {
    this.#compactor?.watch(view)
  }

  /** Rows that cannot be logged, to be refused before they are written anywhere. Pure. */
  unfit(view: string, { batch, rows, deleted }: OfflineRows): readonly RowProblem[] {
    return unfitRows(this.#layoutOf(view), batch, rows, deleted)
  }

  /** Durable on return; may be called again with the same rows. */
  async append(view: string, rows: OfflineRows, signal: AbortSignal): Promise<void> {
    const layout = this.#layoutOf(view)
    const days = [...byDay(rows)]
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < days.length) {
        const [day, indexes] = days[next++]!
        await this.#appendDay(layout, rows, { day, indexes }, signal)
      }
    }
    const lanes = Array.from({ length: Math.min(writesAtOnce, days.length) }, lane)
    // All lanes end before this does: none may write on after the caller was told of a failure.
    const ends = await Promise.allSettled(lanes)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  /**
   * Every entity with values from before `offset` is deleted as of now. Durable on return; may be told
   * again. `order`: of the view.
   */
  async truncate(
    view: string,
    { offset, order }: Omit<Truncate, 'nowMs'>,
    signal: AbortSignal,
  ): Promise<void> {
    const layout = this.#layoutOf(view)
    const truncate = { offset, order, nowMs: this.#ctx.clock.nowMs() }
    for await (const { day, file, bytes } of deletionFiles(this.#files, layout, truncate, signal)) {
      await this.#files.put(dayFolder(view, day) + fileName(file), bytes, signal)
      failpoint('feast.offline.truncated')
      this.#days.added(view, day, file)
      this.#compactor?.touched(view, day)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#compactor?.[Symbol.asyncDispose]()
    await this.#files[Symbol.asyncDispose]()
  }

  async #appendDay(
    layout: OfflineLayout,
    rows: OfflineRows,
    { day, indexes }: DayRows,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = layout.view
    const before = await this.#days.of(name, day, signal)
    if (!before.some((file) => overlaps(layout, rows, file))) {
      return this.#put(layout, rows, { day, indexes }, signal)
    }
    await this.#locks.run(dayFolder(name, day), signal, async () => {
      const present = await this.#present(layout, rows, day, signal)
      const { batch, offset } = rows
      const missing = indexes.filter((index) => {
        const row = rows.rows[index]!
        return !present.has(identity(offset + row, batch.timesUs[row]!))
      })
      if (missing.length > 0) await this.#put(layout, rows, { day, indexes: missing }, signal)
    })
  }

  /** The rows that the day's files of the same offsets hold already. */
  async #present(
    layout: OfflineLayout,
    rows: OfflineRows,
    day: number,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const { name } = layout.view
    for (let look = 0; look < looksMax; look++) {
      const present = await this.#presentNow(layout, rows, day, signal)
      if (present !== null) return present
    }
    throw unsteady(`${this.url}/${dayFolder(name, day)}`)
  }

  /** null: a file went between the list and the look. */
  async #presentNow(
    layout: OfflineLayout,
    rows: OfflineRows,
    day: number,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string> | null> {
    const folder = dayFolder(layout.view.name, day)
    const present = new Set<string>()
    for (const file of await this.#days.list(layout.view.name, day, signal)) {
      if (!overlaps(layout, rows, file)) continue
      const opened = await openFile(this.#files, folder + fileName(file), signal)
      if (opened === null) return null
      const { offsets, createdUs } = await placesOf(opened.parquet)
      for (const [i, at] of offsets.entries()) present.add(identity(at, createdUs[i]!))
    }
    return present
  }

  async #put(
    layout: OfflineLayout,
    rows: OfflineRows,
    { day, indexes }: DayRows,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, topic } = layout.view
    const { batch, offset } = rows
    const offsets = Float64Array.from(indexes, (index) => offset + rows.rows[index]!)
    const createdUs = Float64Array.from(indexes, (index) => batch.timesUs[rows.rows[index]!]!)
    const file: LogFile = {
      topic: topicTag(topic),
      from: offset,
      to: offset + batch.rows,
      rows: indexes.length,
      content: contentTag(layout.schemaId, [{ offsets, createdUs }]),
    }
    const bytes = rowsFile(layout, rows, indexes)
    failpoint('feast.offline.before_put')
    await this.#files.put(dayFolder(name, day) + fileName(file), bytes, signal)
    failpoint('feast.offline.after_put')
    this.#days.added(name, day, file)
    this.#compactor?.touched(name, day)
  }

  #layoutOf(view: string): OfflineLayout {
    const layout = this.#layouts.get(view)
    if (layout === undefined) {
      throw new SluiceError('internal.bug', { message: `rows of ${view} before its columns` })
    }
    return layout
  }
}

interface DayRows {
  readonly day: number
  readonly indexes: Int32Array
}

function overlaps(layout: OfflineLayout, { batch, offset }: OfflineRows, file: LogFile): boolean {
  const end = offset + batch.rows
  return file.topic === topicTag(layout.view.topic) && file.from < end && offset < file.to
}
