/**
 * Which column types hold which: pure. What is said of logical types in core/record/type-order.ts, as
 * far as ClickHouse's own conversions (a block into a column, MODIFY COLUMN) keep every value.
 */
import { mapTypeName, timestampTypeName } from './types.ts'

/** Whether every value of a column type can be held, unchanged, by another: then the server converts. */
export function widens(from: string, to: string): boolean {
  const source = unwrap(from)
  const target = unwrap(to)
  if (source.nullable && !target.nullable) return false
  return source.name === target.name || widensPlain(source.name, target.name)
}

/** Float32 has 24 bits for a whole number, Float64 53 (IEEE 754 §3.6). */
const wider: Readonly<Record<string, readonly string[]>> = {
  Bool: [],
  Int16: ['Int32', 'Int64', 'Float32', 'Float64', 'String'],
  Int32: ['Int64', 'Float64', 'String'],
  Int64: ['String'],
  UInt64: ['String'],
  Float32: ['Float64'],
  UUID: ['String'],
  JSON: ['String'],
}

/** Decimal digits of the largest value. */
const integerDigits: Readonly<Record<string, number>> = {
  Int16: 5,
  Int32: 10,
  Int64: 19,
  UInt64: 20,
}

function widensPlain(from: string, to: string): boolean {
  if (wider[from]?.includes(to) === true) return true
  if (from === timestampTypeName) return /^DateTime64\(6(, '[^']*')?\)$/.test(to)
  const [fromElement, toElement] = [elementOf(from), elementOf(to)]
  if (fromElement !== null && toElement !== null) return widens(fromElement, toElement)
  const source = decimalOf(from)
  // Its digits as text, without the zeros at the end: the same number.
  if (source !== null && to === 'String') return true
  const target = decimalOf(to)
  if (target === null) return false
  const digits = integerDigits[from]
  if (digits !== undefined) return target.whole >= digits
  return source !== null && source.whole <= target.whole && source.scale <= target.scale
}

function elementOf(type: string): string | null {
  return /^Array\((.*)\)$/.exec(type)?.[1] ?? null
}

function decimalOf(type: string): { readonly whole: number; readonly scale: number } | null {
  const found = /^Decimal\((\d+), (\d+)\)$/.exec(type)
  if (found === null) return null
  return { whole: Number(found[1]) - Number(found[2]), scale: Number(found[2]) }
}

/** Whether a column can be asked, value by value, if another type holds it (narrow.ts). */
export function isScalar(type: string): boolean {
  const { name } = unwrap(type)
  return name !== 'JSON' && name !== mapTypeName && elementOf(name) === null
}

/** The same type with NULL, where it can have one. */
export function withNull(type: string): string {
  return unwrap(type).nullable || !isNullable(type) ? type : `Nullable(${unwrap(type).name})`
}

export function isNullable(type: string): boolean {
  const { name } = unwrap(type)
  return elementOf(name) === null && !name.startsWith('Map(')
}

/** LowCardinality only changes how a column is stored. */
export function unwrap(type: string): { readonly name: string; readonly nullable: boolean } {
  const name = /^LowCardinality\((.*)\)$/.exec(type)?.[1] ?? type
  const inner = /^Nullable\((.*)\)$/.exec(name)?.[1]
  return { name: inner ?? name, nullable: inner !== undefined }
}
