/**
 * Which tables are followed and what their columns are at this place of the stream: what the decoder
 * asks of the source's knowledge of schemas. Synchronous, for the decoder is; what has to be asked of
 * the server is said by 'lookup', and the decoder stands still until it was loaded.
 */
import type { TopicSchema } from '../../../core/connector/topic-rows.ts'
import type { SluiceError } from '../../../core/errors/error.ts'
import type { TableName } from './table-pattern.ts'
import type { ColumnReader, WireColumn } from '../types.ts'

/** A TABLE_MAP event, as far as it goes. Absent metadata (binlog_row_metadata=MINIMAL, NO_LOG) is null. */
export interface TableMap {
  readonly tableId: number
  readonly database: string
  readonly table: string
  readonly columns: readonly WireColumn[]
  readonly nullable: readonly boolean[]
  /** Per column; false for what is no number. */
  readonly unsigned: readonly boolean[] | null
  /** Collation id per column; null for what is no text. */
  readonly collations: readonly (number | null)[] | null
  readonly names: readonly string[] | null
  /** Per column: the labels of enums and sets as bytes of the column's character set. */
  readonly labels: readonly (readonly Uint8Array[] | null)[] | null
  /** Places of the primary key's columns, in its order. */
  readonly primaryKey: readonly number[] | null
  /** The whole event body: equal bytes (but for the table id) mean an equal table. */
  readonly body: Uint8Array
}

export interface FollowedTable {
  readonly topic: TopicSchema
  /** One per column on the wire: the field it goes to; −1 = read over. */
  readonly fields: Int32Array
  /** New readers, one per column on the wire. */
  readonly readers: () => readonly ColumnReader[]
  /** Per column on the wire: part of the topic's key. */
  readonly inKey: readonly boolean[]
  /** No key: rows are told apart by all their columns, the topic is a retract topic. */
  readonly keyless: boolean
  /**
   * Per column on the wire: the default that an inserted row has where its image lacks the column
   * (binlog_row_image=MINIMAL), as `ColumnReader.text` reads it; null = NULL, undefined = not known.
   */
  readonly defaults?: readonly (Uint8Array | null | undefined)[]
}

/** A statement in the binlog (QUERY event) that is no BEGIN, COMMIT or SAVEPOINT. */
export interface Statement {
  /** The database that was in use. */
  readonly database: string
  readonly sql: string
  readonly sqlMode: bigint | null
}

export interface TableDirectory {
  /** null = not followed; 'lookup' = `load(map)` first, then ask again. */
  resolve(map: TableMap): FollowedTable | null | 'lookup'
  load(map: TableMap, signal: AbortSignal): Promise<void>
  /** Whether changes of this table are followed; asked only about rows that came as a statement's text. */
  follows(database: string, table: string): boolean
  /**
   * Changes of a followed table, or of any (null), are not in the binlog: their tables are copied again,
   * or, where that is not wanted, `error` is thrown.
   */
  lost(error: SluiceError, table: TableName | null): void
  /** What a statement does: topics that it emptied, and 'lookup' semantics are the directory's own business. */
  statement(statement: Statement): { readonly truncated: readonly string[] }
}
