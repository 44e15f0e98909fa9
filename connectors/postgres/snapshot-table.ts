/**
 * A table as the copy beside the stream reads it, and a mark by which one short expression tells whether
 * the catalog still says the same. To describe it anew takes four statements, which for every chunk would
 * cost as much as the chunk.
 */
import type { Client } from 'pg'
import type { Schema } from '../../core/record/schema.ts'
import {
  loadTables,
  topicSchema,
  type TableInfo,
  type TableName,
  type TypeCatalog,
} from './catalog.ts'
import type { KeyCompare } from './key-compare.ts'
import { loadKeyOrder, type KeyOrder } from './key-order.ts'
import { compareOf, rowFilterOf } from './snapshot.ts'
import { quoteLiteral } from './table-pattern.ts'

export interface SnapshotSource {
  readonly info: TableInfo
  readonly schema: Schema
  readonly order: KeyOrder
  readonly compare: KeyCompare
  /** WHERE of the publication's row filter, or null. */
  readonly rowFilter: string | null
  /** What `markSql` gave before the rest was read. */
  readonly mark: string
}

/**
 * null when the table is not there. The mark comes first: whatever changes while the rest is read makes
 * it another one, and the table is described once more.
 */
export async function loadSource(
  client: Client,
  name: TableName,
  { types, publication }: { readonly types: TypeCatalog; readonly publication: string },
): Promise<SnapshotSource | null> {
  const { rows } = await client.query<{ mark: string }>(
    `SELECT ${markSql(name, publication)} AS mark`,
  )
  const [info] = await loadTables(client, [name], publication)
  if (info === undefined) return null
  await types.load(
    client,
    info.columns.map((column) => column.typeOid),
  )
  const order = await loadKeyOrder(client, info)
  const schema = topicSchema(info, types)
  const compare = compareOf(schema, order)
  const rowFilter = await rowFilterOf({ control: client, publication }, info)
  return { info, schema, order, compare, rowFilter, mark: rows[0]!.mark }
}

/**
 * An expression that is another text after any change of what `loadSource` reads, and also after some
 * others. The catalog's rows of table, columns and indexes are named by the transactions that wrote
 * them (xmin): none of them comes twice, and what ANALYZE counts is written in place, under the old one.
 */
export function markSql({ schema, name }: TableName, publication: string): string {
  const [inSchema, inName, inPublication] = [schema, name, publication].map(quoteLiteral)
  return `concat_ws(' ',
    (SELECT concat_ws(' ', c.oid, c.xmin,
        (SELECT string_agg(a.xmin::text, ' ' ORDER BY a.attnum) FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0), '/',
        (SELECT string_agg(concat_ws(' ', i.indexrelid, i.xmin), ' ' ORDER BY i.indexrelid)
           FROM pg_index i WHERE i.indrelid = c.oid))
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = ${inSchema} AND c.relname = ${inName}),
    (SELECT to_jsonb(p)::text FROM pg_publication_tables p
      WHERE p.pubname = ${inPublication} AND p.schemaname = ${inSchema} AND p.tablename = ${inName}))`
}
