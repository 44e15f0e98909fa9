/**
 * The rows of dead letters, as they were kept or as somebody changed them, in the order of their
 * offsets. A letter that was closed meanwhile is passed over. A place is an index into the list of the
 * request.
 */
import type { Batch } from '../record/batch.ts'
import { runsMax, type AgainRows, type Run, type Step, type StepLimits } from './again-rows.ts'
import { batchOfKept, keptRow, letterEntry, type KeptRow } from './dead-letter-entry.ts'
import { rowBytes, type DeadLetter } from './dead-letters.ts'
import type { LetterBook, OpenLetter } from './letter-book.ts'
import { letterBlock, type LetterBlock, type LetterTopic } from './letter-trail.ts'
import type { DeliveredTopic } from './delivery-log.ts'
import { rowAt } from './replay-rows.ts'
import type { NamedLetter } from './requests.ts'

/** Finds the rows of open letters: changed by the request, kept with the letter, or in the log. */
export class LetterRows {
  readonly #letters: LetterTopic
  readonly #topic: DeliveredTopic
  readonly #edited = new Map<number, KeptRow>()
  /** The last commit of letters looked into: letters of one batch lie together. */
  #block: LetterBlock | null = null

  constructor(letters: LetterTopic, topic: DeliveredTopic, edited: Batch | null) {
    this.#letters = letters
    this.#topic = topic
    if (edited === null) return
    for (let row = 0; row < edited.rows; row++) {
      const kept = keptRow(edited, row)
      if (kept !== null) this.#edited.set(letterEntry(edited, row, 0).letter, kept)
    }
  }

  /** null when neither the letter nor the log holds the row any more. */
  async of({ letter, seq, at, offset }: OpenLetter, signal: AbortSignal): Promise<KeptRow | null> {
    const edited = this.#edited.get(letter)
    if (edited !== undefined) return edited
    if (this.#block?.seq !== seq) this.#block = await letterBlock(this.#letters, seq, null, signal)
    const { batch, base } = this.#block
    const kept = keptRow(batch, at - base)
    if (kept !== null || offset === null) return kept
    const found = await rowAt(this.#letters.log, this.#topic, offset, signal)
    if (found === null) return null
    const bytes = rowBytes(found).slice()
    const { schema, ops, weights, timesUs } = found.batch
    const [op, weight, timeUs] = [ops[found.row]!, weights[found.row]!, timesUs[found.row]!]
    return { schema, bytes, op, weight, timeUs }
  }
}

export class RetryRows implements AgainRows {
  readonly start = 0
  readonly #topic: string
  readonly #list: readonly NamedLetter[]
  readonly #book: LetterBook
  readonly #rows: LetterRows
  readonly #limits: StepLimits

  constructor(
    topic: string,
    list: readonly NamedLetter[],
    { book, rows }: { readonly book: LetterBook; readonly rows: LetterRows },
    limits: StepLimits,
  ) {
    this.#topic = topic
    this.#list = list
    this.#book = book
    this.#rows = rows
    this.#limits = limits
  }

  async read(place: number, until: number | null, signal: AbortSignal): Promise<Step | null> {
    const end = until ?? this.#list.length
    if (place >= end) return null
    const pieces = new Pieces()
    const unsendable: DeadLetter[] = []
    let skipped = 0
    let to = place
    while (to < end) {
      if (until === null && !this.#hasRoom(pieces)) break
      const [letter, offset] = this.#list[to++]!
      const open = this.#book.get(letter)
      // One that waits is sent by itself (waiting-delivery.ts), and may be on its way.
      if (open === null || open.waits !== null) {
        skipped++
        continue
      }
      const row = await this.#rows.of(open, signal)
      if (row === null) unsendable.push(this.#lost(offset))
      else pieces.add(offset, row)
    }
    return { runs: pieces.runs(), to, skipped, undecided: 0, unsendable }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Every reader is closed where it was opened.
  }

  #hasRoom({ rows, bytes, count }: Pieces): boolean {
    return rows < this.#limits.rowsMax && bytes < this.#limits.bytesMax && count <= runsMax
  }

  #lost(offset: number): DeadLetter {
    return {
      topic: this.#topic,
      offset,
      code: 'task.letter_without_row',
      message: `row ${offset} of ${this.#topic} was not kept with its letter, and the log has it no more`,
      attempts: 0,
      row: null,
    }
  }
}

/** Kept rows, gathered into runs. */
export class Pieces {
  rows = 0
  bytes = 0
  readonly #runs: { readonly from: number; readonly rows: KeptRow[] }[] = []

  get count(): number {
    return this.#runs.length
  }

  add(offset: number, row: KeptRow): void {
    const last = this.#runs.at(-1)
    this.rows++
    this.bytes += row.bytes.length + 32
    const follows = last !== undefined && offset === last.from + last.rows.length
    if (follows && last.rows[0]!.schema.id === row.schema.id) last.rows.push(row)
    else this.#runs.push({ from: offset, rows: [row] })
  }

  runs(): Run[] {
    return this.#runs.map(({ from, rows }) => ({ from, batch: batchOfKept(rows) }))
  }
}
