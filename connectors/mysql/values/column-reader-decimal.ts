/**
 * Decimals. Up to 18 digits they become scaled integers, beyond that exact digits as the server prints
 * them, without ZEROFILL's zeros.
 *
 *   row image    groups of 9 digits as big-endian integers of 4 bytes, the digits left over at both ends
 *                in as few bytes as hold them: first of the integer part, last of the fraction. The
 *                highest bit is 1 for positive values; negative values have every bit inverted.
 *   result set   [ '-' ] digits [ '.' digits ]        as many digits of fraction as the scale
 *
 * strings/decimal.cc (MySQL 9.7): decimal2bin.
 */
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import type { ColumnReader } from '../types.ts'
import { ascii, asciiText, badImage, badText, writeDigits } from './values.ts'

/** Bytes that so many digits of an incomplete group take. */
const bytesOfDigits = Uint8Array.of(0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
const powersOfTen = Float64Array.from({ length: 10 }, (_, exponent) => 10 ** exponent)

/** How the groups of a decimal(precision, scale) lie, from its first byte on. */
export class DecimalLayout {
  readonly scale: number
  readonly precision: number
  /** Digits and bytes of each group; the first `integerGroups` are of the integer part. */
  readonly digits: Uint8Array
  readonly widths: Uint8Array
  readonly integerGroups: number
  readonly bytes: number

  constructor(precision: number, scale: number) {
    if (precision < 1 || precision > 65 || scale > precision) throw badImage('decimal')
    this.precision = precision
    this.scale = scale
    const integer = precision - scale
    const before = [integer % 9, ...Array<number>(Math.floor(integer / 9)).fill(9)]
    const after = [...Array<number>(Math.floor(scale / 9)).fill(9), scale % 9]
    const integerDigits = before.filter((digits) => digits > 0)
    this.integerGroups = integerDigits.length
    this.digits = Uint8Array.from([...integerDigits, ...after.filter((digits) => digits > 0)])
    this.widths = this.digits.map((digits) => bytesOfDigits[digits]!)
    this.bytes = this.widths.reduce((sum, width) => sum + width, 0)
  }

  /** The group whose bytes begin at `at`; the first one has the bit of the sign. */
  group(source: Uint8Array, at: number, index: number, negative: boolean): number {
    const mask = negative ? 0xff : 0
    let value = (source[at]! ^ mask ^ (index === 0 ? 0x80 : 0)) & 0xff
    const end = at + this.widths[index]!
    for (let from = at + 1; from < end; from++) value = value * 256 + (source[from]! ^ mask)
    if (value >= powersOfTen[this.digits[index]!]!) throw badImage('decimal')
    return value
  }
}

/**
 * Writes the exact digits of the decimal at `at`, which takes `layout.bytes`; returns the place after
 * them. `into` has room for 68 bytes more.
 */
export function writeDecimal(
  layout: DecimalLayout,
  source: Uint8Array,
  at: number,
  into: Uint8Array,
  to: number,
): number {
  const negative = (source[at]! & 0x80) === 0
  let from = at
  let next = to
  if (negative) into[next++] = ascii.minus
  const start = next
  let zero = true
  for (let index = 0; index < layout.digits.length; index++) {
    if (index === layout.integerGroups) {
      if (next === start) into[next++] = ascii.zero
      into[next++] = ascii.point
    }
    const value = layout.group(source, from, index, negative)
    from += layout.widths[index]!
    if (value !== 0) zero = false
    if (index < layout.integerGroups && next === start) {
      if (value !== 0) next = writeDigits(into, next, value, digitsOf(value))
    } else next = writeDigits(into, next, value, layout.digits[index]!)
  }
  if (next === start) into[next++] = ascii.zero
  // A zero has no sign here, whichever one it was stored with.
  if (!zero || !negative) return next
  into.copyWithin(to, start, next)
  return next - 1
}

function digitsOf(value: number): number {
  let digits = 1
  while (digits < 9 && value >= powersOfTen[digits]!) digits++
  return digits
}

/** decimal(p ≤ 18, s). */
export class ScaledDecimalReader implements ColumnReader {
  readonly builder: DecimalBuilder
  readonly #layout: DecimalLayout
  constructor(precision: number, scale: number) {
    this.builder = new DecimalBuilder(precision, scale)
    this.#layout = new DecimalLayout(precision, scale)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const layout = this.#layout
    const next = at + layout.bytes
    if (next > end) throw badImage('decimal')
    const negative = (source[at]! & 0x80) === 0
    let value = 0
    let from = at
    for (let index = 0; index < layout.digits.length; index++) {
      value =
        value * powersOfTen[layout.digits[index]!]! + layout.group(source, from, index, negative)
      from += layout.widths[index]!
    }
    // No step on the way was larger than the result, so a safe result is an exact one.
    if (value <= Number.MAX_SAFE_INTEGER) this.builder.appendScaled(negative ? 0 - value : value)
    else this.#wide(source, at, negative)
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    const next = at + this.#layout.bytes
    if (next > end) throw badImage('decimal')
    return next
  }
  text(source: Uint8Array, start: number, end: number): void {
    const negative = source[start] === ascii.minus
    let value = 0
    let fraction = -1
    let digits = 0
    for (let at = negative ? start + 1 : start; at < end; at++) {
      const byte = source[at]!
      if (byte === ascii.point && fraction < 0) {
        fraction = 0
        continue
      }
      const digit = byte - ascii.zero
      if (digit >>> 0 > 9) throw badText('decimal')
      value = value * 10 + digit
      digits++
      if (fraction >= 0) fraction++
    }
    if (digits === 0 || Math.max(fraction, 0) !== this.#layout.scale) throw badText('decimal')
    if (value <= Number.MAX_SAFE_INTEGER) this.builder.appendScaled(negative ? 0 - value : value)
    else this.builder.appendScaled(BigInt(asciiText(source, start, end).replace('.', '')))
  }
  appendNull(): void {
    this.builder.appendNull()
  }
  #wide(source: Uint8Array, at: number, negative: boolean): void {
    const layout = this.#layout
    let value = 0n
    let from = at
    for (let index = 0; index < layout.digits.length; index++) {
      const group = layout.group(source, from, index, negative)
      value = value * BigInt(powersOfTen[layout.digits[index]!]!) + BigInt(group)
      from += layout.widths[index]!
    }
    this.builder.appendScaled(negative ? -value : value)
  }
}

/** decimal(p > 18, s): exact digits. */
export class LongDecimalReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #layout: DecimalLayout
  constructor(precision: number, scale: number) {
    this.#layout = new DecimalLayout(precision, scale)
  }
  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#layout.bytes
    if (next > end) throw badImage('decimal')
    const start = this.builder.reserve(72)
    this.builder.commit(writeDecimal(this.#layout, source, at, this.builder.bytes, start) - start)
    return next
  }
  skip(_source: Uint8Array, at: number, end: number): number {
    const next = at + this.#layout.bytes
    if (next > end) throw badImage('decimal')
    return next
  }
  text(source: Uint8Array, start: number, end: number): void {
    const negative = source[start] === ascii.minus
    let first = negative ? start + 1 : start
    let point = -1
    let zero = true
    for (let at = first; at < end; at++) {
      const byte = source[at]!
      if (byte === ascii.point && point < 0) point = at
      else if ((byte - ascii.zero) >>> 0 > 9) throw badText('decimal')
      else if (byte !== ascii.zero) zero = false
    }
    const { scale } = this.#layout
    const integerEnd = point < 0 ? end : point
    const fraction = point < 0 ? 0 : end - point - 1
    if (integerEnd === first || fraction !== scale) throw badText('decimal')
    while (first < integerEnd - 1 && source[first] === ascii.zero) first++
    const from = this.builder.reserve(end - first + 1)
    const into = this.builder.bytes
    let to = from
    if (negative && !zero) into[to++] = ascii.minus
    for (let at = first; at < end; at++) into[to++] = source[at]!
    this.builder.commit(to - from)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}
