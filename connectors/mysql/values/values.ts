/**
 * What the readers of values share: the errors for bytes that follow no format, and the small
 * parsers of the server's own text (result sets), where every digit is checked because a value read
 * as something else would be changed silently.
 */
import { SluiceError } from '../../../core/errors/error.ts'

/** A row image that ends inside a value, or has a length that its type cannot have. */
export function badImage(what: string): SluiceError {
  return new SluiceError('source.mysql.protocol', {
    message: `A row in the binlog holds a ${what} that does not follow its format.`,
  })
}

/** A text of a result set that is not what the server prints for the type. */
export function badText(what: string): SluiceError {
  return new SluiceError('source.mysql.value', {
    message: `A ${what} is not written as the server writes it under the session settings of Sluice.`,
  })
}

export const ascii = {
  zero: 0x30,
  minus: 0x2d,
  plus: 0x2b,
  point: 0x2e,
  colon: 0x3a,
  space: 0x20,
  letterE: 0x65,
} as const

/**
 * A number of exactly `digits` digits, nine at most; −1 when one of them is none, and not NaN, for which
 * a result would be a double with memory of its own.
 */
export function digitsAt(source: Uint8Array, at: number, digits: number): number {
  let value = 0
  for (let i = at; i < at + digits; i++) {
    const digit = source[i]! - ascii.zero
    if (digit >>> 0 > 9) return -1
    value = (value * 10 + digit) | 0
  }
  return value
}

/** Writes `value` as `digits` decimal digits with leading zeros; returns the place after them. */
export function writeDigits(into: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value
  let i = at + digits - 1
  for (; rest > 0xffff_ffff; i--) {
    const next = Math.floor(rest / 10)
    into[i] = ascii.zero + (rest - next * 10)
    rest = next
  }
  // Within 32 bits the division is one of integers, several times as fast.
  for (; i >= at; i--) {
    const next = (rest / 10) >>> 0
    into[i] = ascii.zero + (rest - next * 10)
    rest = next
  }
  return at + digits
}

/** source[start, end) as a string; for cold paths and short texts. */
export function asciiText(source: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(source[at]!)
  return text
}
