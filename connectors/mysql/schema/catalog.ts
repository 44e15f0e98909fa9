/**
 * What INFORMATION_SCHEMA says about tables, and the topic schema that follows from it. The first copy
 * and the stream both go through `logicalType`, so that an unchanged table has one schema id. Works on
 * MySQL from 8.0 and MariaDB from 10.6; every column is given a name of ours, because MySQL 8 answers
 * with upper-case names where MariaDB keeps what the query wrote.
 */
import { makeSchema, type Field, type Schema } from '../../../core/record/schema.ts'
import { isNullable, logicalType, parseColumnType } from '../values/column-types.ts'
import {
  isSystemDatabase,
  matchesPattern,
  quoteTable,
  textLiteral,
  type TableName,
  type TablePattern,
} from './table-pattern.ts'
import type { MysqlColumn, ValuePolicies } from '../types.ts'

/** One statement over the text protocol; rows by the names that the statement gives its columns. */
export type Query = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

export interface CatalogColumn extends MysqlColumn {
  /** '' = an ordinary column. */
  readonly generated: '' | 'stored' | 'virtual'
  /** Left out of `SELECT *`, but there in the binlog as any other. */
  readonly invisible: boolean
  /** COLUMN_TYPE, as in DDL: `int unsigned`, `varchar(20)`. */
  readonly declared: string
  /** null for what is no text. */
  readonly collation: string | null
  /** Of the topic's field; see core/record/schema.ts. */
  readonly oldRows?: string
}

export interface CatalogTable extends TableName {
  /**
   * What is no plain table: a view or a sequence has no rows of its own in the binlog, and the history
   * rows of a system-versioned table (MariaDB) would appear there as rows beside the current ones.
   */
  readonly kind: 'table' | 'view' | 'sequence' | 'versioned' | 'other'
  readonly engine: string | null
  /** In the order of the table, which is that of the binlog. */
  readonly columns: readonly CatalogColumn[]
  /** Column names in key order; empty when nothing tells the rows apart. */
  readonly key: readonly string[]
  /** The index that has the rows in key order; null when none has, or when the optimiser may not use it. */
  readonly keyIndex: string | null
  /** The engine's guess, 0 when it has none. */
  readonly rowsEstimate: number
  readonly rowBytesEstimate: number
}

/** Name of a table's topic within its source. */
export function topicName({ database, table }: TableName): string {
  return `${database}.${table}`
}

/** The schema of a table's topic. */
export function topicSchema(
  { columns, key }: Pick<CatalogTable, 'columns' | 'key'>,
  policies: ValuePolicies,
): Schema {
  const fields: Field[] = columns.map((column) => ({
    name: column.name,
    type: logicalType(column.type, policies),
    nullable: isNullable(column, policies),
    ...(column.oldRows === undefined ? {} : { oldRows: column.oldRows }),
  }))
  const places = key.map((name) => fields.findIndex((field) => field.name === name))
  return makeSchema(fields, places, places.length === 0 ? 'retract' : 'upsert')
}

/**
 * The tables that `patterns` name, each once, in the order of the patterns and, within one, of their
 * names. Those of the server's own databases are never among them. Throws what `query` throws.
 */
export async function loadTables(
  query: Query,
  patterns: readonly TablePattern[],
): Promise<CatalogTable[]> {
  const [facts] = await query(
    'SELECT @@lower_case_table_names AS folded, VERSION() AS version, @@version_comment AS comment',
  )
  const foldCase = Number(facts?.['folded']) !== 0
  const mariadb = /mariadb/i.test(`${textOf(facts?.['version'])} ${textOf(facts?.['comment'])}`)
  const found = new Map<string, CatalogTable>()
  for (const [database, tables] of byDatabase(patterns)) {
    const where = whereSql(database, tables)
    const rows = await query(tablesSql(where))
    if (rows.length === 0) continue
    const columns = columnsByTable(
      await query(columnsSql(where)),
      await jsonColumns(query, where, mariadb),
    )
    for (const row of rows) {
      const name = { database: textOf(row['db']), table: textOf(row['name']) }
      const of = columns.get(name.table)
      if (of === undefined || !patterns.some((pattern) => matchesPattern(pattern, name, foldCase)))
        continue
      const kind = kinds[textOf(row['type'])] ?? 'other'
      found.set(topicName(name), {
        ...name,
        kind,
        engine: row['engine'] === null ? null : textOf(row['engine']),
        columns: of,
        ...(kind === 'table' || kind === 'versioned' ? await loadKey(query, name) : noKey),
        rowsEstimate: Number(row['tableRows'] ?? 0),
        rowBytesEstimate: Number(row['rowBytes'] ?? 0),
      })
    }
  }
  return inOrder([...found.values()], patterns, foldCase)
}

const kinds: Readonly<Record<string, CatalogTable['kind']>> = {
  'BASE TABLE': 'table',
  VIEW: 'view',
  SEQUENCE: 'sequence',
  'SYSTEM VERSIONED': 'versioned',
}

function inOrder(
  tables: readonly CatalogTable[],
  patterns: readonly TablePattern[],
  foldCase: boolean,
): CatalogTable[] {
  const placeOf = (table: CatalogTable): number =>
    patterns.findIndex((pattern) => matchesPattern(pattern, table, foldCase))
  const places = new Map(tables.map((table) => [table, placeOf(table)]))
  return [...tables].sort(
    (a, b) => places.get(a)! - places.get(b)! || (topicName(a) < topicName(b) ? -1 : 1),
  )
}

/** The tables asked for by database; null = all of it. */
function byDatabase(patterns: readonly TablePattern[]): Map<string, string[] | null> {
  const databases = new Map<string, string[] | null>()
  for (const { database, table } of patterns) {
    if (isSystemDatabase(database)) continue
    const tables = databases.get(database)
    if (table === null || tables === null) databases.set(database, null)
    else databases.set(database, [...(tables ?? []), table])
  }
  return databases
}

/**
 * By constants, a database at a time: MariaDB opens every table of the server for any other condition.
 * A name is compared once more here (`matchesPattern`), for the collation of these columns differs
 * between servers.
 */
function whereSql(database: string, tables: readonly string[] | null): string {
  const inDatabase = `t.TABLE_SCHEMA = ${textLiteral(database)}`
  if (tables === null) return inDatabase
  const [only] = tables
  return tables.length === 1
    ? `${inDatabase} AND t.TABLE_NAME = ${textLiteral(only!)}`
    : `${inDatabase} AND t.TABLE_NAME IN (${tables.map(textLiteral).join(', ')})`
}

/** MySQL keeps these figures for a day unless told otherwise; MariaDB takes the hint for a comment. */
function tablesSql(where: string): string {
  return `SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */
      t.TABLE_SCHEMA AS db, t.TABLE_NAME AS name, t.TABLE_TYPE AS type, t.ENGINE AS engine,
      t.TABLE_ROWS AS tableRows, t.AVG_ROW_LENGTH AS rowBytes
    FROM information_schema.TABLES t WHERE ${where}`
}

function columnsSql(where: string): string {
  return `SELECT t.TABLE_NAME AS tableName, t.COLUMN_NAME AS name, t.COLUMN_TYPE AS columnType,
      t.DATA_TYPE AS dataType, t.CHARACTER_SET_NAME AS charset, t.COLLATION_NAME AS collation,
      t.IS_NULLABLE AS nullable, t.EXTRA AS extra
    FROM information_schema.COLUMNS t WHERE ${where}
    ORDER BY t.TABLE_NAME, t.ORDINAL_POSITION`
}

/**
 * MariaDB's JSON is LONGTEXT with a check of its own that the server writes in one form. Names are
 * `table.column`, quoted.
 */
async function jsonColumns(
  query: Query,
  where: string,
  mariadb: boolean,
): Promise<ReadonlySet<string>> {
  if (!mariadb) return new Set()
  const rows = await query(
    `SELECT t.TABLE_NAME AS tableName, t.CHECK_CLAUSE AS clause
       FROM information_schema.CHECK_CONSTRAINTS t
      WHERE ${where.replace('t.TABLE_SCHEMA', 't.CONSTRAINT_SCHEMA')}`,
  )
  return new Set(
    rows.flatMap((row) => {
      const column = /^json_valid\(`((?:[^`]|``)*)`\)$/i.exec(textOf(row['clause']))?.[1]
      return column === undefined
        ? []
        : [jsonName(textOf(row['tableName']), column.replaceAll('``', '`'))]
    }),
  )
}

function jsonName(table: string, column: string): string {
  return JSON.stringify([table, column])
}

function columnsByTable(
  rows: Awaited<ReturnType<Query>>,
  json: ReadonlySet<string>,
): Map<string, CatalogColumn[]> {
  const tables = new Map<string, CatalogColumn[]>()
  for (const row of rows) {
    const table = textOf(row['tableName'])
    const name = textOf(row['name'])
    const declared = textOf(row['columnType'])
    const extra = textOf(row['extra']).toUpperCase()
    const columns = tables.get(table) ?? []
    columns.push({
      name,
      type: parseColumnType(declared, {
        charset: row['charset'] === null ? null : textOf(row['charset']),
        isJson: json.has(jsonName(table, name)),
      }),
      nullable: row['nullable'] === 'YES',
      generated: extra.includes('VIRTUAL GENERATED')
        ? 'virtual'
        : /(STORED|PERSISTENT) GENERATED|\bPERSISTENT\b/.test(extra)
          ? 'stored'
          : '',
      invisible: /\bINVISIBLE\b/.test(extra),
      declared,
      collation: row['collation'] === null ? null : textOf(row['collation']),
    })
    tables.set(table, columns)
  }
  return tables
}

const noKey: Pick<CatalogTable, 'key' | 'keyIndex'> = { key: [], keyIndex: null }

/**
 * The key as the server picks it: the primary key, else the first unique index of whole NOT NULL
 * columns. SHOW INDEX lists indexes in the server's own order, which INFORMATION_SCHEMA does not keep:
 * the primary key, then unique ones without nullable columns, and so on. A primary key of prefixes
 * tells whole values apart as well, and is what minimal row images name rows by; but no index has
 * the order of its values. Other unique indexes of a prefix or an expression the server never picks.
 */
async function loadKey(
  query: Query,
  table: TableName,
): Promise<Pick<CatalogTable, 'key' | 'keyIndex'>> {
  const indexes = new Map<string, IndexPart[]>()
  for (const row of await query(`SHOW INDEX FROM ${quoteTable(table)}`)) {
    const name = textOf(row['Key_name'])
    indexes.set(name, [...(indexes.get(name) ?? []), row])
  }
  for (const [name, parts] of indexes) {
    if (!parts.every((part) => isKeyPart(part, name === 'PRIMARY'))) continue
    return {
      key: parts.map((part) => textOf(part['Column_name'])),
      keyIndex: parts.every((part) => isOrdered(part, parts[0]!)) ? name : null,
    }
  }
  return noKey
}

type IndexPart = Readonly<Record<string, unknown>>

function isKeyPart(part: IndexPart, primary: boolean): boolean {
  return (
    Number(part['Non_unique']) === 0 &&
    part['Column_name'] !== null &&
    (primary || part['Sub_part'] === null) &&
    part['Null'] !== 'YES' &&
    // MariaDB's unique indexes of long values are hashes behind the scenes, and never picked.
    (primary || part['Index_type'] === 'BTREE')
  )
}

/**
 * Whether the index can be read in the order of its whole values, all parts upwards or all downwards,
 * and the optimiser may be told to.
 */
function isOrdered(part: IndexPart, first: IndexPart): boolean {
  return (
    part['Index_type'] === 'BTREE' &&
    part['Collation'] === first['Collation'] &&
    part['Sub_part'] === null &&
    part['Visible'] !== 'NO' &&
    part['Ignored'] !== 'YES'
  )
}

/** What a result has as text; '' for null. */
export function textOf(value: unknown): string {
  return typeof value === 'string'
    ? value
    : value instanceof Uint8Array
      ? Buffer.from(value).toString()
      : typeof value === 'number' || typeof value === 'bigint'
        ? String(value)
        : ''
}
