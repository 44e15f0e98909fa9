/** Numbers the distinct keys of a batch in the order in which they first come. Hot. */
import { hashBytes } from '../../core/record/dictionary.ts'

export class KeyTable {
  readonly #bytes: Uint8Array
  readonly #offsets: Int32Array
  /** First row of each key; −1 where the place is free. */
  readonly #places: Int32Array
  /** Number of the key at each place. */
  readonly #numbers: Int32Array
  #count = 0

  /** Key of row i is bytes[offsets[i], offsets[i + 1]). */
  constructor(bytes: Uint8Array, offsets: Int32Array) {
    this.#bytes = bytes
    this.#offsets = offsets
    let capacity = 16
    while (capacity < offsets.length * 2) capacity *= 2
    this.#places = new Int32Array(capacity).fill(-1)
    this.#numbers = new Int32Array(capacity)
  }

  /** The number of the row’s key; how many there were before where it is new. */
  numberOf(row: number): number {
    const offsets = this.#offsets
    const places = this.#places
    const mask = places.length - 1
    let place = hashBytes(this.#bytes, offsets[row]!, offsets[row + 1]!) & mask
    for (;;) {
      const first = places[place]!
      if (first < 0) {
        places[place] = row
        this.#numbers[place] = this.#count
        return this.#count++
      }
      if (this.#same(first, row)) return this.#numbers[place]!
      place = (place + 1) & mask
    }
  }

  #same(a: number, b: number): boolean {
    const bytes = this.#bytes
    let at = this.#offsets[a]!
    let to = this.#offsets[b]!
    const end = this.#offsets[a + 1]!
    if (end - at !== this.#offsets[b + 1]! - to) return false
    for (; at < end; at++, to++) if (bytes[at] !== bytes[to]) return false
    return true
  }
}
