/**
 * A table map and what is known about the table → how its rows go into a topic. Where the map names
 * its columns (binlog_row_metadata=FULL) it describes itself, and the catalog only tells what no wire
 * says (tinyint(1), UUID, MariaDB's JSON). Where it does not, the columns are those remembered.
 */
import { TopicSchema } from '../../../core/connector/topic-rows.ts'
import { topicSchema, type CatalogTable } from './catalog.ts'
import type { Collations } from './charsets-catalog.ts'
import { noDefaults, withOldRows, type Defaults } from './column-defaults.ts'
import { columnReader } from '../values/column-reader.ts'
import { mysqlTypeOf } from '../values/column-types-wire.ts'
import { sameName, type RememberedTable } from './schema-memory.ts'
import type { FollowedTable, TableMap } from './table-directory.ts'
import type { MysqlColumn, MysqlType, ValuePolicies } from '../types.ts'

/** A table as a table map has it: one column per column on the wire. */
export interface Shape {
  /** null = the server's own, in no topic. */
  readonly columns: readonly (MysqlColumn | null)[]
  /** Column names in key order. */
  readonly key: readonly string[]
  readonly defaults?: Defaults
}

/** Of a self-describing map. `table`: what the catalog says, today. */
export function describedShape(
  map: TableMap,
  names: readonly string[],
  table: CatalogTable | undefined,
  collations: Collations,
): Shape {
  const columns = names.map((name, i): MysqlColumn | null => {
    if (isHidden(name)) return null
    const hint = table?.columns.find((column) => column.name === name)?.type ?? null
    return { name, type: wireType(map, i, hint, collations), nullable: map.nullable[i]! }
  })
  if (map.primaryKey !== null) return { columns, key: map.primaryKey.map((place) => names[place]!) }
  const key = table?.key ?? []
  const isThere = key.every((name) =>
    columns.some((column) => column?.name === name && !column.nullable),
  )
  return { columns, key: isThere ? key : [] }
}

/** Of a map without names; null when its columns are not those remembered. */
export function rememberedShape(
  map: TableMap,
  { columns: known, key }: RememberedTable,
  collations: Collations,
): Shape | null {
  if (map.columns.length < known.length) return null
  const columns: (MysqlColumn | null)[] = []
  for (let i = 0; i < map.columns.length; i++) {
    const column = known[i]
    if (column === undefined) {
      // Behind the table's own columns stand hidden ones of indexes, if any.
      if (map.columns[i]!.code !== typedArray) return null
      columns.push(null)
      continue
    }
    const type = wireType(map, i, column.type, collations)
    if (column.type.kind !== 'unknown' && !isSameType(type, column.type)) return null
    columns.push({ name: column.name, type, nullable: map.nullable[i]! })
  }
  const isWhole = key.every((name) =>
    columns.some((column) => column !== null && sameName(column.name, name) && !column.nullable),
  )
  return isWhole ? { columns, key } : null
}

/** MYSQL_TYPE_TYPED_ARRAY: the hidden column of a multi-valued index. */
const typedArray = 20

/** Columns that servers make for indexes on expressions (MySQL) and long unique keys (MariaDB). */
function isHidden(name: string): boolean {
  return name.startsWith('!hidden!') || /^DB_ROW_HASH_\d+$/.test(name)
}

function wireType(
  map: TableMap,
  place: number,
  hint: MysqlType | null,
  collations: Collations,
): MysqlType {
  const collation = map.collations?.[place] ?? null
  return mysqlTypeOf(map.columns[place]!, {
    unsigned: map.unsigned?.[place] ?? null,
    charset: collation === null ? null : (collations.get(collation) ?? null),
    labels: map.labels?.[place] ?? null,
    hint,
  })
}

/** Types are plain data with their fields in one order. */
function isSameType(a: MysqlType, b: MysqlType): boolean {
  if (a.kind !== b.kind) return false
  const keys = Object.keys(a) as (keyof MysqlType)[]
  return keys.every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]))
}

/** Whether the map is the table of the catalog: then nothing more can be learnt from asking again. */
export function isTable(shape: Shape, table: CatalogTable): boolean {
  const columns = shape.columns.filter((column) => column !== null)
  return (
    columns.length === table.columns.length &&
    columns.every((column, i) => {
      const known = table.columns[i]!
      return (
        known.name === column.name &&
        known.nullable === column.nullable &&
        isSameType(known.type, column.type)
      )
    }) &&
    shape.key.join('\n') === table.key.join('\n')
  )
}

/** Whether there are columns that the catalog did not have when it was asked: their defaults are not known. */
export function hasNewColumns({ columns }: Shape, table: CatalogTable | undefined): boolean {
  const known = table?.columns ?? []
  return columns.some(
    (column) => column !== null && !known.some(({ name }) => sameName(name, column.name)),
  )
}

/**
 * The topic's schema is a new object for every shape, even where it is the same schema: a column may
 * have become wider on the wire alone (varchar(255) to varchar(256)), and rows gathered for one object
 * are read by one set of readers.
 */
export function followedTable(
  map: TableMap,
  shape: Shape,
  policies: ValuePolicies,
  topic: string,
): FollowedTable {
  const named = shape.columns.filter((column) => column !== null)
  const columns = withOldRows(named, shape.defaults ?? noDefaults, policies)
  const fields = new Int32Array(shape.columns.length)
  let field = 0
  for (const [i, column] of shape.columns.entries()) fields[i] = column === null ? -1 : field++
  return {
    topic: new TopicSchema(
      topic,
      topicSchema({ columns: columns.map(asCatalogColumn), key: shape.key }, policies),
    ),
    fields,
    readers: () =>
      shape.columns.map((column, i) =>
        columnReader(column?.type ?? hiddenType, map.columns[i]!, policies),
      ),
    inKey: shape.columns.map(
      (column) => column !== null && shape.key.some((name) => sameName(name, column.name)),
    ),
    keyless: shape.key.length === 0,
    defaults: shape.columns.map((column) => shape.defaults?.known.get(column?.name ?? '')),
  }
}

/** Only ever skipped. */
const hiddenType: MysqlType = { kind: 'bytes', fixed: null }

function asCatalogColumn(column: MysqlColumn): CatalogTable['columns'][number] {
  return { ...column, generated: '', invisible: false, declared: '', collation: null }
}

/** Equal but for the table's id, which is new whenever the server opens the table. */
export function isSameBody(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 6; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
