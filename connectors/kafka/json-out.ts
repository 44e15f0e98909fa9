/**
 * JsonOut: JSON text written straight from the bytes of another format, for json columns. Values look as
 * they do in core/record/json.ts unless the format has a mapping of its own. One buffer, used again.
 */
import { isUtf8 } from '../../core/connector/format/cell-text.ts'
import { float32Text, floatText } from '../../core/record/value.ts'
import type { BytesBuilder } from '../../core/record/bytes-builder.ts'

/** Names of fields are not in the bytes, but in JSON: a small value can become a large one. */
export const jsonBytesMax = 64 * 1024 * 1024
const encoder = new TextEncoder()
const shortText = 32
const quote = 0x22
const backslash = 0x5c
const hexDigits = Buffer.from('0123456789abcdef')
const base64Digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
/** Letters of the short escapes, by control character; 0 = there is none. */
const shortEscapes = new Uint8Array(32)
for (const [byte, letter] of [
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
] as const) {
  shortEscapes[byte] = letter.charCodeAt(0)
}

export class JsonOut {
  bytes = new Uint8Array(1024)
  end = 0

  /** Appends all that was written, as one value, and begins anew. */
  appendTo(builder: BytesBuilder): void {
    builder.append(this.bytes, 0, this.end)
    this.end = 0
  }

  byte(value: number): void {
    this.#reserve(1)
    this.bytes[this.end++] = value
  }

  /** What was written from `start` on, as a string. */
  since(start: number): string {
    return Buffer.from(this.bytes.buffer, start, this.end - start).toString()
  }

  /** Text that is JSON already. */
  raw(text: string): void {
    this.#reserve(text.length * 3)
    const { bytes } = this
    let at = 0
    // Most is short and ASCII; the call of the encoder costs more than the loop.
    for (; at < text.length && at < shortText; at++) {
      const unit = text.charCodeAt(at)
      if (unit >= 0x80) break
      bytes[this.end + at] = unit
    }
    if (at === text.length) this.end += at
    else this.end += encoder.encodeInto(text, this.bytes.subarray(this.end)).written
  }

  json(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.bytes.set(bytes, this.end)
    this.end += bytes.length
  }

  quoted(text: string): void {
    this.raw(JSON.stringify(text))
  }

  float64(value: number): void {
    this.raw(Number.isFinite(value) ? floatText(value) : `"${floatText(value)}"`)
  }

  float32(value: number): void {
    this.raw(Number.isFinite(value) ? float32Text(value) : `"${floatText(value)}"`)
  }

  /** A number up to ±(2^53 − 1), beyond it a string. */
  integer(value: number | bigint): void {
    this.raw(Number.isSafeInteger(Number(value)) ? String(value) : `"${value}"`)
  }

  /** UTF-8 as a JSON string; false, and some of it written, where it is none. */
  text(source: Uint8Array, start: number, end: number): boolean {
    if (!isUtf8(source, start, end)) return false
    // \u001f is the longest that one byte becomes.
    this.#reserve((end - start) * 6 + 2)
    const { bytes } = this
    let to = this.end
    bytes[to++] = quote
    for (let at = start; at < end; at++) {
      const byte = source[at]!
      if (byte >= 0x20 && byte !== quote && byte !== backslash) bytes[to++] = byte
      else {
        bytes[to++] = backslash
        if (byte >= 0x20) bytes[to++] = byte
        else to = escapeControl(bytes, to, byte)
      }
    }
    bytes[to++] = quote
    this.end = to
    return true
  }

  /** Bytes as a string of base64 (RFC 4648 §4). */
  base64(source: Uint8Array, start: number, end: number): void {
    this.#reserve(Math.ceil((end - start) / 3) * 4 + 2)
    const { bytes } = this
    let to = this.end
    bytes[to++] = quote
    for (let at = start; at < end; at += 3) {
      const left = end - at
      const word =
        (source[at]! << 16) |
        (left > 1 ? source[at + 1]! << 8 : 0) |
        (left > 2 ? source[at + 2]! : 0)
      bytes[to++] = base64Digits[word >> 18]!
      bytes[to++] = base64Digits[(word >> 12) & 63]!
      bytes[to++] = left > 1 ? base64Digits[(word >> 6) & 63]! : 0x3d
      bytes[to++] = left > 2 ? base64Digits[word & 63]! : 0x3d
    }
    bytes[to++] = quote
    this.end = to
  }

  /** 16 bytes as the text of a UUID. */
  uuid(source: Uint8Array, start: number): void {
    this.#reserve(38)
    const { bytes } = this
    let to = this.end
    bytes[to++] = quote
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) bytes[to++] = 0x2d
      const byte = source[start + i]!
      bytes[to++] = hexDigits[byte >> 4]!
      bytes[to++] = hexDigits[byte & 15]!
    }
    bytes[to++] = quote
    this.end = to
  }

  #reserve(more: number): void {
    if (this.end + more <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.end + more))
    grown.set(this.bytes.subarray(0, this.end))
    this.bytes = grown
  }
}

function escapeControl(bytes: Uint8Array, to: number, byte: number): number {
  const letter = shortEscapes[byte]!
  if (letter !== 0) {
    bytes[to] = letter
    return to + 1
  }
  bytes[to] = 0x75
  bytes[to + 1] = 0x30
  bytes[to + 2] = 0x30
  bytes[to + 3] = hexDigits[byte >> 4]!
  bytes[to + 4] = hexDigits[byte & 15]!
  return to + 5
}
