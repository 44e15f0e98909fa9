/**
 * What columns hold where nobody said it: rows inserted under binlog_row_image=MINIMAL leave such
 * columns out, and ALTER TABLE … ADD COLUMN gives it to all rows without sending one. Asked of the
 * server, which alone knows how it prints a default: DEFAULT(c) of a row that an outer join made up, or,
 * where c is NOT NULL and so NULL in such a row, of any row of the table. Expressions are left out: their values are in the image, for they differ from row to row.
 */
import type { Column } from '../../core/record/column.ts'
import { sameType } from '../../core/record/types.ts'
import type { Schema } from '../../core/record/schema.ts'
import { textOf, type CatalogTable, type Query } from './catalog.ts'
import { columnReader, selectSql } from './column-reader.ts'
import { isUtf8, logicalType } from './column-types.ts'
import { quoteName, quoteTable, textLiteral } from './table-pattern.ts'
import type { MysqlColumn, MysqlType, ValuePolicies } from './types.ts'

/** By column, as `ColumnReader.text` reads it; null = NULL. What is not here is not known. */
export type Defaults = ReadonlyMap<string, Uint8Array | null>

/** Throws what `query` throws. */
export async function loadDefaults(query: Query, table: CatalogTable): Promise<Defaults> {
  const declared = new Map(
    (await query(declaredSql(table))).map((row) => [textOf(row['name']), row]),
  )
  const defaults = new Map<string, Uint8Array | null>()
  const asked: MysqlColumn[] = []
  for (const column of table.columns) {
    const row = declared.get(column.name)
    if (row === undefined || column.generated !== '') continue
    const literal = row['literal'] === null ? null : textOf(row['literal'])
    if (/auto_increment|DEFAULT_GENERATED/i.test(textOf(row['extra']))) continue
    if (literal === null || (literal === 'NULL' && column.nullable)) {
      // A NOT NULL column without one: what servers take that are not strict.
      const implicit = column.nullable ? null : implicitDefault(column.type)
      if (implicit !== undefined) defaults.set(column.name, implicit)
    } else if (row['isExpression'] !== '1') {
      asked.push(column)
      const text = column.nullable ? undefined : plainText(column.type, literal)
      if (text !== undefined) defaults.set(column.name, text)
    }
  }
  const outer = `(SELECT 1 AS one) AS o LEFT JOIN ${quoteTable(table)} ON FALSE`
  await evaluate(
    query,
    asked.filter(({ nullable }) => nullable),
    outer,
    defaults,
  )
  const any = `${quoteTable(table)} LIMIT 1`
  await evaluate(
    query,
    asked.filter(({ nullable }) => !nullable),
    any,
    defaults,
  )
  return defaults
}

async function evaluate(
  query: Query,
  columns: readonly MysqlColumn[],
  from: string,
  defaults: Map<string, Uint8Array | null>,
): Promise<void> {
  if (columns.length === 0) return
  const values = columns.map((column, i) => `${defaultSql(column)} AS c${i}`).join(', ')
  const [row] = await query(`SELECT ${values} FROM ${from}`)
  if (row === undefined) return
  for (const [i, { name }] of columns.entries()) {
    const hex = row[`c${i}`] ?? null
    defaults.set(name, hex === null ? null : Buffer.from(textOf(hex), 'hex'))
  }
}

/** The literal of a NOT NULL column in an empty table, where its text is the value's on every server. */
function plainText(type: MysqlType, literal: string): Uint8Array | undefined {
  const quoted = /^'((?:[^'\\]|'')*)'$/.exec(literal)?.[1]?.replaceAll("''", "'")
  const text = quoted ?? literal
  switch (type.kind) {
    case 'int':
    case 'decimal':
    case 'year':
    case 'date':
    case 'datetime':
    case 'time':
    case 'enum':
    case 'set':
      return Buffer.from(text)
    case 'text':
      return isUtf8(type.charset) ? Buffer.from(text) : undefined
    default:
      return undefined
  }
}

/** MariaDB writes literals as such, and everything else as the expression it is; MySQL marks expressions in EXTRA. */
function declaredSql({ database, table }: CatalogTable): string {
  return `SELECT COLUMN_NAME AS name, COLUMN_DEFAULT AS literal, EXTRA AS extra,
      VERSION() LIKE '%MariaDB%' AND COLUMN_DEFAULT NOT REGEXP '^([-+]?[0-9.]|[xb]?''|NULL$)' AS isExpression
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = ${textLiteral(database)} AND TABLE_NAME = ${textLiteral(table)}`
}

/** In hexadecimal: a session's answers are text, and not every default is. */
function defaultSql(column: MysqlColumn): string {
  const name = quoteName(column.name)
  const value = selectSql(column).replace(name, () => `DEFAULT(${name})`)
  const isLabel = column.type.kind === 'enum' || column.type.kind === 'set'
  return `HEX(CONVERT(${isLabel ? `CONVERT(${value} USING utf8mb4)` : value}, BINARY))`
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
    case 'enum':
      return Buffer.from(type.labels[0] ?? '')
    default:
      return undefined
  }
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
    const text = defaults.get(field.name)
    if (column === undefined || text === undefined) return null
    if (!sameType(logicalType(column.type, policies), field.type)) return null
    const reader = columnReader(column.type, null, policies)
    if (text === null) reader.appendNull()
    else reader.text(text, 0, text.length)
    return reader.builder.finish()
  })
}
