/** How values of one Avro type get into one column; compiled once a schema (columns.ts). */
import type { AnyBuilder } from '../../../core/record/builder.ts'
import type { AvroInput } from './input.ts'
import type { AvroType } from './types.ts'

export type Read = (input: AvroInput, builder: AnyBuilder, reader: ColumnReader) => void

/** How values that were written as `type` get into one column. */
export interface ColumnReader {
  readonly read: Read
  /** What was written, without the union around it. */
  readonly type: AvroType
  /** Of the union that was written; −1 = none, as everywhere where there was no union. */
  readonly nullBranch: number
  readonly valueBranch: number
  /** Of a list. */
  readonly element: ColumnReader | null
  /** Of a decimal: digits that the column has behind the point beyond those written, and in all. */
  readonly scaleBy: number
  readonly scale: number
  readonly precision: number
  /** Whether every value that was written has a place in the column. */
  readonly isLossless: boolean
}
