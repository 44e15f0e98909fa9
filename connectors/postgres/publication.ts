/**
 * The publication: what it lacks, and the statements that put it right. It is created before the slot,
 * because the server decodes a change with the catalog as of that change: were the publication not
 * there yet, the stream would fail at it for ever.
 */
import type { Client } from 'pg'
import type { Clock } from '../../core/connector/context.ts'
import type { Facts, PublicationFacts, TableFacts } from './preflight-facts.ts'
import { quoteIdent, quoteTable } from './table-pattern.ts'

const pollMs = 200

export interface PublicationPlan {
  /** To be run in this order; none = the publication is as it should be. */
  readonly statements: readonly string[]
  /** Tables the publication did not send until now, whose changes so far are not in the slot. */
  readonly added: readonly TableFacts[]
  /** Every statement is one that this user may run. */
  readonly allowed: boolean
}

/** What has to be done so that `name` sends all of the tables. Pure. */
export function planPublication(facts: Facts, name: string): PublicationPlan {
  const { publication, server, tables } = facts
  if (tables.length === 0) return { statements: [], added: [], allowed: true }
  if (publication === null) {
    return {
      statements: [createSql(name, tables, server.versionNumber)],
      added: tables,
      allowed: server.superuser || (server.mayCreate && tables.every((table) => table.isOwner)),
    }
  }
  const added = tables.filter((table) => !isPublished(publication, table))
  const statements: string[] = []
  if (!publication.viaRoot && tables.some((table) => table.kind === 'p')) {
    statements.push(`ALTER PUBLICATION ${quoteIdent(name)} SET (publish_via_partition_root = true)`)
  }
  const missing = added.filter((table) => table.kind !== 'p' || publication.viaRoot)
  if (missing.length > 0 && !publication.allTables) {
    const list = missing.map((table) => tableSql(table)).join(', ')
    statements.push(`ALTER PUBLICATION ${quoteIdent(name)} ADD TABLE ${list}`)
  }
  const allowed =
    server.superuser || (publication.isOwner && missing.every((table) => table.isOwner))
  return { statements, added, allowed }
}

export function isPublished(
  publication: PublicationFacts,
  table: { readonly schema: string; readonly name: string },
): boolean {
  return publication.tables.has(`${table.schema}\n${table.name}`)
}

/** Through the root, so that rows of a partitioned table are one topic wherever they lie. */
function createSql(name: string, tables: readonly TableFacts[], versionNumber: number): string {
  const options = ['publish_via_partition_root = true']
  if (versionNumber >= 180_000) options.push('publish_generated_columns = stored')
  const list = tables.map((table) => tableSql(table)).join(', ')
  return `CREATE PUBLICATION ${quoteIdent(name)} FOR TABLE ${list} WITH (${options.join(', ')})`
}

/** ONLY: children of plain inheritance are tables of their own. It is not allowed on partitioned ones. */
function tableSql(table: TableFacts): string {
  return table.kind === 'p' ? quoteTable(table) : `ONLY ${quoteTable(table)}`
}

/**
 * Returns when every transaction that was open at the call has ended. The server decodes a change
 * with the publication as it was then, so a transaction that wrote to a table before the table was
 * published, and commits after the copy's snapshot, would be in neither; so no snapshot is taken
 * while one is open. Slot creation waits likewise. `waiting` is called with what it waits for.
 */
export async function openTransactionsEnded(
  client: Client,
  clock: Clock,
  signal: AbortSignal,
  waiting: () => Promise<void>,
): Promise<void> {
  const start = await client.query<{ end: string }>(
    'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS end',
  )
  for (;;) {
    const { rows } = await client.query<{ over: boolean }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 AS over',
      [start.rows[0]!.end],
    )
    if (rows[0]!.over) return
    await waiting()
    await clock.sleep(pollMs, signal)
  }
}
