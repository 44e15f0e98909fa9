/**
 * Numbers written in decimal digits, exactly as the column's type holds them: 64-bit integers and
 * decimals never pass through a double that cannot hold them, floats are rounded once and correctly.
 *
 *   number = [ '+' | '-' ] ( digits [ '.' [ digits ] ] | '.' digits ) [ ( 'e' | 'E' ) [ sign ] digits ]
 *
 * which holds JSON's numbers and those that people write into CSV. Floats and decimals may also be
 * NaN, Infinity and -Infinity, as core/record/json.ts writes them.
 */
import type { AnyBuilder, Int32Builder, NumberBuilder } from '../../record/builder.ts'
import type { BytesBuilder } from '../../record/bytes-builder.ts'
import type { DecimalBuilder } from '../../record/decimal-builder.ts'
import { decimalDoublePrecisionMax } from '../../record/types.ts'
import { integerRanges, withScale } from '../../record/value-convert.ts'
import { latin1, type CellReader } from './cell.ts'
import { digitsOf, plainDigits, wholeNumber } from './decimal-digits.ts'
import { minus, point, zero } from './json-scan.ts'
import { singleOf } from './single.ts'

/** So many digits always fit a double exactly. */
const exactDigitsMax = 15
/** Powers of ten that a double holds exactly. */
export const powersOfTen = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`))
/** The integer that is all of bytes[start, end) if it has at most 15 digits and no sign but '-'; else NaN. */
export function smallInteger(bytes: Uint8Array, start: number, end: number): number {
  const negative = start < end && bytes[start] === minus
  let at = negative ? start + 1 : start
  if (at === end || end - at > exactDigitsMax) return NaN
  let value = 0
  for (; at < end; at++) {
    const digit = bytes[at]! - zero
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  return negative ? 0 - value : value
}

/** int16, int32. */
export class Int32Cell implements CellReader {
  readonly min: number
  readonly max: number
  constructor(kind: 'int16' | 'int32') {
    const [min, max] = integerRanges[kind]!
    this.min = Number(min)
    this.max = Number(max)
  }
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    let value = smallInteger(bytes, start, end)
    if (Number.isNaN(value)) {
      const exact = wholeNumber(latin1(bytes, start, end))
      if (exact === null) return false
      value = Number(exact)
    }
    if (value < this.min || value > this.max) return false
    ;(builder as Int32Builder).append(value)
    return true
  }
}

/** int64, uint64. */
export class Int64Cell implements CellReader {
  /** Least of those that a double holds exactly. */
  readonly safeMin: number
  readonly #min: bigint
  readonly #max: bigint
  constructor(kind: 'int64' | 'uint64') {
    const [min, max] = integerRanges[kind]!
    this.#min = min
    this.#max = max
    this.safeMin = kind === 'uint64' ? 0 : Number.MIN_SAFE_INTEGER
  }
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const value = smallInteger(bytes, start, end)
    if (!Number.isNaN(value)) {
      if (value < this.safeMin) return false
      ;(builder as NumberBuilder).append(value)
      return true
    }
    const exact = wholeNumber(latin1(bytes, start, end))
    if (exact === null || exact < this.#min || exact > this.#max) return false
    ;(builder as NumberBuilder).appendBigInt(exact)
    return true
  }
}

/** float32, float64: the nearest that there is; one beyond the largest is refused. */
export class FloatCell implements CellReader {
  readonly #single: boolean
  constructor(kind: 'float32' | 'float64') {
    this.#single = kind === 'float32'
  }
  /**
   * What the column holds of a number to which `double` is the nearest double; NaN where the digits have
   * to be looked at: it is too large, or in the middle between two floats (single.ts).
   */
  held(double: number): number {
    if (!this.#single) return double
    const single = Math.fround(double)
    if (single === double) return single
    // As far behind the double as the float is before it: only from the middle that is a float too.
    const other = 2 * double - single
    return Math.fround(other) === other ? NaN : single
  }
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const small = this.held(smallFraction(bytes, start, end))
    if (!Number.isNaN(small)) {
      ;(builder as NumberBuilder).append(small)
      return true
    }
    const text = latin1(bytes, start, end)
    const special = specialNumber(text)
    if (special === null && digitsOf(text) === null) return false
    const double = special ?? Number(text)
    const value = this.#single && special === null ? singleOf(double, text) : double
    if (special === null && !Number.isFinite(value)) return false
    ;(builder as NumberBuilder).append(value)
    return true
  }
}

/**
 * The double nearest to the number, where digits and power of ten are both exact doubles, so that one
 * division rounds once (W. D. Clinger, How to read floating point numbers accurately, 1990). Else NaN.
 */
export function smallFraction(bytes: Uint8Array, start: number, end: number): number {
  const negative = start < end && bytes[start] === minus
  let at = negative ? start + 1 : start
  if (end - at > exactDigitsMax + 1 || at === end) return NaN
  let value = 0
  let fraction = -1
  for (; at < end; at++) {
    const byte = bytes[at]!
    const digit = byte - zero
    if (digit >= 0 && digit <= 9) {
      value = value * 10 + digit
      if (fraction >= 0) fraction++
    } else if (byte === point && fraction < 0) fraction = 0
    else return NaN
  }
  // "1." and ".5" are looked at again; sixteen digits without a point may be too many.
  if (fraction === 0 || value > Number.MAX_SAFE_INTEGER) return NaN
  if (fraction > 0) value /= powersOfTen[fraction]!
  return negative ? -value : value
}

/** `NaN`, `Infinity`, `-Infinity`; null for anything else. */
function specialNumber(text: string): number | null {
  return text === 'NaN' || text === 'Infinity' || text === '-Infinity' ? Number(text) : null
}

/** decimal(p, s) into scaled integers. */
export class ScaledDecimalCell implements CellReader {
  readonly precision: number
  readonly scale: number
  /** Scaled values below it are within the precision and exact in a double. */
  readonly limit: number
  constructor(precision: number, scale: number) {
    this.precision = precision
    this.scale = scale
    this.limit = precision <= decimalDoublePrecisionMax ? 10 ** precision : Number.MAX_SAFE_INTEGER
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const scaled = this.scaled(bytes, start, end)
    if (!Number.isNaN(scaled)) {
      ;(builder as DecimalBuilder).appendScaled(scaled)
      return true
    }
    return this.#appendSlowly(builder as DecimalBuilder, latin1(bytes, start, end))
  }

  /** value × 10^scale where that is simple; NaN where it needs another look. */
  scaled(bytes: Uint8Array, start: number, end: number): number {
    const negative = start < end && bytes[start] === minus
    let at = negative ? start + 1 : start
    if (end - at > exactDigitsMax + 1 || at === end) return NaN
    let value = 0
    let fraction = -1
    for (; at < end; at++) {
      const byte = bytes[at]!
      const digit = byte - zero
      if (digit >= 0 && digit <= 9) {
        value = value * 10 + digit
        if (fraction >= 0) fraction++
      } else if (byte === point && fraction < 0) fraction = 0
      else return NaN
    }
    // "1." and ".5" are looked at again, as is everything that is not sure to be exact.
    const missing = this.scale - (fraction < 0 ? 0 : fraction)
    if (fraction === 0 || missing < 0) return NaN
    value *= powersOfTen[missing]!
    if (value >= this.limit) return NaN
    return negative ? 0 - value : value
  }

  #appendSlowly(builder: DecimalBuilder, text: string): boolean {
    const special = specialNumber(text)
    // As in PostgreSQL, infinities fit no precision.
    if (special !== null && !Number.isNaN(special)) return false
    const exact = special === null ? exactDecimal(text, this.precision, this.scale) : text
    if (exact === null) return false
    const bytes = Buffer.from(exact, 'latin1')
    builder.appendText(bytes, 0, bytes.length)
    return true
  }
}

/** Decimals too long for scaled integers, and those without bounds: their exact digits. */
export class DigitsCell implements CellReader {
  readonly #precision: number | null
  readonly #scale: number
  constructor(precision: number | null, scale: number) {
    this.#precision = precision
    this.#scale = scale
  }
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#precision === null && isPlainDecimal(bytes, start, end)) {
      ;(builder as BytesBuilder).append(bytes, start, end)
      return true
    }
    const text = latin1(bytes, start, end)
    const exact =
      specialNumber(text) === null ? exactDecimal(text, this.#precision, this.#scale) : text
    if (exact === null || (this.#precision !== null && exact.endsWith('Infinity'))) return false
    ;(builder as BytesBuilder).appendString(exact)
    return true
  }
}

/** Short and positive, without exponent, and with no zero or sign that would have to go. */
function isPlainDecimal(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 64) return false
  let pointAt = -1
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte === point && pointAt < 0) pointAt = at
    else if (byte < zero || byte > 0x39) return false
  }
  const whole = (pointAt < 0 ? end : pointAt) - start
  return whole > 0 && pointAt !== end - 1 && (whole === 1 || bytes[start] !== zero)
}

/**
 * The decimal as plain digits: of a known precision with all digits of its scale, of none with those
 * that were written. null: it is none, or has more than fit.
 */
function exactDecimal(text: string, precision: number | null, scale: number): string | null {
  const parts = digitsOf(text)
  const plain = parts === null ? null : plainDigits(parts)
  if (plain === null) return null
  const exact = precision === null ? plain : withScale(plain, precision, scale)
  // PostgreSQL's numeric has no negative zero.
  return exact !== null && exact.startsWith('-') && !/[1-9]/.test(exact) ? exact.slice(1) : exact
}
