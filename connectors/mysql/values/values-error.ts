/**
 * Names for errors of values. A reader knows its type and no name; the first reader that has no value for
 * the row being read is the one that failed, so no hot loop has to keep count.
 */
import { SluiceError } from '../../../core/errors/error.ts'
import type { Schema } from '../../../core/record/schema.ts'
import type { ColumnReader } from '../types.ts'

/** Errors that are about a value of one column; all others are passed on as they are. */
const ofValues: ReadonlySet<string> = new Set([
  'source.mysql.value',
  'source.mysql.zero_date',
  'source.mysql.type',
  'source.mysql.json_diff',
])

export interface RowsRead {
  readonly topic: string
  readonly schema: Schema
  /** One a field. */
  readonly readers: readonly ColumnReader[]
  /** Rows that were read whole. */
  readonly rows: number
}

/** What was thrown while a row was read, with the topic and the column in its message. */
export function namedError(thrown: unknown, { topic, schema, readers, rows }: RowsRead): unknown {
  if (!(thrown instanceof SluiceError) || !ofValues.has(thrown.code)) return thrown
  const field = schema.fields[readers.findIndex(({ builder }) => builder.length <= rows)]
  const where = field === undefined ? topic : `${topic}, column ${field.name}`
  return new SluiceError(thrown.code, {
    message: `${where}: ${thrown.message}`,
    remedy: thrown.remedy,
    fault: thrown.fault,
    cause: thrown,
  })
}
