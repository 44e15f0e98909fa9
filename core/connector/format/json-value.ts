/**
 * One column's values in JSON, straight from the bytes into its builder. Hot: the usual spellings are
 * read in place, the others by the column's cell reader; nothing is allocated for either.
 *
 *   bool            true, false
 *   integers        a number without fraction (12, 12.0, 1.2e1), or such a number as text
 *   floats          a number; as text too, and then also NaN, Infinity, -Infinity
 *   decimals        a number or a number as text, digit for digit
 *   text, other     a text; also the exact source text of a number, true or false
 *   json            any value, as it is written
 *   list            an array of what its element is, or null
 *   timestamps      text in ISO 8601; a number where `epoch` says what it counts
 *   all others      text as cell-text.ts and cell-time.ts say
 *   null            where the column is nullable
 */
import type { AnyBuilder, BoolBuilder, Int32Builder, NumberBuilder } from '../../record/builder.ts'
import type { BytesBuilder } from '../../record/bytes-builder.ts'
import type { DecimalBuilder } from '../../record/decimal-builder.ts'
import type { ListBuilder } from '../../record/list-builder.ts'
import {
  powersOfTen,
  type FloatCell,
  type Int32Cell,
  type Int64Cell,
  type ScaledDecimalCell,
} from './cell-number.ts'
import type { TimestampCell } from './cell-time.ts'
import type { CellReader } from './cell.ts'
import { Kind, type FieldPlan } from './field-plan.ts'
import {
  areFourPlain,
  closeBracket,
  comma,
  fail,
  failed,
  letterN,
  isPlain,
  literalEnd,
  look,
  minus,
  numberEnd,
  openBrace,
  openBracket,
  point,
  quote,
  scalarEnd,
  skipBlanks,
  stringEnd,
  valueEnd,
  zero,
} from './json-scan.ts'
import { appendUnescaped, unescaped, unescapedLength } from './json-unescape.ts'

/** The value may be JSON, but does not fit; nothing was appended, but maybe elements of a list. */
export const misfit = -1
/** Longer texts are cheaper to copy at once. */
const shortTextMax = 256
/** So many digits always fit a double exactly. */
const exactDigitsMax = 15

let reason = ''

/** What the last value that did not fit should have been. */
export function misfitReason(): string {
  return reason
}

export class JsonValueReader {
  readonly plan: FieldPlan
  readonly #kind: number
  readonly #cell: CellReader | null
  readonly #element: JsonValueReader | null
  /** What texts were written into last. */
  #into: Uint8Array | null = null
  #intoView: DataView = new DataView(new ArrayBuffer(0))

  constructor(plan: FieldPlan) {
    this.plan = plan
    this.#kind = plan.kind
    this.#cell = plan.cell
    this.#element = plan.element === null ? null : new JsonValueReader(plan.element)
  }

  /** Appends the value that begins at `at`; returns where it ends, `failed` or `misfit`. */
  read(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) return fail('expected a value', at)
    const byte = bytes[at]!
    if (byte === letterN) return this.#null(builder, bytes, at, end)
    switch (this.#kind) {
      case Kind.text:
        return this.#text(builder as BytesBuilder, bytes, at, end)
      case Kind.int64:
      case Kind.int32:
        return this.#integer(builder as NumberBuilder | Int32Builder, bytes, at, end)
      case Kind.scaled:
        return this.#scaled(builder as DecimalBuilder, bytes, at, end)
      case Kind.float:
        return this.#float(builder as NumberBuilder, bytes, at, end)
      case Kind.digits:
        return byte === quote
          ? this.#quoted(builder, bytes, at, end)
          : this.#number(builder, bytes, at, end)
      case Kind.bool:
        return this.#bool(builder as BoolBuilder, bytes, at, end)
      case Kind.json: {
        const last = valueEnd(bytes, at, end)
        if (last !== failed) (builder as BytesBuilder).append(bytes, at, last)
        return last
      }
      case Kind.list:
        return byte === openBracket
          ? this.#list(builder as ListBuilder, bytes, at, end)
          : this.#misfit()
      case Kind.timestamp: {
        if (byte !== quote) return this.#epoch(builder, bytes, at, end)
        const last = (this.#cell as TimestampCell).appendPrefix(builder, bytes, at + 1, end)
        if (last > 0) return last + 1
      }
    }
    return byte === quote ? this.#quoted(builder, bytes, at, end) : this.#misfit()
  }

  #misfit(): typeof misfit {
    reason = this.plan.wanted
    return misfit
  }

  #null(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const last = literalEnd(bytes, at, end)
    if (last === failed) return failed
    if (!this.plan.nullable) {
      reason = `is null; ${this.plan.wanted}`
      return misfit
    }
    builder.appendNull()
    return last
  }

  #text(builder: BytesBuilder, bytes: Uint8Array, at: number, end: number): number {
    const byte = bytes[at]!
    if (byte === quote) {
      const last = this.#shortText(builder, bytes, at + 1, end)
      if (last > 0) return last
      const close = stringEnd(bytes, at + 1, end)
      if (close > 0) {
        builder.append(bytes, at + 1, close)
        return close + 1
      }
      if (close === failed) return failed
      return appendUnescaped(builder, bytes, at + 1, -close) ? 1 - close : this.#misfit()
    }
    if (byte === openBrace || byte === openBracket) return this.#misfit()
    const last = scalarEnd(bytes, at, end)
    if (last !== failed) builder.append(bytes, at, last)
    return last
  }

  /**
   * Copies a text while looking for its end, four bytes at a time. Returns where the value ends; 0, and
   * nothing appended, where the text is long or not plain ASCII.
   */
  #shortText(builder: BytesBuilder, bytes: Uint8Array, at: number, end: number): number {
    const limit = end - at > shortTextMax ? at + shortTextMax : end
    const from = builder.reserve(limit - at)
    const into = builder.bytes
    if (into !== this.#into) {
      this.#into = into
      this.#intoView = new DataView(into.buffer, into.byteOffset, into.byteLength)
    }
    const view = look(bytes)
    const intoView = this.#intoView
    let to = from
    for (const last = limit - 4; at <= last; at += 4) {
      const word = view.getInt32(at, true)
      if (!areFourPlain(word)) break
      intoView.setInt32(to, word, true)
      to += 4
    }
    while (at < limit && isPlain[bytes[at]!] === 1) into[to++] = bytes[at++]!
    if (at === limit || bytes[at] !== quote) return 0
    builder.commit(to - from)
    return at + 1
  }

  /** Up to 15 digits in place, as text too; whatever else a number can be by the cell reader. */
  #integer(
    builder: NumberBuilder | Int32Builder,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): number {
    const isText = bytes[at] === quote
    const start = isText ? at + 1 : at
    const negative = bytes[start] === minus
    const from = negative ? start + 1 : start
    const last = end - from > exactDigitsMax ? from + exactDigitsMax : end
    let to = from
    let value = 0
    for (; to < last; to++) {
      const digit = bytes[to]! - zero
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    const simple = to > from && to < end && isNumberOver(bytes[to]!, isText)
    if (!simple || (bytes[from] === zero && to > from + 1)) {
      return isText ? this.#quoted(builder, bytes, at, end) : this.#number(builder, bytes, at, end)
    }
    if (negative) value = 0 - value
    if (this.#kind === Kind.int64) {
      if (value < (this.#cell as Int64Cell).safeMin) return this.#misfit()
      ;(builder as NumberBuilder).append(value)
    } else {
      const { min, max } = this.#cell as Int32Cell
      if (value < min || value > max) return this.#misfit()
      ;(builder as Int32Builder).append(value)
    }
    return isText ? to + 1 : to
  }

  #scaled(builder: DecimalBuilder, bytes: Uint8Array, at: number, end: number): number {
    const isText = bytes[at] === quote
    const start = isText ? at + 1 : at
    const last = readPlainNumber(bytes, start, end, isText)
    if (last > 0) {
      const { scale, limit } = this.#cell as ScaledDecimalCell
      const value = fraction <= scale ? mantissa * powersOfTen[scale - fraction]! : limit
      if (value < limit) {
        builder.appendScaled(bytes[start] === minus ? 0 - value : value)
        return isText ? last + 1 : last
      }
    }
    return isText ? this.#quoted(builder, bytes, at, end) : this.#number(builder, bytes, at, end)
  }

  #float(builder: NumberBuilder, bytes: Uint8Array, at: number, end: number): number {
    const isText = bytes[at] === quote
    const start = isText ? at + 1 : at
    const last = readPlainNumber(bytes, start, end, isText)
    if (last > 0) {
      // Both are exact doubles, so that the division rounds once; see `smallFraction`.
      const value = mantissa / powersOfTen[fraction]!
      const held = (this.#cell as FloatCell).held(bytes[start] === minus ? -value : value)
      if (!Number.isNaN(held)) {
        builder.append(held)
        return isText ? last + 1 : last
      }
    }
    return isText ? this.#quoted(builder, bytes, at, end) : this.#number(builder, bytes, at, end)
  }

  /** Whatever a number can be, by the cell reader. */
  #number(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const byte = bytes[at]!
    if (byte !== minus && (byte < zero || byte > 0x39)) return this.#misfit()
    const last = numberEnd(bytes, at, end)
    if (last === failed) return failed
    return this.#cell!.append(builder, bytes, at, last) ? last : this.#misfit()
  }

  #epoch(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const byte = bytes[at]!
    if (this.plan.epoch === null || (byte !== minus && (byte < zero || byte > 0x39)))
      return this.#misfit()
    const last = numberEnd(bytes, at, end)
    if (last === failed) return failed
    return this.plan.epoch.append(builder, bytes, at, last) ? last : this.#misfit()
  }

  #quoted(builder: AnyBuilder, bytes: Uint8Array, at: number, end: number): number {
    const close = stringEnd(bytes, at + 1, end)
    if (close === failed) return failed
    if (close > 0) {
      return this.#cell!.append(builder, bytes, at + 1, close) ? close + 1 : this.#misfit()
    }
    const text = unescaped(bytes, at + 1, -close)
    const fits = text !== null && this.#cell!.append(builder, text, 0, unescapedLength())
    return fits ? 1 - close : this.#misfit()
  }

  #bool(builder: BoolBuilder, bytes: Uint8Array, at: number, end: number): number {
    const truth = bytes[at] === 0x74
    if (!truth && bytes[at] !== 0x66) return this.#misfit()
    const last = literalEnd(bytes, at, end)
    if (last !== failed) builder.append(truth ? 1 : 0)
    return last
  }

  #list(builder: ListBuilder, bytes: Uint8Array, at: number, end: number): number {
    const element = this.#element!
    const child = builder.child as AnyBuilder
    at = skipBlanks(bytes, at + 1, end)
    if (at < end && bytes[at] === closeBracket) {
      builder.endList()
      return at + 1
    }
    for (;;) {
      at = element.read(child, bytes, at, end)
      if (at <= 0) return at
      at = skipBlanks(bytes, at, end)
      const byte = at < end ? bytes[at]! : 0
      if (byte === closeBracket) break
      if (byte !== comma) return fail('expected "," or "]"', at)
      at = skipBlanks(bytes, at + 1, end)
    }
    builder.endList()
    return at + 1
  }
}

// What `readPlainNumber` read: |value| = mantissa × 10^−fraction.
let mantissa = 0
let fraction = 0

/**
 * Reads a number of at most 15 digits without exponent, which a quote ends where it is text. Returns where it ends, or
 * `failed` where it is another one, or none, or the document ends with it.
 */
function readPlainNumber(bytes: Uint8Array, at: number, end: number, isText: boolean): number {
  const from = bytes[at] === minus ? at + 1 : at
  // One place more for the point.
  const last = end - from > exactDigitsMax + 1 ? from + exactDigitsMax + 1 : end
  let pointAt = -1
  let value = 0
  let to = from
  for (; to < last; to++) {
    const byte = bytes[to]!
    const digit = byte - zero
    if (digit >= 0 && digit <= 9) value = value * 10 + digit
    else if (byte === point && pointAt < 0 && to > from) pointAt = to
    else break
  }
  if (to === from || to === end || !isNumberOver(bytes[to]!, isText) || pointAt === to - 1)
    return failed
  const digits = pointAt < 0 ? to - from : to - from - 1
  const whole = pointAt < 0 ? digits : pointAt - from
  if (digits > exactDigitsMax || (whole > 1 && bytes[from] === zero)) return failed
  mantissa = value
  fraction = digits - whole
  return to
}

/** Whether a number ends before this byte: it may go on with more digits, a fraction or an exponent; one in quotes with anything. */
function isNumberOver(byte: number, isText: boolean): boolean {
  if (isText) return byte === quote
  return byte !== point && (byte | 0x20) !== 0x65 && (byte < zero || byte > 0x39)
}
