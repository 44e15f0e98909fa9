/**
 * KeyWindow: the idempotency keys of the last hours, as hashes of 128 bits in typed arrays: about 36 bytes
 * a key, no object, nothing for the garbage collector to walk through.
 *
 * Keys stand in a ring in the order they came; a table with linear probing finds them. A key leaves when it
 * is older than the window, or, when `keysMax` are there, to make room for a newer one (`forgotten`).
 */
const slotEmpty = -1
const capacityMin = 1024

export class KeyWindow {
  /** Keys that left before their time, because there was no room. */
  forgotten = 0
  readonly #windowMs: number
  readonly #keysMax: number
  #capacity = capacityMin
  /** Per place in the ring: four words of the hash, and when it came. */
  #words = new Uint32Array(capacityMin * 4)
  #timesMs = new Float64Array(capacityMin)
  #first = 0
  #count = 0
  /** Places in the ring; at most half full, so that a search ends soon. */
  #table = new Int32Array(capacityMin * 2).fill(slotEmpty)

  constructor(windowMs: number, keysMax: number) {
    this.#windowMs = windowMs
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#count
  }

  /** Whether the key, 16 bytes, came within the window before `nowMs`. */
  has(key: Uint8Array, nowMs: number): boolean {
    const slot = this.#find(key)
    if (slot < 0) return false
    return this.#timesMs[this.#table[slot]!]! > nowMs - this.#windowMs
  }

  /** Times only grow, or nearly: a key that is there keeps the time it has. */
  add(key: Uint8Array, timeMs: number): void {
    this.#expire(timeMs)
    if (this.#find(key) >= 0) return
    if (this.#count === this.#capacity) this.#grow()
    if (this.#count === this.#keysMax) {
      this.#dropFirst()
      this.forgotten++
    }
    const place = (this.#first + this.#count++) & (this.#capacity - 1)
    for (let i = 0; i < 4; i++) this.#words[place * 4 + i] = wordOf(key, i)
    this.#timesMs[place] = timeMs
    this.#insert(place)
  }

  #expire(nowMs: number): void {
    const oldest = nowMs - this.#windowMs
    while (this.#count > 0 && this.#timesMs[this.#first]! <= oldest) this.#dropFirst()
  }

  /** Slot in the table, or −1. */
  #find(key: Uint8Array): number {
    const table = this.#table
    const mask = table.length - 1
    const [a, b, c, d] = [wordOf(key, 0), wordOf(key, 1), wordOf(key, 2), wordOf(key, 3)]
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const place = table[slot]!
      if (place === slotEmpty) return -1
      const at = place * 4
      const words = this.#words
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) {
        return slot
      }
    }
  }

  #insert(place: number): void {
    const mask = this.#table.length - 1
    let slot = this.#words[place * 4]! & mask
    while (this.#table[slot] !== slotEmpty) slot = (slot + 1) & mask
    this.#table[slot] = place
  }

  #dropFirst(): void {
    const mask = this.#table.length - 1
    const table = this.#table
    let slot = this.#words[this.#first * 4]! & mask
    while (table[slot] !== this.#first) slot = (slot + 1) & mask
    // Those after it move up, so that no search ends at the gap: no marks of what was deleted pile up.
    for (let next = (slot + 1) & mask; table[next] !== slotEmpty; next = (next + 1) & mask) {
      const home = this.#words[table[next]! * 4]! & mask
      if (((next - home) & mask) < ((next - slot) & mask)) continue
      table[slot] = table[next]!
      slot = next
    }
    table[slot] = slotEmpty
    this.#first = (this.#first + 1) & (this.#capacity - 1)
    this.#count--
  }

  #grow(): void {
    if (this.#capacity >= this.#keysMax) return
    const capacity = this.#capacity * 2
    const words = new Uint32Array(capacity * 4)
    const timesMs = new Float64Array(capacity)
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#first + i) & (this.#capacity - 1)
      words.set(this.#words.subarray(from * 4, from * 4 + 4), i * 4)
      timesMs[i] = this.#timesMs[from]!
    }
    this.#capacity = capacity
    this.#words = words
    this.#timesMs = timesMs
    this.#first = 0
    this.#table = new Int32Array(capacity * 2).fill(slotEmpty)
    for (let i = 0; i < this.#count; i++) this.#insert(i)
  }
}

function wordOf(key: Uint8Array, index: number): number {
  const at = index * 4
  return (key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)) >>> 0
}
