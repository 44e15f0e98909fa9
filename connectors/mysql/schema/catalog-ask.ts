/**
 * The catalog asked about one table while the stream stands still: over a session of its own, because
 * it happens seldom and servers end idle sessions.
 */
import { binlogEnd } from '../binlog-place.ts'
import { loadTables, textOf, type Query } from './catalog.ts'
import { loadDefaults, noDefaults } from './column-defaults.ts'
import { connect, type Target } from '../connection.ts'
import { charsetOf } from './ddl-column.ts'
import type { CatalogAnswer } from './directory.ts'
import type { FilePlace } from './schema-memory.ts'
import type { ServerInfo } from '../server-info.ts'
import { textLiteral, type TableName } from './table-pattern.ts'

/** Rejects with the driver's error. */
export async function askCatalog(
  target: Target,
  info: ServerInfo,
  { database, table }: TableName,
  signal: AbortSignal,
): Promise<CatalogAnswer> {
  await using session = await connect(target, signal)
  const { query } = session
  return await unchanging(async () => {
    const [found] = await loadTables(query, [{ database, table }])
    const charset = await defaultCharset(query, { database, table })
    const defaults = found === undefined ? noDefaults : await loadDefaults(query, found)
    return { table: found ?? null, defaults, charset, asOf: await endOf(query, info) }
  })
}

/** ER_NO_SUCH_TABLE, ER_BAD_FIELD_ERROR, ER_BAD_DB_ERROR, ER_TABLE_DEF_CHANGED. */
const changed: ReadonlySet<unknown> = new Set([1146, 1054, 1049, 1412])
const attemptsMax = 10

/**
 * What several statements say about tables, as if no table was changed between them: begun anew when
 * one was. Throws the driver's error where that never ends.
 */
export async function unchanging<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      const number = error instanceof Error && 'errno' in error ? error.errno : 0
      if (!changed.has(number) || attempt === attemptsMax) throw error
    }
  }
}

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
