/**
 * Decimals of Avro: two's complement of the unscaled value, most significant byte first, in `bytes` or
 * `fixed` (Apache Avro 1.12, "Decimal"). Up to 48 bits in doubles, which hold them; above in bigints.
 */
import type { AnyBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder, scaledText } from '../../../core/record/decimal-builder.ts'
import type { AvroInput } from './input.ts'
import type { Read } from './reader.ts'
import type { AvroDecimal } from './types.ts'

const shortBytesMax = 6
const powersOfTen = Float64Array.from({ length: 15 }, (_, digits) => 10 ** digits)

export const readDecimal: Read = (input, builder, { type, scale, scaleBy, precision }) => {
  const value = decimalAt(input, type as AvroDecimal)
  if (input.fault !== null) return
  if (scaleBy === 0 && precision >= (type as AvroDecimal).precision) {
    return append(builder, value, scale)
  }
  const scaled = rescaled(BigInt(value), scaleBy)
  if (scaled === null || !hasDigits(scaled, precision)) {
    input.fail('a decimal does not fit the digits of its column')
  } else append(builder, scaled, scale)
}

function append(builder: AnyBuilder, value: number | bigint, scale: number): void {
  if (builder instanceof DecimalBuilder) builder.appendScaled(value)
  else if (builder instanceof BytesBuilder) builder.appendString(scaledText(value, scale))
}

/** The unscaled value, exact; 0 after a fault. */
export function decimalAt(input: AvroInput, { size, precision }: AvroDecimal): number | bigint {
  const { bytes } = input
  let start = size === null ? input.sized() : input.fixed(size)
  const end = input.at
  if (input.fault !== null) return 0
  if (start === end) return input.fail('a decimal has no bytes')
  const isNegative = bytes[start]! >= 0x80
  const sign = isNegative ? 0xff : 0
  // Bytes that only repeat the sign say nothing; a fixed type is filled up with them.
  while (end - start > 1 && bytes[start] === sign && bytes[start + 1]! >> 7 === sign >> 7) start++
  // Nothing is computed of a value that is too long anyway.
  if (end - start > precision * 0.4153 + 2) return input.fail('a decimal has too many digits')
  const value =
    end - start <= shortBytesMax
      ? shortInteger(bytes, start, end)
      : BigInt.asIntN((end - start) * 8, BigInt(`0x${hexOf(bytes, start, end)}`))
  return hasDigits(value, precision) ? value : input.fail('a decimal has too many digits')
}

function shortInteger(bytes: Uint8Array, start: number, end: number): number {
  let value = bytes[start]! >= 0x80 ? bytes[start]! - 256 : bytes[start]!
  for (let at = start + 1; at < end; at++) value = value * 256 + bytes[at]!
  return value
}

function hexOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex')
}

function hasDigits(value: number | bigint, digits: number): boolean {
  // 48 bits stay below 10^15.
  if (typeof value === 'number') return digits > 14 || Math.abs(value) < powersOfTen[digits]!
  return (value < 0n ? -value : value) < 10n ** BigInt(digits)
}

/** null: digits behind the point would be lost. */
function rescaled(value: bigint, by: number): bigint | null {
  if (by >= 0) return value * 10n ** BigInt(by)
  const unit = 10n ** BigInt(-by)
  return value % unit === 0n ? value / unit : null
}
