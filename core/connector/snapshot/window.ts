/**
 * A chunk from the moment its read begins to the moment its rows are handed out: meanwhile the stream's
 * changes of its keys are kept aside here.
 */
import type { Schema } from '../../record/schema.ts'
import { LateRows } from './late-rows.ts'
import type { Chunk, ChunkRows, KeyText } from './reader.ts'

export class Window {
  readonly rows: ChunkRows
  /** Keys (rowKey) that it reads, where it reads single ones. */
  readonly keys: ReadonlySet<string> | null
  late = new LateRows()
  /** The schema of the topic's last streamed rows since the read began. */
  seen: Schema | null = null
  /** Set once it was read. */
  chunk: Chunk | null = null
  /** How often its rows could not be used. */
  failures = 0
  /** Its next read has to wait for a while. */
  isResting = false
  #reading: AbortController | null = null

  constructor(rows: ChunkRows, keys: ReadonlySet<string> | null) {
    this.rows = rows
    this.keys = keys
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

  /** Forgets what was read and kept. */
  close(): void {
    this.#reading?.abort()
    this.#reading = null
    this.chunk = null
    this.late = new LateRows()
    this.seen = null
  }
}
