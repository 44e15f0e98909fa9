/**
 * How many rows of a table make a chunk of so many bytes: as many as the rows read before suggest. What
 * a database guesses of a row leaves out much of it (large values lie elsewhere), and rows of one part of
 * a table may be larger than those of another; so a chunk that comes out far too large is given up.
 */
import { SnapshotTableChanged } from './reader.ts'

/** Before a chunk was measured, the database's guess of a row's size is not trusted further than this. */
const firstChunkRowsMax = 2000
const chunkRowsMax = 250_000
/** A chunk that comes to so many times its size is given up. */
const oversizeFactor = 16

export interface Size {
  readonly rows: number
  readonly bytes: number
}

export class ChunkSizes {
  readonly #chunkBytes: number
  /** By topic: bytes of a row, measured. */
  readonly #rowBytes = new Map<string, number>()

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes
  }

  /** Rows of the topic's next chunk. `guessedBytes`: of a row, by the database. */
  rows(topic: string, guessedBytes: number): number {
    const measured = this.#rowBytes.get(topic)
    const rows = Math.ceil(this.#chunkBytes / Math.max(measured ?? guessedBytes, 1))
    return Math.min(rows, measured === undefined ? firstChunkRowsMax : chunkRowsMax)
  }

  /** A chunk of large rows makes the next ones shorter at once; one of small rows makes them longer by and by. */
  measure(topic: string, { rows, bytes }: Size): void {
    if (rows === 0) return
    const before = this.#rowBytes.get(topic) ?? 0
    this.#rowBytes.set(topic, Math.max(bytes / rows, before / 2))
  }

  /**
   * Throws SnapshotTableChanged when what was read of a chunk until now is too much: where it ends is
   * settled before it is read, so that the table has to be described and divided again.
   */
  check(topic: string, { rows, bytes }: Size): void {
    if (bytes <= oversizeFactor * this.#chunkBytes) return
    if (bytes / rows <= 2 * (this.#rowBytes.get(topic) ?? 0)) return
    this.#rowBytes.set(topic, bytes / rows)
    throw new SnapshotTableChanged(topic)
  }
}
