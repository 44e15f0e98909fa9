/**
 * What preflight looks at: one struct, read by a few catalog queries. No judgement here; that is
 * preflight.ts, a pure function of these facts.
 */
import type { Client } from 'pg'
import { nearestTable } from '../../core/connector/nearest.ts'
import { formatTablePattern, parseTablePattern, type TablePattern } from './table-pattern.ts'

export interface ServerFacts {
  readonly versionNumber: number
  readonly version: string
  readonly inRecovery: boolean
  readonly walLevel: string
  /** Where the server writes now; null on a standby. */
  readonly walLsn: string | null
  readonly slotsMax: number
  readonly slotsUsed: number
  readonly sendersMax: number
  readonly sendersUsed: number
  readonly user: string
  readonly database: string
  /** Superuser, REPLICATION, or a member of a cloud's replication role. */
  readonly mayReplicate: boolean
  /** CREATE on the database, which CREATE PUBLICATION needs. */
  readonly mayCreate: boolean
  readonly superuser: boolean
}

export interface TableFacts {
  readonly schema: string
  readonly name: string
  readonly oid: number
  /** pg_class.relkind. */
  readonly kind: string
  readonly isPartition: boolean
  /** pg_class.relpersistence: p = ordinary, u = unlogged, t = temporary. */
  readonly persistence: string
  /** pg_class.relreplident. */
  readonly identity: string
  /** There is an index that this identity can use. */
  readonly hasIdentityIndex: boolean
  /** Partitions whose replica identity differs from the table's. */
  readonly otherIdentities: readonly string[]
  readonly maySelect: boolean
  readonly isOwner: boolean
  /** Row-level security hides rows from this user. */
  readonly hidesRows: boolean
}

export interface PublicationFacts {
  readonly allTables: boolean
  readonly insert: boolean
  readonly update: boolean
  readonly delete: boolean
  readonly truncate: boolean
  readonly viaRoot: boolean
  readonly isOwner: boolean
  /** As the publication sends them: `schema\nname`. */
  readonly tables: ReadonlySet<string>
}

export interface SlotFacts {
  readonly plugin: string | null
  readonly database: string | null
  readonly activePid: number | null
  readonly activeApplication: string | null
  readonly walStatus: string | null
  readonly confirmedFlushLsn: string | null
}

export interface OldTransaction {
  readonly what: string
  readonly seconds: number
}

/** A pattern that names nothing. */
export interface Unmatched {
  readonly pattern: string
  /** The pattern that was probably meant. */
  readonly near: string | null
}

export interface Facts {
  readonly server: ServerFacts
  /** The relations that the patterns name, in the order of the patterns, each once. */
  readonly tables: readonly TableFacts[]
  readonly unmatched: readonly Unmatched[]
  readonly publication: PublicationFacts | null
  readonly slot: SlotFacts | null
  readonly oldTransactions: readonly OldTransaction[]
}

export interface FactsWanted {
  readonly patterns: readonly string[]
  readonly publication: string
  readonly slot: string
}

/** Reads them all. The session needs no privilege beyond connecting. Throws what the driver throws. */
export async function loadFacts(client: Client, wanted: FactsWanted): Promise<Facts> {
  const { rows } = await client.query<ServerFacts>(serverQuery)
  const server = rows[0]!
  const { tables, unmatched } = await loadTableFacts(client, wanted.patterns)
  const slots = await client.query<SlotFacts>(slotQuery, [wanted.slot])
  const old = await client.query<OldTransaction>(oldTransactionsQuery)
  return {
    server,
    tables,
    unmatched,
    publication: await loadPublication(client, wanted.publication),
    slot: slots.rows[0] ?? null,
    oldTransactions: old.rows,
  }
}

/** rds_replication (Amazon), cloudsqlreplicator has the attribute itself; azure_pg_admin grants it. */
const serverQuery = `
  SELECT current_setting('server_version_num')::int AS "versionNumber",
         current_setting('server_version') AS version,
         pg_is_in_recovery() AS "inRecovery",
         current_setting('wal_level') AS "walLevel",
         CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END AS "walLsn",
         current_setting('max_replication_slots')::int AS "slotsMax",
         (SELECT count(*)::int FROM pg_replication_slots) AS "slotsUsed",
         current_setting('max_wal_senders')::int AS "sendersMax",
         (SELECT count(*)::int FROM pg_stat_replication) AS "sendersUsed",
         current_user::text AS user, current_database()::text AS database,
         r.rolsuper AS superuser,
         r.rolsuper OR r.rolreplication OR EXISTS (
           SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication'
              AND pg_has_role(current_user, g.oid, 'MEMBER')) AS "mayReplicate",
         has_database_privilege(current_database(), 'CREATE') AS "mayCreate"
    FROM pg_roles r WHERE r.rolname = current_user`

/** The identity's index must be immediate and valid: a deferrable primary key identifies nothing. */
const tableColumns = `
  n.nspname::text AS schema, c.relname::text AS name, c.oid, c.relkind::text AS kind,
  c.relispartition AS "isPartition", c.relpersistence::text AS persistence,
  c.relreplident::text AS identity,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
     AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END)
    AS "hasIdentityIndex",
  coalesce((SELECT array_agg(format('%I.%I', ln.nspname, l.relname))
     FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid
     JOIN pg_namespace ln ON ln.oid = l.relnamespace
    WHERE c.relkind = 'p' AND t.isleaf AND l.relreplident <> c.relreplident), '{}')
    AS "otherIdentities",
  has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))) AS "maySelect",
  pg_has_role(c.relowner, 'USAGE') AS "isOwner",
  row_security_active(c.oid) AS "hidesRows"`

const namedQuery = `
  SELECT ${tableColumns} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 'S', 't', 'c')`

/** Of a schema: tables and roots of partitioned ones. Unlogged tables are not in the WAL. */
const schemaQuery = `
  SELECT ${tableColumns} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     AND c.relpersistence = 'p'
   ORDER BY c.relname`

async function loadTableFacts(
  client: Client,
  patterns: readonly string[],
): Promise<Pick<Facts, 'tables' | 'unmatched'>> {
  const tables = new Map<number, TableFacts>()
  const unmatched: Unmatched[] = []
  for (const pattern of patterns) {
    const wanted = parseTablePattern(pattern)
    const found = await matching(client, wanted)
    if (found.length === 0) unmatched.push({ pattern, near: await nearPattern(client, wanted) })
    for (const table of found) tables.set(table.oid, table)
  }
  return { tables: [...tables.values()], unmatched }
}

async function matching(
  client: Client,
  pattern: TablePattern | null,
): Promise<readonly TableFacts[]> {
  if (pattern === null) return []
  const { schema, name } = pattern
  const { rows } =
    name === null
      ? await client.query<TableFacts>(schemaQuery, [schema])
      : await client.query<TableFacts>(namedQuery, [schema, name])
  return rows
}

const schemasQuery = `
  SELECT nspname::text AS name FROM pg_namespace
   WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY nspname`

const namesQuery = `
  SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
   ORDER BY c.relname`

async function nearPattern(client: Client, wanted: TablePattern | null): Promise<string | null> {
  if (wanted === null) return null
  const names = async (sql: string, parameters: readonly string[]): Promise<readonly string[]> => {
    const { rows } = await client.query<{ name: string }>(sql, [...parameters])
    return rows.map(({ name }) => name)
  }
  const near = await nearestTable(
    { space: wanted.schema, name: wanted.name },
    {
      spaces: () => names(schemasQuery, []),
      tables: (schema) => names(namesQuery, [schema]),
    },
  )
  return near === null ? null : formatTablePattern({ schema: near.space, name: near.name })
}

const publicationQuery = `
  SELECT p.puballtables AS "allTables", p.pubinsert AS insert, p.pubupdate AS update,
         p.pubdelete AS delete, p.pubtruncate AS truncate, p.pubviaroot AS "viaRoot",
         pg_has_role(p.pubowner, 'USAGE') AS "isOwner"
    FROM pg_publication p WHERE p.pubname = $1`

export async function loadPublication(
  client: Client,
  name: string,
): Promise<PublicationFacts | null> {
  const { rows } = await client.query<Omit<PublicationFacts, 'tables'>>(publicationQuery, [name])
  const publication = rows[0]
  if (publication === undefined) return null
  const members = await client.query<{ schema: string; name: string }>(
    `SELECT schemaname::text AS schema, tablename::text AS name
       FROM pg_publication_tables WHERE pubname = $1`,
    [name],
  )
  const tables = new Set(members.rows.map((row) => `${row.schema}\n${row.name}`))
  return { ...publication, tables }
}

export const slotQuery = `
  SELECT s.plugin::text AS plugin, s.database::text AS database, s.active_pid AS "activePid",
         a.application_name AS "activeApplication", s.wal_status AS "walStatus",
         s.confirmed_flush_lsn::text AS "confirmedFlushLsn"
    FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
   WHERE s.slot_name = $1`

/** A slot's creation, and every later snapshot, waits for the transactions that write now. */
export const oldTransactionsQuery = `
  SELECT format('pid %s (%s, %s)', pid, coalesce(nullif(application_name, ''), 'no name'), state)
           AS what,
         extract(epoch FROM now() - xact_start)::float8 AS seconds
    FROM pg_stat_activity
   WHERE backend_xid IS NOT NULL AND xact_start < now() - interval '10 seconds'
     AND pid <> pg_backend_pid()
   UNION ALL
  SELECT format('prepared transaction %L', gid), extract(epoch FROM now() - prepared)::float8
    FROM pg_prepared_xacts
   ORDER BY seconds DESC LIMIT 5`
