/**
 * What columns hold where nobody said it: rows inserted under binlog_row_image=MINIMAL leave such
 * columns out, and ALTER TABLE … ADD COLUMN gives it to all rows without sending one. Asked of the
 * server, which alone knows how it prints a default: DEFAULT(c) of a row that an outer join made up, or,
 * where c is NOT NULL and so NULL in such a row, of any row of the table; without a row, the literal in
 * its declaration. Expressions are left out: their values are in the image, for they differ from row to row.
 */
import type { Column } from '../../../core/record/column.ts'
import { sameType } from '../../../core/record/types.ts'
import type { Schema } from '../../../core/record/schema.ts'
import { textAt } from '../../../core/record/value.ts'
import { textOf, type CatalogTable, type Query } from './catalog.ts'
import { columnReader, selectSql } from '../values/column-reader.ts'
import { isUtf8, logicalType } from '../values/column-types.ts'
import { quoteName, quoteTable, textLiteral } from './table-pattern.ts'
import type { MysqlColumn, MysqlType, ValuePolicies } from '../types.ts'

/** Of one table. */
export interface Defaults {
  /** By column, as `ColumnReader.text` reads it; null = NULL. What is not here is not known. */
  readonly known: ReadonlyMap<string, Uint8Array | null>
  /** The table had no row, and some default is only known to a row: to be asked again when rows come. */
  readonly incomplete: boolean
}

export const noDefaults: Defaults = { known: new Map(), incomplete: false }

/** Throws what `query` throws. */
export async function loadDefaults(query: Query, table: CatalogTable): Promise<Defaults> {
  const [server] = await query(`SELECT VERSION() AS version`)
  const isMariadb = /mariadb/i.test(textOf(server?.['version']))
  const declared = new Map(
    (await query(declaredSql(table))).map((row) => [textOf(row['name']), row]),
  )
  const known = new Map<string, Uint8Array | null>()
  const nullable: Asked[] = []
  const rest: Asked[] = []
  for (const column of table.columns) {
    const row = declared.get(column.name)
    if (row === undefined || column.generated !== '') continue
    const literal = row['literal'] === null ? null : textOf(row['literal'])
    if (/auto_increment|DEFAULT_GENERATED/i.test(textOf(row['extra']))) continue
    if (literal === null || (isMariadb && literal === 'NULL')) {
      // A NOT NULL column without one: what servers take that are not strict.
      const implicit = column.nullable ? null : implicitDefault(column.type)
      if (implicit !== undefined) known.set(column.name, implicit)
    } else if (!isMariadb || isMariadbLiteral(literal)) {
      const sql = `DEFAULT(${quoteName(column.name)})`
      if (column.nullable) nullable.push({ column, sql })
      else rest.push({ column, sql, literal: literalSql(column.type, literal, isMariadb) })
    }
  }
  const name = quoteTable(table)
  await evaluate(query, nullable, ` FROM (SELECT 1 AS one) AS o LEFT JOIN ${name} ON FALSE`, known)
  if (await evaluate(query, rest, ` FROM ${name} LIMIT 1`, known)) {
    return { known, incomplete: false }
  }
  const printed = rest.flatMap(({ column, literal }) =>
    literal === undefined ? [] : [{ column, sql: literal }],
  )
  await evaluate(query, printed, '', known)
  return { known, incomplete: printed.length < rest.length }
}

interface Asked {
  readonly column: MysqlColumn
  readonly sql: string
  /** Where what the server prints of the default is all of it, that as an expression. */
  readonly literal?: string | undefined
}

/** Whether there was a row to evaluate them on. */
async function evaluate(
  query: Query,
  asked: readonly Asked[],
  from: string,
  known: Map<string, Uint8Array | null>,
): Promise<boolean> {
  if (asked.length === 0) return true
  const values = asked.map(({ column, sql }, i) => `${hexSql(column, sql)} AS c${i}`).join(', ')
  const [row] = await query(`SELECT ${values}${from}`)
  if (row === undefined) return false
  for (const [i, { column }] of asked.entries()) {
    const hex = row[`c${i}`] ?? null
    known.set(column.name, hex === null ? null : Buffer.from(textOf(hex), 'hex'))
  }
  return true
}

/** MariaDB prints literals as such, and everything else as the expression it is; MySQL marks expressions in EXTRA. */
function isMariadbLiteral(literal: string): boolean {
  return /^(?:[-+]?[0-9.]+(?:e[-+]?\d+)?|[xb]?'(?:[^'\\]|''|\\.)*')$/is.test(literal)
}

/**
 * What INFORMATION_SCHEMA prints, as an expression. undefined where the value is not in it: floats are
 * printed with six digits, MySQL's timestamps in the time zone of whoever made the table, and its
 * bytes end at a zero byte; MariaDB 10.11 writes a question mark for bytes that are no text.
 */
function literalSql(type: MysqlType, literal: string, isMariadb: boolean): string | undefined {
  switch (type.kind) {
    case 'bit': {
      const bits = /^b'([01]*)'$/.exec(literal)?.[1]
      if (bits === undefined) return undefined
      const bytes = (type.bits + 7) >> 3
      return `x'${BigInt(`0b0${bits}`)
        .toString(16)
        .padStart(bytes * 2, '0')}'`
    }
    case 'bytes':
      return /^x'[0-9a-f]*'$/i.test(literal) && isMariadb ? literal : undefined
    case 'timestamp':
      return isMariadb || literal.startsWith('0000-00-00') ? textSql(literal, isMariadb) : undefined
    case 'float':
    case 'geometry':
    case 'vector':
    case 'unknown':
      return undefined
    default:
      return textSql(literal, isMariadb)
  }
}

function textSql(literal: string, isMariadb: boolean): string {
  return isMariadb && literal.endsWith("'") ? `_utf8mb4${literal}` : textLiteral(literal)
}

function declaredSql({ database, table }: CatalogTable): string {
  return `SELECT COLUMN_NAME AS name, COLUMN_DEFAULT AS literal, EXTRA AS extra
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = ${textLiteral(database)} AND TABLE_NAME = ${textLiteral(table)}`
}

/**
 * What the first copy would select of a column with that value, in hexadecimal: a session's answers are
 * text, and not every default is.
 */
function hexSql({ name, type }: MysqlColumn, value: string): string {
  const selected = selectSql({ name, type, nullable: true }).replace(quoteName(name), () => value)
  switch (type.kind) {
    case 'text':
      if (isUtf8(type.charset)) return `HEX(CONVERT(${selected} USING utf8mb4))`
      return `HEX(CONVERT(CONVERT(${value} USING ${type.charset}) USING binary))`
    case 'enum':
    case 'set':
    case 'uuid':
    case 'inet4':
    case 'inet6':
    case 'json':
      return `HEX(CONVERT(${selected} USING utf8mb4))`
    default:
      return `HEX(CONVERT(${selected}, BINARY))`
  }
}

/** undefined where it is a date that no calendar has, or not known. */
function implicitDefault(type: MysqlType): Uint8Array | undefined {
  switch (type.kind) {
    case 'int':
    case 'float':
    case 'double':
      return Buffer.from('0')
    case 'decimal':
      return Buffer.from(type.scale === 0 ? '0' : `0.${'0'.repeat(type.scale)}`)
    case 'text':
    case 'set':
      return Buffer.from('')
    case 'bytes':
      return Buffer.alloc(type.fixed ?? 0)
    case 'bit':
      return Buffer.alloc((type.bits + 7) >> 3)
    case 'enum':
      return Buffer.from(type.labels[0] ?? '')
    default:
      return undefined
  }
}

/** The columns with what rows have that are older than they; see `Field.oldRows`. */
export function withOldRows<C extends MysqlColumn>(
  columns: readonly C[],
  defaults: Defaults,
  policies: ValuePolicies,
): (C & { readonly oldRows?: string })[] {
  return columns.map((column) => {
    const text = defaults.known.get(column.name) ?? null
    if (text === null) return column
    const reader = columnReader(column.type, null, policies)
    reader.text(text, 0, text.length)
    const oldRows = textAt(logicalType(column.type, policies), reader.builder.finish(), 0)
    return oldRows === null ? column : { ...column, oldRows }
  })
}

export function tableWithOldRows(
  table: CatalogTable,
  defaults: Defaults,
  policies: ValuePolicies,
): CatalogTable {
  return { ...table, columns: withOldRows(table.columns, defaults, policies) }
}

/** One column of one row per field of the schema; null where the default is not known, or is of another type. */
export function defaultColumns(
  schema: Schema,
  { columns }: CatalogTable,
  defaults: Defaults,
  policies: ValuePolicies,
): readonly (Column | null)[] {
  return schema.fields.map((field) => {
    const column = columns.find(({ name }) => name === field.name)
    const text = defaults.known.get(field.name)
    if (column === undefined || text === undefined) return null
    if (!sameType(logicalType(column.type, policies), field.type)) return null
    const reader = columnReader(column.type, null, policies)
    if (text === null) reader.appendNull()
    else reader.text(text, 0, text.length)
    return reader.builder.finish()
  })
}
