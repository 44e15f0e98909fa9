/**
 * One table on its way into the log: which of its keys are in (all up to `upTo`, but for those that
 * wait), which are being read, and so what becomes of each streamed change.
 *
 *   key                           a change of it
 *   copied                        passes
 *   in a window                   is kept with the window
 *   waiting, no window reads it   is dropped: the read to come shows it
 *   beyond all windows            is dropped: the read to come shows it
 */
import { keyOfTexts, rowKey, textsOfKey } from '../../record/key.ts'
import type { Batch } from '../../record/batch.ts'
import { hasUnchanged, selectChange } from '../change-rows.ts'
import type { RowsChange } from '../source.ts'
import type { TableProgress } from './progress.ts'
import type { KeyText, SnapshotReader, SnapshotTable, WholeTable } from './reader.ts'
import { Window } from './window.ts'

/** More keys than these to be read one by one, and the table is copied anew: they travel in every position. */
export const waitingKeysMax = 500

/**
 * looking: what the table is now is being asked; absent: it is not there; anew: its topic has to be
 * emptied first; copying.
 */
export type Phase = 'looking' | 'absent' | 'anew' | 'copying'

export class TableCopy {
  readonly topic: string
  readonly #lateBytesMax: number
  phase: Phase = 'looking'
  table: SnapshotTable | null = null
  asked: string | undefined
  /** The copy begins anew whatever is known of the table. */
  wantsAnew = false
  /** All up to here is in the log; null = nothing. Of no meaning once `complete`. */
  upTo: KeyText | null
  complete: boolean
  /** By rowKey: copied keys whose rows are not in the log. */
  readonly waiting = new Map<string, KeyText>()
  /** Ranges next to each other, from `upTo` on. */
  windows: Window[] = []
  keyWindow: Window | null = null
  whole: WholeTable | null = null
  /** Where the range after the last window ends, once that is known. */
  nextEnd: { readonly upTo: KeyText | null } | null = null
  /** A look, a split or a whole read is under way. */
  isBusy = false
  /** It turned out not to be the table that was described. */
  isChanged = false
  /** Counts up when what was asked for is of no use any more. */
  version = 0
  /** How often it was changed since rows of it were handed out last. */
  failures = 0
  /** How often the chunk at the table's end was given up. */
  #tailFailures = 0
  /** How often the keys that wait were read and some of them were not known then. */
  #keyFailures = 0
  /** Handed out since the start of this process. */
  rows = 0
  /** Whether rows were handed out before, which nobody counted. */
  isResumed = false

  constructor(topic: string, progress: TableProgress | undefined, lateBytesMax: number) {
    this.topic = topic
    this.#lateBytesMax = lateBytesMax
    this.upTo = progress?.upTo ?? null
    this.complete = progress !== undefined && progress.upTo === undefined
    this.isResumed = this.upTo !== null
    this.asked = progress?.asked
    for (const key of progress?.waiting ?? []) this.waiting.set(keyOfTexts(key), key)
  }

  /** Whether there are ranges after the last window. */
  get hasMore(): boolean {
    return !this.complete && this.windows.at(-1)?.upTo !== null
  }
  allWindows(): readonly Window[] {
    return this.keyWindow === null ? this.windows : [this.keyWindow, ...this.windows]
  }

  progress(table: Pick<SnapshotTable, 'id' | 'key'>): TableProgress {
    const { id, key } = table
    return {
      id,
      key,
      ...(this.complete ? {} : { upTo: this.upTo }),
      ...(this.waiting.size === 0 ? {} : { waiting: [...this.waiting.values()] }),
      ...(this.asked === undefined ? {} : { asked: this.asked }),
    }
  }

  /** Nothing of the table is in the log (any more). */
  begin(): void {
    this.closeWindows()
    this.upTo = null
    this.complete = false
    this.waiting.clear()
    this.rows = 0
    this.isResumed = false
    this.#tailFailures = 0
  }

  /** The table was emptied, and so is its topic; returns whether that changed what is copied. */
  truncated(): boolean {
    if (this.complete) {
      const some = this.waiting.size > 0
      this.waiting.clear()
      this.keyWindow?.close()
      this.keyWindow = null
      return some
    }
    if (this.upTo === null && this.windows.length === 0) return false
    this.begin()
    return true
  }

  /** What is being read is of no use any more. */
  closeWindows(): void {
    for (const window of this.windows) window.close()
    this.keyWindow?.close()
    this.windows = []
    this.keyWindow = null
    this.nextEnd = null
    this.isBusy = false
    this.isChanged = false
    this.version++
  }

  /** What passes of the change; null = nothing. `transaction`: whether it is of one that may yet be rolled back. Only while the table is known, or all or nothing of it is copied. */
  async sort(
    change: RowsChange,
    transaction: boolean,
    reader: Pick<SnapshotReader, 'isUpTo'>,
    signal: AbortSignal,
  ): Promise<RowsChange | null> {
    const { batch } = change
    for (const window of this.windows) if (window.isOpen) window.seen = batch.schema
    if (this.keyWindow?.isOpen === true) this.keyWindow.seen = batch.schema
    if (this.phase === 'absent' || this.phase === 'anew') return null
    const ask = (rows: Int32Array, upTo: KeyText): Uint8Array | Promise<Uint8Array> =>
      reader.isUpTo(this.table!, batch, rows, upTo, signal)
    let passing: Int32Array = noRows
    let rest: Int32Array = everyRow(batch)
    if (this.complete) [passing, rest] = [rest, passing]
    else if (this.upTo !== null) [passing, rest] = parted(rest, await ask(rest, this.upTo))
    for (const window of this.windows) {
      if (rest.length === 0) break
      let inside = rest
      if (window.upTo === null) rest = noRows
      else [inside, rest] = parted(rest, await ask(rest, window.upTo))
      if (inside.length > 0 && window.isOpen) window.add(change, inside, transaction)
    }
    passing = this.#withoutWaiting(change, passing, transaction)
    return passing.length === 0 ? null : selectChange(change, passing)
  }

  /**
   * Leaves out the rows of keys that wait. A key comes to wait when a row moves to it from a key that is
   * not copied, and brings only some of its values: nobody on this side has the others.
   */
  #withoutWaiting(change: RowsChange, passing: Int32Array, transaction: boolean): Int32Array {
    const { batch, unchanged, previous } = change
    if (this.waiting.size === 0 && previous === undefined) return passing
    const passes = new Uint8Array(batch.rows)
    const late: number[] = []
    const kept: number[] = []
    for (const row of passing) {
      const from = previous?.[row] ?? -1
      const key = rowKey(batch, row)
      if (!this.waiting.has(key)) {
        if (from < 0 || passes[from] === 1 || !hasUnchanged(unchanged, row)) {
          passes[row] = 1
          kept.push(row)
          continue
        }
        this.waiting.set(key, textsOfKey(key))
      } else if (this.keyWindow?.isOpen === true && this.keyWindow.keys!.has(key)) late.push(row)
    }
    if (late.length > 0) this.keyWindow!.add(change, Int32Array.from(late), transaction)
    return kept.length === passing.length ? passing : Int32Array.from(kept)
  }

  /** The rows of this window are handed out; those of `unknown` keys are not. */
  handedOut(window: Window, unknown: readonly string[]): void {
    const { keys } = window
    if (keys === null) {
      this.windows.shift()
      this.upTo = window.upTo
      this.complete = window.upTo === null
      this.#tailFailures = 0
    } else {
      for (const key of keys) this.waiting.delete(key)
      // Of keys that change all the time the next read may not know more.
      this.#keyFailures = unknown.length === 0 ? 0 : window.failures + 1
      this.keyWindow = null
    }
    window.close()
    this.failures = 0
    for (const key of unknown) this.waiting.set(key, textsOfKey(key))
  }

  /** A window over the range after the last one. */
  addWindow(upTo: KeyText | null): Window {
    const last = this.windows.at(-1)
    const after = last === undefined ? this.upTo : last.upTo
    const window = new Window({ after, upTo }, null, this.#lateBytesMax)
    if (upTo === null) window.failures = this.#tailFailures
    this.windows.push(window)
    this.nextEnd = null
    return window
  }

  /**
   * Takes back a window to the table's end that was given up: the table has grown by more than a chunk
   * since, so that its end is asked for again.
   */
  takeBack(window: Window): void {
    if (window.keys !== null || window.upTo !== null) return
    this.#tailFailures = window.failures
    this.windows.pop()
  }

  /** A window over the keys that wait. */
  addKeyWindow(): Window {
    const window = new Window(
      { keys: [...this.waiting.values()] },
      new Set(this.waiting.keys()),
      this.#lateBytesMax,
    )
    window.failures = this.#keyFailures
    this.keyWindow = window
    return window
  }
}

const noRows = new Int32Array(0)

function everyRow({ rows }: Batch): Int32Array {
  const all = new Int32Array(rows)
  for (let row = 0; row < rows; row++) all[row] = row
  return all
}

/** The rows with a 1, and those with a 0. */
function parted(rows: Int32Array, marks: Uint8Array): [Int32Array, Int32Array] {
  const inside = new Int32Array(rows.length)
  const outside = new Int32Array(rows.length)
  let count = 0
  let others = 0
  for (let i = 0; i < rows.length; i++) {
    if (marks[i] === 1) inside[count++] = rows[i]!
    else outside[others++] = rows[i]!
  }
  return [inside.subarray(0, count), outside.subarray(0, others)]
}
