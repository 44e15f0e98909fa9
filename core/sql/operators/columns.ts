/**
 * Columns in generated code: what is set up once per batch and how one row's value is read, for each
 * pair of logical type and encoding. Values have the forms of `Scalar`.
 */
import type { BytesColumn, Column } from '../../record/column.ts'
import type { AnyBuilder } from '../../record/builder.ts'
import type { Interval as RecordInterval } from '../../record/value.ts'
import { intervalAt, textAt } from '../../record/value.ts'
import {
  isScaledDecimal,
  timestampInfinity,
  timestampNegativeInfinity,
  type LogicalType,
} from '../../record/types.ts'
import { SluiceError } from '../../errors/error.ts'
import { isScaled } from '../plan/types.ts'
import {
  Decimal,
  decimalFromDigits,
  decimalText,
  decimalToScaled,
  type Numeric,
} from '../scalar/decimal.ts'
import type { Scalar } from '../scalar/functions.ts'
import { Interval } from '../scalar/interval.ts'
import { narrow, type Int } from '../scalar/integer.ts'
import { scaledText } from '../../record/decimal-builder.ts'

/** What generated code is made for: another shape needs other code. */
export function shapeOf(column: Column): string {
  return `${column.encoding}${column.validity === null ? '' : '?'}`
}

export interface Load {
  /** Statements before the loop. */
  readonly setup: string
  /** Expression of the value in row `i`. */
  readonly value: string
}

/** `c` is the name of a variable that holds the column, `id` makes names unique. */
export function loadCode(type: LogicalType, column: Column, c: string, id: number): Load {
  const plain = { setup: `const V${id} = ${c}.values;`, value: `V${id}[i]` }
  switch (column.encoding) {
    case 'bool':
      return { ...plain, value: `V${id}[i] === 1` }
    case 'int32':
    case 'float64':
      return plain
    case 'int64':
      return type.kind === 'timestamp' || type.kind === 'timestamptz'
        ? { ...plain, value: `timestampOf(V${id}[i])` }
        : { ...plain, value: `narrow(V${id}[i])` }
    case 'uint64':
      return { ...plain, value: `narrow(V${id}[i])` }
    case 'dictionary':
      return {
        setup: `const V${id} = ${c}.codes, S${id} = dictionaryValues(K.types[${id}], ${c}.dictionary);`,
        value: `S${id}[V${id}[i]]`,
      }
    case 'bytes':
      return {
        setup: `const T${id} = K.types[${id}];`,
        value: `bytesValue(T${id}, ${c}, i)`,
      }
    case 'fixed16':
      return {
        setup: '',
        value: `${type.kind === 'uuid' ? 'uuidValue' : 'intervalValue'}(${c}, i)`,
      }
    case 'list':
      // Only whether it is null is ever asked: the planner refuses expressions over lists.
      return { setup: '', value: '0' }
  }
}

const dictionaries = new WeakMap<BytesColumn, readonly Scalar[]>()

function dictionaryValues(type: LogicalType, dictionary: BytesColumn): readonly Scalar[] {
  const known = dictionaries.get(dictionary)
  if (known !== undefined) return known
  const values = Array.from({ length: dictionary.length }, (_, i) =>
    bytesValue(type, dictionary, i),
  )
  dictionaries.set(dictionary, values)
  return values
}

function bytesValue(type: LogicalType, column: BytesColumn, row: number): Scalar {
  const { data } = column
  const start = column.offsets[row]!
  const end = column.offsets[row + 1]!
  const bytes = Buffer.from(data.buffer, data.byteOffset + start, end - start)
  if (type.kind === 'bytes') return bytes.toString('latin1')
  const text = bytes.toString('utf8')
  return type.kind === 'decimal' ? decimalValue(type, text) : text
}

/** A scaled decimal that came as digits must have no more of them than its scale. */
function decimalValue(type: LogicalType, text: string): Scalar {
  const value = decimalFromDigits(text)
  if (!isScaled(type)) return value
  const scaled = decimalToScaled(value, type.scale)
  if (value instanceof Decimal && value.scale > type.scale) {
    const digits = 10n ** BigInt(value.scale - type.scale)
    if (BigInt(scaled) * digits !== value.digits)
      throw new SluiceError('sql.out_of_range', {
        message: 'A decimal has more fraction digits than its column allows',
      })
  }
  return scaled
}

function timestampOf(us: bigint): Int {
  if (us === timestampInfinity) return Infinity
  return us === timestampNegativeInfinity ? -Infinity : narrow(us)
}
function uuidValue(column: Column, row: number): string {
  return textAt({ kind: 'uuid' }, column, row) ?? ''
}
function intervalValue(column: Column, row: number): Interval {
  const { months, days, us }: RecordInterval = intervalAt(column, row)
  return new Interval(months, days, us)
}

/** Names that load code uses. */
export const loaders = {
  dictionaryValues,
  bytesValue,
  timestampOf,
  uuidValue,
  intervalValue,
  narrow,
}

/** Appends one value in its logical type. */
export function appendValue(builder: AnyBuilder, type: LogicalType, value: Scalar): void {
  if (value === null) return builder.appendNull()
  const target = builder as unknown as Appender
  switch (type.kind) {
    case 'bool':
      return target.append(value === true ? 1 : 0)
    case 'int64':
    case 'uint64':
    case 'timestamp':
    case 'timestamptz':
      return typeof value === 'bigint' ? target.appendBigInt(value) : target.append(value as number)
    case 'decimal':
      return appendDecimal(target, type, value as Int | Numeric)
    case 'bytes': {
      const bytes = Buffer.from(value as string, 'latin1')
      return target.append(bytes, 0, bytes.length)
    }
    case 'uuid': {
      const at = target.reserve()
      target.bytes.set(Buffer.from((value as string).replaceAll('-', ''), 'hex'), at)
      return
    }
    case 'interval':
      return appendInterval(target, value as Interval)
    case 'text':
    case 'json':
    case 'other':
      return target.appendString(value as string)
    default:
      return target.append(value as number)
  }
}

/** The union of the builders' methods; `builderFor` says which of them a type's builder has. */
interface Appender {
  append(value: number): void
  append(bytes: Uint8Array, start: number, end: number): void
  appendBigInt(value: bigint): void
  appendString(text: string): void
  appendScaled(value: Int): void
  reserve(): number
  readonly bytes: Uint8Array
}

function appendDecimal(target: Appender, type: LogicalType, value: Int | Numeric): void {
  if (isScaledDecimal(type)) return target.appendScaled(value as Int)
  if (value instanceof Decimal) return target.appendString(decimalText(value))
  target.appendString(isScaled(type) ? scaledText(value, type.scale) : String(value))
}

function appendInterval(target: Appender, { months, days, us }: Interval): void {
  const at = target.reserve()
  const view = new DataView(target.bytes.buffer, target.bytes.byteOffset + at, 16)
  view.setInt32(0, months, true)
  view.setInt32(4, days, true)
  view.setBigInt64(8, us, true)
}
