/**
 * The order in which a table is copied: that of its key, so that the copy can go on after the last key
 * it read. A column whose order is certain here (key-compare.ts) is read in the server's order, which
 * its index gives as the rows come; any other in the order of the bytes of its text, which the server
 * has to sort, and which needs nobody's knowledge of collations, enums or extensions. A table without
 * a key is read as it lies, and starts over after a crash.
 */
import type { Client } from 'pg'
import type { TableInfo } from './catalog.ts'
import { isOrderKnown } from './key-compare.ts'
import { quoteIdent, quoteLiteral } from './table-pattern.ts'

export interface KeyColumn {
  readonly name: string
  /** Place among the published columns. */
  readonly index: number
  /** The type for casts, domains resolved: `bigint`, `public.mood`. */
  readonly typeSql: string
  /** pg_type.typname of the same. */
  readonly typeName: string
  /** Ordered as the server orders the type; otherwise by the UTF-8 bytes of what the type prints. */
  readonly native: boolean
}

/** Columns in key order; empty when the table has to be read as it lies. */
export type KeyOrder = readonly KeyColumn[]

interface KeyRow {
  name: string
  type: string
  typename: string
  bytewise: boolean
}

/**
 * The key index's columns. `bytewise`: the collation orders by the bytes that this connection sees. The
 * built-in provider (`b`, PostgreSQL 17) orders by code points, in UTF-8 the order of the bytes;
 * collation 100 is the database's own. A database in another encoding orders by that one's bytes.
 */
const keyQuery = `
  SELECT a.attname::text AS name, format_type(base.oid, -1) AS type, base.typname::text AS typename,
         CASE WHEN current_setting('server_encoding') NOT IN ('UTF8', 'SQL_ASCII') THEN false
           ELSE CASE a.attcollation
           WHEN 0 THEN false
           WHEN 100 THEN (SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
                                   WHEN 'b' THEN true
                                   WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') ELSE false END
                            FROM pg_database d WHERE d.datname = current_database())
           ELSE (SELECT l.collprovider = 'b' OR l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX')
                   FROM pg_collation l WHERE l.oid = a.attcollation)
         END END AS bytewise
    FROM pg_class c
    JOIN pg_index i ON i.indrelid = c.oid
     AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary AND i.indisvalid END
   CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
   CROSS JOIN LATERAL (
     WITH RECURSIVE below(oid, typname, typtype, typbasetype) AS (
       SELECT t.oid, t.typname, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
       SELECT t.oid, t.typname, t.typtype, t.typbasetype
         FROM below JOIN pg_type t ON t.oid = below.typbasetype WHERE below.typtype = 'd')
     SELECT oid, typname FROM below WHERE typtype <> 'd') AS base
   WHERE c.oid = $1 AND k.place <= i.indnkeyatts
   ORDER BY k.place`

/** Empty where the topic has no key, or another one than this index: then nothing tells rows apart. */
export async function loadKeyOrder(client: Client, table: TableInfo): Promise<KeyOrder> {
  const { rows } = await client.query<KeyRow>(keyQuery, [table.oid])
  const order = rows.map((row) => ({
    name: row.name,
    index: table.columns.findIndex((column) => column.name === row.name),
    typeSql: row.type,
    typeName: row.typename,
    native: isOrderKnown(row.typename, row.bytewise),
  }))
  const isTopicKey =
    order.length === table.key.length &&
    order.every(({ name, index }, i) => index >= 0 && name === table.key[i])
  return isTopicKey ? order : []
}

/**
 * What the order of keys means, one text a column, for a position: a place in one order is none in
 * another, such as after a change of the column's type.
 */
export function orderNames(order: KeyOrder): readonly string[] {
  return order.map(({ name, typeName, native }) => `${name} ${native ? typeName : 'as text'}`)
}

/** `"a", convert_to(concat("b"), 'UTF8')`: what to order by. */
export function orderSql(order: KeyOrder): string {
  return order.map((column) => sortedSql(column, quoteIdent(column.name))).join(', ')
}

/** `("a", convert_to(…)) > ('1'::int8, convert_to(…))`: the rows after `key`, texts as the server printed. */
export function afterKeySql(order: KeyOrder, key: readonly string[]): string {
  return `(${orderSql(order)}) > (${placeSql(order, key)})`
}

/** The rows up to `key`. */
export function upToKeySql(order: KeyOrder, key: readonly string[]): string {
  return `(${orderSql(order)}) <= (${placeSql(order, key)})`
}

/** The rows of these keys; at least one. */
export function ofKeysSql(order: KeyOrder, keys: readonly (readonly string[])[]): string {
  return `(${orderSql(order)}) IN (${keys.map((key) => `(${placeSql(order, key)})`).join(', ')})`
}

function placeSql(order: KeyOrder, key: readonly string[]): string {
  return order
    .map((column, i) =>
      column.native
        ? `${quoteLiteral(key[i]!)}::${column.typeSql}`
        : `convert_to(${quoteLiteral(key[i]!)}, 'UTF8')`,
    )
    .join(', ')
}

/** The key's texts as the server prints them: `concat("a"), concat("b")`. */
export function keyTextsSql(order: KeyOrder): string {
  return order.map(({ name }, i) => `concat(${quoteIdent(name)}) AS k${i}`).join(', ')
}

/**
 * `concat` prints by the type's output function, as COPY and pgoutput do; a cast to text may not (it adds
 * the mask to an inet, and takes the padding off a char). Bytes of UTF-8 are what this side sees.
 */
function sortedSql({ native }: KeyColumn, column: string): string {
  return native ? column : `convert_to(concat(${column}), 'UTF8')`
}
