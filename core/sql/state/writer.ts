/**
 * Bytes of operator state. All integers are varints (7 bits a byte, least significant first); values
 * carry a tag, so that a state can be read without its query.
 *
 *   value = 0x00 null | 0x01 false | 0x02 true | 0x03 zigzag(safe integer ≤ 2^31) | 0x04 f64
 *         | 0x05 text(bigint) | 0x06 string | 0x07 text(decimal) | 0x08 interval
 */
import { Decimal, decimalText } from '../scalar/decimal.ts'
import { Interval } from '../scalar/interval.ts'
import type { Scalar } from '../scalar/functions.ts'

const encoder = new TextEncoder()
/** Its length is one byte of a varint. */
const shortText = 0x7f

export const Tag = {
  null: 0,
  false: 1,
  true: 2,
  integer: 3,
  double: 4,
  bigint: 5,
  string: 6,
  decimal: 7,
  interval: 8,
} as const

export class StateWriter {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #end = 0

  get length(): number {
    return this.#end
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#end)
  }

  byte(value: number): void {
    this.#room(1)
    this.#bytes[this.#end++] = value
  }

  /** A whole number from 0 to 2^53 − 1. */
  varint(value: number): void {
    this.#room(8)
    while (value >= 0x80) {
      this.#bytes[this.#end++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    this.#bytes[this.#end++] = value
  }

  double(value: number): void {
    this.#room(8)
    this.#view.setFloat64(this.#end, value, true)
    this.#end += 8
  }

  text(value: string): void {
    this.#room(value.length * 3 + 8)
    if (value.length <= shortText && this.#ascii(value)) return
    const bytes = encoder.encode(value)
    this.varint(bytes.length)
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** Short ASCII texts, which most are, byte by byte: the native encoder costs more than it saves. */
  #ascii(value: string): boolean {
    const bytes = this.#bytes
    const start = this.#end + 1
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i)
      if (unit >= 0x80) return false
      bytes[start + i] = unit
    }
    bytes[this.#end] = value.length
    this.#end = start + value.length
    return true
  }

  /** Bytes with their length before them. */
  block(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
  }

  value(value: Scalar): void {
    if (value === null) return this.byte(Tag.null)
    switch (typeof value) {
      case 'boolean':
        return this.byte(value ? Tag.true : Tag.false)
      case 'number':
        return this.#number(value)
      case 'bigint':
        this.byte(Tag.bigint)
        return this.text(value.toString())
      case 'string':
        this.byte(Tag.string)
        return this.text(value)
      default:
        return this.#object(value)
    }
  }

  #number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) <= 0x7fffffff && !Object.is(value, -0)) {
      this.byte(Tag.integer)
      return this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
    }
    this.byte(Tag.double)
    this.double(value)
  }

  #object(value: Decimal | Interval): void {
    if (value instanceof Decimal) {
      this.byte(Tag.decimal)
      return this.text(decimalText(value))
    }
    this.byte(Tag.interval)
    this.double(value.months)
    this.double(value.days)
    this.text(value.us.toString())
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#end + bytes))
    grown.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}
