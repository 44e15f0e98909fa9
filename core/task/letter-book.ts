/**
 * The open letters of a deliver task, by topic and offset of the row they set aside: a row that is
 * refused again goes on with its letter instead of opening another one. Rows of the letters stay in
 * the log and are read when they are needed; here is only where they are, so that memory is bounded by
 * the budget (dead-letter-budget.ts).
 */
import type { ChainHead, Commit } from '../log/types.ts'
import {
  deadLetterBatch,
  isOver,
  newLetter,
  type DeadLetter,
  type LetterRow,
  type LetterWait,
} from './dead-letters.ts'
import type { Batch } from '../record/batch.ts'
import { letterEntry, type LetterEntry } from './dead-letter-entry.ts'
import {
  letterBlocks,
  nextTrail,
  trailOf,
  type LetterTopic,
  type LetterTrail,
  type Trail,
} from './letter-trail.ts'

export interface OpenLetter {
  readonly letter: number
  readonly topic: string
  readonly offset: number | null
  readonly code: string
  readonly attempts: number
  readonly firstUs: number
  /** The commit that holds its newest row, and that row's offset in the dead-letter topic. */
  readonly seq: number
  readonly at: number
  /** null: it waits for somebody to see to it. */
  readonly waits: LetterWait | null
}

/** Told of each letter that begins to wait, waits again, or waits no more. */
export type WaitWatcher = (now: OpenLetter | null, before: OpenLetter | null) => void

/** What the index needs of a letter; the rows themselves are not read for it. */
const indexed: ReadonlySet<string> = new Set([
  'topic',
  'offset',
  'code',
  'message',
  'attempts',
  'at',
  'letter',
  'state',
  'first_at',
  'due_at',
  'lane',
  'wait_group',
])

export class LetterBook {
  readonly topic: string
  readonly #byLetter = new Map<number, OpenLetter>()
  readonly #byOffset = new Map<string, Map<number, OpenLetter>>()
  /** Rows for the next commit. */
  #pending: LetterRow[] = []
  #trail: Trail
  /** Letters of the commit under way, which have no number yet, by topic; and those of `#pending`. */
  #sealed = new Map<string, number>()
  #unnumbered = new Map<string, number>()
  /** Letters of the commit under way that wait, and those of `#pending`. */
  #waitingSealed = 0
  #waitingUnnumbered = 0
  /** Per topic the letters that wait and have a number, which the budget does not count. */
  readonly #waiting = new Map<string, number>()
  readonly #watchers = new Map<string, WaitWatcher>()

  constructor(topic: string, head: ChainHead | null) {
    this.topic = topic
    this.#trail = trailOf(head, topic)
  }

  /** The open letters of a chain, read from the newest back until all are found. */
  static async load(
    letters: LetterTopic,
    head: ChainHead | null,
    signal: AbortSignal,
  ): Promise<LetterBook> {
    const book = new LetterBook(letters.topic, head)
    for await (const found of openLetters(letters, head, indexed, signal)) {
      const { letter, topic, offset, code, attempts, firstUs, at, waits } = found.entry
      book.#put({ letter, topic, offset, code, attempts, firstUs, seq: found.seq, at, waits })
    }
    return book
  }

  /** Hears of the topic's letters that wait; one a topic. Those that wait already are told at once. */
  watch(topic: string, watcher: WaitWatcher): void {
    this.#watchers.set(topic, watcher)
    const letters = [...(this.#byOffset.get(topic)?.values() ?? [])]
    for (const letter of letters.toSorted((a, b) => (a.offset ?? 0) - (b.offset ?? 0))) {
      if (letter.waits !== null) watcher(letter, null)
    }
  }

  /** The letter of a row; null when it has none that is open. */
  at(topic: string, offset: number): OpenLetter | null {
    return this.#byOffset.get(topic)?.get(offset) ?? null
  }

  /** Open letters of a topic but for those that wait, those included that the next commit opens. */
  open(topic: string): number {
    const all = this.#byOffset.get(topic)?.size ?? 0
    const numbered = all - (this.#waiting.get(topic) ?? 0)
    return numbered + (this.#sealed.get(topic) ?? 0) + (this.#unnumbered.get(topic) ?? 0)
  }

  get(letter: number): OpenLetter | null {
    return this.#byLetter.get(letter) ?? null
  }

  /** Rows that were refused: each opens a letter, or goes on with the one that its row has already. */
  refused(letters: readonly DeadLetter[], request: string | null, nowMs: number): void {
    for (const letter of letters) {
      const known =
        letter.offset === null ? undefined : this.#byOffset.get(letter.topic)?.get(letter.offset)
      if (known === undefined) {
        if (letter.waits === undefined) {
          this.#unnumbered.set(letter.topic, (this.#unnumbered.get(letter.topic) ?? 0) + 1)
        } else this.#waitingUnnumbered++
        this.#pending.push({ ...newLetter(letter, nowMs), request })
        continue
      }
      const attempts = known.attempts + letter.attempts
      const { firstUs } = known
      const row = { ...newLetter(letter, nowMs), letter: known.letter, attempts, firstUs, request }
      this.#pending.push(row)
    }
  }

  /** A letter whose row was refused once more, for a reason that may be another. */
  refusedAgain(
    { letter, topic, offset, attempts, firstUs }: OpenLetter,
    { code, message, row }: Pick<DeadLetter, 'code' | 'message' | 'row'>,
    request: string,
    nowMs: number,
  ): void {
    const refused = { topic, offset, code, message, attempts: attempts + 1, row }
    this.#pending.push({ ...newLetter(refused, nowMs), letter, firstUs, request })
  }

  /**
   * Letters of rows [from, to) of the topic, which were taken but for those of `refused`. One that
   * waits may be on its way at this moment, and is told by what comes of that.
   */
  delivered(topic: string, from: number, to: number, refused: ReadonlySet<number>): number[] {
    const open = this.#byOffset.get(topic)
    if (open === undefined) return []
    const over: number[] = []
    // Whichever is shorter: a replay may pass over millions of rows, a topic has few open letters.
    if (open.size < to - from) {
      for (const [offset, { letter, waits }] of open)
        if (offset >= from && offset < to && waits === null && !refused.has(offset))
          over.push(letter)
    } else {
      for (let offset = from; offset < to; offset++) {
        const found = open.get(offset)
        if (found?.waits === null && !refused.has(offset)) over.push(found.letter)
      }
    }
    return over
  }

  /** Letters are over; those that are not open any more do not matter. Returns how many were. */
  close(
    letters: readonly number[],
    state: 'retried' | 'dropped',
    request: string,
    nowMs: number,
  ): number {
    let closed = 0
    for (const letter of letters) {
      const open = this.#byLetter.get(letter)
      if (open === undefined) continue
      closed++
      this.#remove(open)
      const { topic, offset, code, attempts, firstUs } = open
      const message = ''
      const row = { topic, offset, code, message, attempts, row: null, letter, state, firstUs }
      this.#pending.push({ ...row, atUs: nowMs * 1000, request })
    }
    return closed
  }

  /** What the next commit, `seq`, has to hold; null when nothing happened. */
  seal(seq: number): { readonly batch: Batch; readonly rows: readonly LetterRow[] } | null {
    if (this.#pending.length === 0) return null
    const rows = this.#pending
    this.#pending = []
    this.#sealed = this.#unnumbered
    this.#unnumbered = new Map()
    this.#waitingSealed = this.#waitingUnnumbered
    this.#waitingUnnumbered = 0
    this.#trail = nextTrail(this.#trail, seq)
    return { batch: deadLetterBatch(rows), rows }
  }

  /** As it stands in the notes; undefined while there never was a letter. */
  get trail(): LetterTrail | undefined {
    const { last, unlinked } = this.#trail
    if (last === 0 && unlinked === 0) return undefined
    let open = this.#byLetter.size + this.#waitingSealed
    for (const count of this.#sealed.values()) open += count
    return { ...this.#trail, open }
  }

  /** The commit with those rows is written. */
  committed(commit: Commit, rows: readonly LetterRow[]): void {
    const base = commit.blocks.find((block) => block.topic === this.topic)?.baseOffset ?? 0
    this.#sealed = new Map()
    this.#waitingSealed = 0
    rows.forEach((row, i) => {
      // One that was closed since has its row in the next commit.
      if (isOver(row.state) || (row.letter !== null && !this.#byLetter.has(row.letter))) return
      const { topic, offset, code, attempts, firstUs } = row
      const at = base + i
      const letter = row.letter ?? at
      const waits = row.waits ?? null
      this.#put({ letter, topic, offset, code, attempts, firstUs, seq: commit.seq, at, waits })
    })
  }

  #put(letter: OpenLetter): void {
    this.#countWaiting(letter, this.#byLetter.get(letter.letter) ?? null)
    this.#byLetter.set(letter.letter, letter)
    const offsets = this.#byOffset.get(letter.topic) ?? new Map<number, OpenLetter>()
    this.#byOffset.set(letter.topic, offsets)
    // A row that has no offset is told apart by its letter, which no offset of a row can equal here.
    offsets.set(letter.offset ?? -1 - letter.letter, letter)
  }

  #remove(letter: OpenLetter): void {
    this.#countWaiting(null, letter)
    this.#byLetter.delete(letter.letter)
    this.#byOffset.get(letter.topic)?.delete(letter.offset ?? -1 - letter.letter)
  }

  #countWaiting(now: OpenLetter | null, before: OpenLetter | null): void {
    const topic = now?.topic ?? before?.topic ?? ''
    const was = before?.waits != null
    const is = now?.waits != null
    if (!was && !is) return
    this.#waiting.set(topic, (this.#waiting.get(topic) ?? 0) + Number(is) - Number(was))
    this.#watchers.get(topic)?.(is ? now : null, was ? before : null)
  }
}

/** The newest row of each letter that is open, the newest letter first. */
export async function* openLetters(
  letters: LetterTopic,
  head: ChainHead | null,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): AsyncGenerator<{
  readonly entry: LetterEntry
  readonly seq: number
  readonly batch: Batch
  readonly row: number
}> {
  let left = trailOf(head, letters.topic).open ?? Infinity
  if (left === 0) return
  const seen = new Set<number>()
  for await (const { seq, base, batch } of letterBlocks(letters, head, wanted, signal)) {
    for (let row = batch.rows - 1; row >= 0; row--) {
      const entry = letterEntry(batch, row, base)
      if (seen.has(entry.letter)) continue
      seen.add(entry.letter)
      if (isOver(entry.state)) continue
      yield { entry, seq, batch, row }
      if (--left === 0) return
    }
  }
}
