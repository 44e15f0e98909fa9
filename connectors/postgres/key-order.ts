/**
 * The order in which a table is copied. A table whose key has a plain index is read in key order, so
 * that the copy can go on after its last key; any other is read as it lies, and starts over after a
 * crash. Comparisons of keys are the server's own, of the column's type and collation; only for types
 * whose order is certain are they made here (key-compare.ts).
 */
import type { Client } from 'pg'
import type { TableInfo } from './catalog.ts'
import { quoteIdent, quoteLiteral } from './table-pattern.ts'

export interface KeyColumn {
  readonly name: string
  /** Place among the published columns. */
  readonly index: number
  /** The type for casts, domains resolved: `bigint`, `public.mood`. */
  readonly typeSql: string
  /** pg_type.typname of the same. */
  readonly typeName: string
  /** Its collation orders by bytes; false for types without one. */
  readonly bytewise: boolean
}

/** Columns in key order; empty when the table has to be read as it lies. */
export type KeyOrder = readonly KeyColumn[]

interface KeyRow {
  name: string
  type: string
  typename: string
  bytewise: boolean
  plain: boolean
}

/**
 * The key index's columns. The built-in provider (`b`, PostgreSQL 17) orders by code points, in UTF-8
 * the order of the bytes; collation 100 is the database's own. `plain`: ascending with nulls last, the type's default operator class and
 * the column's own collation, so that ORDER BY of the bare columns is the order of the index.
 */
const keyQuery = `
  SELECT a.attname::text AS name, format_type(base.oid, -1) AS type, base.typname::text AS typename,
         CASE a.attcollation
           WHEN 0 THEN false
           WHEN 100 THEN (SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
                                   WHEN 'b' THEN true
                                   WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') ELSE false END
                            FROM pg_database d WHERE d.datname = current_database())
           ELSE (SELECT l.collprovider = 'b' OR l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX')
                   FROM pg_collation l WHERE l.oid = a.attcollation)
         END AS bytewise,
         o.opcdefault AND i.indoption[k.place - 1] = 0
           AND i.indcollation[k.place - 1] = a.attcollation AS plain
    FROM pg_class c
    JOIN pg_index i ON i.indrelid = c.oid
     AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary AND i.indisvalid END
   CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
    JOIN pg_opclass o ON o.oid = i.indclass[k.place - 1]
   CROSS JOIN LATERAL (
     WITH RECURSIVE below(oid, typname, typtype, typbasetype) AS (
       SELECT t.oid, t.typname, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
       SELECT t.oid, t.typname, t.typtype, t.typbasetype
         FROM below JOIN pg_type t ON t.oid = below.typbasetype WHERE below.typtype = 'd')
     SELECT oid, typname FROM below WHERE typtype <> 'd') AS base
   WHERE c.oid = $1 AND k.place <= i.indnkeyatts
   ORDER BY k.place`

export async function loadKeyOrder(client: Client, table: TableInfo): Promise<KeyOrder> {
  const { rows } = await client.query<KeyRow>(keyQuery, [table.oid])
  const order = rows.map((row) => ({
    name: row.name,
    index: table.columns.findIndex((column) => column.name === row.name),
    typeSql: row.type,
    typeName: row.typename,
    bytewise: row.bytewise,
  }))
  return rows.every((row) => row.plain) && order.every(({ index }) => index >= 0) ? order : []
}

/** `("a", "b") > ('1'::int8, 'x'::text)`: the rows after `key`. */
export function afterKeySql(order: KeyOrder, key: readonly string[]): string {
  const columns = order.map((column) => quoteIdent(column.name))
  return `(${columns.join(', ')}) > (${keySql(order, key)})`
}

/** A key as a list of typed literals, from the text the server printed. */
export function keySql(order: KeyOrder, key: readonly string[]): string {
  return order.map((column, i) => `${quoteLiteral(key[i]!)}::${column.typeSql}`).join(', ')
}
