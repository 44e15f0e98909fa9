/**
 * Text in any of the servers' character sets → UTF-8, straight into a builder. Sluice decodes both wires
 * itself: the server's own conversion writes '?' for what it cannot convert, and says nothing.
 *
 * Bytes that a set has no character for (which a server lets nobody store in a multi-byte set, but does
 * in a single-byte one with holes) are refused: any character in their place would be invented.
 */
import { isUtf8 as isUtf8Bytes } from 'node:buffer'
import { SluiceError } from '../../../core/errors/error.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { Gb18030Decoder, MultiByteDecoder } from './charset-multi.ts'
import { doubleByteTable, singleByteTable } from './charset-tables.ts'
import { badCharacters, utf8Length, writeUtf8 } from './charset-utf8.ts'

export interface CharsetDecoder {
  /** Appends source[start, end) as one value in UTF-8. Throws `source.mysql.value`. */
  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void
}

/** Above this length calls into native code are cheaper than a loop over the bytes. */
const shortBytes = 48

/** utf8mb4, utf8mb3: copied, once it is sure that they are UTF-8. */
class Utf8Decoder implements CharsetDecoder {
  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    if (end - start > shortBytes) {
      if (into.appendAscii(source, start, end)) return
      if (!isUtf8Bytes(source.subarray(start, end))) throw badCharacters('utf8mb4')
      into.append(source, start, end)
      return
    }
    let to = into.reserve(end - start)
    const target = into.bytes
    let bits = 0
    for (let at = start; at < end; at++) {
      const byte = source[at]!
      target[to++] = byte
      bits |= byte
    }
    if (bits >= 0x80) checkUtf8(source, start, end)
    into.commit(end - start)
  }
}

function checkUtf8(source: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end;) {
    const bytes = utf8Length(source, at, end)
    if (bytes === 0) throw badCharacters('utf8mb4')
    at += bytes
  }
}

class BinaryDecoder implements CharsetDecoder {
  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    into.append(source, start, end)
  }
}

/** Sets of one byte a character, all of whose characters lie in the basic plane. */
class SingleByteDecoder implements CharsetDecoder {
  readonly #name: string
  /** Four bytes a byte: how many of UTF-8, and these. */
  readonly #utf8 = new Uint8Array(1024)
  /** Bytes below this one are ASCII; swe7 has letters of its own among them. */
  readonly #asciiEnd: number

  constructor(name: string, table: Uint16Array) {
    this.#name = name
    this.#asciiEnd = table.subarray(0, 0x80).every((code, byte) => code === byte) ? 0x80 : 0
    for (let byte = 0; byte < 256; byte++) {
      const code = table[byte]!
      if (code === 0 && byte !== 0) continue
      this.#utf8[byte * 4] = writeUtf8(this.#utf8, byte * 4 + 1, code) - byte * 4 - 1
    }
  }

  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    const utf8 = this.#utf8
    const first = into.reserve((end - start) * 3)
    const target = into.bytes
    let to = first
    const asciiEnd = this.#asciiEnd
    for (let at = start; at < end; at++) {
      const byte = source[at]!
      if (byte < asciiEnd) {
        target[to++] = byte
        continue
      }
      const from = byte * 4
      const bytes = utf8[from]!
      target[to++] = utf8[from + 1]!
      if (bytes === 1) continue
      if (bytes === 0) throw badCharacters(this.#name)
      target[to++] = utf8[from + 2]!
      if (bytes === 3) target[to++] = utf8[from + 3]!
    }
    into.commit(to - first)
  }
}

/** ucs2 and utf16 (big-endian), utf16le. ucs2 has no pairs, and half of one is no character. */
class Utf16Decoder implements CharsetDecoder {
  readonly #name: string
  readonly #highAt: 0 | 1
  constructor(name: string) {
    this.#name = name
    this.#highAt = name === 'utf16le' ? 1 : 0
  }
  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    if (((end - start) & 1) !== 0) throw badCharacters(this.#name)
    const high = this.#highAt
    const first = into.reserve((end - start) * 2)
    let to = first
    for (let at = start; at < end; at += 2) {
      let code = (source[at + high]! << 8) | source[at + 1 - high]!
      if (code >= 0xd800 && code < 0xe000) {
        at += 2
        const low = at < end ? (source[at + high]! << 8) | source[at + 1 - high]! : 0
        const isPair = code < 0xdc00 && low >= 0xdc00 && low < 0xe000
        if (!isPair || this.#name === 'ucs2') throw badCharacters(this.#name)
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff)
      }
      to = writeUtf8(into.bytes, to, code)
    }
    into.commit(to - first)
  }
}

/** utf32: big-endian. */
class Utf32Decoder implements CharsetDecoder {
  append(source: Uint8Array, start: number, end: number, into: BytesBuilder): void {
    if (((end - start) & 3) !== 0) throw badCharacters('utf32')
    const first = into.reserve(end - start)
    let to = first
    for (let at = start; at < end; at += 4) {
      const plane = (source[at]! << 8) | source[at + 1]!
      const code = (plane << 16) | (source[at + 2]! << 8) | source[at + 3]!
      if (plane > 0x10 || (code >= 0xd800 && code < 0xe000)) throw badCharacters('utf32')
      to = writeUtf8(into.bytes, to, code)
    }
    into.commit(to - first)
  }
}

/** UTF-8 as it is. */
export const utf8Decoder: CharsetDecoder = new Utf8Decoder()
const decoders = new Map<string, CharsetDecoder>([
  ['utf8mb4', utf8Decoder],
  ['utf8mb3', utf8Decoder],
  ['utf8', utf8Decoder],
  ['binary', new BinaryDecoder()],
  ['utf32', new Utf32Decoder()],
  ...['ucs2', 'utf16', 'utf16le'].map((name): [string, CharsetDecoder] => [
    name,
    new Utf16Decoder(name),
  ]),
])

/** The decoder of a character set by the server's name for it. Throws `source.mysql.charset`. */
export function charsetDecoder(charset: string): CharsetDecoder {
  let decoder = decoders.get(charset)
  if (decoder === undefined) {
    decoder = tableDecoder(charset)
    decoders.set(charset, decoder)
  }
  return decoder
}

function tableDecoder(charset: string): CharsetDecoder {
  const single = singleByteTable(charset)
  if (single === null) {
    throw new SluiceError('source.mysql.charset', {
      message: `A column has the character set ${charset}, which Sluice does not know.`,
    })
  }
  const double = doubleByteTable(charset)
  if (double === null) return new SingleByteDecoder(charset, single)
  if (charset === 'gb18030') return new Gb18030Decoder(single, double)
  return new MultiByteDecoder(charset, single, double, doubleByteTable(`${charset} 8f`))
}

const utf8Text = new TextDecoder('utf-8', { ignoreBOM: true })

/** A short text, such as an enum's label, as a string. Throws `source.mysql.charset`, `.value`. */
export function decodeText(charset: string, bytes: Uint8Array): string {
  const builder = new BytesBuilder()
  charsetDecoder(charset).append(bytes, 0, bytes.length, builder)
  const end = builder.reserve(0)
  return utf8Text.decode(builder.bytes.subarray(0, end))
}
