/**
 * The order in which a table is copied: that of its key's index, in the server's own order of each
 * column's type, so that a chunk is one range of the index. Bounds are exact text (`textAt`); here they
 * become literals that compare with the column as its index does, or the range would be another one
 * than the server's. A table whose key has no such order is copied as a whole.
 *
 *   after (x, y) = (a > x OR (a = x AND b > y))        row constructors are not read as ranges:
 *   up to (x, y) = (a < x OR (a = x AND b <= y))       MySQL manual, "Row Constructor Expression Optimization"
 */
import type { KeyText } from '../../../core/connector/snapshot/reader.ts'
import type { CatalogColumn, CatalogTable } from '../schema/catalog.ts'
import { isUtf8 } from '../values/column-types.ts'
import { quoteName } from '../schema/table-pattern.ts'
import type { MysqlType, ValuePolicies } from '../types.ts'

/** How values of the column compare; key-compare.ts has the same order in JavaScript, but for `server`. */
export type KeyKind =
  | 'number'
  | 'float'
  | 'decimal'
  | 'time'
  | 'bytes'
  /** By UTF-8 bytes, the shorter one as if padded with spaces, or not. */
  | 'padded'
  | 'unpadded'
  /** Text of fixed width, as zero dates are read: by bytes. */
  | 'digits'
  /** By the place among the labels. */
  | 'label'
  /** By a collation, or a type of which only the server knows the order. */
  | 'server'

export interface KeyColumn {
  readonly name: string
  /** Place among the table's columns, which is that in the topic's schema. */
  readonly index: number
  readonly column: CatalogColumn
  readonly kind: KeyKind
}

/** Columns in key order; empty when the table has to be copied as a whole. */
export type KeyOrder = readonly KeyColumn[]

/** More labels than this make conditions too long to be worth it. */
const labelsMax = 256

/**
 * Multi-byte character sets in which several codes are one character of Unicode: a bound that was read
 * as Unicode would come back as another code, which may sort elsewhere.
 */
const ambiguousCharsets: ReadonlySet<string> = new Set([
  'big5',
  'cp932',
  'eucjpms',
  'euckr',
  'gb2312',
  'gbk',
  'sjis',
  'ujis',
])

export function keyOrder(table: CatalogTable, policies: ValuePolicies): KeyOrder {
  if (table.keyIndex === null) return []
  const order: KeyColumn[] = []
  for (const name of table.key) {
    const index = table.columns.findIndex((column) => column.name === name)
    const column = table.columns[index]!
    const kind = kindOf(column, policies)
    if (kind === null) return []
    order.push({ name, index, column, kind })
  }
  return order
}

/** null where the order of values cannot be said exactly. */
function kindOf(column: CatalogColumn, policies: ValuePolicies): KeyKind | null {
  const { type } = column
  switch (type.kind) {
    case 'int':
      // As a boolean, 1 and 2 are one value.
      return type.displayOne && policies.tinyint1 === 'bool' ? null : 'number'
    case 'year':
    case 'bit':
      return 'number'
    case 'decimal':
      return 'decimal'
    case 'float':
    case 'double':
      return 'float'
    case 'time':
      return 'time'
    case 'date':
    case 'datetime':
    case 'timestamp':
      // Read as nulls, zero dates and dates without a day would all be one value.
      if (policies.zeroDates === 'null') return null
      return policies.zeroDates === 'text' ? 'digits' : 'time'
    case 'bytes':
      return 'bytes'
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return 'server'
    case 'text':
      return textKind(type.charset, column.collation)
    case 'enum':
      return hasSureLabels(type.labels) ? 'label' : null
    // Its bytes are in the order of the years, which two digits do not tell.
    case 'year2':
    case 'set':
    case 'json':
    case 'geometry':
    case 'vector':
    case 'unknown':
      return null
  }
}

/**
 * A `_bin` collation of UTF-8 orders by code points, which is the order of the bytes. The others of
 * UTF-8, and of every other character set, are the server's.
 */
function textKind(charset: string, collation: string | null): KeyKind | null {
  if (collation === null || ambiguousCharsets.has(charset)) return null
  if (!isUtf8(charset) || !collation.endsWith('_bin')) return 'server'
  return /_0900_bin$|_nopad_bin$/.test(collation) ? 'unpadded' : 'padded'
}

/** INFORMATION_SCHEMA prints what its own three-byte UTF-8 cannot hold as `?`; '' is index 0 as well. */
function hasSureLabels(labels: readonly string[]): boolean {
  return labels.length <= labelsMax && labels.every((label) => label !== '' && !label.includes('?'))
}

/**
 * What the order of keys means, one text a column, for a position: a place in one order is none in
 * another, such as after a change of the column's type or collation.
 */
export function orderNames(order: KeyOrder): readonly string[] {
  return order.map(({ name, column }) =>
    [name, column.declared, ...(column.collation === null ? [] : [column.collation])].join(' '),
  )
}

/** `` `a`, `b` ``: what to order by. */
export function orderSql(order: KeyOrder): string {
  return order.map(({ name }) => quoteName(name)).join(', ')
}

/** The rows after `key`, in parentheses. */
export function afterSql(order: KeyOrder, key: KeyText): string {
  return boundSql(order, key, '>', false)
}

/** The rows up to and with `key`, in parentheses. */
export function upToSql(order: KeyOrder, key: KeyText): string {
  return boundSql(order, key, '<', true)
}

/** The row of `key`, in parentheses. */
export function isKeySql(order: KeyOrder, key: KeyText): string {
  return `(${order.map((column, i) => compareSql(column, '=', key[i]!)).join(' AND ')})`
}

function boundSql(order: KeyOrder, key: KeyText, operator: '<' | '>', inclusive: boolean): string {
  let sql = ''
  for (let i = order.length - 1; i >= 0; i--) {
    const column = order[i]!
    const text = key[i]!
    sql =
      sql === ''
        ? compareSql(column, inclusive ? `${operator}=` : operator, text)
        : `(${compareSql(column, operator, text)} OR (${compareSql(column, '=', text)} AND ${sql}))`
  }
  return sql.startsWith('(') ? sql : `(${sql})`
}

/**
 * An enum is compared by the list of its indexes, because `enum > 3` is read over the whole index and
 * `enum > 'c'` compares labels (measured with EXPLAIN on MySQL 9.7 and MariaDB 10.11).
 */
function compareSql(column: KeyColumn, operator: string, text: string): string {
  const name = quoteName(column.name)
  const { type } = column.column
  if (type.kind !== 'enum') return `${name} ${operator} ${literalSql(column, text)}`
  const place = type.labels.indexOf(text) + 1
  const places = Array.from({ length: type.labels.length + 1 }, (_, i) => i).filter((i) =>
    operator === '='
      ? i === place
      : operator.startsWith('>')
        ? i > place || (operator === '>=' && i === place)
        : i < place || (operator === '<=' && i === place),
  )
  return places.length === 0 ? 'FALSE' : `${name} IN (${places.join(', ')})`
}

/** The value of a key's text as SQL, of the column's own type, character set and collation. */
export function literalSql({ column }: KeyColumn, text: string): string {
  const { type, collation } = column
  switch (type.kind) {
    case 'int':
    case 'decimal':
      return text
    // Two digits would be read as a year of this or the last century.
    case 'year':
      return `'${text.padStart(4, '0')}'`
    case 'bit':
      return text === 't' ? '1' : text === 'f' ? '0' : text
    case 'float':
      return doubleLiteral(Math.fround(Number(text)))
    case 'double':
      return doubleLiteral(Number(text))
    case 'time':
    case 'date':
    case 'datetime':
    case 'timestamp':
      return temporalLiteral(type, text)
    case 'bytes':
      return `x'${text.slice(2)}'`
    case 'uuid':
      return `CAST('${text}' AS UUID)`
    case 'inet4':
    case 'inet6':
      return `CAST('${text}' AS ${type.kind.toUpperCase()})`
    case 'text': {
      const unicode = `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`
      const own = type.charset === 'utf8mb4' ? unicode : `CONVERT(${unicode} USING ${type.charset})`
      return `${own} COLLATE ${collation!}`
    }
    default:
      throw new TypeError(`no key is of type ${type.kind}`)
  }
}

/** With an exponent it is a double; without, a decimal, against which the column would be compared as one. */
function doubleLiteral(value: number): string {
  return value === 0 ? '0E0' : value.toExponential().replace('e', 'E')
}

/**
 * Zero dates are no valid typed literals, but texts that the server reads as dates. The session's time
 * zone is UTC.
 */
function temporalLiteral(type: MysqlType, text: string): string {
  const own = serverTime(text)
  if (type.kind === 'time') return `TIME'${own}'`
  if (/^0000|-00/.test(own.slice(0, 10))) return `'${own}'`
  return type.kind === 'date' ? `DATE'${own}'` : `TIMESTAMP'${own}'`
}

/** What `textAt` prints of a date or time, as MySQL prints it: without zone, the year before 1 as 0. */
export function serverTime(text: string): string {
  const own = text.replace(/\+00(?= BC$|$)/, '')
  return own.endsWith(' BC') ? `0000${own.slice(4, -3)}` : own
}
