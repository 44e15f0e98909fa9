import { allSet, clearBit } from './bitmap.ts'
import type { Column } from './column.ts'

export interface ColumnBuilder {
  /** Rows so far. */
  readonly length: number
  /** About the bytes held so far. */
  readonly byteLength: number
  appendNull(): void
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
  /** The bitmap of exactly `rows` rows, and forgets it. */
  take(rows: number): Uint8Array | null {
    const bits = this.#bits
    this.#bits = null
    if (bits === null) return null
    const out = allSet(rows)
    for (let i = 0; i < out.length && i < bits.length; i++) out[i]! &= bits[i]!
    return out
  }
}
