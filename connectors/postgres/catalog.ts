/**
 * What the server's catalog says about tables and types, and the topic schema that follows from it.
 * Snapshot and stream both go through `topicSchema`, so that an unchanged table has one schema id.
 */
import type { Client } from 'pg'
import { SluiceError } from '../../core/errors/error.ts'
import { makeSchema, type Changelog, type Field, type Schema } from '../../core/record/schema.ts'
import type { LogicalType } from '../../core/record/types.ts'
import { textAt } from '../../core/record/value.ts'
import { logicalType, type PgType, type TypeLookup } from './types.ts'
import { valueDecoder } from './values.ts'

export interface TableName {
  readonly schema: string
  readonly name: string
}

export interface ColumnInfo {
  readonly attnum: number
  readonly name: string
  readonly typeOid: number
  readonly typmod: number
  /** As in DDL: `numeric(12,2)`, `public.mood`. */
  readonly typeName: string
  readonly notNull: boolean
  /** '' = an ordinary column, 's' = generated and stored, 'v' = generated on read (PostgreSQL 18). */
  readonly generated: '' | 's' | 'v'
  /**
   * What rows have that are older than the column (pg_attribute.attmissingval), as the server prints
   * it; null: NULL, or the table was written anew since and its rows have values of their own.
   */
  readonly missing?: string | null
}

/** pg_class.relreplident by its name in DDL. */
export type ReplicaIdentity = 'default' | 'index' | 'full' | 'nothing'

export interface TableInfo extends TableName {
  readonly oid: number
  readonly kind: 'table' | 'partitioned'
  /** The columns that are published, in attnum order. */
  readonly columns: readonly ColumnInfo[]
  /** Column names in key order: the replica identity index, else the primary key; empty when none. */
  readonly key: readonly string[]
  readonly identity: ReplicaIdentity
  /** Partitioned tables: the oids of all partitions below, whatever their depth. */
  readonly partitions: readonly number[]
  /** pg_class.reltuples: the planner's guess, −1 when the table was never analysed. */
  readonly rowsEstimate: number
  /** pg_class.relpages, of 8 KiB as a rule. */
  readonly pagesEstimate: number
}

/** Name of a table's topic within its source. */
export function topicName(table: TableName): string {
  return `${table.schema}.${table.name}`
}

interface TableRow {
  oid: number
  schema: string
  name: string
  relkind: string
  relreplident: string
  reltuples: number
  relpages: number
  key: string[] | null
  partitions: number[] | null
  columns: {
    attnum: number
    name: string
    typeOid: number
    typmod: number
    typeName: string
    notNull: boolean
    generated: '' | 's' | 'v'
    missing: string | null
  }[]
}

/**
 * The tables among `names` that exist, in the order of `names`. With a publication, only the columns
 * that it publishes; without, all but generated ones. Throws what the driver throws.
 */
export async function loadTables(
  client: Client,
  names: readonly TableName[],
  publication: string | null = null,
): Promise<TableInfo[]> {
  const schemas = names.map((name) => name.schema)
  const tables = names.map((name) => name.name)
  const { rows } = await client.query<TableRow>(tableQuery, [schemas, tables])
  const published = await publishedColumns(client, publication)
  return rows.map((row) => {
    const only = published?.get(`${row.schema}\n${row.name}`) ?? null
    return {
      oid: row.oid,
      schema: row.schema,
      name: row.name,
      kind: row.relkind === 'p' ? 'partitioned' : 'table',
      columns: row.columns.filter((column) =>
        only === null ? column.generated === '' : only.has(column.name),
      ),
      key: row.key ?? [],
      identity: identities[row.relreplident] ?? 'default',
      partitions: row.partitions ?? [],
      rowsEstimate: row.reltuples,
      pagesEstimate: row.relpages,
    }
  })
}

const identities: Readonly<Record<string, ReplicaIdentity>> = {
  d: 'default',
  i: 'index',
  f: 'full',
  n: 'nothing',
}

/**
 * A partitioned table has no rows: what old rows have, its partitions know. They were all given the
 * same value by one statement.
 *
 * A deferrable primary key is no replica identity (relcache.c, RelationGetIndexList).
 */
const tableQuery = `
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text, c.relreplident::text,
         c.reltuples::float8, c.relpages,
         (SELECT array_agg(a.attname::text ORDER BY k.place)
            FROM pg_index i
            CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
           WHERE i.indrelid = c.oid AND k.place <= i.indnkeyatts
             AND CASE c.relreplident WHEN 'i' THEN i.indisreplident
                 WHEN 'f' THEN i.indisprimary AND i.indisvalid
                 ELSE i.indisprimary AND i.indisvalid AND i.indimmediate END) AS key,
         (SELECT array_agg(p.relid::oid)
            FROM pg_partition_tree(c.oid) p WHERE p.isleaf AND c.relkind = 'p') AS partitions,
         coalesce((SELECT json_agg(json_build_object('attnum', a.attnum, 'name', a.attname,
              'typeOid', a.atttypid::int8, 'typmod', a.atttypmod,
              'typeName', format_type(a.atttypid, a.atttypmod),
              'notNull', a.attnotnull, 'generated', a.attgenerated, 'missing', old.value)
              ORDER BY a.attnum)
            FROM pg_attribute a
            LEFT JOIN LATERAL (
              SELECT (m.attmissingval::text::text[])[1] AS value
                FROM pg_attribute m
               WHERE m.attname = a.attname AND m.atthasmissing
                 AND (m.attrelid = c.oid OR c.relkind = 'p' AND m.attrelid IN
                       (SELECT p.relid FROM pg_partition_tree(c.oid) p)) LIMIT 1) AS old ON true
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted(schema, name, place)
    JOIN pg_namespace n ON n.nspname = wanted.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
     AND c.relkind IN ('r', 'p')
   ORDER BY wanted.place`

/** Column names by table where the server can restrict them (PostgreSQL 15+); null where it cannot. */
async function publishedColumns(
  client: Client,
  publication: string | null,
): Promise<Map<string, ReadonlySet<string>> | null> {
  if (publication === null) return null
  const { rows } = await client.query<{ version: number }>(
    `SELECT current_setting('server_version_num')::int AS version`,
  )
  if ((rows[0]?.version ?? 0) < 150_000) return null
  // Before 18 the view names generated columns of tables without a column list, and pgoutput leaves
  // them out; from 18 on the view says what is sent (publish_generated_columns).
  const lists = await client.query<{ schema: string; name: string; columns: string[] }>(
    `SELECT p.schemaname AS schema, p.tablename AS name,
            array(SELECT a.attname::text FROM pg_attribute a
                   WHERE a.attrelid = format('%I.%I', p.schemaname, p.tablename)::regclass
                     AND a.attname = ANY (p.attnames) AND NOT a.attisdropped
                     AND (a.attgenerated = '' OR current_setting('server_version_num')::int >= 180000)
                 ) AS columns
       FROM pg_publication_tables p WHERE p.pubname = $1`,
    [publication],
  )
  return new Map(lists.rows.map((row) => [`${row.schema}\n${row.name}`, new Set(row.columns)]))
}

/** Types by oid, loaded when first needed; pg_type can be large, so it is never loaded as a whole. */
export class TypeCatalog implements TypeLookup {
  readonly #types = new Map<number, PgType>()

  has(oid: number): boolean {
    return this.#types.has(oid)
  }

  get(oid: number): PgType {
    const type = this.#types.get(oid)
    if (type === undefined) {
      throw new SluiceError('internal.bug', {
        message: `type ${oid} was used before it was loaded`,
      })
    }
    return type
  }

  /** Loads these types and all that they are made of. A type dropped since is known as `oid <n>`. */
  async load(client: Client, oids: Iterable<number>): Promise<void> {
    let wanted = new Set([...oids].filter((oid) => !this.#types.has(oid)))
    while (wanted.size > 0) {
      const { rows } = await client.query<PgType>(typeQuery, [[...wanted]])
      for (const row of rows) this.#types.set(row.oid, row)
      for (const oid of wanted) if (!this.#types.has(oid)) this.#types.set(oid, unknownType(oid))
      const parts = rows.flatMap((row) => [row.base, row.element])
      wanted = new Set(parts.filter((oid) => oid !== 0 && !this.#types.has(oid)))
    }
  }
}

const typeQuery = `
  SELECT t.oid, t.typname::text AS name, t.typtype::text AS kind, t.typbasetype AS base,
         t.typtypmod AS "baseTypmod", t.typdelim::text AS delimiter,
         CASE WHEN e.typarray = t.oid THEN e.oid ELSE 0::oid END AS element
    FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem
   WHERE t.oid = ANY ($1::oid[])`

function unknownType(oid: number): PgType {
  return {
    oid,
    name: `oid ${oid}`,
    kind: 'b',
    base: 0,
    baseTypmod: -1,
    element: 0,
    delimiter: ',',
  }
}

/**
 * The schema of a table's topic. FULL identity sends whole old rows (retract); a table whose updates
 * and deletes cannot be published, having no key or identity NOTHING, only appends.
 */
export function topicSchema(
  table: Pick<TableInfo, 'columns' | 'key' | 'identity'>,
  types: TypeLookup,
): Schema {
  const fields = table.columns.map((column): Field => {
    const { name, notNull, missing } = column
    const type = logicalType(column.typeOid, column.typmod, types)
    const oldRows = missing == null ? null : exactText(type, missing)
    return { name, type, nullable: !notNull, ...(oldRows === null ? {} : { oldRows }) }
  })
  const places = table.key.map((name) => fields.findIndex((field) => field.name === name))
  // A key of which a column is not published identifies nothing.
  const key = places.includes(-1) ? [] : places
  return makeSchema(fields, key, changelogOf(table.identity, key.length))
}

/** From the form in which the server prints a value to the form of core/record/value.ts. */
function exactText(type: LogicalType, printed: string): string | null {
  const decoder = valueDecoder(type)
  const bytes = Buffer.from(printed)
  decoder.append(bytes, 0, bytes.length)
  return textAt(type, decoder.builder.finish(), 0)
}

function changelogOf(identity: ReplicaIdentity, keyFields: number): Changelog {
  if (identity === 'full') return 'retract'
  return identity === 'nothing' || keyFields === 0 ? 'append' : 'upsert'
}
