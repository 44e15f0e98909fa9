/**
 * The preflight: everything that would stop the sink, found at once, each with the statement that
 * cures it. It only reads. Topics and their schemas are not known yet; what concerns a single table is
 * said when its topic starts (shape.ts).
 */
import type { Problem } from '../../core/connector/problem.ts'
import type { Code } from '../../core/errors/codes.ts'
import { codes } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { addressOf } from './address.ts'
import { ClickHouseServer } from './client.ts'
import type { ClickHouseConfig } from './config.ts'
import { describeTable } from './describe.ts'
import { qualified, quoteIdentifier } from './identifiers.ts'
import { askServers, atLeast, type ServerFacts, type Version } from './servers.ts'

/** Oldest server supported: the first long-term release whose ReplacingMergeTree takes is_deleted as documented. */
const versionMin = [24, 8] as const
/** json_type_escape_dots_in_keys. */
const jsonVersionMin = [25, 8] as const
const timeVersionMin = [25, 6] as const

/** Never throws for what the user can cure; throws when aborted. */
export async function checkServer(
  config: ClickHouseConfig,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  try {
    await using server = new ClickHouseServer(config)
    const problems = versionProblems(await askServers(server, signal), config)
    const database = await databaseProblems(server, signal)
    if (database.length > 0) return [...problems, ...database]
    return [
      ...problems,
      ...(await grantProblems(server, config, signal)),
      ...(await tableProblems(server, config, signal)),
    ]
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return [{ code: error.code, severity: 'error', message: error.message, remedy: error.remedy }]
  }
}

function versionProblems({ version }: ServerFacts, config: ClickHouseConfig): readonly Problem[] {
  const problems: Problem[] = []
  const needs = (what: string, oldest: Version): void => {
    if (atLeast(version, oldest)) return
    const message = `The server is ClickHouse ${version.join('.')}; ${oldest.join('.')} is the oldest ${what}.`
    problems.push(problem('sink.clickhouse.version', message))
  }
  needs('supported', versionMin)
  if (config.json === 'json') needs('with all that json: json needs', jsonVersionMin)
  if (config.times === 'time64') needs('with times: time64', timeVersionMin)
  return problems
}

async function databaseProblems(
  server: ClickHouseServer,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const { database } = server
  const found = await server.query(
    `Look for database ${database}`,
    'SELECT 1 FROM system.databases WHERE name = {database:String}',
    { params: { database }, signal },
  )
  if (found.length > 0) return []
  const message = `There is no database ${JSON.stringify(database)}, or the user may not see it.`
  return [
    problem(
      'sink.clickhouse.database_missing',
      message,
      `CREATE DATABASE ${quoteIdentifier(database)}`,
    ),
  ]
}

function privilegesFor({ create_tables, cleanup, replicated }: ClickHouseConfig): string[] {
  const privileges = ['SELECT', 'INSERT']
  if (create_tables) {
    privileges.push('CREATE TABLE', 'CREATE VIEW', 'DROP VIEW')
    privileges.push('ALTER ADD COLUMN', 'ALTER MODIFY COLUMN')
  }
  if (cleanup !== undefined) privileges.push('OPTIMIZE', 'ALTER DELETE', 'ALTER MODIFY COMMENT')
  if (replicated !== false) privileges.push('SYSTEM SYNC REPLICA')
  return privileges
}

/** CHECK GRANT came with 24.11; on an older server the first statement that is refused will tell. */
async function grantProblems(
  server: ClickHouseServer,
  config: ClickHouseConfig,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const on = `${quoteIdentifier(server.database)}.*`
  const privileges = privilegesFor(config)
  const missing: string[] = []
  for (const privilege of privileges) {
    try {
      const granted = await server.scalar(
        'Ask for grants',
        `CHECK GRANT ${privilege} ON ${on}`,
        signal,
      )
      if (granted === '0') missing.push(privilege)
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'sink.clickhouse.refused') return []
      throw error
    }
  }
  if (missing.length === 0) return []
  const message = `The user lacks ${missing.join(', ')} on database ${server.database}.`
  const statement = `GRANT ${missing.join(', ')} ON ${on} TO ${quoteIdentifier(addressOf(config).user)}`
  return [problem('sink.clickhouse.denied', message, statement)]
}

/** Tables named in the pipeline file that exist and were not made by Sluice. */
async function tableProblems(
  server: ClickHouseServer,
  config: ClickHouseConfig,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const problems: Problem[] = []
  for (const [topic, table] of Object.entries(config.tables)) {
    const description = await describeTable(server, table, signal)
    if (description === null) continue
    const ours = description.columns.some(
      ({ name }) => name === '_sluice_version' || name === '_sluice_offset',
    )
    if (ours) continue
    const old = qualified(server.database, table)
    problems.push(
      problem(
        'sink.clickhouse.table_shape',
        `Table ${table} for topic ${topic} exists and has none of Sluice's columns.`,
        `RENAME TABLE ${old} TO ${qualified(server.database, `${table}_before`)}`,
      ),
    )
  }
  return problems
}

function problem(code: Code, message: string, remedy: string = codes[code].remedy): Problem {
  return { code, severity: 'error', message, remedy }
}
