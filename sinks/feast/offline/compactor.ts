/**
 * Puts the many small files of a day together, in the background and one day at a time: a day that has
 * too many of them, and a day that is over and has been quiet for a while.
 *
 * Safe at every step: the merged file is written whole under a name of its own, then the files whose
 * rows it holds are removed. Between the two a row is there twice, with the same offset and the same
 * times; the next merge of the day leaves one of them out. Nothing is removed whose rows are not in a
 * file that is durable.
 */
import type { FileStore } from '../../../core/connector/file-store.ts'
import { dayUs } from '../../../core/record/calendar.ts'
import { toSluiceError } from '../../../core/errors/error.ts'
import { failpoint } from '../../../core/errors/failpoint.ts'
import { listFiles, type DayFiles } from './day-files.ts'
import type { DayLocks } from './day-locks.ts'
import type { OfflineContext } from './log.ts'
import { mergeFiles } from './merge.ts'
import { dayFolder, fileName, viewFolder, type LogFile } from './names.ts'

export interface CompactionOptions {
  /** A day that has more small files than this is merged while it is still being written to. */
  readonly filesMax: number
  /** A day that is over is merged when nothing was written to it for so long. */
  readonly quietMs: number
}

interface Parts {
  readonly files: FileStore
  readonly days: DayFiles
  readonly locks: DayLocks
}

interface Day {
  readonly view: string
  readonly day: number
  /** Files written since the last merge of this process, or found by the first look. */
  files: number
  changedMs: number
}

const tickMs = 5000
/** After a merge that failed, a day is left alone for so long. */
const failurePauseMs = 60_000
/** Files of more rows are not merged again, and no merge makes larger ones. */
export const mergedRowsMax = 1_000_000

export class Compactor implements AsyncDisposable {
  readonly #parts: Parts
  readonly #options: CompactionOptions
  readonly #ctx: OfflineContext
  readonly #days = new Map<string, Day>()
  /** Views whose files were not looked at yet. */
  readonly #unseen = new Set<string>()
  readonly #seen = new Set<string>()
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null

  constructor(parts: Parts, options: CompactionOptions, ctx: OfflineContext) {
    this.#parts = parts
    this.#options = options
    this.#ctx = ctx
  }

  /** Looks once for days that an earlier process left in pieces. */
  watch(view: string): void {
    if (this.#seen.has(view)) return
    this.#unseen.add(view)
    this.#running ??= this.#run()
  }

  touched(view: string, day: number): void {
    const folder = dayFolder(view, day)
    const known = this.#days.get(folder) ?? { view, day, files: 0, changedMs: 0 }
    known.files++
    known.changedMs = this.#ctx.clock.nowMs()
    this.#days.set(folder, known)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Ends with the abort alone: what fails is said and tried again. */
  async #run(): Promise<void> {
    const { signal } = this.#stop
    const { clock } = this.#ctx
    while (!signal.aborted) {
      for (const view of this.#unseen) await this.#attempt(() => this.#look(view), view)
      const nowMs = clock.nowMs()
      for (const day of [...this.#days.values()].filter((one) => this.#isDue(one, nowMs))) {
        await this.#attempt(() => this.#merge(day), day.view, day)
      }
      await clock.sleep(tickMs, signal).catch(() => {})
    }
  }

  async #attempt(step: () => Promise<void>, view: string, day?: Day): Promise<void> {
    if (this.#stop.signal.aborted) return
    try {
      await step()
    } catch (thrown) {
      if (this.#stop.signal.aborted) return
      const { code, message } = toSluiceError(thrown)
      this.#ctx.logger.warn('offline log not merged, tried again later', { view, code, message })
      this.#ctx.metrics.count('feature_offline_merge_failures_total', 1, { sink: this.#ctx.name })
      if (day !== undefined) day.changedMs = this.#ctx.clock.nowMs() + failurePauseMs
    }
  }

  async #look(view: string): Promise<void> {
    const { signal } = this.#stop
    const counts = new Map<number, number>()
    for await (const { day } of listFiles(this.#parts.files, viewFolder(view), signal)) {
      counts.set(day, (counts.get(day) ?? 0) + 1)
    }
    for (const [day, files] of counts) {
      const folder = dayFolder(view, day)
      if (files > 1 && !this.#days.has(folder)) {
        this.#days.set(folder, { view, day, files, changedMs: 0 })
      }
    }
    this.#unseen.delete(view)
    this.#seen.add(view)
  }

  #isDue({ day, files, changedMs }: Day, nowMs: number): boolean {
    const { filesMax, quietMs } = this.#options
    if (nowMs < changedMs) return false
    const over = nowMs > ((day + 1) * dayUs) / 1000
    return files > filesMax || (over && nowMs - changedMs >= quietMs)
  }

  async #merge(entry: Day): Promise<void> {
    const { view, day } = entry
    const { signal } = this.#stop
    const { files, days, locks } = this.#parts
    const folder = dayFolder(view, day)
    this.#days.delete(folder)
    try {
      for (const group of mergeGroups(await days.list(view, day, signal))) {
        const merged = await mergeFiles(files, folder, group, signal)
        if (merged === null) continue
        failpoint('feast.offline.merged')
        const gone = merged.inputs.map((file) => folder + fileName(file))
        await locks.run(folder, signal, async () => {
          await files.remove(gone, signal)
          days.forget(view, day)
        })
        failpoint('feast.offline.removed')
        this.#ctx.logger.debug('offline log merged', { view, files: gone.length })
      }
    } catch (thrown) {
      this.#days.set(folder, this.#days.get(folder) ?? entry)
      throw thrown
    }
  }
}

/**
 * Which files of a day become one: those of a topic whose offsets overlap, since they may hold the same
 * rows, and neighbours in the order of their offsets until they have `rowsMax` rows together.
 */
export function mergeGroups(
  files: readonly LogFile[],
  rowsMax: number = mergedRowsMax,
): readonly (readonly LogFile[])[] {
  const groups: LogFile[][] = []
  let group: LogFile[] = []
  let rows = 0
  let to = -1
  for (const file of files.toSorted(byPlace)) {
    const together =
      group[0]?.topic === file.topic &&
      (file.from < to || (rows + file.rows <= rowsMax && Math.max(rows, file.rows) * 2 <= rowsMax))
    if (!together) {
      group = []
      rows = 0
      to = -1
      groups.push(group)
    }
    group.push(file)
    rows += file.rows
    to = Math.max(to, file.to)
  }
  return groups.filter(({ length }) => length > 1)
}

function byPlace(a: LogFile, b: LogFile): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.from - b.from || a.to - b.to || (a.content < b.content ? -1 : 1)
}
