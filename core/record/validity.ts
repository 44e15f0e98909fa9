import { allSet, bitAt, clearBit, setBit } from './bitmap.ts'
import type { Column } from './column.ts'

export interface ColumnBuilder {
  /** Rows so far. */
  readonly length: number
  /** About the bytes held so far. */
  readonly byteLength: number
  appendNull(): void
  /** Whether the row, one of those so far, is null. */
  isNullAt(row: number): boolean
  /**
   * Takes back the rows from `length` on, and whatever was begun after them: as if they had never been
   * appended, down to the encoding of the column. `length` is at most the rows so far.
   */
  rewind(length: number): void
  finish(): Column
}

/** Keeps the validity bitmap; allocated at the first null, because most columns have none. */
export class Validity {
  #bits: Uint8Array | null = null
  setNull(row: number): void {
    // Whole bytes of ones: rows past this one, which have not come yet, have values.
    this.#bits ??= new Uint8Array(Math.max(64, row + 1)).fill(0xff)
    if (row >= this.#bits.length * 8) {
      const grown = new Uint8Array(Math.max(this.#bits.length * 2, (row >> 3) + 1)).fill(0xff)
      grown.set(this.#bits)
      this.#bits = grown
    }
    clearBit(this.#bits, row)
  }
  isNull(row: number): boolean {
    return this.#bits !== null && row < this.#bits.length * 8 && !bitAt(this.#bits, row)
  }
  /** Rows [from, to) have not come yet. */
  rewind(from: number, to: number): void {
    if (this.#bits === null) return
    const end = Math.min(to, this.#bits.length * 8)
    for (let row = from; row < end; row++) setBit(this.#bits, row)
  }
  /** The bitmap of exactly `rows` rows, and forgets it. */
  take(rows: number): Uint8Array | null {
    const bits = this.#bits
    this.#bits = null
    if (bits === null) return null
    const out = allSet(rows)
    let nulls = false
    for (let i = 0; i < out.length && i < bits.length; i++) {
      const all = out[i]!
      out[i] = all & bits[i]!
      nulls ||= out[i] !== all
    }
    // None: the rows that were null were taken back.
    return nulls ? out : null
  }
}
