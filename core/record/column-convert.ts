/**
 * A column of one type as a column of another, where every value stays what it is: what a target that
 * keeps an older shape is given (`on_schema_change`). A value that the other type does not hold exactly
 * is refused, never rounded, cut or guessed at (invariant 9).
 *
 *   same bytes          int16 as int32, float32 as float64, json and other as text, decimals of one scale
 *   integers            of other widths, as floats that hold them, as decimals
 *   decimals            of other precision and scale; as integers where nothing stands after the point
 *   floats              as integers and as float32, where the number is the same
 *   text                as integer, decimal, uuid or json where that is what it says
 *   date, timestamp     as each other, at midnight
 *   anything            as text: PostgreSQL's (`textAt`; booleans as its cast writes them)
 *   list                element by element
 */
import { dayUs } from './calendar.ts'
import { allSet, clearBit } from './bitmap.ts'
import { builderFor, Fixed16Builder, type AnyBuilder } from './builder.ts'
import { BytesBuilder } from './bytes-builder.ts'
import {
  isNull,
  type Column,
  type Float64Column,
  type Int32Column,
  type ListColumn,
} from './column.ts'
import { DecimalBuilder } from './decimal-builder.ts'
import {
  dateInfinity,
  dateNegativeInfinity,
  isScaledDecimal,
  sameType,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from './types.ts'
import { integerRanges, withScale } from './value-convert.ts'
import { dayAndTime, numberAt, textAt } from './value.ts'

export interface ConvertedColumn {
  /** Refused rows are null in it. */
  readonly column: Column
  /** Ascending; empty when every value has its place. */
  readonly refused: readonly number[]
}

/** Shares the buffers of `column` where the two types are packed alike. */
export function convertColumn(from: LogicalType, column: Column, to: LogicalType): ConvertedColumn {
  if (samePacking(from, column, to)) return { column, refused: [] }
  if (to.kind === 'list' && from.kind === 'list' && column.encoding === 'list') {
    return convertLists(from.element, column, to.element)
  }
  const whole = (to.kind === 'int64' || to.kind === 'float64') && column.encoding === 'int32'
  if (whole && (from.kind === 'int16' || from.kind === 'int32')) {
    const values = Float64Array.from(column.values)
    return { column: { ...column, encoding: 'float64', values }, refused: [] }
  }
  const small = column.encoding === 'int32' || column.encoding === 'float64'
  if (small && from.kind in integerRanges && to.kind in integerRanges) {
    return convertIntegers(column, to)
  }
  const builder = builderFor(to)
  const refused: number[] = []
  for (let row = 0; row < column.length; row++) {
    if (isNull(column, row)) builder.appendNull()
    else if (!appendAs(to, builder, from, column, row)) {
      builder.appendNull()
      refused.push(row)
    }
  }
  return { column: builder.finish(), refused }
}

function samePacking(from: LogicalType, column: Column, to: LogicalType): boolean {
  if (sameType(from, to)) return true
  if (to.kind === 'int32') return from.kind === 'int16'
  if (to.kind === 'float64') return from.kind === 'float32'
  if (to.kind === 'text') return from.kind === 'json' || from.kind === 'other'
  // Lists as their source's text stay that text, whatever their elements are.
  if (to.kind === 'list' && from.kind === 'list') return column.encoding !== 'list'
  return (
    isScaledDecimal(from) &&
    isScaledDecimal(to) &&
    from.scale === to.scale &&
    from.precision <= to.precision
  )
}

/** Integers that are numbers: one loop over them. */
function convertIntegers(column: Int32Column | Float64Column, to: LogicalType): ConvertedColumn {
  const { length, values: given } = column
  const [least, most] = integerRanges[to.kind]!.map(Number) as [number, number]
  const narrow = to.kind === 'int16' || to.kind === 'int32'
  const values = narrow ? new Int32Array(length) : new Float64Array(length)
  const refused: number[] = []
  for (let row = 0; row < length; row++) {
    const value = given[row]!
    if (value >= least && value <= most) values[row] = value
    else if (!isNull(column, row)) refused.push(row)
  }
  let { validity } = column
  if (refused.length > 0) {
    validity = validity === null ? allSet(length) : validity.slice()
    for (const row of refused) clearBit(validity, row)
  }
  const packed =
    values instanceof Int32Array
      ? ({ encoding: 'int32', length, validity, values } as const)
      : ({ encoding: 'float64', length, validity, values } as const)
  return { column: packed, refused }
}

function convertLists(from: LogicalType, lists: ListColumn, to: LogicalType): ConvertedColumn {
  const { column: child, refused: elements } = convertColumn(from, lists.child, to)
  if (elements.length === 0) return { column: { ...lists, child }, refused: [] }
  const refused: number[] = []
  const validity = lists.validity === null ? allSet(lists.length) : lists.validity.slice()
  let at = 0
  for (let row = 0; row < lists.length; row++) {
    while (at < elements.length && elements[at]! < lists.offsets[row]!) at++
    if (at === elements.length || elements[at]! >= lists.offsets[row + 1]!) continue
    refused.push(row)
    clearBit(validity, row)
  }
  return { column: { ...lists, validity, child }, refused }
}

/** False, and nothing appended, when `to` does not hold the value. */
function appendAs(
  to: LogicalType,
  builder: AnyBuilder,
  from: LogicalType,
  column: Column,
  row: number,
): boolean {
  switch (to.kind) {
    case 'text':
      return appendText(builder, textOf(from, column, row))
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
      return appendInteger(to, builder, wholeText(from, column, row))
    case 'decimal':
      return appendDecimal(to, builder, numberText(from, column, row))
    case 'float32':
    case 'float64':
      return appendFloat(to, builder, floatOf(from, column, row))
    case 'uuid':
      return from.kind === 'text' && appendUuid(builder, textAt(from, column, row)!)
    case 'json':
      return from.kind === 'text' && appendJson(builder, textAt(from, column, row)!)
    case 'date':
      return from.kind === 'timestamp' && appendDate(builder, numberAt(column, row))
    case 'timestamp':
      return from.kind === 'date' && appendMidnight(builder, Number(numberAt(column, row)))
    default:
      return false
  }
}

/** `bool::text` is true or false in PostgreSQL, where output is t or f. */
function textOf(from: LogicalType, column: Column, row: number): string {
  if (from.kind === 'bool') return numberAt(column, row) === 0 ? 'false' : 'true'
  return textAt(from, column, row)!
}

function appendText(builder: AnyBuilder, text: string): boolean {
  if (builder instanceof BytesBuilder) builder.appendString(text)
  return true
}

/** The exact decimal text of a number, or null where the type has none. */
function numberText(from: LogicalType, column: Column, row: number): string | null {
  switch (from.kind) {
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'decimal':
      return textAt(from, column, row)
    case 'float32':
    case 'float64': {
      // A fraction of two's has an exact decimal text, but none that anybody would expect.
      const value = Number(numberAt(column, row))
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : null
    }
    case 'text': {
      const text = textAt(from, column, row)!
      return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) && !/^-0(?:\.0*)?$/.test(text) ? text : null
    }
    default:
      return null
  }
}

/** `numberText` where nothing but zeros stands after the point. */
function wholeText(from: LogicalType, column: Column, row: number): string | null {
  const text = numberText(from, column, row)
  // A text is the text of an integer only without a point: `1.0` would come back as `1`.
  if (text === null || from.kind === 'text') return text?.includes('.') === true ? null : text
  return /^(-?\d+)(?:\.0*)?$/.exec(text)?.[1] ?? null
}

function appendInteger(to: LogicalType, builder: AnyBuilder, text: string | null): boolean {
  if (text === null) return false
  const value = BigInt(text)
  const [least, most] = integerRanges[to.kind]!
  if (value < least || value > most) return false
  if ('appendBigInt' in builder) builder.appendBigInt(value)
  else if ('append' in builder && !(builder instanceof BytesBuilder)) builder.append(Number(value))
  return true
}

function appendDecimal(
  to: LogicalType & { readonly kind: 'decimal' },
  builder: AnyBuilder,
  text: string | null,
): boolean {
  if (text === null) return false
  const exact = to.precision === null ? text : withScale(text, to.precision, to.scale ?? 0)
  if (exact === null) return false
  if (builder instanceof BytesBuilder) builder.appendString(exact)
  else if (builder instanceof DecimalBuilder) {
    const bytes = Buffer.from(exact)
    builder.appendText(bytes, 0, bytes.length)
  }
  return true
}

/** The number as a double, or null where there is none that is equal. */
function floatOf(from: LogicalType, column: Column, row: number): number | null {
  if (from.kind === 'float32' || from.kind === 'float64') return Number(numberAt(column, row))
  const text = from.kind === 'text' ? null : wholeText(from, column, row)
  if (text === null) return null
  const value = Number(text)
  return Number.isFinite(value) && BigInt(text) === BigInt(value) ? value : null
}

function appendFloat(to: LogicalType, builder: AnyBuilder, value: number | null): boolean {
  if (value === null || !('append' in builder) || builder instanceof BytesBuilder) return false
  if (to.kind === 'float32' && !Object.is(Math.fround(value), value)) return false
  builder.append(value)
  return true
}

function appendUuid(builder: AnyBuilder, text: string): boolean {
  if (!(builder instanceof Fixed16Builder)) return false
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text)) return false
  const at = builder.reserve()
  builder.bytes.set(Buffer.from(text.replaceAll('-', ''), 'hex'), at)
  return true
}

function appendJson(builder: AnyBuilder, text: string): boolean {
  try {
    JSON.parse(text)
  } catch {
    return false
  }
  return appendText(builder, text)
}

function appendDate(builder: AnyBuilder, us: number | bigint): boolean {
  if (!('append' in builder) || builder instanceof BytesBuilder) return false
  if (us === Infinity || us === timestampInfinity) builder.append(dateInfinity)
  else if (us === -Infinity || us === timestampNegativeInfinity)
    builder.append(dateNegativeInfinity)
  else {
    const [day, rest] = dayAndTime(us)
    if (rest !== 0) return false
    builder.append(day)
  }
  return true
}

function appendMidnight(builder: AnyBuilder, day: number): boolean {
  if (!('appendBigInt' in builder)) return false
  if (day === dateInfinity) builder.append(Infinity)
  else if (day === dateNegativeInfinity) builder.append(-Infinity)
  else {
    const us = BigInt(day) * BigInt(dayUs)
    // The two outermost values stand for the infinities.
    if (us <= timestampNegativeInfinity || us >= timestampInfinity) return false
    builder.appendBigInt(us)
  }
  return true
}
