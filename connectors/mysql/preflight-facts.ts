/**
 * What preflight looks at: one struct, read by a few queries. No judgement here; that is preflight.ts,
 * a pure function of these facts.
 */
import { nearestTable } from '../../core/connector/nearest.ts'
import { placeState, type PlaceState } from './binlog-place.ts'
import { loadTables, textOf, topicName, type CatalogTable, type Query } from './schema/catalog.ts'
import { seesCommitLocks } from './snapshot/commit-locks.ts'
import { policiesOf, type MysqlConfig } from './config.ts'
import { isGhost } from './schema/ghost-tables.ts'
import type { StreamPlace } from './place.ts'
import { isGranted, loadGrants } from './preflight-grants.ts'
import { preparedXa } from './prepared-xa.ts'
import type { ServerInfo } from './server-info.ts'
import { copyOrder } from './snapshot/snapshot-table.ts'
import {
  formatTablePattern,
  isSystemDatabase,
  matchesPattern,
  parseTablePattern,
  quoteTable,
  textLiteral,
  type TableName,
  type TablePattern,
} from './schema/table-pattern.ts'

export interface TableFacts {
  readonly table: CatalogTable
  readonly maySelect: boolean
  readonly mayLock: boolean
  /** Its copy is not by key, but of the whole table under a lock. */
  readonly isCopiedWhole: boolean
}

/** A pattern that names nothing. */
export interface Missing {
  readonly pattern: string
  /** The pattern that was probably meant. */
  readonly near: string | null
  /** The user may read whatever is in that database: what is not seen is not there. */
  readonly seesAll: boolean
}

export interface Facts {
  readonly server: ServerInfo
  /** As the server has it: 'user'@'host'. */
  readonly user: string
  readonly mayReplicate: boolean
  /** SHOW BINARY LOG STATUS and SHOW BINARY LOGS. */
  readonly maySeeBinlog: boolean
  /** LOCK TABLES is the only way to wait for commits under way (commit-locks.ts). */
  readonly needsLocks: boolean
  /** The copies that take locks are wanted. */
  readonly copies: boolean
  /** XA transactions that are prepared; null when the user may not ask. */
  readonly preparedXa: number | null
  /** The tables that the patterns name, each once. */
  readonly tables: readonly TableFacts[]
  /** Patterns that name nothing, and never did. */
  readonly missing: readonly Missing[]
  /** Patterns that name nothing any more; the log has topics of theirs. */
  readonly dropped: readonly string[]
  /** What has become of the log's place; null when there is none, or it could not be asked for. */
  readonly place: PlaceState | null
}

export interface FactsWanted {
  readonly server: ServerInfo
  readonly config: MysqlConfig
  readonly after: StreamPlace | null
  /** Topics of the log. */
  readonly known: readonly string[]
}

/** Throws what `query` throws, unless that is the answer to what may be done. */
export async function loadFacts(
  query: Query,
  { server, config, after, known }: FactsWanted,
): Promise<Facts> {
  const grants = await loadGrants(query, server.flavour)
  const [row] = await query('SELECT CURRENT_USER() AS user')
  // Without a binlog the statement fails for everybody.
  const maySeeBinlog = !server.logBin || (await succeeds(query, 'SHOW BINARY LOGS'))
  const parsed = config.tables.map((pattern) => parseTablePattern(pattern)!)
  const found = await loadFollowed(query, parsed)
  const missing: Missing[] = []
  const dropped: string[] = []
  for (const [i, pattern] of config.tables.entries()) {
    const wanted = parsed[i]!
    if (found.some((table) => matchesPattern(wanted, table, server.foldCase))) continue
    if (isKnown(wanted, known, server.foldCase)) dropped.push(pattern)
    else {
      missing.push({
        pattern,
        near: await nearPattern(query, wanted),
        seesAll: isGranted(grants, ['SELECT'], wanted.database),
      })
    }
  }
  const tables: TableFacts[] = []
  for (const table of found) {
    tables.push({
      table,
      maySelect: await succeeds(query, `SELECT * FROM ${quoteTable(table)} LIMIT 0`),
      mayLock: isGranted(grants, ['LOCK TABLES'], table.database),
      isCopiedWhole: copyOrder(table, policiesOf(config)).length === 0,
    })
  }
  return {
    server,
    user: quotedUser(textOf(row?.['user'])),
    mayReplicate: isGranted(grants, ['REPLICATION SLAVE', 'SUPER'], null),
    maySeeBinlog,
    needsLocks: !server.gtids && !(await seesCommitLocks(query)),
    copies: config.snapshot === 'initial',
    preparedXa: after === null ? ((await preparedXa(query, server.flavour))?.length ?? null) : null,
    tables,
    missing,
    dropped,
    place:
      after === null || !maySeeBinlog || !server.logBin
        ? null
        : await placeState(query, server, after),
  }
}

function isKnown(
  { database, table }: TablePattern,
  topics: readonly string[],
  foldCase: boolean,
): boolean {
  const fold = (name: string): string => (foldCase ? name.toLowerCase() : name)
  const wanted = fold(table === null ? `${database}.` : topicName({ database, table }))
  return topics.some((topic) =>
    table === null ? fold(topic).startsWith(wanted) : fold(topic) === wanted,
  )
}

/** Of what the user may see. */
async function nearPattern(query: Query, wanted: TablePattern): Promise<string | null> {
  const names = async (sql: string): Promise<readonly string[]> =>
    (await query(sql)).map((row) => textOf(row['name']))
  const near = await nearestTable(
    { space: wanted.database, name: wanted.table },
    {
      spaces: async () => {
        const all = await names('SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA')
        return all.filter((name) => !isSystemDatabase(name))
      },
      tables: (database) =>
        names(`SELECT TABLE_NAME AS name FROM information_schema.TABLES
                WHERE TABLE_SCHEMA = ${textLiteral(database)}`),
    },
  )
  return near === null ? null : formatTablePattern({ database: near.space, table: near.name })
}

/**
 * The tables to follow: those named, and of whole databases those that are tables, without what online
 * schema changes make beside them.
 */
export async function loadFollowed(
  query: Query,
  patterns: readonly TablePattern[],
): Promise<readonly CatalogTable[]> {
  const tables = await loadTables(query, patterns)
  return tables.filter((table) => isNamed(table, patterns) || isPlain(table))
}

function isNamed(table: TableName, patterns: readonly TablePattern[]): boolean {
  const name = topicName(table).toLowerCase()
  return patterns.some(
    (pattern) =>
      pattern.table !== null &&
      topicName({ database: pattern.database, table: pattern.table }).toLowerCase() === name,
  )
}

function isPlain({ kind, table }: CatalogTable): boolean {
  return kind === 'table' && !isGhost(table)
}

async function succeeds(query: Query, sql: string): Promise<boolean> {
  try {
    await query(sql)
    return true
  } catch (error) {
    if (isDenied(error)) return false
    throw error
  }
}

/** ER_TABLEACCESS_DENIED, ER_COLUMNACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED, ER_DBACCESS_DENIED, ER_VIEW_INVALID. */
const denied: ReadonlySet<unknown> = new Set([1142, 1143, 1227, 1044, 1356])

function isDenied(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('errno' in at && denied.has(at.errno)) return true
  }
  return false
}

/** `user@host` as statements want it: the host is what stands after the last @. */
function quotedUser(user: string): string {
  const at = user.lastIndexOf('@')
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
  return `${quoted(user.slice(0, at))}@${quoted(user.slice(at + 1))}`
}
