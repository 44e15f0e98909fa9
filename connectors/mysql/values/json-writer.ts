/**
 * JSON text as MySQL's server writes it: how it prints strings, doubles, decimals, times and what has no
 * form of its own in JSON. Buffers grow and are kept.
 *
 *   string   '"' with \" \\ \b \f \n \r \t and \u00xx for the other control characters '"'
 *   double   the shortest digits that read back the same; with an exponent below 1e-15 and above 1e15;
 *            '.0' where nothing else says that it is no integer
 *   opaque   decimal: its digits · date, time, datetime: '"', six digits of fraction but for dates, '"'
 *            string types: a string · all others "base64:type" number ":" base64 in lines of 76
 *
 * sql-common/json_dom.cc: wrapper_to_string, double_quote; strings/dtoa.cc: my_gcvt (MySQL 9.7).
 */
import { DecimalLayout, writeDecimal } from './column-reader-decimal.ts'
import { wireCodes } from './column-types-codes.ts'
import { Moment, writeClock } from './values-time.ts'
import { ascii, badImage, writeDigits } from './values.ts'

const quote = 0x22
const backslash = 0x5c
const hexDigits = new TextEncoder().encode('0123456789abcdef')

/** What follows the backslash; 0 = none is needed, 'u' = four digits. */
const escapes = new Uint8Array(256)
escapes.fill(0x75, 0, 0x20)
for (const [byte, letter] of [
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
  [quote, quote],
  [backslash, backslash],
] as const) {
  escapes[byte] = letter
}

const eight = new Uint8Array(8)
const asDouble = new Float64Array(eight.buffer)
const base64LineBytes = 57

export class JsonWriter {
  bytes: Uint8Array = new Uint8Array(1024)
  length = 0
  readonly #moment = new Moment()

  byte(value: number): void {
    this.#ensure(1)
    this.bytes[this.length++] = value
  }

  comma(): void {
    this.#ensure(2)
    this.bytes[this.length++] = 0x2c
    this.bytes[this.length++] = ascii.space
  }

  colon(): void {
    this.#ensure(2)
    this.bytes[this.length++] = ascii.colon
    this.bytes[this.length++] = ascii.space
  }

  ascii(text: string): void {
    this.#ensure(text.length)
    for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i)
  }

  /** source[start, end), which is UTF-8, as a JSON string. */
  string(source: Uint8Array, start: number, end: number): void {
    let escaped = 0
    for (let at = start; at < end; at++) if (escapes[source[at]!] !== 0) escaped++
    this.#ensure(end - start + escaped * 5 + 2)
    const { bytes } = this
    let to = this.length
    bytes[to++] = quote
    for (let at = start; at < end; at++) {
      const byte = source[at]!
      const escape = escapes[byte]!
      if (escape === 0) {
        bytes[to++] = byte
        continue
      }
      bytes[to++] = backslash
      bytes[to++] = escape
      if (escape !== 0x75) continue
      bytes[to++] = ascii.zero
      bytes[to++] = ascii.zero
      bytes[to++] = hexDigits[byte >> 4]!
      bytes[to++] = hexDigits[byte & 15]!
    }
    bytes[to++] = quote
    this.length = to
  }

  /** A safe integer. */
  integer(value: number): void {
    this.#ensure(17)
    let size = value
    if (value < 0) {
      this.bytes[this.length++] = ascii.minus
      size = -value
    }
    let digits = 1
    for (let limit = 10; size >= limit; limit *= 10) digits++
    this.length = writeDigits(this.bytes, this.length, size, digits)
  }

  /** 64 bits, as two halves. */
  wideInteger(low: number, high: number, signed: boolean): void {
    const upper = signed ? high | 0 : high
    if (upper <= 0x1fffff && upper >= -0x1fffff) this.integer(upper * 0x1_0000_0000 + low)
    else this.ascii(String((BigInt(upper) << 32n) | BigInt(low)))
  }

  /** The eight bytes at `at` as a double. */
  doubleAt(source: Uint8Array, at: number): void {
    for (let i = 0; i < 8; i++) eight[i] = source[at + i]!
    const value = asDouble[0]!
    // JSON has no infinities, and the server stores none.
    if (!Number.isFinite(value)) throw badImage('JSON document')
    if (Number.isInteger(value) && Math.abs(value) < 1e15 && !Object.is(value, -0)) {
      this.integer(value)
      this.ascii('.0')
    } else this.ascii(doubleText(value))
  }

  /** A value of a type that JSON does not have. */
  opaque(type: number, source: Uint8Array, start: number, end: number): void {
    switch (type) {
      case wireCodes.newDecimal:
        return this.#decimal(source, start, end)
      case wireCodes.date:
      case wireCodes.datetime:
      case wireCodes.timestamp:
      case wireCodes.time:
        return this.#time(type, source, start, end)
      case wireCodes.varString:
        return this.string(source, start, end)
      default:
        return this.#base64(type, source, start, end)
    }
  }

  /** precision, scale, then the digits as in a row image. */
  #decimal(source: Uint8Array, start: number, end: number): void {
    if (end - start < 2) throw badImage('JSON document')
    const layout = new DecimalLayout(source[start]!, source[start + 1]!)
    if (start + 2 + layout.bytes > end) throw badImage('JSON document')
    this.#ensure(72)
    this.length = writeDecimal(layout, source, start + 2, this.bytes, this.length)
  }

  /**
   * Eight bytes, little-endian: µs in 24 bits, above them hour × 4096 + minute × 64 + second in 17 (22
   * for times), above those (year × 13 + month) × 32 + day. A negative time is the negated number.
   */
  #time(type: number, source: Uint8Array, start: number, end: number): void {
    if (end - start < 8) throw badImage('JSON document')
    let low = source[start]! | (source[start + 1]! << 8) | (source[start + 2]! << 16)
    let high = 0
    for (let at = start + 7; at > start + 2; at--) high = high * 256 + source[at]!
    const negative = high >= 2 ** 39
    if (negative) {
      high = 2 ** 40 - high - (low === 0 ? 0 : 1)
      low = low === 0 ? 0 : 2 ** 24 - low
    }
    const hours = type === wireCodes.time ? Math.floor(high / 4096) & 1023 : (high >> 12) & 31
    const us = (hours * 3600 + (Math.floor(high / 64) & 63) * 60 + (high & 63)) * 1e6 + low
    this.#ensure(32)
    this.bytes[this.length++] = quote
    if (type === wireCodes.time) {
      this.length = writeClock(this.bytes, this.length, negative ? -us : us, 6)
    } else {
      const date = Math.floor(high / 2 ** 17)
      const moment = this.#moment
      moment.year = Math.floor(date / (13 * 32))
      moment.month = Math.floor(date / 32) % 13
      moment.day = date % 32
      moment.clockUs = us
      if (moment.year > 9999 || low > 999_999) throw badImage('JSON document')
      this.length =
        type === wireCodes.date
          ? moment.writeDate(this.bytes, this.length)
          : moment.writeDatetime(this.bytes, this.length, 6)
    }
    this.bytes[this.length++] = quote
  }

  #base64(type: number, source: Uint8Array, start: number, end: number): void {
    this.ascii(`"base64:type${type}:`)
    for (let at = start; at < end; at += base64LineBytes) {
      if (at > start) this.ascii('\\n')
      const line = source.subarray(at, Math.min(end, at + base64LineBytes))
      this.ascii(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('base64'))
    }
    this.byte(quote)
  }

  #ensure(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + bytes))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }
}

/** Above this many digits before the point, or zeros behind it, my_gcvt writes an exponent: DBL_DIG. */
const plainDigitsMax = 15

/** A double as the server writes it into JSON text. */
export function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0'
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const point = Number(exponent) + 1
  const sign = value < 0 ? '-' : ''
  if (point <= -plainDigitsMax || (point > plainDigitsMax && digits.length <= point)) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
    return `${sign}${digits[0]}${fraction}e${point - 1}`
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (digits.length <= point) return `${sign}${digits.padEnd(point, '0')}.0`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}
