/**
 * Values that a person writes for a column of a dead letter, as exact values of the column's type:
 *
 *   text from a command line   as SQL reads it: 12.5, true, 2026-01-31T12:00:00Z, \x00ff; null = NULL
 *   JSON                       as record/json.ts writes rows: strings, numbers, true, false, null, arrays
 *
 * Numbers keep their digits (they never pass through a double), and a value that the type does not
 * hold exactly is refused, never rounded (invariant 9).
 */
import { didYouMean } from '../connector/nearest.ts'
import { SluiceError } from '../errors/error.ts'
import { makeBatch, type Batch } from '../record/batch.ts'
import {
  BoolBuilder,
  builderFor,
  Fixed16Builder,
  Int32Builder,
  NumberBuilder,
  type AnyBuilder,
} from '../record/builder.ts'
import { BytesBuilder } from '../record/bytes-builder.ts'
import { DecimalBuilder } from '../record/decimal-builder.ts'
import { ListBuilder } from '../record/list-builder.ts'
import type { Field } from '../record/schema.ts'
import { typeName, type LogicalType } from '../record/types.ts'
import type { Interval } from '../record/value.ts'
import { integerRanges, withScale } from '../record/value-convert.ts'
import { scalars } from '../sql/scalar/functions.ts'

/** A JSON value whose numbers are `JSON.rawJSON` of their own digits. */
export type JsonInput = unknown

/** JSON with every number's digits kept. Throws SyntaxError. */
export function parseJson(text: string): JsonInput {
  const keep = (_key: string, value: unknown, context: { readonly source?: string }): unknown =>
    typeof value === 'number' ? rawJson(context.source ?? String(value)) : value
  return (JSON.parse as (text: string, reviver: typeof keep) => unknown)(text, keep)
}

/** ECMAScript's source text access: an object that JSON.stringify writes as that text. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON(text)
}

export interface ColumnProblem {
  readonly column: string
  readonly message: string
}

export interface Edited {
  /** null when something is wrong. */
  readonly batch: Batch | null
  readonly problems: readonly ColumnProblem[]
}

/** The one row of a batch with other values in the columns named. Every problem at once. */
export function editRow(batch: Batch, changes: ReadonlyMap<string, JsonInput>): Edited {
  const problems: ColumnProblem[] = []
  const { schema } = batch
  for (const name of changes.keys()) {
    if (schema.fields.some((field) => field.name === name)) continue
    const names = schema.fields.map((field) => field.name)
    const hint = didYouMean(name, names) ?? `there are ${names.join(', ')}`
    problems.push({ column: name, message: `there is no such column; ${hint}` })
  }
  const columns = schema.fields.map((field, index) => {
    if (!changes.has(field.name)) return batch.columns[index]!
    const builder = builderFor(field.type)
    const message = appendValue(builder, field, changes.get(field.name))
    if (message !== null) problems.push({ column: field.name, message })
    return builder.finish()
  })
  if (problems.length > 0) return { batch: null, problems }
  const { weights, ops, timesUs } = batch
  return { batch: makeBatch(schema, columns, weights, ops, timesUs), problems }
}

/** Why the value does not fit; null when it was appended. */
export function appendValue(
  builder: AnyBuilder,
  { type, nullable }: Field,
  value: JsonInput,
): string | null {
  if (value === null || value === undefined) {
    if (!nullable) return 'NULL is not allowed here'
    builder.appendNull()
    return null
  }
  try {
    append(builder, type, value)
    return null
  } catch (error) {
    if (error instanceof SluiceError || error instanceof SyntaxError || error instanceof RangeError)
      return `${error.message} (the column is ${typeName(type)})`
    throw error
  }
}

function append(builder: AnyBuilder, type: LogicalType, value: JsonInput): void {
  if (builder instanceof ListBuilder && type.kind === 'list') {
    const items = typeof value === 'string' ? parseJson(value) : value
    if (!Array.isArray(items)) throw new RangeError('expected a JSON array')
    for (const item of items as readonly JsonInput[]) {
      if (item === null) builder.child.appendNull()
      else append(builder.child as AnyBuilder, type.element, item)
    }
    builder.endList()
  } else if (type.kind === 'json') appendText(builder, jsonText(value))
  else appendScalar(builder, type, textOf(value))
}

/** Text that is given for a json column is JSON already. */
function jsonText(value: JsonInput): string {
  return typeof value === 'string' ? scalars.jsonFromText(value) : JSON.stringify(value)
}

/** A JSON value as SQL would write it. */
function textOf(value: JsonInput): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  const raw = (value as { readonly rawJSON?: unknown }).rawJSON
  if (typeof raw === 'string') return raw
  throw new RangeError('expected a single value, not an object or an array')
}

function appendScalar(builder: AnyBuilder, type: LogicalType, text: string): void {
  switch (type.kind) {
    case 'bool':
      if (builder instanceof BoolBuilder) builder.append(scalars.boolFromText(text) ? 1 : 0)
      return
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
      return appendInteger(builder, type.kind, text)
    case 'float32':
    case 'float64': {
      const value = scalars.floatFromText(text)
      return appendNumber(builder, type.kind === 'float32' ? scalars.float32(value) : value)
    }
    case 'decimal':
      return appendDecimal(builder, type, text.trim())
    case 'date':
      return appendNumber(builder, scalars.dateFromText(sqlYear(text)))
    case 'time':
      return appendNumber(builder, timeUs(text))
    case 'timestamp':
      return appendNumber(builder, scalars.timestampFromText(sqlYear(text)))
    case 'timestamptz':
      return appendNumber(builder, scalars.timestamptzFromText(sqlYear(text)))
    case 'interval': {
      const { months, days, us } = isoInterval(text.trim()) ?? scalars.intervalFromText(text)
      const bytes = Buffer.alloc(16)
      bytes.writeInt32LE(months, 0)
      bytes.writeInt32LE(days, 4)
      bytes.writeBigInt64LE(us, 8)
      return append16(builder, bytes)
    }
    case 'uuid':
      return append16(builder, Buffer.from(scalars.uuidFromText(text).replaceAll('-', ''), 'hex'))
    case 'bytes': {
      const bytes = bytesOf(text)
      if (builder instanceof BytesBuilder) builder.append(bytes, 0, bytes.length)
      return
    }
    default:
      return appendText(builder, text)
  }
}

function appendText(builder: AnyBuilder, text: string): void {
  if (builder instanceof BytesBuilder) builder.appendString(text)
}

function append16(builder: AnyBuilder, bytes: Buffer): void {
  if (!(builder instanceof Fixed16Builder)) return
  const at = builder.reserve()
  builder.bytes.set(bytes, at)
}

function appendNumber(builder: AnyBuilder, value: number | bigint): void {
  if (builder instanceof NumberBuilder && typeof value === 'bigint') builder.appendBigInt(value)
  else if (builder instanceof NumberBuilder || builder instanceof Int32Builder)
    builder.append(Number(value))
}

function appendInteger(builder: AnyBuilder, kind: string, text: string): void {
  const digits = text.trim()
  if (!/^[+-]?\d{1,40}$/.test(digits)) throw new RangeError('not a whole number')
  const value = BigInt(digits.replace(/^\+/, ''))
  const [least, most] = integerRanges[kind]!
  if (value < least || value > most) throw new RangeError(`not from ${least} to ${most}`)
  appendNumber(builder, value)
}

function appendDecimal(
  builder: AnyBuilder,
  type: LogicalType & { readonly kind: 'decimal' },
  text: string,
): void {
  const plain = /^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)
  const special = /^(?:NaN|-?Infinity)$/.test(text)
  if (!plain && !special) throw new RangeError('not a decimal number')
  const signed = text
    .replace(/^\+/, '')
    .replace(/^(-?)\./, '$10.')
    .replace(/\.$/, '')
  const exact =
    type.precision === null ? signed : withScale(signed, type.precision, type.scale ?? 0)
  if (exact === null) throw new RangeError('too many digits')
  if (builder instanceof BytesBuilder) builder.appendString(exact)
  else if (builder instanceof DecimalBuilder) {
    const bytes = Buffer.from(exact)
    builder.appendText(bytes, 0, bytes.length)
  }
}

const isoPattern =
  /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,6}))?S)?)?$/

/** As record/json.ts writes intervals, each part with its own sign; null for SQL's own spellings. */
function isoInterval(text: string): Pick<Interval, 'months' | 'days' | 'us'> | null {
  if (text === 'infinity') return { months: 0x7fffffff, days: 0x7fffffff, us: (1n << 63n) - 1n }
  if (text === '-infinity') return { months: -0x80000000, days: -0x80000000, us: -(1n << 63n) }
  const match = isoPattern.exec(text)
  if (match === null) return null
  const whole = (index: number): bigint => BigInt(match[index] ?? '0')
  const fraction = BigInt((match[8] ?? '').padEnd(6, '0'))
  const seconds = whole(7) * 1_000_000n + fraction
  const clock = (whole(4) * 60n + whole(5)) * 60_000_000n
  const us = clock + (match[6] === '-' ? -seconds : seconds)
  const months = whole(1) * 12n + whole(2)
  const fits = (value: bigint): boolean => value === BigInt.asIntN(32, value)
  if (!fits(months) || !fits(whole(3)) || us !== BigInt.asIntN(64, us))
    throw new RangeError('the interval is too long')
  return { months: Number(months), days: Number(whole(3)), us }
}

/** ISO 8601 signs years outside 0000 to 9999 and counts 1 BC as 0 (record/json.ts); SQL says BC. */
function sqlYear(text: string): string {
  const match = /^([+-]?)(\d{4,})(-.*)$/.exec(text.trim())
  const [, sign = '', digits = '', rest = ''] = match ?? []
  const year = sign === '-' ? -Number(digits) : Number(digits)
  if (match === null || (sign === '' && year !== 0) || rest.endsWith('BC')) return text
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0')
  return `${shown}${rest}${year > 0 ? '' : ' BC'}`
}

/** MySQL's times are durations too: negative, and up to 838 hours. */
function timeUs(text: string): number {
  const match = /^(-?)(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?$/.exec(text.trim())
  if (match === null) throw new RangeError('not a time such as 23:59:59.5')
  const [, sign, hours, minutes, seconds = '0', fraction = ''] = match
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)
  const us = whole * 1e6 + Number(fraction.padEnd(6, '0'))
  return sign === '-' && us !== 0 ? -us : us
}

function bytesOf(text: string): Buffer {
  const hex = /^\\x((?:[0-9a-fA-F]{2})*)$/.exec(text)?.[1]
  if (hex !== undefined) return Buffer.from(hex, 'hex')
  // Buffer reads over what is no base64; RFC 4648 §4 with its padding is what record/json.ts writes.
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text))
    return Buffer.from(text, 'base64')
  throw new RangeError('neither hex (\\x00ff) nor base64')
}
