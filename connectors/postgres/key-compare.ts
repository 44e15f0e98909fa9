/**
 * How keys compare. The server's order is certain here for integers, numeric, uuid, bytea, dates and
 * times, and text under a collation that orders by bytes (C, POSIX, and C.UTF-8 of a UTF-8 database).
 * Every other order (a language's collation, an enum's, an extension's) belongs to the server alone;
 * such a column is read and compared by the bytes of its text (key-order.ts).
 */
import type { LogicalType } from '../../core/record/types.ts'
import { numberAt } from '../../core/record/value.ts'
import { valueDecoder } from './values.ts'

/** Negative, zero or positive, of two keys as the server prints them. */
export type KeyCompare = (a: readonly string[], b: readonly string[]) => number
type ValueCompare = (a: string, b: string) => number

export interface ComparedColumn {
  readonly type: LogicalType
  /** pg_type.typname, domains resolved. */
  readonly typeName: string
  /** In the server's order of the type; otherwise by the bytes of its text. */
  readonly native: boolean
}

/** Whether the server's order of the type, under a collation that is `bytewise` or not, is certain here. */
export function isOrderKnown(typeName: string, bytewise: boolean): boolean {
  switch (typeName) {
    case 'text':
    case 'varchar':
    case 'name':
    case 'bpchar':
      return bytewise
    default:
      return ordered.has(typeName)
  }
}

const ordered: ReadonlySet<string> = new Set(
  'int2 int4 int8 oid numeric uuid bytea date time timestamp timestamptz'.split(' '),
)

/** The order of keys of these columns. */
export function keyCompare(columns: readonly ComparedColumn[]): KeyCompare {
  const compares = columns.map(valueCompare)
  return (a, b) => {
    for (let i = 0; i < compares.length; i++) {
      const order = compares[i]!(a[i]!, b[i]!)
      if (order !== 0) return order
    }
    return 0
  }
}

function valueCompare({ type, typeName, native }: ComparedColumn): ValueCompare {
  if (!native) return compareBytes
  switch (typeName) {
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
      return (a, b) => sign(BigInt(a), BigInt(b))
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return (a, b) => sign(valueOf(type, a), valueOf(type, b))
    case 'numeric':
      return compareNumeric
    // Fixed-width or prefix-ordered hexadecimal in lower case: byte order is text order.
    case 'uuid':
    case 'bytea':
      return sign
    case 'bpchar':
      return (a, b) => compareBytes(a.replace(/ +$/, ''), b.replace(/ +$/, ''))
    default:
      return compareBytes
  }
}

function sign<T extends number | bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Days or microseconds, ±infinity included, as the decoder of the type reads them. */
function valueOf(type: LogicalType, text: string): number | bigint {
  const decoder = valueDecoder(type)
  const bytes = Buffer.from(text)
  decoder.append(bytes, 0, bytes.length)
  return numberAt(decoder.builder.finish(), 0)
}

/** NaN is equal to itself and above everything, as numeric_cmp has it. */
export function compareNumeric(a: string, b: string): number {
  const [rankA, rankB] = [rankOf(a), rankOf(b)]
  if (rankA !== 0 || rankB !== 0) return sign(rankA, rankB)
  const scale = Math.max(fractionDigits(a), fractionDigits(b))
  return sign(scaled(a, scale), scaled(b, scale))
}

function rankOf(text: string): number {
  if (text === 'NaN') return 2
  return text === 'Infinity' ? 1 : text === '-Infinity' ? -1 : 0
}

function fractionDigits(text: string): number {
  const point = text.indexOf('.')
  return point < 0 ? 0 : text.length - point - 1
}

function scaled(text: string, scale: number): bigint {
  const digits = text.replace('.', '')
  return BigInt(digits + '0'.repeat(scale - fractionDigits(text)))
}
