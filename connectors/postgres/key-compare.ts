/**
 * The server's order of key values, for the types where it is certain here: integers, numeric, uuid,
 * bytea, dates and times, and text under a collation that orders by bytes (C, POSIX, and C.UTF-8 of
 * a UTF-8 database). Every other order (a language's collation, an enum's, an extension's) belongs to
 * the server alone; a table with such a key is copied under one database snapshot, see snapshot.ts.
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
  /** The collation orders by bytes; meaningless for types without one. */
  readonly bytewise: boolean
}

/** The order of keys of these columns; null when it is not certain here. */
export function keyCompare(columns: readonly ComparedColumn[]): KeyCompare | null {
  const compares: ValueCompare[] = []
  for (const column of columns) {
    const compare = valueCompare(column)
    if (compare === null) return null
    compares.push(compare)
  }
  return (a, b) => {
    for (let i = 0; i < compares.length; i++) {
      const order = compares[i]!(a[i]!, b[i]!)
      if (order !== 0) return order
    }
    return 0
  }
}

function valueCompare({ type, typeName, bytewise }: ComparedColumn): ValueCompare | null {
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
    case 'text':
    case 'varchar':
    case 'name':
      return bytewise ? compareBytes : null
    case 'bpchar':
      return bytewise ? (a, b) => compareBytes(a.replace(/ +$/, ''), b.replace(/ +$/, '')) : null
    default:
      return null
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
