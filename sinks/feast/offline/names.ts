/**
 * Names of the offline log's files, which alone tell what each one holds.
 *
 *   file   = view '/event_date=' day '/' topic '-' from '-' to '-' rows '-' content '.parquet'
 *   day     = 'YYYY-MM-DD', of the event time, in UTC
 *   topic   = 8 hex digits of the SHA-256 of the topic's name: another topic counts its offsets anew
 *   from    = first offset of the batch or batches the rows came in, 16 digits
 *   to      = offset after the last, 16 digits
 *   rows    = how many
 *   content = 12 hex digits of the SHA-256 of which rows these are (contentTag): the same rows are
 *             written to the same name, other rows never
 *   schema  = view '/event_date=0001-01-01/schema.parquet'      no rows: columns and types as of now
 *
 * `event_date=` is how Hive, Arrow, dask, DuckDB and Spark say that a folder is a value of a column.
 * Readers take the schema of the first file for that of all, hence the day before all others.
 */
import { createHash } from 'node:crypto'
import { civilDate, dayNumber } from '../../../core/record/calendar.ts'
import type { Places } from './identity.ts'

export interface LogFile {
  readonly topic: string
  readonly from: number
  readonly to: number
  readonly rows: number
  readonly content: string
}

const pattern = /^([0-9a-f]{8})-(\d{16})-(\d{16})-(\d+)-([0-9a-f]{12})\.parquet$/

export function topicTag(topic: string): string {
  return createHash('sha256').update(topic).digest('hex').slice(0, 8)
}

/** Of rows that are told apart by their offset and the time of their commit, and of their columns. */
export function contentTag(schemaId: string, parts: readonly Places[]): string {
  const hash = createHash('sha256').update(schemaId)
  for (const { offsets } of parts) hash.update(offsets)
  for (const { createdUs } of parts) hash.update(createdUs)
  return hash.digest('hex').slice(0, 12)
}

export function fileName({ topic, from, to, rows, content }: LogFile): string {
  return `${topic}-${digits(from, 16)}-${digits(to, 16)}-${rows}-${content}.parquet`
}

/** null: not a file of rows of ours. */
export function parseFileName(name: string): LogFile | null {
  const match = pattern.exec(name)
  if (match === null) return null
  const [, topic, from, to, rows, content] = match
  return {
    topic: topic!,
    from: Number(from),
    to: Number(to),
    rows: Number(rows),
    content: content!,
  }
}

/** Folder of a view with its slash. Names that a folder cannot have are percent-encoded. */
export function viewFolder(view: string): string {
  return `${encodeURIComponent(view)}/`
}

/** `day`: days since 1970. */
export function dayFolder(view: string, day: number): string {
  const { year, month, day: dayOfMonth } = civilDate(day)
  return `${viewFolder(view)}event_date=${digits(year, 4)}-${digits(month, 2)}-${digits(dayOfMonth, 2)}/`
}

export function schemaFileName(view: string): string {
  return `${viewFolder(view)}event_date=0001-01-01/schema.parquet`
}

/** The day and the file of a whole name; null where it is none of ours. */
export function parsePath(path: string): { readonly day: number; readonly file: LogFile } | null {
  const match = /\/event_date=(\d{4})-(\d{2})-(\d{2})\/([^/]+)$/.exec(path)
  const file = match === null ? null : parseFileName(match[4]!)
  if (match === null || file === null) return null
  return { day: dayNumber(Number(match[1]), Number(match[2]), Number(match[3])), file }
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0')
}
