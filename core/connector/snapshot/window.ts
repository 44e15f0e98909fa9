/**
 * A chunk from the moment its read begins to the moment its rows are handed out: meanwhile the stream's
 * changes of its keys are kept aside here.
 */
import type { Schema } from '../../record/schema.ts'
import type { RowsChange } from '../source.ts'
import { LateRows } from './late-rows.ts'
import type { Chunk, ChunkRows, KeyText } from './reader.ts'

export class Window {
  readonly rows: ChunkRows
  /** Keys (rowKey) that it reads, where it reads single ones. */
  readonly keys: ReadonlySet<string> | null
  late: LateRows
  /** Whether some of what is kept is of a transaction that has not ended. */
  isInTransaction = false
  /** The schema of the topic's last streamed rows since the read began. */
  seen: Schema | null = null
  /** Set once it was read. */
  chunk: Chunk | null = null
  /** How often its rows could not be used. */
  failures = 0
  /** Its next read has to wait for a while. */
  isResting = false
  readonly #lateBytesMax: number
  #reading: AbortController | null = null

  constructor(rows: ChunkRows, keys: ReadonlySet<string> | null, lateBytesMax: number) {
    this.rows = rows
    this.keys = keys
    this.#lateBytesMax = lateBytesMax
    this.late = this.#noneLate()
  }

  #noneLate(): LateRows {
    return new LateRows(this.#lateBytesMax >> 3)
  }

  get isTooLarge(): boolean {
    return this.late.bytes > this.#lateBytesMax
  }

  /** Where the range ends; null = at the table's end. */
  get upTo(): KeyText | null {
    return 'keys' in this.rows ? null : this.rows.upTo
  }
  /** Whether its read has begun: until then the changes of its keys will be shown by it. */
  get isOpen(): boolean {
    return this.#reading !== null
  }

  /** From now on late changes are kept; returns the signal that ends the read. */
  open(): AbortSignal {
    this.#reading = new AbortController()
    return this.#reading.signal
  }

  /** Keeps these rows of a change. `transaction`: whether they are of one that may yet be rolled back. */
  add(change: RowsChange, rows: Int32Array, transaction: boolean): void {
    this.late.add(change, rows)
    this.isInTransaction ||= transaction
  }

  /** Forgets what was read and kept. */
  close(): void {
    this.#reading?.abort()
    this.#reading = null
    this.chunk = null
    this.late = this.#noneLate()
    this.isInTransaction = false
    this.seen = null
  }
}
