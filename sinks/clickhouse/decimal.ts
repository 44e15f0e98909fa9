/**
 * Decimal text as a scaled integer of up to 256 bits, without a BigInt a value. Hot.
 *
 *   value = [ '-' | '+' ] digits [ '.' digits ]
 *
 * The integer grows in limbs of 32 bits, four digits at a time: a limb times 10^4 plus a carry stays
 * below 2^53, so plain numbers are exact.
 */
const minus = 0x2d
const plus = 0x2b
const point = 0x2e
const zero = 0x30
const nine = 0x39
const chunkDigits = 4
const chunkSizes = [1, 10, 100, 1000, 10_000] as const

/** Whether Decimal(precision, scale) holds the text exactly. NaN, ±Infinity and exponents do not fit. */
export function decimalFits(
  data: Uint8Array,
  start: number,
  end: number,
  type: { readonly precision: number; readonly scale: number },
): boolean {
  let at = start
  if (data[at] === minus || data[at] === plus) at++
  if (at === end) return false
  let whole = 0
  let fraction = -1
  let significantFraction = 0
  for (; at < end; at++) {
    const byte = data[at]!
    if (byte === point && fraction < 0) {
      fraction = 0
      continue
    }
    if (byte < zero || byte > nine) return false
    if (fraction >= 0) {
      fraction++
      if (byte !== zero) significantFraction = fraction
    } else if (whole > 0 || byte !== zero) whole++
  }
  return whole <= type.precision - type.scale && significantFraction <= type.scale
}

/** Holds the limbs of one value; one per encoder, reused for every value. */
export class DecimalReader {
  /** The magnitude, least significant limb first. */
  readonly limbs = new Uint32Array(8)
  negative = false

  /** Reads a text that `decimalFits` accepts, as value × 10^scale. */
  read(data: Uint8Array, start: number, end: number, scale: number): void {
    this.limbs.fill(0)
    let at = start
    this.negative = data[at] === minus
    if (this.negative || data[at] === plus) at++
    let chunk = 0
    let digits = 0
    let fraction = -1
    for (; at < end && fraction < scale; at++) {
      const byte = data[at]!
      if (byte === point) {
        fraction = 0
        continue
      }
      chunk = chunk * 10 + (byte - zero)
      if (fraction >= 0) fraction++
      if (++digits === chunkDigits) {
        this.#append(chunk, digits)
        chunk = 0
        digits = 0
      }
    }
    for (let missing = scale - Math.max(fraction, 0); missing > 0; missing--) {
      chunk *= 10
      if (++digits === chunkDigits) {
        this.#append(chunk, digits)
        chunk = 0
        digits = 0
      }
    }
    if (digits > 0) this.#append(chunk, digits)
  }

  /** Writes the value as a two's complement little-endian integer of `bytes` bytes. */
  write(view: DataView, at: number, bytes: number): void {
    let carry = this.negative ? 1 : 0
    for (let i = 0; i * 4 < bytes; i++) {
      let limb = this.limbs[i]!
      if (this.negative) {
        limb = (~limb >>> 0) + carry
        carry = limb > 0xffffffff ? 1 : 0
      }
      view.setUint32(at + i * 4, limb >>> 0, true)
    }
  }

  #append(chunk: number, digits: number): void {
    const { limbs } = this
    const size = chunkSizes[digits]!
    let carry = chunk
    for (let i = 0; i < limbs.length; i++) {
      const product = limbs[i]! * size + carry
      carry = Math.floor(product / 0x1_0000_0000)
      limbs[i] = product >>> 0
    }
  }
}
