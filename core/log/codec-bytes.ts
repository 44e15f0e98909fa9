/**
 * Reading and writing the small parts of a block: single bytes, varints, doubles.
 *
 *   varint = unsigned LEB128 of at most 2^53 − 1, shortest form not required
 *   double = IEEE 754, 8 bytes, little-endian
 *
 * The reader checks every step against its end and reports the byte's place in the whole object.
 */
import { endianness } from 'node:os'
import { SluiceError } from '../errors/error.ts'

// Typed arrays are written and viewed as they lie in memory; the format is little-endian.
if (endianness() !== 'LE') {
  throw new SluiceError('internal.bug', { message: 'Sluice runs on little-endian machines only' })
}

/** Where bytes come from, for messages: the object's key and the first byte's place in it. */
export interface Place {
  readonly object: string
  readonly byte: number
}

export function corrupt(place: Place, at: number, what: string): SluiceError {
  return new SluiceError('log.corrupt', {
    message: `${place.object}, byte ${place.byte + at}: ${what}`,
  })
}

export class ByteWriter {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  get length(): number {
    return this.#length
  }
  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }
  u32(value: number): void {
    this.#reserve(4)
    this.#view.setUint32(this.#length, value, true)
    this.#length += 4
  }
  varint(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
  }
  double(value: number): void {
    this.#reserve(8)
    this.#view.setFloat64(this.#length, value, true)
    this.#length += 8
  }
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }
  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(this.#bytes.length * 2 + bytes)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

export class ByteReader {
  readonly place: Place
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #end: number
  #at: number

  constructor(bytes: Uint8Array, start: number, end: number, place: Place) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = start
    this.#end = end
    this.place = place
  }
  get at(): number {
    return this.#at
  }
  get remaining(): number {
    return this.#end - this.#at
  }
  byte(): number {
    this.#need(1)
    return this.#bytes[this.#at++]!
  }
  u32(): number {
    this.#need(4)
    const value = this.#view.getUint32(this.#at, true)
    this.#at += 4
    return value
  }
  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) throw this.fail('a number is too large')
      if (byte < 0x80) return value
      if (scale > 2 ** 49) throw this.fail('a number has too many bytes')
    }
  }
  /** A varint that counts something of which there are at most `max`. */
  count(max: number, what: string): number {
    const value = this.varint()
    if (value > max) throw this.fail(`${value} ${what}, at most ${max} are possible`)
    return value
  }
  double(): number {
    this.#need(8)
    const value = this.#view.getFloat64(this.#at, true)
    this.#at += 8
    return value
  }
  fail(what: string): SluiceError {
    return corrupt(this.place, this.#at, what)
  }
  #need(bytes: number): void {
    if (this.#at + bytes > this.#end) throw this.fail('the bytes end early')
  }
}
