/**
 * Which row a row is: its offset and the time of its commit. Offsets alone would do, were it not that a
 * log which is begun anew counts from 0 again, into the same offline log.
 */
import type { FileStore } from '../../../core/connector/file-store.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { createdTimestamp, offsetColumn } from './layout.ts'
import { ParquetIn } from './parquet-file.ts'

export function identity(offset: number, createdUs: number): string {
  return `${offset}/${createdUs}`
}

/** Of all rows of a file, in order. */
export interface Places {
  readonly offsets: Float64Array
  readonly createdUs: Float64Array
}

export async function placesOf(file: ParquetIn): Promise<Places> {
  return {
    offsets: Float64Array.from(await file.column(offsetColumn), Number),
    createdUs: Float64Array.from(await file.column(createdTimestamp), Number),
  }
}

/** null: it is gone, because another file has its rows by now. */
export async function openFile(
  files: FileStore,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly parquet: ParquetIn; readonly bytes: number } | null> {
  const found = await files.get(path, signal)
  if (found === null) return null
  return { parquet: new ParquetIn(path, found.bytes), bytes: found.bytes.length }
}

export function unsteady(what: string): SluiceError {
  return new SluiceError('sink.feast.offline_unsteady', {
    message: `${what}: files went while they were looked at, again and again`,
  })
}
