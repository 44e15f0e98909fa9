/**
 * Integers and floats. Digits are gathered in a double as long as that is exact; longer ones go
 * through BigInt or the engine's own correctly rounded reading of a number.
 *
 *   integer = [ '-' ] digit { digit }
 *   float   = [ '-' ] digits [ '.' digits ] [ 'e' ( '+' | '-' ) digits ] | 'NaN' | [ '-' ] 'Infinity'
 */
import { Int32Builder, NumberBuilder } from '../../core/record/builder.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { badValue, type ValueDecoder } from './value-decoder.ts'

const minus = 0x2d
const point = 0x2e
const zero = 0x30
const letterE = 0x65
/** Any integer of so many digits is below 2^53. */
const exactDigitsMax = 15

export class Int32Decoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new Int32Builder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    const negative = source[start] === minus
    let at = negative ? start + 1 : start
    if (at >= end || end - at > 10) throw badValue(this.type)
    let value = 0
    for (; at < end; at++) {
      const digit = source[at]! - zero
      if (digit >>> 0 > 9) throw badValue(this.type)
      value = value * 10 + digit
    }
    this.builder.append(negative ? -value : value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

export class Int64Decoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder: NumberBuilder
  constructor(type: LogicalType) {
    this.type = type
    this.builder = new NumberBuilder(type.kind === 'uint64' ? 'uint64' : 'int64')
  }
  append(source: Uint8Array, start: number, end: number): void {
    const negative = source[start] === minus
    let at = negative ? start + 1 : start
    const digits = end - at
    if (digits < 1 || digits > 20) throw badValue(this.type)
    const leadEnd = digits > exactDigitsMax ? end - 9 : end
    let lead = 0
    for (; at < leadEnd; at++) {
      const digit = source[at]! - zero
      if (digit >>> 0 > 9) throw badValue(this.type)
      lead = lead * 10 + digit
    }
    if (at === end) return this.builder.append(negative ? 0 - lead : lead)
    let tail = 0
    for (; at < end; at++) {
      const digit = source[at]! - zero
      if (digit >>> 0 > 9) throw badValue(this.type)
      tail = tail * 10 + digit
    }
    const value = BigInt(lead) * 1_000_000_000n + BigInt(tail)
    this.builder.appendBigInt(negative ? -value : value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** 10^0 … 10^22: all of them exact in a double. */
const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

/**
 * The double nearest to the text. Up to 15 digits with a power of ten up to 22 take one exact
 * multiplication or division, whose rounding is the right one (Clinger, "How to read floating point
 * numbers accurately", 1990); NaN says that the text is longer or no plain number.
 */
function plainDouble(source: Uint8Array, start: number, end: number): number {
  const negative = source[start] === minus
  let at = negative ? start + 1 : start
  let value = 0
  let digits = 0
  let scale = -1
  for (; at < end; at++) {
    const byte = source[at]!
    if (byte === point && scale < 0) {
      scale = 0
      continue
    }
    const digit = byte - zero
    if (digit >>> 0 > 9) break
    value = value * 10 + digit
    digits++
    if (scale >= 0) scale++
  }
  if (digits === 0 || digits > exactDigitsMax) return NaN
  let exponent = scale > 0 ? -scale : 0
  if (at < end) {
    const sign = source[at + 1]
    if (source[at] !== letterE || (sign !== minus && sign !== 0x2b)) return NaN
    let written = 0
    for (at += 2; at < end; at++) {
      const digit = source[at]! - zero
      if (digit >>> 0 > 9) return NaN
      written = written * 10 + digit
    }
    exponent += sign === minus ? -written : written
  }
  if (exponent > 22 || exponent < -22) return NaN
  if (exponent > 0) value *= powersOfTen[exponent]!
  else if (exponent < 0) value /= powersOfTen[-exponent]!
  return negative ? -value : value
}

/** What `plainDouble` left: long digits, large exponents, NaN, ±Infinity. */
function anyDouble(text: string, type: LogicalType): number {
  const value = Number(text)
  if (text === '' || (Number.isNaN(value) && text !== 'NaN')) throw badValue(type)
  return value
}

export class Float64Decoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new NumberBuilder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    let value = plainDouble(source, start, end)
    if (Number.isNaN(value)) value = anyDouble(asciiText(source, start, end), this.type)
    this.builder.append(value)
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

const doubleView = new Float64Array(1)
const wordView = new Uint32Array(doubleView.buffer)

/** The float nearest to the text, as a double. */
export class Float32Decoder implements ValueDecoder {
  readonly type: LogicalType
  readonly builder = new NumberBuilder()
  constructor(type: LogicalType) {
    this.type = type
  }
  append(source: Uint8Array, start: number, end: number): void {
    let value = plainDouble(source, start, end)
    if (Number.isNaN(value)) value = anyDouble(asciiText(source, start, end), this.type)
    // Rounding twice (text → double → float) differs from rounding once only where the double falls
    // on the middle between two floats and the text does not.
    this.builder.append(
      betweenFloats(value) ? roundedOnce(asciiText(source, start, end), value) : Math.fround(value),
    )
  }
  appendNull(): void {
    this.builder.appendNull()
  }
}

/** Smaller floats are multiples of `floatStep` and have fewer bits. */
const floatNormalMin = 2 ** -126
const floatStep = 2 ** -149

/** Whether a double lies exactly half-way between two neighbouring floats. */
function betweenFloats(value: number): boolean {
  doubleView[0] = value
  if ((wordView[0]! & 0x1fffffff) === 0x10000000) return true
  const size = Math.abs(value)
  return size < floatNormalMin && (size / floatStep) % 1 === 0.5
}

/** The float nearest to the text, where `middle` is the double nearest to it and between floats. */
function roundedOnce(text: string, middle: number): number {
  const order = compareExactly(text, middle)
  const size = Math.abs(middle)
  const sign = middle < 0 ? -1 : 1
  if (order === 0) return Math.fround(middle)
  let low = Math.floor(size / floatStep) * floatStep
  if (size >= floatNormalMin) {
    doubleView[0] = size
    wordView[0] = wordView[0]! & ~0x1fffffff
    low = doubleView[0]
  }
  return sign * (order * sign < 0 ? low : Math.fround(size + (size - low)))
}

/** Sign of text − value, exactly: both as integers times the same powers of ten and two. */
function compareExactly(text: string, value: number): number {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text)
  if (match === null) return 0
  const [, sign, whole, fraction = '', exponent = '0'] = match
  const tens = Number(exponent) - fraction.length
  let left = BigInt(`${whole}${fraction}`) * (sign === '-' ? -1n : 1n)
  let right = BigInt(Math.trunc(value))
  // A double is an integer divided by a power of two: each turn moves one bit of its fraction over.
  for (let rest = value % 1; rest !== 0; rest %= 1) {
    rest *= 2
    left *= 2n
    right = right * 2n + BigInt(Math.trunc(rest))
  }
  if (tens > 0) left *= 10n ** BigInt(tens)
  else right *= 10n ** BigInt(-tens)
  return left < right ? -1 : left > right ? 1 : 0
}

function asciiText(source: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(source[at]!)
  return text
}
