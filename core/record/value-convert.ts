/**
 * A value of one type as the same value of another, where every digit stays: integers of other widths,
 * integers as decimals, decimals of other precision. What a database rewrites when a column's type is
 * changed and does not send again.
 */
import { builderFor } from './builder.ts'
import { isNull, type Column } from './column.ts'
import { DecimalBuilder } from './decimal-builder.ts'
import { BytesBuilder } from './bytes-builder.ts'
import { sameType, type LogicalType } from './types.ts'
import { textAt } from './value.ts'
import { gatherColumn } from './value-copy.ts'

/** Least and most of each integer type, by kind. */
export const integerRanges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int16: [-0x8000n, 0x7fffn],
  int32: [-0x80000000n, 0x7fffffffn],
  int64: [-0x8000000000000000n, 0x7fffffffffffffffn],
  uint64: [0n, 0xffffffffffffffffn],
}

/** A column of one row with that value; null: `to` does not hold it exactly, or the types have no common meaning. */
export function convertValue(
  from: LogicalType,
  column: Column,
  row: number,
  to: LogicalType,
): Column | null {
  if (sameType(from, to) || isNull(column, row))
    return gatherColumn(
      to,
      [column],
      Int32Array.of(isNull(column, row) ? -1 : 0),
      Int32Array.of(row),
    )
  const integer = from.kind in integerRanges
  if (!integer && from.kind !== 'decimal') return null
  const text = textAt(from, column, row)!
  if (to.kind === 'decimal') return decimalColumn(to, text)
  const range = integerRanges[to.kind]
  if (range === undefined || !integer) return null
  const value = BigInt(text)
  if (value < range[0] || value > range[1]) return null
  const builder = builderFor(to)
  if ('appendBigInt' in builder) builder.appendBigInt(value)
  else if ('append' in builder && !(builder instanceof BytesBuilder)) builder.append(Number(value))
  return builder.finish()
}

function decimalColumn(
  type: LogicalType & { readonly kind: 'decimal' },
  text: string,
): Column | null {
  const exact = type.precision === null ? text : withScale(text, type.precision, type.scale ?? 0)
  if (exact === null) return null
  const builder = builderFor(type)
  if (builder instanceof BytesBuilder) builder.appendString(exact)
  else if (builder instanceof DecimalBuilder) {
    const bytes = Buffer.from(exact)
    builder.appendText(bytes, 0, bytes.length)
  }
  return builder.finish()
}

/** With exactly `scale` digits of fraction; null where that takes digits away, or it has too many. */
export function withScale(text: string, precision: number, scale: number): string | null {
  const parts = /^(-?)0*(\d*?)(?:\.(\d*?)0*)?$/.exec(text)
  if (parts === null) return /^(?:NaN|-?Infinity)$/.test(text) ? text : null
  const [, sign = '', whole = '', fraction = ''] = parts
  if (fraction.length > scale || whole.length > Math.max(0, precision - scale)) return null
  // numeric(2,5) holds 0.00099: of the digits behind the point the first three are zeros.
  if (/[1-9]/.test(fraction.slice(0, Math.max(0, scale - precision)))) return null
  const digits = whole === '' ? '0' : whole
  return `${sign}${digits}${scale === 0 ? '' : `.${fraction.padEnd(scale, '0')}`}`
}
