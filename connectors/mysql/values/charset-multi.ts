/**
 * Character sets of several bytes a character, by the tables of charset-tables.ts.
 *
 *   gbk, gb2312, big5, euckr   single byte | lead trail
 *   sjis, cp932                single byte (0xa1 … 0xdf: half-width katakana) | lead trail
 *   ujis, eucjpms              single byte | 0x8e katakana | 0x8f lead trail | lead trail
 *   gb18030                    single byte | lead trail | lead digit lead digit, digit 0x30 … 0x39
 */
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { badCharacters, writeUtf8 } from './charset-utf8.ts'

const shiftToKatakana = 0x8e
const shiftToThird = 0x8f
/** U+FF61, the first half-width katakana, is the byte 0xa1. */
const katakanaFrom = 0xff61 - 0xa1

export class MultiByteDecoder {
  readonly #name: string
  readonly #single: Uint16Array
  readonly #double: Uint16Array
  /** After 0x8f; null in sets without three bytes. */
  readonly #triple: Uint16Array | null

  constructor(name: string, single: Uint16Array, double: Uint16Array, triple: Uint16Array | null) {
    this.#name = name
    this.#single = single
    this.#double = double
    this.#triple = triple
  }

  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    const first = into.reserve((end - start) * 3)
    const target = into.bytes
    let to = first
    let at = start
    while (at < end) {
      const byte = source[at]!
      if (byte < 0x80 && this.#single[byte] === byte) {
        target[to++] = byte
        at++
        continue
      }
      const bytes = this.#charBytes(byte)
      if (at + bytes > end) throw badCharacters(this.#name)
      const code = this.#code(source, at, bytes)
      if (code === 0) throw badCharacters(this.#name)
      to = writeUtf8(target, to, code)
      at += bytes
    }
    into.commit(to - first)
  }

  #charBytes(byte: number): number {
    if (this.#single[byte] !== 0) return 1
    return byte === shiftToThird && this.#triple !== null ? 3 : 2
  }

  #code(source: Uint8Array, at: number, bytes: number): number {
    const byte = source[at]!
    if (bytes === 1) return this.#single[byte]!
    if (bytes === 3) return this.#triple![(source[at + 1]! << 8) | source[at + 2]!]!
    const trail = source[at + 1]!
    if (byte === shiftToKatakana && this.#triple !== null) {
      return trail >= 0xa1 && trail <= 0xdf ? katakanaFrom + trail : 0
    }
    return this.#double[(byte << 8) | trail]!
  }
}

/** Four-byte characters of the basic plane: 0x81308130 … 0x8431a439 by number. */
const fourByteBmp = 39_420
/** 0xa8bc and 0x8135f437. */
const movedToTwoBytes = 0x1e3f
const movedToFourBytes = 0xe7c7
/** Number of 0x90308130, which is U+10000. */
const fourByteAstral = 189_000

/**
 * gb18030: what two bytes do not have, four bytes number through: first the rest of the basic plane in
 * order, then all planes above it.
 */
export class Gb18030Decoder {
  readonly #single: Uint16Array
  readonly #double: Uint16Array
  /** Code points of the four-byte characters of the basic plane, by number. */
  readonly #fourByte = new Uint16Array(fourByteBmp)

  constructor(single: Uint16Array, double: Uint16Array) {
    this.#single = single
    this.#double = double
    const taken = new Uint8Array(0x10000)
    for (const code of double) taken[code] = 1
    // The standard of 2005 exchanged these two: the one moved to two bytes and left its number to the other.
    taken[movedToTwoBytes] = 0
    taken[movedToFourBytes] = 1
    let number = 0
    for (let code = 0x80; code <= 0xffff && number < fourByteBmp; code++) {
      if (taken[code] !== 0 || (code >= 0xd800 && code <= 0xdfff)) continue
      this.#fourByte[number++] = code === movedToTwoBytes ? movedToFourBytes : code
    }
  }

  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    const first = into.reserve((end - start) * 3)
    const target = into.bytes
    let to = first
    let at = start
    while (at < end) {
      const byte = source[at]!
      if (byte < 0x80) {
        target[to++] = this.#single[byte]!
        at++
        continue
      }
      const trail = at + 1 < end ? source[at + 1]! : 0
      const isFour = trail >= 0x30 && trail <= 0x39
      const code = isFour ? this.#four(source, at, end) : this.#double[(byte << 8) | trail]!
      if (code === 0) throw badCharacters('gb18030')
      to = writeUtf8(target, to, code)
      at += isFour ? 4 : 2
    }
    into.commit(to - first)
  }

  /** The code point of the four bytes at `at`; 0 where they have none. */
  #four(source: Uint8Array, at: number, end: number): number {
    if (at + 4 > end) return 0
    const a = source[at]! - 0x81
    const b = source[at + 1]! - 0x30
    const c = source[at + 2]! - 0x81
    const d = source[at + 3]! - 0x30
    if (a < 0 || a > 125 || c < 0 || c > 125 || d < 0 || d > 9) return 0
    const number = ((a * 10 + b) * 126 + c) * 10 + d
    if (number < fourByteBmp) return this.#fourByte[number]!
    const code = number - fourByteAstral + 0x10000
    return code >= 0x10000 && code <= 0x10ffff ? code : 0
  }
}
