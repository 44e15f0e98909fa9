/**
 * What the servers behind a sink are: their versions, and whether several of them are one database.
 *
 * An insert that is sent again to another server is known there only where the two are replicas of one
 * table (the token's memory is the table's, in Keeper). On tables of their own it would split the rows.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { ClickHouseServer } from './client.ts'
import type { TableDescription } from './describe.ts'

export interface ServerFacts {
  /** The oldest among those that answered. */
  readonly version: Version
  /** Whether all addresses lead to one process; null while one of them does not answer. */
  readonly same: boolean | null
}

export type Version = readonly [major: number, minor: number]

/** From here on Date32 and DateTime64 hold the years 1 to 9999 (measured on 26.7.2). */
const wideTimes = [26, 7] as const

/** Throws what the last of them threw when none answers. */
export async function askServers(
  server: ClickHouseServer,
  signal: AbortSignal,
): Promise<ServerFacts> {
  const versions: Version[] = []
  const processes = new Set<string>()
  // serverUUID() is only asked for where it matters: not every build has it.
  const uuid = server.servers > 1 ? 'toString(serverUUID())' : "''"
  let lost: SluiceError | null = null
  for (let i = 0; i < server.servers; i++) {
    try {
      const sql = `SELECT version() AS version, ${uuid} AS uuid`
      const options = { signal, server: i }
      const rows = await server.query<{ version: string; uuid: string }>(
        'Ask for the version',
        sql,
        options,
      )
      for (const row of rows) {
        versions.push(versionOf(row.version))
        processes.add(row.uuid)
      }
    } catch (error) {
      if (!(error instanceof SluiceError) || error.fault !== 'transient') throw error
      lost = error
    }
  }
  if (versions.length === 0 && lost !== null) throw lost
  versions.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  const same = lost !== null ? null : processes.size <= 1
  return { version: versions[0] ?? [0, 0], same }
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

/** Throws where a table is on one of several servers alone. */
export function checkShared(
  table: string,
  { engine }: TableDescription,
  { same }: ServerFacts,
): void {
  if (same === true || /^(Replicated|Shared)/.test(engine)) return
  if (same === null) {
    throw new SluiceError('sink.clickhouse.unreachable', {
      message: `One of the servers under url does not answer, and table ${table} (${engine}) is not replicated among them.`,
    })
  }
  throw new SluiceError('sink.clickhouse.not_shared', {
    message: `url names several servers, and table ${table} (${engine}) is not replicated among them.`,
  })
}
