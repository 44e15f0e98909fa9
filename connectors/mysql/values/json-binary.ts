/**
 * MySQL's binary JSON → its text, byte for byte as the server prints the column: ", " and ": " between
 * members, its own order of keys, its own digits of doubles. Straight from bytes to bytes.
 *
 *   document = type value                            nothing at all = null
 *   type     = 0 small object, 1 large object, 2 small array, 3 large array, 4 literal, 5 int16,
 *              6 uint16, 7 int32, 8 uint32, 9 int64, 10 uint64, 11 double, 12 string, 15 opaque
 *   object   = count size { key-offset key-length } { type offset-or-value } keys values
 *   array    = count size { type offset-or-value } values
 *   string   = length bytes        length: 7 bits a byte, low ones first, high bit = more follow
 *   opaque   = field-type length bytes
 *
 * count, size and offsets (from count on) have 2 bytes in small containers, 4 in large ones; literals
 * and integers that fit stand in the place of their offset. sql-common/json_binary.h (MySQL 9.7).
 */
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { JsonWriter } from './json-writer.ts'
import { badImage } from './values.ts'

/** json_syntax_check.cc: JSON_DOCUMENT_MAX_DEPTH; no server stores more. */
const depthMax = 100

const smallObject = 0
const largeObject = 1
const smallArray = 2
const largeArray = 3
const literal = 4
const int16 = 5
const uint16 = 6
const int32 = 7
const uint32 = 8
const int64 = 9
const uint64 = 10
const double = 11
const string = 12
const opaque = 15

export class JsonText {
  readonly #out = new JsonWriter()
  #source: Uint8Array = new Uint8Array(0)
  /**
   * Bytes that may still be visited. Every byte of a document belongs to one value, so a broken one
   * whose offsets lead to the same bytes again and again runs out of them.
   */
  #budget = 0

  /** Appends the text of the document source[start, end) as one value. Throws `source.mysql.protocol`. */
  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    this.#write(source, start, end)
    into.append(this.#out.bytes, 0, this.#out.length)
  }

  /** The text of a document, as bytes of its own. */
  text(source: Uint8Array, start: number, end: number): Uint8Array {
    this.#write(source, start, end)
    return this.#out.bytes.slice(0, this.#out.length)
  }

  #write(source: Uint8Array, start: number, end: number): void {
    this.#source = source
    this.#budget = end - start
    this.#out.length = 0
    if (start === end) this.#out.ascii('null')
    else this.#value(source[start]!, start + 1, end, 0)
  }

  /** The value of `type` whose bytes begin at `at` and end by `end`. */
  #value(type: number, at: number, end: number, depth: number): void {
    const source = this.#source
    switch (type) {
      case smallObject:
      case largeObject:
        return this.#object(at, end, type === largeObject, depth + 1)
      case smallArray:
      case largeArray:
        return this.#array(at, end, type === largeArray, depth + 1)
      case literal:
        this.#spend(at, 1, end)
        return this.#literal(source[at]!)
      case int16:
      case uint16:
        this.#spend(at, 2, end)
        return this.#out.integer(this.#small(type, at))
      case int32:
      case uint32: {
        this.#spend(at, 4, end)
        const value = this.#uint(at, 4)
        return this.#out.integer(type === int32 ? value | 0 : value)
      }
      case int64:
      case uint64:
        this.#spend(at, 8, end)
        return this.#out.wideInteger(this.#uint(at, 4), this.#uint(at + 4, 4), type === int64)
      case double:
        this.#spend(at, 8, end)
        return this.#out.doubleAt(source, at)
      case string: {
        const start = this.#sized(at, end)
        return this.#out.string(source, start, start + this.#length)
      }
      case opaque: {
        if (at >= end) throw badImage('JSON document')
        const start = this.#sized(at + 1, end)
        return this.#out.opaque(source[at]!, source, start, start + this.#length)
      }
      default:
        throw badImage('JSON document')
    }
  }

  #object(at: number, end: number, large: boolean, depth: number): void {
    const width = large ? 4 : 2
    const count = this.#header(at, end, width, depth)
    const size = this.#uint(at + width, width)
    const keyBytes = width + 2
    const valueBytes = width + 1
    const limit = at + size
    const keys = at + 2 * width
    const values = keys + count * keyBytes
    if (size > end - at || values + count * valueBytes > limit) throw badImage('JSON document')
    this.#budget -= count * (keyBytes + valueBytes)
    this.#out.byte(0x7b)
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#out.comma()
      const entry = keys + i * keyBytes
      const key = at + this.#uint(entry, width)
      const length = this.#uint(entry + width, 2)
      this.#spend(key, length, limit)
      this.#out.string(this.#source, key, key + length)
      this.#out.colon()
      this.#entry(at, values + i * valueBytes, limit, large, depth)
    }
    this.#out.byte(0x7d)
  }

  #array(at: number, end: number, large: boolean, depth: number): void {
    const width = large ? 4 : 2
    const count = this.#header(at, end, width, depth)
    const size = this.#uint(at + width, width)
    const valueBytes = width + 1
    const limit = at + size
    const values = at + 2 * width
    if (size > end - at || values + count * valueBytes > limit) throw badImage('JSON document')
    this.#budget -= count * valueBytes
    this.#out.byte(0x5b)
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#out.comma()
      this.#entry(at, values + i * valueBytes, limit, large, depth)
    }
    this.#out.byte(0x5d)
  }

  /** Members of the container at `at`, whose header fits. */
  #header(at: number, end: number, width: number, depth: number): number {
    if (depth > depthMax) throw badImage('JSON document')
    this.#spend(at, 2 * width, end)
    return this.#uint(at, width)
  }

  /** A value entry: the value itself where it is small, else where it lies in its container. */
  #entry(container: number, entry: number, limit: number, large: boolean, depth: number): void {
    const type = this.#source[entry]!
    if (type === literal) return this.#literal(this.#source[entry + 1]!)
    if (type === int16 || type === uint16) return this.#out.integer(this.#small(type, entry + 1))
    if (large && (type === int32 || type === uint32)) {
      const value = this.#uint(entry + 1, 4)
      return this.#out.integer(type === int32 ? value | 0 : value)
    }
    const offset = this.#uint(entry + 1, large ? 4 : 2)
    this.#value(type, container + offset, limit, depth)
  }

  #literal(value: number): void {
    if (value > 2) throw badImage('JSON document')
    this.#out.ascii(value === 0 ? 'null' : value === 1 ? 'true' : 'false')
  }

  #small(type: number, at: number): number {
    const value = this.#uint(at, 2)
    return type === int16 ? (value << 16) >> 16 : value
  }

  #uint(at: number, bytes: number): number {
    const source = this.#source
    const low = source[at]! | (source[at + 1]! << 8)
    if (bytes === 2) return low
    return low + source[at + 2]! * 0x1_0000 + source[at + 3]! * 0x100_0000
  }

  /** Takes the bytes [at, at + bytes), which must lie before `end`, from the budget. */
  #spend(at: number, bytes: number, end: number): void {
    this.#budget -= bytes
    if (at + bytes > end || this.#budget < 0) throw badImage('JSON document')
  }

  /** What `#sized` read last. */
  #length = 0

  /** Reads a length and returns where its bytes begin; they all lie before `end`. */
  #sized(at: number, end: number): number {
    let length = 0
    let unit = 1
    let from = at
    for (; ; from++) {
      if (from >= end || from - at > 4) throw badImage('JSON document')
      const byte = this.#source[from]!
      length += (byte & 0x7f) * unit
      unit *= 128
      if (byte < 0x80) break
    }
    this.#spend(from + 1, length, end)
    this.#length = length
    return from + 1
  }
}
