/**
 * EventReader: one change event taken apart, from whichever encoding. `begin` finds its parts, `row` reads
 * one of them. What Debezium writes beside changes (transactions, heartbeats, schema changes, messages of
 * pg_logical_emit_message) is no row, and passed over.
 */
import type { ReadFault } from '../../../core/connector/format/format.ts'
import type { RowInto } from './row-into.ts'
import type { RowShape } from './row-shape.ts'

export type Begun = 'event' | 'passed' | 'tombstone' | ReadFault
export type Part = 'before' | 'after'

export interface EventReader {
  /** The letter of the operation; 0 = an unwrapped row, which says it itself. */
  readonly op: number
  /** Commit time in the source, µs since 1970; NaN = it does not say. */
  readonly timeUs: number
  /** null: nobody says what the rows are made of. */
  readonly shape: RowShape | null
  has(part: Part): boolean
  begin(bytes: Uint8Array, start: number, end: number): Begun
  /** Of the event begun last. A fault leaves some builders longer than others. */
  row(part: Part, into: RowInto): ReadFault | null
}

/** One byte each, as `op` has them. */
export const opLetter = { create: 0x63, read: 0x72, update: 0x75, delete: 0x64, truncate: 0x74 }
export const messageLetter = 0x6d

/** Names of the schemas of what is no row. */
const beside =
  /^io\.debezium\.connector\.\w+\.(TransactionMetadataValue|SchemaChangeValue|MessageValue|Heartbeat)$/

export function isBeside(schemaName: string): boolean {
  return beside.test(schemaName)
}

/** The database that an event's `source` is of, by the name of its schema. */
export function dialectOf(sourceName: string): 'postgres' | 'mysql' | null {
  if (sourceName.startsWith('io.debezium.connector.postgresql.')) return 'postgres'
  return /^io\.debezium\.connector\.(mysql|mariadb)\./.test(sourceName) ? 'mysql' : null
}

export const noEvent: ReadFault = {
  field: null,
  message:
    'it is no change event of Debezium: it has no `op`, and is none of its other records; rows without an envelope need unwrapped: true',
}
