/** text, json, bytes, other, exact decimals: offsets + data, turned into a dictionary where it pays. */
import { Validity, type ColumnBuilder } from './validity.ts'
import type { Column } from './column.ts'
import { dictionaryEncode } from './dictionary.ts'

const encoder = new TextEncoder()
/** Copies this[from, end) to `into` at `to`. */
type Copy = (this: Uint8Array, into: Uint8Array, to: number, from: number, end: number) => number
const { copy } = Buffer.prototype as { readonly copy: Copy }
/** Below this length a loop over the bytes beats the call into native code. */
const shortCopyBytes = 24
const highBits = 0x8080_8080 | 0

export class BytesBuilder implements ColumnBuilder {
  length = 0
  #offsets = new Int32Array(257)
  #data: Uint8Array = new Uint8Array(4096)
  /** The same memory. */
  #words = new Int32Array(this.#data.buffer)
  #end = 0
  #validity = new Validity()

  get byteLength(): number {
    return this.#end + this.length * 4
  }

  /** Copies source[start, end). */
  append(source: Uint8Array, start: number, end: number): void {
    const bytes = end - start
    if (this.#end + bytes > this.#data.length) this.#grow(bytes)
    if (bytes <= shortCopyBytes) {
      const data = this.#data
      let to = this.#end
      for (let from = start; from < end; from++) data[to++] = source[from]!
    } else {
      // A view of the value for `set` would cost 100 bytes of garbage a value, and GC more than the copy.
      copy.call(source, this.#data, this.#end, start, end)
    }
    this.#close(bytes)
  }

  appendString(text: string): void {
    // Three bytes a UTF-16 unit is the most UTF-8 can take.
    if (this.#end + text.length * 3 > this.#data.length) this.#grow(text.length * 3)
    this.#close(encoder.encodeInto(text, this.#data.subarray(this.#end)).written)
  }

  appendNull(): void {
    this.#validity.setNull(this.length)
    this.#close(0)
  }

  /** Makes room for a value of at most `bytesMax` bytes; write into `bytes` from here, then `commit`. */
  reserve(bytesMax: number): number {
    if (this.#end + bytesMax > this.#data.length) this.#grow(bytesMax)
    return this.#end
  }
  get bytes(): Uint8Array {
    return this.#data
  }
  commit(bytes: number): void {
    this.#close(bytes)
  }

  /**
   * Appends source[start, end) if it is ASCII; otherwise returns false and appends nothing. Looks at four
   * bytes at a time where it has copied them to: a tenth of the price of a call of `isAscii` a value.
   */
  appendAscii(source: Uint8Array, start: number, end: number): boolean {
    const bytes = end - start
    if (this.#end + bytes > this.#data.length) this.#grow(bytes)
    copy.call(source, this.#data, this.#end, start, end)
    if (!this.#isAscii(this.#end, this.#end + bytes)) return false
    this.#close(bytes)
    return true
  }

  #isAscii(start: number, end: number): boolean {
    const data = this.#data
    const words = this.#words
    let bits = 0
    let at = start
    for (; at < end && (at & 3) !== 0; at++) bits |= data[at]! << 24
    for (const last = end - 4; at <= last; at += 4) bits |= words[at >> 2]!
    for (; at < end; at++) bits |= data[at]! << 24
    return (bits & highBits) === 0
  }

  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }

  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
    this.#end = this.#offsets[length]!
  }

  finish(): Column {
    const { length } = this
    const offsets = this.#offsets.subarray(0, length + 1)
    const data = this.#data.subarray(0, this.#end)
    const validity = this.#validity.take(length)
    this.length = 0
    this.#end = 0
    const column = dictionaryEncode({ encoding: 'bytes', length, validity, offsets, data })
    if (column.encoding === 'dictionary') return column
    return { ...column, offsets: offsets.slice(), data: data.slice() }
  }

  #close(bytes: number): void {
    this.#end += bytes
    if (this.length + 1 === this.#offsets.length) {
      const grown = new Int32Array(this.#offsets.length * 2)
      grown.set(this.#offsets)
      this.#offsets = grown
    }
    this.#offsets[++this.length] = this.#end
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(Math.max(this.#data.length * 2, (this.#end + bytes + 3) & ~3))
    grown.set(this.#data.subarray(0, this.#end))
    this.#data = grown
    this.#words = new Int32Array(grown.buffer)
  }
}
