/**
 * Integers, floats, years and bits.
 *
 *   row image    integers: 1, 2, 3, 4 or 8 bytes, little-endian · float, double: IEEE 754, little-endian ·
 *                year: one byte, years since 1900, 0 = year 0 · bit(n): (n + 7) / 8 bytes, big-endian
 *   result set   decimal digits with leading zeros under ZEROFILL · bit: the same bytes as in a row image
 *
 * sql/field.cc (MySQL 9.7): Field_*::pack; sql-common/my_decimal.cc is column-reader-decimal.ts's.
 */
import { BoolBuilder, Int32Builder, NumberBuilder } from '../../../core/record/builder.ts'
import type { ColumnReader } from '../types.ts'
import { ascii, asciiText, badImage, badText } from './values.ts'

/** Any integer of so many digits is below 2^53. */
const exactDigitsMax = 15

/** The place of the first digit that counts: ZEROFILL pads to the display width, which may be 255. */
function afterZeros(source: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end - 1 && source[at] === ascii.zero) at++
  return at
}

/** An integer below 10^15 by size; NaN when it is none. */
function shortInteger(source: Uint8Array, start: number, end: number): number {
  const negative = source[start] === ascii.minus
  let at = afterZeros(source, negative ? start + 1 : start, end)
  if (at >= end || end - at > exactDigitsMax) return NaN
  let value = 0
  for (; at < end; at++) {
    const digit = source[at]! - ascii.zero
    if (digit >>> 0 > 9) return NaN
    value = value * 10 + digit
  }
  return negative ? 0 - value : value
}

/** Row image: an integer of up to 4 bytes. */
function littleEndian(source: Uint8Array, at: number, bytes: number, signed: boolean): number {
  switch (bytes) {
    case 1:
      return signed ? (source[at]! << 24) >> 24 : source[at]!
    case 2: {
      const value = source[at]! | (source[at + 1]! << 8)
      return signed ? (value << 16) >> 16 : value
    }
    case 3: {
      const value = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)
      return signed ? (value << 8) >> 8 : value
    }
    default: {
      const value =
        source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)
      return signed ? value : value >>> 0
    }
  }
}

/** tinyint, smallint, mediumint, signed int: what an int32 column holds. */
export class Int32Reader implements ColumnReader {
  readonly builder = new Int32Builder()
  readonly #bytes: number
  readonly #signed: boolean
  constructor(bytes: number, signed: boolean) {
    this.#bytes = bytes
    this.#signed = signed
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('integer')
    this.builder.append(littleEndian(source, at, this.#bytes, this.#signed))
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('integer')
    return next
  }
  text(source: Uint8Array, start: number, end: number): void {
    const value = shortInteger(source, start, end)
    if (value !== (value | 0)) throw badText('integer')
    this.builder.append(value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** int unsigned: beyond an int32, within a double. */
export class Uint32Reader implements ColumnReader {
  readonly builder = new NumberBuilder()
  binlog(source: Uint8Array, at: number, end: number): number {
    if (at + 4 > end) throw badImage('integer')
    this.builder.append(littleEndian(source, at, 4, false))
    return at + 4
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + 4 > end) throw badImage('integer')
    return at + 4
  }
  text(source: Uint8Array, start: number, end: number): void {
    const value = shortInteger(source, start, end)
    if (value !== value >>> 0) throw badText('integer')
    this.builder.append(value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const highSafe = 0x1fffff

/** bigint, signed or not: exact over all of its 64 bits. */
export class Int64Reader implements ColumnReader {
  readonly builder: NumberBuilder
  readonly #signed: boolean
  constructor(signed: boolean) {
    this.builder = new NumberBuilder(signed ? 'int64' : 'uint64')
    this.#signed = signed
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    if (at + 8 > end) throw badImage('integer')
    const low = littleEndian(source, at, 4, false)
    const high = littleEndian(source, at + 4, 4, this.#signed)
    // The double is exact as long as the high half has at most 21 bits besides its sign.
    if (high <= highSafe && high >= -highSafe) this.builder.append(high * 0x1_0000_0000 + low)
    else this.builder.appendBigInt((BigInt(high) << 32n) | BigInt(low))
    return at + 8
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + 8 > end) throw badImage('integer')
    return at + 8
  }
  text(source: Uint8Array, start: number, end: number): void {
    const value = shortInteger(source, start, end)
    if (value >= 0 || (value < 0 && this.#signed)) return this.builder.append(value)
    const digits = asciiText(source, start, end)
    if (!/^-?\d+$/.test(digits)) throw badText('integer')
    const wide = BigInt(digits)
    const held = this.#signed ? BigInt.asIntN(64, wide) : BigInt.asUintN(64, wide)
    if (held !== wide) throw badText('integer')
    this.builder.appendBigInt(wide)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const eight = new Uint8Array(8)
const asDouble = new Float64Array(eight.buffer)
const asFloat = new Float32Array(eight.buffer)

/**
 * float and double. A float's text is that of the double of the same value (column-reader.ts's
 * `selectSql`), so that rounding it to 32 bits gives back the float itself.
 */
export class FloatReader implements ColumnReader {
  readonly builder = new NumberBuilder()
  readonly #bytes: 4 | 8
  constructor(bytes: 4 | 8) {
    this.#bytes = bytes
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const bytes = this.#bytes
    if (at + bytes > end) throw badImage('float')
    for (let i = 0; i < bytes; i++) eight[i] = source[at + i]!
    this.builder.append(bytes === 4 ? asFloat[0]! : asDouble[0]!)
    return at + bytes
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('float')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    const value = doubleOf(source, start, end)
    if (Number.isNaN(value)) throw badText('float')
    this.builder.append(this.#bytes === 4 ? Math.fround(value) : value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** 10^0 … 10^22: all of them exact in a double. */
const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

/**
 * The double nearest to [ '-' ] digits [ '.' digits ] [ 'e' [ '-' ] digits ]; NaN when it is none. Up to
 * 15 digits without an exponent take one exact division (Clinger, "How to read floating point numbers
 * accurately", 1990); what is longer goes through the engine's own correctly rounded reading.
 */
function doubleOf(source: Uint8Array, start: number, end: number): number {
  const negative = source[start] === ascii.minus
  let at = negative ? start + 1 : start
  let value = 0
  let digits = 0
  let scale = -1
  for (; at < end; at++) {
    const byte = source[at]!
    if (byte === ascii.point && scale < 0) {
      scale = 0
      continue
    }
    const digit = byte - ascii.zero
    if (digit >>> 0 > 9) break
    value = value * 10 + digit
    digits++
    if (scale >= 0) scale++
  }
  if (at === end && digits > 0 && digits <= exactDigitsMax) {
    if (scale > 0) value /= powersOfTen[scale]!
    return negative ? -value : value
  }
  const text = asciiText(source, start, end)
  return /^-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : NaN
}

/**
 * year: 1901 to 2155, and the year 0 that stands for a wrong one. MariaDB's year(2) has only the last two
 * digits for every reader, though it keeps the same byte.
 */
export class YearReader implements ColumnReader {
  readonly builder = new Int32Builder()
  readonly #twoDigits: boolean
  constructor(twoDigits: boolean) {
    this.#twoDigits = twoDigits
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    if (at >= end) throw badImage('year')
    const since1900 = source[at]!
    if (this.#twoDigits) this.builder.append(since1900 % 100)
    else this.builder.append(since1900 === 0 ? 0 : 1900 + since1900)
    return at + 1
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at >= end) throw badImage('year')
    return at + 1
  }
  text(source: Uint8Array, start: number, end: number): void {
    const value = shortInteger(source, start, end)
    if (!(value >= 0 && value <= 9999)) throw badText('year')
    this.builder.append(value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** bit(1), and tinyint(1) where it was declared to be one: 0 is false, all else true. */
export class BoolReader implements ColumnReader {
  readonly builder = new BoolBuilder()
  /** A result set has bits as bytes, integers as digits. */
  readonly #isBit: boolean
  constructor(isBit: boolean) {
    this.#isBit = isBit
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    if (at >= end) throw badImage('bit')
    this.builder.append(source[at] === 0 ? 0 : 1)
    return at + 1
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at >= end) throw badImage('bit')
    return at + 1
  }
  text(source: Uint8Array, start: number, end: number): void {
    const value = this.#isBit ? source[start]! : shortInteger(source, start, end)
    if (Number.isNaN(value) || (this.#isBit && end - start !== 1)) throw badText('boolean')
    this.builder.append(value === 0 ? 0 : 1)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** bit(2) to bit(64). */
export class BitReader implements ColumnReader {
  readonly builder = new NumberBuilder('uint64')
  readonly #bytes: number
  constructor(bits: number) {
    this.#bytes = (bits + 7) >> 3
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage('bit')
    this.#append(source, at, next)
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage('bit')
    return at + this.#bytes
  }
  text(source: Uint8Array, start: number, end: number): void {
    if (end - start !== this.#bytes) throw badText('bit')
    this.#append(source, start, end)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
  #append(source: Uint8Array, start: number, end: number): void {
    const lowFrom = Math.max(start, end - 4)
    let high = 0
    let low = 0
    for (let at = start; at < lowFrom; at++) high = high * 256 + source[at]!
    for (let at = lowFrom; at < end; at++) low = low * 256 + source[at]!
    if (high <= highSafe) this.builder.append(high * 0x1_0000_0000 + low)
    else this.builder.appendBigInt((BigInt(high) << 32n) | BigInt(low))
  }
}
