/** text, json, bytes, other, exact decimals: offsets + data, turned into a dictionary where it pays. */
import { Validity, type ColumnBuilder } from './validity.ts'
import type { Column } from './column.ts'
import { dictionaryEncode } from './dictionary.ts'

const encoder = new TextEncoder()
/** Below this length a loop over the bytes beats the call into native code. */
const shortCopyBytes = 24

export class BytesBuilder implements ColumnBuilder {
  length = 0
  #offsets = new Int32Array(257)
  #data: Uint8Array = new Uint8Array(4096)
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
    } else if (start === 0 && end === source.length) {
      this.#data.set(source, this.#end)
    } else {
      this.#data.set(source.subarray(start, end), this.#end)
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

  finish(): Column {
    const { length } = this
    const offsets = this.#offsets.slice(0, length + 1)
    const data = this.#data.slice(0, this.#end)
    const validity = this.#validity.take(length)
    this.length = 0
    this.#end = 0
    return dictionaryEncode({ encoding: 'bytes', length, validity, offsets, data })
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
    const grown = new Uint8Array(Math.max(this.#data.length * 2, this.#end + bytes))
    grown.set(this.#data.subarray(0, this.#end))
    this.#data = grown
  }
}
