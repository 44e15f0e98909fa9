/**
 * What the columns of tables are, where the binlog does not say it (binlog_row_metadata MINIMAL or
 * NO_LOG): read from the catalog once, moved forward by the DDL in the binlog, and kept in every
 * position, because a restart reads old rows again and the catalog only knows today.
 *
 *   text = base64 of raw deflate of JSON { topic: RememberedTable }
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { SluiceError } from '../../../core/errors/error.ts'
import type { CatalogTable } from './catalog.ts'
import { parseColumnType } from '../values/column-types.ts'
import type { TableChange } from './ddl-alter.ts'
import type { ColumnDefinition } from './ddl-column.ts'
import type { MysqlType } from '../types.ts'

/** A place in the binlog files of one server. */
export interface FilePlace {
  readonly server: string
  readonly file: string
  readonly offset: number
}

export interface RememberedColumn {
  readonly name: string
  readonly type: MysqlType
}

export interface RememberedTable {
  readonly columns: readonly RememberedColumn[]
  /** Column names in key order; empty when the table has no key. */
  readonly key: readonly string[]
  /** The key is the primary key, which other indexes do not change. */
  readonly primary: boolean
  /** Of text columns that say none. */
  readonly charset: string | null
  /**
   * The end of the binlog when the catalog had been read: DDL up to here may be in the columns
   * already. null once the stream has passed it.
   */
  readonly asOf: FilePlace | null
}

/** The longest text that is unpacked: a position comes from our own log, but every length has a bound. */
const unpackedBytesMax = 256 << 20

export function rememberedTable(
  { columns, key, keyIndex }: CatalogTable,
  charset: string | null,
  asOf: FilePlace,
): RememberedTable {
  return {
    columns: columns.map(({ name, type }) => ({ name, type })),
    key,
    primary: keyIndex === 'PRIMARY',
    charset,
    asOf,
  }
}

export class SchemaMemory {
  readonly #tables: Map<string, RememberedTable>
  #text: string | null = null

  constructor(tables: Iterable<readonly [string, RememberedTable]> = []) {
    this.#tables = new Map(tables)
  }

  /** From the text of a position. Throws `internal.bug` when it is none. */
  static parse(text: string): SchemaMemory {
    try {
      const json = inflateRawSync(Buffer.from(text, 'base64'), {
        maxOutputLength: unpackedBytesMax,
      })
      const content = JSON.parse(json.toString()) as Record<string, RememberedTable>
      return new SchemaMemory(Object.entries(content))
    } catch (cause) {
      throw new SluiceError('internal.bug', {
        message: 'The schemas in the position are not as they were written.',
        cause,
      })
    }
  }

  get(topic: string): RememberedTable | undefined {
    return this.#tables.get(topic)
  }

  topics(): readonly string[] {
    return [...this.#tables.keys()]
  }

  set(topic: string, table: RememberedTable): void {
    this.#tables.set(topic, table)
    this.#text = null
  }

  forget(topic: string): void {
    if (this.#tables.delete(topic)) this.#text = null
  }

  /** null when nothing is remembered. Cheap while nothing changed. */
  text(): string | null {
    if (this.#tables.size === 0) return null
    this.#text ??= deflateRawSync(JSON.stringify(Object.fromEntries(this.#tables))).toString(
      'base64',
    )
    return this.#text
  }
}

/**
 * The table after the clauses of one ALTER TABLE; null when what it is then has to be asked for.
 * As the server does it: all clauses name columns as they were before, columns go and change where
 * they stand, then new and moved ones are put in their places (sql/sql_table.cc,
 * mysql_prepare_alter_table).
 */
export function alteredTable(
  table: RememberedTable,
  changes: readonly TableChange[],
): RememberedTable | null {
  const charset = changes.findLast((change) => change.kind === 'defaultCharset')?.charset
  const columns = alteredColumns(table, changes, charset ?? table.charset)
  if (columns === null) return null
  const key = alteredKey(table, changes)
  // The key may be written in another case than its columns.
  const names = key?.columns.map((name) => columns.find((of) => sameName(of.name, name))?.name)
  if (key === null || names === undefined || !names.every((name) => name !== undefined)) return null
  const { primary } = key
  return { ...table, columns, key: names, primary, charset: charset ?? table.charset }
}

function alteredColumns(
  { columns: before }: RememberedTable,
  changes: readonly TableChange[],
  charset: string | null,
): readonly RememberedColumn[] | null {
  /** What became of each column; null = it went. */
  const now = new Map<string, RememberedColumn | null>(
    before.map((column) => [column.name, column]),
  )
  for (const change of changes) {
    if (change.kind === 'unread') return null
    if (change.kind !== 'drop' && change.kind !== 'change' && change.kind !== 'renameColumn') {
      continue
    }
    const name = change.kind === 'drop' ? change.name : change.from
    const known = before.find((column) => sameName(column.name, name))
    if (known === undefined) {
      if (change.kind === 'drop' && change.ifExists) continue
      return null
    }
    const column = changedColumn(known, change, charset)
    if (column === undefined) return null
    now.set(known.name, column)
  }
  const columns = before.flatMap(({ name }) => now.get(name) ?? [])
  return placed(columns, changes, charset)
}

/** null = dropped; undefined = its type cannot be told. */
function changedColumn(
  known: RememberedColumn,
  change: TableChange,
  charset: string | null,
): RememberedColumn | null | undefined {
  if (change.kind === 'drop') return null
  if (change.kind === 'renameColumn') return { name: change.to, type: known.type }
  return change.kind === 'change' ? (columnOf(change.column, charset) ?? undefined) : known
}

function placed(
  columns: RememberedColumn[],
  changes: readonly TableChange[],
  charset: string | null,
): readonly RememberedColumn[] | null {
  for (const change of changes) {
    if (change.kind !== 'add' && change.kind !== 'change') continue
    const at = columns.findIndex(({ name }) => sameName(name, change.column.name))
    if (change.kind === 'add') {
      if (at !== -1) {
        if (change.ifNotExists) continue
        return null
      }
    } else if (change.place === null) continue
    const column = change.kind === 'add' ? columnOf(change.column, charset) : columns[at]!
    if (column === null) return null
    if (change.kind === 'change') columns.splice(at, 1)
    const place = placeOf(change.place, columns)
    if (place === null) return null
    columns.splice(place, 0, column)
  }
  return columns
}

function placeOf(
  place: { readonly after: string | null } | null,
  columns: readonly RememberedColumn[],
): number | null {
  if (place === null) return columns.length
  const { after } = place
  if (after === null) return 0
  const at = columns.findIndex(({ name }) => sameName(name, after))
  return at === -1 ? null : at + 1
}

/** null where the character set depends on what is not known. */
function columnOf(
  { name, declared, charset: own, isJson }: ColumnDefinition,
  tableCharset: string | null,
): RememberedColumn | null {
  const charset = own ?? tableCharset
  const type = parseColumnType(declared, { charset, isJson })
  if (type.kind === 'text' && charset === null) return null
  return { name, type }
}

interface Key {
  readonly columns: readonly string[]
  readonly primary: boolean
}

/** null where it hangs on indexes that are not remembered. */
function alteredKey(table: RememberedTable, changes: readonly TableChange[]): Key | null {
  let key: Key | null = { columns: table.key, primary: table.primary }
  for (const change of changes) {
    if (change.kind === 'primaryKey') {
      key = { columns: change.columns, primary: true }
    } else if (change.kind === 'dropPrimaryKey') key = null
    else if (change.kind === 'unique' || change.kind === 'dropIndex') {
      if (key !== null && !key.primary) key = null
    }
  }
  if (key === null || key.columns !== table.key) return key
  return { ...key, columns: key.columns.map((name) => renamed(name, changes)) }
}

/** A key of old columns goes with their new names. */
function renamed(name: string, changes: readonly TableChange[]): string {
  for (const change of changes) {
    if (change.kind === 'renameColumn' && sameName(change.from, name)) return change.to
    if (change.kind === 'change' && sameName(change.from, name)) return change.column.name
  }
  return name
}

/** Column names are compared without regard to case on every server. */
export function sameName(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase()
}

export function schemaUnknown(topic: string): SluiceError {
  return new SluiceError('source.mysql.schema_unknown', {
    message: `The columns of ${topic} in the binlog are not those of the table, and nothing tells what they were.`,
  })
}
