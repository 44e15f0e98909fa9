/**
 * Which member comes next. Records of one topic have the same members in the same order nearly always,
 * so what stood between two values in the records before (comma, blanks, name, colon) is compared as
 * bytes, and only what differs is read as JSON. What is equal to something that was valid in such a
 * place is valid.
 */
import { hashBytes } from '../../record/dictionary.ts'
import { look } from './json-scan.ts'
import { unescaped, unescapedLength } from './json-unescape.ts'

/** A member that is no field. */
export const unknown = -1

const placesMax = 128
const patternBytesMax = 256
/** Members may be missing: so many places ahead are looked at. */
const ahead = 4
/** A full list in which this many members were not found is begun anew. */
const missesMax = 4096

/** Names of fields → index. */
export class FieldNames {
  readonly #names: readonly Uint8Array[]
  readonly #slots: Int32Array

  constructor(names: readonly string[]) {
    const encoder = new TextEncoder()
    this.#names = names.map((name) => encoder.encode(name))
    let size = 8
    while (size < names.length * 4) size *= 2
    this.#slots = new Int32Array(size).fill(-1)
    this.#names.forEach((name, index) => {
      let slot = hashBytes(name, 0, name.length) & (size - 1)
      while (this.#slots[slot]! >= 0) slot = (slot + 1) & (size - 1)
      this.#slots[slot] = index
    })
  }

  /** The field of the name between its quotes; `close` as `stringEnd` gives it: negative = with escapes. */
  find(bytes: Uint8Array, start: number, close: number): number {
    if (close > 0) return this.#find(bytes, start, close)
    const text = unescaped(bytes, start, -close)
    return text === null ? unknown : this.#find(text, 0, unescapedLength())
  }

  #find(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1
    let slot = hashBytes(bytes, start, end) & mask
    for (;;) {
      const field = this.#slots[slot]!
      if (field < 0 || sameBytes(this.#names[field]!, bytes, start, end)) return field
      slot = (slot + 1) & mask
    }
  }
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false
  return true
}

/** Bytes to compare with, four at a time; the last four may overlap those before. Never fewer than four. */
interface Pattern {
  readonly length: number
  readonly words: Int32Array
  readonly lastWord: number
}

/** The shortest is `{"":`. */
function patternOf(bytes: Uint8Array): Pattern {
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  const words = Int32Array.from({ length: length >> 2 }, (_, i) => view.getInt32(i * 4, true))
  return { length, words, lastWord: view.getInt32(length - 4, true) }
}

/** What stood before values, in the order in which the values came. */
export class Places {
  /** Per place: its field, or `unknown`. */
  readonly fields: number[] = []
  readonly patterns: Pattern[] = []
  #misses = 0

  /** The place at or soon after `place` whose pattern is at `at`; −1 = none. */
  find(bytes: Uint8Array, at: number, end: number, place: number): number {
    const { patterns } = this
    const view = look(bytes)
    const last = Math.min(patterns.length, place + ahead)
    for (let i = place; i < last; i++) {
      const { length, words, lastWord } = patterns[i]!
      if (at + length > end || view.getInt32(at + length - 4, true) !== lastWord) continue
      let same = 0
      while (same < words.length && view.getInt32(at + same * 4, true) === words[same]) same++
      if (same === words.length) return i
    }
    return -1
  }

  /** Keeps the pattern as what stands before this field's value at `place`. Not while `full`. */
  learn(place: number, field: number, pattern: Uint8Array): void {
    if (pattern.length > patternBytesMax) return
    this.patterns.splice(place, 0, patternOf(pattern))
    this.fields.splice(place, 0, field)
  }

  /** Asked once for each member that was not found: a full list that finds too little is begun anew. */
  full(): boolean {
    if (this.patterns.length < placesMax) return false
    if (++this.#misses < missesMax) return true
    this.#misses = 0
    this.patterns.length = 0
    this.fields.length = 0
    return false
  }
}
