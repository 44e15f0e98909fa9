/**
 * A hash table from keys (doubles, see key-codec.ts) to slots: small integers that index the columns
 * of state. Open addressing, linear probing, deletion by shifting back. A freed slot is given out
 * again lowest first, so that which slots are in use depends only on what is in the table.
 */
export type Locate = (...keys: number[]) => number

const firstCapacity = 64

export class SlotTable {
  readonly keys: Float64Array[]
  /** Slots that may be in use: all below this. */
  high = 0
  live = 0
  capacity = firstCapacity
  mask = firstCapacity * 2 - 1
  index = new Int32Array(firstCapacity * 2).fill(-1)
  hashes = new Int32Array(firstCapacity)
  used = new Uint8Array(firstCapacity)
  /** Slot of these keys, −1 when there is none. */
  readonly find: Locate
  readonly #locate: Locate
  readonly #grown: (capacity: number) => void
  #lowestFree = 0

  /** `grown` is told when slots beyond the capacity came, so that state columns grow as well. */
  constructor(keyCount: number, grown: (capacity: number) => void) {
    this.keys = Array.from({ length: keyCount }, () => new Float64Array(firstCapacity))
    this.#grown = grown
    this.find = findCode(keyCount)(this)
    this.#locate = locateCode(keyCount)(this)
  }

  /** Slot of these keys, made when there is none. */
  get locate(): Locate {
    return this.#locate
  }

  get bytes(): number {
    return this.index.byteLength + this.capacity * (5 + this.keys.length * 8)
  }

  /** Takes a slot for keys that are not in the table; `place` is the empty place of the index. */
  insert(place: number, hash: number): number {
    while (this.#lowestFree < this.high && this.used[this.#lowestFree] === 1) this.#lowestFree++
    const slot = this.#lowestFree
    if (slot === this.capacity) {
      this.#grow()
      place = this.#emptyPlace(hash)
    }
    this.used[slot] = 1
    this.hashes[slot] = hash
    this.index[place] = slot
    this.#lowestFree = slot + 1
    if (slot >= this.high) this.high = slot + 1
    this.live++
    return slot
  }

  /** Puts keys into a slot of the caller's choice, which must be free: how a stored state comes back. */
  occupy(slot: number, keys: readonly number[]): void {
    while (slot >= this.capacity) this.#grow()
    const hash = hashOf(keys)
    keys.forEach((key, i) => {
      this.keys[i]![slot] = key
    })
    this.used[slot] = 1
    this.hashes[slot] = hash
    this.index[this.#emptyPlace(hash)] = slot
    if (slot >= this.high) this.high = slot + 1
    this.live++
  }

  remove(slot: number): void {
    const { index, mask, hashes } = this
    let place = hashes[slot]! & mask
    while (index[place] !== slot) place = (place + 1) & mask
    let next = (place + 1) & mask
    for (;;) {
      const moved = index[next]!
      if (moved < 0) break
      const home = hashes[moved]! & mask
      // The entry may move back only when the hole lies between its home and where it is.
      if (((next - home) & mask) >= ((next - place) & mask)) {
        index[place] = moved
        place = next
      }
      next = (next + 1) & mask
    }
    index[place] = -1
    this.used[slot] = 0
    this.live--
    if (slot < this.#lowestFree) this.#lowestFree = slot
    while (this.high > 0 && this.used[this.high - 1] === 0) this.high--
  }

  /** Builds the index anew from the keys, after they were given other codes. */
  rehash(): void {
    this.index.fill(-1)
    for (let slot = 0; slot < this.high; slot++) {
      if (this.used[slot] === 0) continue
      const hash = hashOf(this.keys.map((column) => column[slot]!))
      this.hashes[slot] = hash
      this.index[this.#emptyPlace(hash)] = slot
    }
  }

  #emptyPlace(hash: number): number {
    let place = hash & this.mask
    while (this.index[place]! >= 0) place = (place + 1) & this.mask
    return place
  }

  #grow(): void {
    const capacity = this.capacity * 2
    this.keys.forEach((column, i) => {
      this.keys[i] = grownDoubles(column, capacity)
    })
    const hashes = new Int32Array(capacity)
    hashes.set(this.hashes)
    const used = new Uint8Array(capacity)
    used.set(this.used)
    this.hashes = hashes
    this.used = used
    this.capacity = capacity
    this.mask = capacity * 2 - 1
    this.index = new Int32Array(capacity * 2).fill(-1)
    for (let slot = 0; slot < this.high; slot++) {
      if (used[slot] === 1) this.index[this.#emptyPlace(hashes[slot]!)] = slot
    }
    this.#grown(capacity)
  }
}

/** The same as the generated code below computes. */
function hashOf(keys: readonly number[]): number {
  let hash = 0
  for (const key of keys) {
    const high = Math.imul((key * 2.3283064365386963e-10) | 0, -1640531535)
    hash = Math.imul(hash ^ (key | 0) ^ high, -2048144789)
    hash ^= hash >>> 15
  }
  return hash
}

export function grownDoubles(column: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(capacity)
  grown.set(column)
  return grown
}

/** The probe is generated per number of keys, so that no arguments array is made per row. */
type Maker = (table: SlotTable) => Locate
const makers = new Map<string, Maker>()

function findCode(keys: number): Maker {
  return maker(keys, 'if (s < 0) return -1')
}
function locateCode(keys: number): Maker {
  const store = Array.from({ length: keys }, (_, i) => `t.keys[${i}][s] = k${i}`).join('; ')
  return maker(keys, `if (s < 0) { s = t.insert(p, h); ${store}; return s }`)
}
function maker(keys: number, missing: string): Maker {
  const id = `${keys} ${missing}`
  const known = makers.get(id)
  if (known !== undefined) return known
  const names = Array.from({ length: keys }, (_, i) => `k${i}`)
  const hash = names.map(
    (k) =>
      `h = Math.imul(h ^ (${k} | 0) ^ Math.imul((${k} * 2.3283064365386963e-10) | 0, -1640531535), -2048144789); h ^= h >>> 15`,
  )
  const same = names.map((k, i) => `a${i}[s] === ${k}`).join(' && ')
  const code = `return function(${names.join(', ')}) {
    let h = 0
    ${hash.join('\n')}
    const mask = t.mask, index = t.index
    ${names.map((_, i) => `const a${i} = t.keys[${i}]`).join('\n')}
    let p = h & mask, s = 0
    for (;;) {
      s = index[p]
      ${missing}
      if (${same === '' ? 'true' : same}) return s
      p = (p + 1) & mask
    }
  }`
  // eslint-disable-next-line typescript/no-implied-eval -- generated from a count alone
  const made = new Function('t', code) as Maker
  makers.set(id, made)
  return made
}
