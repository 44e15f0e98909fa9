/**
 * The catalog asked about one table while the stream stands still: over a session of its own, because
 * it happens seldom and servers end idle sessions.
 */
import { binlogEnd } from './binlog-place.ts'
import { loadTables, textOf, type Query } from './catalog.ts'
import { loadDefaults, type Defaults } from './column-defaults.ts'
import { connect, type Target } from './connection.ts'
import { charsetOf } from './ddl-column.ts'
import type { CatalogAnswer } from './directory.ts'
import type { FilePlace } from './schema-memory.ts'
import type { ServerInfo } from './server-info.ts'
import { textLiteral, type TableName } from './table-pattern.ts'

/** Rejects with the driver's error. */
export async function askCatalog(
  target: Target,
  info: ServerInfo,
  { database, table }: TableName,
  signal: AbortSignal,
): Promise<CatalogAnswer> {
  await using session = await connect(target, signal)
  const [found] = await loadTables(session.query, [{ database, table }])
  const charset = await defaultCharset(session.query, { database, table })
  const defaults = found === undefined ? none : await loadDefaults(session.query, found)
  return { table: found ?? null, defaults, charset, asOf: await endOf(session.query, info) }
}

const none: Defaults = new Map()

/** Where the binlog ends: what was read of the catalog before is no older than that. */
export async function endOf(query: Query, info: ServerInfo): Promise<FilePlace> {
  const end = await binlogEnd(query, info)
  return { server: info.identity, file: end?.file ?? '', offset: end?.offset ?? 0 }
}

/** Of columns that are added without one; null when the table is not there. */
export async function defaultCharset(query: Query, name: TableName): Promise<string | null> {
  const [row] = await query(
    `SELECT TABLE_COLLATION AS collation FROM information_schema.TABLES
      WHERE TABLE_SCHEMA = ${textLiteral(name.database)} AND TABLE_NAME = ${textLiteral(name.table)}`,
  )
  const collation = textOf(row?.['collation'])
  return collation === '' ? null : charsetOf(collation)
}
