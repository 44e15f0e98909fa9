/**
 * Which files each day of a view has: listed when a day is first written to, remembered while it is
 * being written to, for so many days.
 */
import type { FileStore } from '../../../core/connector/file-store.ts'
import { dayFolder, parsePath, type LogFile } from './names.ts'

const daysMax = 4096
const pageSize = 1000

export class DayFiles {
  readonly #files: FileStore
  /** In the order of last use. */
  readonly #days = new Map<string, LogFile[]>()

  constructor(files: FileStore) {
    this.#files = files
  }

  async of(view: string, day: number, signal: AbortSignal): Promise<readonly LogFile[]> {
    const folder = dayFolder(view, day)
    const known = this.#days.get(folder) ?? (await this.list(view, day, signal))
    this.#days.delete(folder)
    this.#days.set(folder, [...known])
    for (const oldest of this.#days.keys()) {
      if (this.#days.size <= daysMax) break
      this.#days.delete(oldest)
    }
    return known
  }

  /** As the store has them now. */
  async list(view: string, day: number, signal: AbortSignal): Promise<LogFile[]> {
    const found: LogFile[] = []
    for await (const { file } of listFiles(this.#files, dayFolder(view, day), signal)) {
      found.push(file)
    }
    return found
  }

  added(view: string, day: number, file: LogFile): void {
    this.#days.get(dayFolder(view, day))?.push(file)
  }

  forget(view: string, day: number): void {
    this.#days.delete(dayFolder(view, day))
  }
}

export interface Listed {
  readonly path: string
  readonly day: number
  readonly file: LogFile
}

/** Files of rows whose names begin with `prefix`. */
export async function* listFiles(
  files: FileStore,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Listed> {
  let after: string | null = null
  for (;;) {
    const page: readonly string[] = await files.list(
      prefix,
      after === null ? { limit: pageSize } : { after, limit: pageSize },
      signal,
    )
    for (const path of page) {
      const parsed = parsePath(path)
      if (parsed !== null) yield { path, ...parsed }
    }
    if (page.length < pageSize) return
    after = page.at(-1)!
  }
}
