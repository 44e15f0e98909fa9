/**
 * Timestamps as a count of seconds, milliseconds, microseconds or nanoseconds since 1970, with or
 * without a fraction. Exact in microseconds; what is behind them is rounded, half away from zero.
 */
import type { AnyBuilder, NumberBuilder } from '../../record/builder.ts'
import { smallInteger } from './cell-number.ts'
import { appendWideUs } from './cell-time.ts'
import { latin1, type CellReader } from './cell.ts'
import { digitsOf } from './decimal-digits.ts'
import type { EpochUnit } from './epoch.ts'

/** Powers of ten from the unit to microseconds. */
const powers: Readonly<Record<EpochUnit, number>> = { s: 6, ms: 3, us: 0, ns: -3 }
/** No count of any unit has more digits before its point and fits 64 bits of microseconds. */
const wholeDigitsMax = 24

export class EpochCell implements CellReader {
  readonly #power: number
  readonly #factor: number
  /** Counts up to it stay exact in a double. */
  readonly #countMax: number

  constructor(unit: EpochUnit) {
    this.#power = powers[unit]
    this.#factor = this.#power < 0 ? NaN : 10 ** this.#power
    this.#countMax = Number.MAX_SAFE_INTEGER / this.#factor
  }

  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean {
    const count = smallInteger(bytes, start, end)
    // Nanoseconds are never multiplied, and go the exact way.
    if (!(count <= this.#countMax && count >= -this.#countMax)) {
      return this.#appendExactly(builder as NumberBuilder, latin1(bytes, start, end))
    }
    ;(builder as NumberBuilder).append(count * this.#factor)
    return true
  }

  #appendExactly(builder: NumberBuilder, text: string): boolean {
    const parts = digitsOf(text)
    if (parts === null || parts.digits.length - parts.fraction > wholeDigitsMax) return false
    /** How many of the digits are behind the microseconds. */
    const behind = parts.fraction - this.#power
    const { digits } = parts
    const kept = digits.slice(0, Math.max(0, digits.length - behind))
    let us = BigInt(kept === '' ? 0 : `${kept}${'0'.repeat(Math.max(0, -behind))}`)
    if (behind > 0 && behind <= digits.length && digits[digits.length - behind]! >= '5') us++
    return appendWideUs(builder, parts.negative ? -us : us)
  }
}
