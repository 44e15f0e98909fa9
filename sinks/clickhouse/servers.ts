/**
 * What the servers behind a sink are: their versions, and whether several of them are one database.
 *
 * An insert that is sent again to another server is known there only where the two are replicas of one
 * table (the token's memory is the table's, in Keeper). On tables of their own it would split the rows.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { ClickHouseServer, StatementOptions } from './client.ts'
import type { TableDescription } from './describe.ts'

export interface ServerFacts {
  /** The oldest among those that answered. */
  readonly version: Version
  /** Whether all of them did. */
  readonly complete: boolean
}

export type Version = readonly [major: number, minor: number]

/** From here on Date32 and DateTime64 hold the years 1 to 9999 (measured on 26.7.2). */
const wideTimes = [26, 7] as const

/** Throws what the last of them threw when none answers. */
export async function askServers(
  server: ClickHouseServer,
  signal: AbortSignal,
): Promise<ServerFacts> {
  const sql = 'SELECT version() AS version'
  const { rows, lost } = await askEach<{ version: string }>(server, 'Ask for the version', sql, {
    signal,
  })
  if (rows.length === 0 && lost !== null) throw lost
  const versions = rows.map(({ version }) => versionOf(version))
  versions.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  return { version: versions[0] ?? [0, 0], complete: lost === null }
}

interface Answers<Row> {
  readonly rows: readonly Row[]
  /** Why one of them did not answer. */
  readonly lost: SluiceError | null
}

async function askEach<Row>(
  server: ClickHouseServer,
  what: string,
  sql: string,
  options: StatementOptions,
): Promise<Answers<Row>> {
  const found: Row[] = []
  let lost: SluiceError | null = null
  for (let i = 0; i < server.servers; i++) {
    try {
      found.push(...(await server.query<Row>(what, sql, { ...options, server: i })))
    } catch (error) {
      if (!(error instanceof SluiceError) || error.fault !== 'transient') throw error
      lost = error
    }
  }
  return { rows: found, lost }
}

export function versionOf(text: string): Version {
  const [major = 0, minor = 0] = text.split('.').map(Number)
  return [major, minor]
}

export function atLeast([major, minor]: Version, [majorMin, minorMin]: Version): boolean {
  return major > majorMin || (major === majorMin && minor >= minorMin)
}

export function holdsWideTimes({ version }: ServerFacts): boolean {
  return atLeast(version, wideTimes)
}

/**
 * Throws where a table is on one of several servers alone. Addresses of one server (two proxies, say)
 * show one table: servers and tables have ids of their own.
 */
export async function checkShared(
  server: ClickHouseServer,
  table: string,
  { engine }: TableDescription,
  signal: AbortSignal,
): Promise<void> {
  if (server.servers === 1 || /^(Replicated|Shared)/.test(engine)) return
  const { rows, lost } = await askEach<{ server: string; uuid: string }>(
    server,
    `Look for table ${table} on each server`,
    `SELECT toString(serverUUID()) AS server, (SELECT toString(any(uuid)) FROM system.tables
       WHERE database = {database:String} AND name = {table:String}) AS uuid`,
    { params: { database: server.database, table }, signal },
  )
  if (new Set(rows.map((row) => `${row.server} ${row.uuid}`)).size > 1) {
    throw new SluiceError('sink.clickhouse.not_shared', {
      message: `url names several servers, and table ${table} (${engine}) is not replicated among them.`,
    })
  }
  // It may be another one: rows that went to it would be lost to whoever reads the first.
  if (lost !== null) throw lost
}
