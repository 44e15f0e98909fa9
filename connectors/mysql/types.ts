/**
 * What a column of MySQL or MariaDB is: its meaning (`MysqlType`), apart from how the binlog packs it
 * (`WireColumn`). The catalog and a table map both lead to the same `MysqlType`, so that the first copy
 * and the stream give the same logical type and the same value.
 */
import type { FieldDecoder } from '../../core/connector/topic-rows.ts'

export type Flavour = 'mysql' | 'mariadb'

export type MysqlType =
  | {
      readonly kind: 'int'
      readonly bytes: 1 | 2 | 3 | 4 | 8
      readonly unsigned: boolean
      /** tinyint(1), which people use as a boolean; only the catalog tells. */ readonly displayOne: boolean
    }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'float' | 'double' | 'year' | 'date' | 'json' | 'geometry' | 'vector' }
  | { readonly kind: 'bit'; readonly bits: number }
  /** `fraction`: digits after the seconds, 0 to 6. */
  | { readonly kind: 'time' | 'datetime' | 'timestamp'; readonly fraction: number }
  /** char, varchar, tinytext … longtext. `charset`: the server's name for it, such as `utf8mb4`, `latin1`. */
  | { readonly kind: 'text'; readonly charset: string }
  /** binary(n): `fixed` = n, padded with zero bytes, which the binlog leaves out. varbinary and blobs: null. */
  | { readonly kind: 'bytes'; readonly fixed: number | null }
  /** The labels in order, as text. */
  | { readonly kind: 'enum' | 'set'; readonly labels: readonly string[] }
  /** MariaDB's own; a MySQL server has none of them. `year2`: year(2), whose value is 0 to 99. */
  | { readonly kind: 'uuid' | 'inet4' | 'inet6' | 'year2' }
  /** A type this version does not know: read as exact text in the first copy, refused in the stream. */
  | { readonly kind: 'unknown'; readonly name: string }

export interface MysqlColumn {
  readonly name: string
  readonly type: MysqlType
  readonly nullable: boolean
}

/** A column in a TABLE_MAP event: its type byte, and its metadata as one little- or big-endian number (table-map.ts says which). */
export interface WireColumn {
  /** MYSQL_TYPE_*; ENUM, SET and STRING told apart already, not the 254 that hides them. */
  readonly code: number
  readonly meta: number
}

/** What the user declared about values that have no one right reading. */
export interface ValuePolicies {
  /** tinyint(1): the integer it is, or a boolean (0 = false). */
  readonly tinyint1: 'int' | 'bool'
  /** 0000-00-00, 2020-00-00 and the like: stop the source, read as null, or make every such column exact text. */
  readonly zeroDates: 'stop' | 'null' | 'text'
}

/** Reads the values of one column, from either wire, into one builder. Hot. */
export interface ColumnReader extends FieldDecoder {
  /** Row image: appends the value at `at`, returns the place after it. Throws `source.mysql.protocol` past `end`. */
  binlog(source: Uint8Array, at: number, end: number): number
  /** Row image: the place after a value that is not wanted. */
  skip(source: Uint8Array, at: number, end: number): number
  /** Result set: source[start, end) as `selectSql` prints the column. */
  text(source: Uint8Array, start: number, end: number): void
  appendNull(): void
}
