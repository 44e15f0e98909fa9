/**
 * 32-bit floats from decimal digits, rounded once. Rounding the nearest double again goes wrong where
 * that double lies in the middle between two floats and the number that was written does not.
 */
import { digitsOf } from './decimal-digits.ts'

const view = new DataView(new ArrayBuffer(8))

/** The float nearest to the number that `text` says, to which `double` is the nearest double. */
export function singleOf(double: number, text: string): number {
  const single = Math.fround(double)
  if (single === double || !Number.isFinite(double)) return single
  const other = neighbour(single, double > single)
  if ((sizeOf(single) + sizeOf(other)) / 2 !== double) return single
  const order = compareExactly(text, double)
  if (order === 0) return single
  return order > 0 === other > single ? other : single
}

/** What comes after the largest float counts as what would come if there were no end. */
function sizeOf(single: number): number {
  return Number.isFinite(single) ? single : Math.sign(single) * 2 ** 128
}

/** The next float up or down. */
function neighbour(single: number, up: boolean): number {
  if (single === 0) return up ? 2 ** -149 : -(2 ** -149)
  view.setFloat32(0, single)
  view.setInt32(0, view.getInt32(0) + (up === single > 0 ? 1 : -1))
  return view.getFloat32(0)
}

/** Below, at or above 0 as the number is below, at or above the double. */
function compareExactly(text: string, double: number): number {
  const { negative, digits, fraction } = digitsOf(text)!
  view.setFloat64(0, Math.abs(double))
  const bits = view.getBigUint64(0)
  // Doubles between two floats are never subnormal.
  const mantissa = (bits & 0xf_ffff_ffff_ffffn) | 0x10_0000_0000_0000n
  const exponent = Number(bits >> 52n) - 1075
  let ours = BigInt(digits === '' ? 0 : digits)
  let its = mantissa
  if (fraction > 0) its *= 10n ** BigInt(fraction)
  else ours *= 10n ** BigInt(-fraction)
  if (exponent > 0) its <<= BigInt(exponent)
  else ours <<= BigInt(-exponent)
  const order = ours === its ? 0 : ours > its ? 1 : -1
  return negative ? -order : order
}
