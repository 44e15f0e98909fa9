/** What is in the database under a table's name, read from ClickHouse's system tables. */
import type { ClickHouseServer } from './client.ts'

export interface TableDescription {
  /** As `ReplacingMergeTree`, `SharedReplacingMergeTree`, `View`. */
  readonly engine: string
  /** With its arguments and clauses. */
  readonly engineFull: string
  readonly sortingKey: string
  readonly comment: string
  /** In the table's order. */
  readonly columns: readonly ColumnDescription[]
}
export interface ColumnDescription {
  readonly name: string
  readonly type: string
  readonly inSortingKey: boolean
  readonly inPartitionKey: boolean
}

/** null when there is no such table. */
export async function describeTable(
  server: ClickHouseServer,
  table: string,
  signal: AbortSignal,
): Promise<TableDescription | null> {
  const params = { database: server.database, table }
  const what = `Look at table ${table}`
  const [found] = await server.query<{
    engine: string
    engine_full: string
    sorting_key: string
    comment: string
  }>(
    what,
    `SELECT engine, engine_full, sorting_key, comment FROM system.tables
     WHERE database = {database:String} AND name = {table:String}`,
    { params, signal },
  )
  if (found === undefined) return null
  const columns = await server.query<{
    name: string
    type: string
    is_in_sorting_key: number
    is_in_partition_key: number
  }>(
    what,
    `SELECT name, type, is_in_sorting_key, is_in_partition_key FROM system.columns
     WHERE database = {database:String} AND table = {table:String} ORDER BY position`,
    { params, signal },
  )
  return {
    engine: found.engine,
    engineFull: found.engine_full,
    sortingKey: found.sorting_key,
    comment: found.comment,
    columns: columns.map((column) => ({
      name: column.name,
      type: column.type,
      inSortingKey: column.is_in_sorting_key === 1,
      inPartitionKey: column.is_in_partition_key === 1,
    })),
  }
}
