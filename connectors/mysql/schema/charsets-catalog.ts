/**
 * Collations by number, as table maps and column definitions name them. Asked of the server, because
 * the numbers differ: MariaDB's from 2048 on are its own, and MySQL's 8.0 ones are unknown to MariaDB.
 */
import type { Query } from './catalog.ts'

/** Names of a character set (`utf8mb4`, `latin1`, `binary`) by collation id. */
export type Collations = ReadonlyMap<number, string>

/**
 * Since MariaDB 10.10 a collation may belong to several character sets with an id for each, and
 * INFORMATION_SCHEMA.COLLATIONS leaves id and character set of those empty; the table of
 * applicability, which MySQL has without an id, names them all.
 */
export async function loadCollations(query: Query): Promise<Collations> {
  const columns = await query(
    `SELECT COUNT(*) AS found FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = 'information_schema' AND COLUMN_NAME = 'ID'
        AND TABLE_NAME = 'COLLATION_CHARACTER_SET_APPLICABILITY'`,
  )
  const table =
    Number(columns[0]?.['found']) > 0 ? 'COLLATION_CHARACTER_SET_APPLICABILITY' : 'COLLATIONS'
  const rows = await query(
    `SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.${table}
      WHERE ID IS NOT NULL AND CHARACTER_SET_NAME IS NOT NULL`,
  )
  return new Map(rows.map((row) => [Number(row['id']), String(row['charset'])]))
}
