/**
 * A table as it is read: its columns, the schema of its topic, the order of its keys, and the statements
 * that read it. SHOW CREATE TABLE says in one short statement whether all that still holds.
 */
import type { ChunkRows, KeyText } from '../../../core/connector/snapshot/reader.ts'
import type { Schema } from '../../../core/record/schema.ts'
import { loadTables, topicSchema, type CatalogTable, type Query } from '../schema/catalog.ts'
import { columnReader, selectSql } from '../values/column-reader.ts'
import {
  afterSql,
  isKeySql,
  keyOrder,
  orderNames,
  orderSql,
  upToSql,
  type KeyOrder,
} from './key-order.ts'
import { quoteName, quoteTable, type TableName } from '../schema/table-pattern.ts'
import type { ColumnReader, ValuePolicies } from '../types.ts'

/** A batch is cut at the first read of the socket past this size. */
export const batchBytes = 1 << 20

/** Engines whose snapshots show what was committed; the others' tables are read under a lock. */
const snapshotEngines = new Set(['innodb', 'rocksdb'])

function hasSnapshots({ engine }: CatalogTable): boolean {
  return snapshotEngines.has((engine ?? '').toLowerCase())
}

/** The order in which a table is copied; empty when it has to be read as a whole, under a lock. */
export function copyOrder(table: CatalogTable, policies: ValuePolicies): KeyOrder {
  return hasSnapshots(table) ? keyOrder(table, policies) : []
}

export class SnapshotSource {
  readonly table: CatalogTable
  /** What `createText` gave for it. */
  readonly created: string
  readonly schema: Schema
  /** Empty: to be read as a whole. */
  readonly order: KeyOrder
  readonly #policies: ValuePolicies

  private constructor(table: CatalogTable, created: string, policies: ValuePolicies) {
    this.table = table
    this.created = created
    this.schema = topicSchema(table, policies)
    this.order = copyOrder(table, policies)
    this.#policies = policies
  }

  /** null when there is no such table, or it is no plain one. Throws what `query` throws. */
  static async load(
    query: Query,
    name: TableName,
    policies: ValuePolicies,
  ): Promise<SnapshotSource | null> {
    for (;;) {
      const [table] = await loadTables(query, [name])
      if (table === undefined || table.kind !== 'table') return null
      const created = await createText(query, table)
      if (created === null) return null
      // Columns and indexes are read one after the other, and a change may come between.
      const [again] = await loadTables(query, [name])
      if (JSON.stringify(columnsOf(again)) !== JSON.stringify(columnsOf(table))) continue
      return new SnapshotSource(table, created, policies)
    }
  }

  get hasSnapshots(): boolean {
    return hasSnapshots(this.table)
  }
  get key(): readonly string[] {
    return orderNames(this.order)
  }

  /** Readers for what `rowsSql` selects. */
  readers(): ColumnReader[] {
    return this.table.columns.map((column) => columnReader(column.type, null, this.#policies))
  }
  /** Readers for what `splitSql` selects. */
  keyReaders(): ColumnReader[] {
    return this.order.map(({ column }) => columnReader(column.type, null, this.#policies))
  }

  /** All rows, or a range of them, or some; the first two in no order that is promised. */
  rowsSql(rows: ChunkRows | null): string {
    const columns = this.table.columns.map(selectSql).join(', ')
    const where = rows === null ? [] : this.#conditions(rows)
    return `SELECT ${columns} FROM ${rows === null ? quoteTable(this.table) : this.#from()}${whereSql(where)}`
  }

  /** The key of the row number `rows` after `after`. */
  splitSql(after: KeyText | null, rows: number): string {
    const columns = this.order.map(({ column }) => selectSql(column)).join(', ')
    const where = whereSql(after === null ? [] : [afterSql(this.order, after)])
    return `SELECT ${columns} FROM ${this.#from()}${where} ORDER BY ${orderSql(this.order)} LIMIT ${rows - 1}, 1`
  }

  #conditions(rows: ChunkRows): string[] {
    if ('keys' in rows) return [rows.keys.map((key) => isKeySql(this.order, key)).join(' OR ')]
    return [
      ...(rows.after === null ? [] : [afterSql(this.order, rows.after)]),
      ...(rows.upTo === null ? [] : [upToSql(this.order, rows.upTo)]),
    ]
  }

  /** Left to itself the optimiser reads the whole table where a range seems large to it. */
  #from(): string {
    return `${quoteTable(this.table)} FORCE INDEX (${quoteName(this.table.keyIndex!)})`
  }
}

/** A table under its metadata lock; `timeUs`: of the server, µs since 1970. */
export interface LockedTable {
  readonly source: SnapshotSource
  readonly timeUs: number
}

function whereSql(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

function columnsOf(table: CatalogTable | undefined): unknown {
  return table === undefined ? null : [table.columns, table.key, table.keyIndex, table.engine]
}

/** The table's definition as text, without what changes with its rows; null when it is not there. */
export async function createText(query: Query, table: TableName): Promise<string | null> {
  const [row] = await query(`SHOW CREATE TABLE ${quoteTable(table)}`)
  const text = row?.['Create Table']
  return typeof text === 'string' ? text.replace(/ AUTO_INCREMENT=\d+/, '') : null
}
