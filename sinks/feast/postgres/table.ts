/**
 * The table of a view as Feast makes it (feast 0.67, postgres_online_store/postgres.py, `update`), so
 * that Sluice and `feast apply` find what the other has made.
 *
 *   {project}_{view}(entity_key bytea, feature_name text, value bytea, value_text text,
 *     [value_num double precision,] vector_value bytea, event_ts timestamptz, created_ts timestamptz,
 *     PRIMARY KEY (entity_key, feature_name))
 *   index {table}_ek on entity_key; with string features {table}_fts_idx on to_tsvector(value_text)
 */
import { escapeIdentifier, type PoolClient } from 'pg'
import { SluiceError } from '../../../core/errors/error.ts'
import type { FeatureView } from '../view.ts'
import { quoted, type TableName } from './statements.ts'

const columns: Readonly<Record<string, string>> = {
  entity_key: 'bytea',
  feature_name: 'text',
  value: 'bytea',
  value_text: 'text',
  vector_value: 'bytea',
  event_ts: 'timestamp with time zone',
  created_ts: 'timestamp with time zone',
}
const numberColumn = 'value_num'
const key = 'entity_key,feature_name'
/** PostgreSQL cuts longer names off, and two views could become one. */
const nameBytesMax = 63

export interface ViewTable {
  readonly name: TableName
  /** Stores with `enable_openai_compatible_store` have a column for numbers. */
  readonly hasNumbers: boolean
}

export function tableName(schema: string, view: FeatureView): TableName {
  const table = `${view.project}_${view.stored}`
  if (Buffer.byteLength(table) > nameBytesMax) {
    throw new SluiceError('sink.feast.postgres_table', {
      message: `View ${view.name}: the table ${table} would have a name of more than ${nameBytesMax} bytes.`,
      remedy: 'Give the project or the view a shorter name.',
    })
  }
  return { schema, table }
}

/** Makes what is not there, and refuses what is there and is something else. Idempotent. */
export async function ensureTable(
  client: PoolClient,
  schema: string,
  view: FeatureView,
): Promise<ViewTable> {
  const name = tableName(schema, view)
  const found = await describe(client, name)
  if (found !== null) return judge(name, found)
  const { rowCount } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  // Asked first: IF NOT EXISTS wants the right to create schemas also where there is nothing to create.
  if (rowCount === 0) await client.query(`CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(schema)}`)
  await client.query(`CREATE TABLE IF NOT EXISTS ${quoted(name)} (
    entity_key BYTEA, feature_name TEXT, value BYTEA, value_text TEXT NULL, vector_value BYTEA NULL,
    event_ts TIMESTAMPTZ, created_ts TIMESTAMPTZ, PRIMARY KEY (entity_key, feature_name))`)
  await client.query(
    `CREATE INDEX IF NOT EXISTS ${escapeIdentifier(`${name.table}_ek`)} ON ${quoted(name)} (entity_key)`,
  )
  if (view.features.some(({ type }) => type.kind === 'scalar' && type.name === 'string')) {
    await client.query(
      `CREATE INDEX IF NOT EXISTS ${escapeIdentifier(`${name.table}_fts_idx`)} ON ${quoted(name)} USING GIN (to_tsvector('english', value_text))`,
    )
  }
  return { name, hasNumbers: false }
}

interface Described {
  readonly columns: ReadonlyMap<string, { readonly type: string; readonly isOptional: boolean }>
  readonly key: string
}

async function describe(
  client: PoolClient,
  { schema, table }: TableName,
): Promise<Described | null> {
  const { rows } = await client.query<{ name: string; type: string; optional: boolean }>(
    `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,
       NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '' AS optional
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`,
    [schema, table],
  )
  if (rows.length === 0) return null
  const found = await client.query<{ columns: string }>(
    `SELECT string_agg(a.attname, ',' ORDER BY k.place) AS columns
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
     WHERE n.nspname = $1 AND c.relname = $2 AND i.indisprimary`,
    [schema, table],
  )
  const described = rows.map(
    ({ name, type, optional }) => [name, { type, isOptional: optional }] as const,
  )
  return { columns: new Map(described), key: found.rows[0]?.columns ?? '' }
}

function judge(name: TableName, found: Described): ViewTable {
  const wrong: string[] = []
  for (const [column, type] of Object.entries(columns)) {
    const has = found.columns.get(column)?.type
    if (has === undefined) wrong.push(`it has no column ${column}`)
    else if (has !== type) wrong.push(`${column} is ${has} and not ${type}`)
  }
  for (const [column, { isOptional }] of found.columns) {
    const known = column in columns || column === numberColumn
    if (!known && !isOptional) wrong.push(`${column} wants a value that Feast does not give`)
  }
  if (found.key !== key) wrong.push(`its primary key is not (${key})`)
  if (wrong.length > 0) {
    throw new SluiceError('sink.feast.postgres_table', {
      message: `Table ${name.schema}.${name.table} is not a table of Feast: ${wrong.join(', ')}.`,
      ...(found.columns.get('vector_value')?.type === 'vector'
        ? {
            remedy:
              'The store was made with vector_enabled: true, whose vectors Sluice does not fill. Set it to false, drop the table and let Sluice make it.',
          }
        : {}),
    })
  }
  return { name, hasNumbers: found.columns.has(numberColumn) }
}
