/**
 * A truncate of the source, in its place in the topic's order. It works from the table as it is, not
 * from a schema, because it may be the first thing a task hears of a topic after a start.
 *
 * upsert: a tombstone for every live row, with the truncate's own version: rows written later have
 * higher versions and stay. append: one marker row (op `truncate`, weight 0): a changelog tells what
 * happened, and taking its rows away would tell something else.
 */
import { catchUp } from './catch-up.ts'
import type { ClickHouseServer } from './client.ts'
import { describeTable } from './describe.ts'
import { qualified, quoteIdentifier } from './identifiers.ts'
import { orderColumn, servicePrefix } from './plan.ts'

export interface TruncatePoint {
  readonly id: string
  readonly offset: number
}

/** `wait`: of a replicated table, for what other replicas took; the statement sees only what is here. */
export interface TruncatedTable {
  readonly name: string
  readonly wait: boolean
}

export async function truncateTable(
  server: ClickHouseServer,
  { name: table, wait }: TruncatedTable,
  at: TruncatePoint,
  signal: AbortSignal,
): Promise<void> {
  const description = await describeTable(server, table, signal)
  // No table, no rows: nothing was ever delivered.
  if (description === null) return
  if (wait && description.engine.startsWith('Replicated')) await catchUp(server, table, signal)
  const name = qualified(server.database, table)
  const upsert = description.columns.some((column) => column.name === '_sluice_version')
  const key = description.columns
    .filter((column) => column.inSortingKey && !column.name.startsWith(servicePrefix))
    .map((column) => quoteIdentifier(column.name))
  const statement = upsert ? tombstones(name, key, at.offset) : marker(name, at.offset)
  // Both look at what is there, which is what makes them idempotent. A token would not: the server
  // may cut a SELECT into other blocks the second time.
  await server.command(`Truncate ${table}`, statement, {
    signal,
    settings: { insert_deduplicate: 0, async_insert: 0 },
  })
}

function tombstones(table: string, key: readonly string[], offset: number): string {
  const version = offset + orderColumn('upsert').base
  return (
    `INSERT INTO ${table} (${key.join(', ')}, \`_sluice_version\`, \`_sluice_deleted\`, \`_sluice_ts\`) ` +
    `SELECT ${key.join(', ')}, ${version}, 1, \`_sluice_ts\` FROM ${table} FINAL ` +
    `WHERE \`_sluice_deleted\` = 0 AND \`_sluice_version\` < ${version}`
  )
}

/** Its time is the last row's: the log keeps no time for a truncate, and a replay must write the same. */
function marker(table: string, offset: number): string {
  return (
    `INSERT INTO ${table} (\`_sluice_offset\`, \`_sluice_op\`, \`_sluice_weight\`, \`_sluice_ts\`) ` +
    `SELECT ${offset}, 'truncate', 0, max(\`_sluice_ts\`) FROM ${table} ` +
    `HAVING countIf(\`_sluice_offset\` >= ${offset}) = 0`
  )
}
