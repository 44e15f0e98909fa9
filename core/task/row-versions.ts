/**
 * The versions of one row in an open transaction: a part that is rolled back takes its own away, and
 * shows the one before again.
 *
 *   versions = { part:slot row:slot }*    newest first; a null row: gone (slots: core/record/value-bytes.ts)
 *
 * Of each part only its newest is kept: what is before that is never shown again.
 */
import { SlotReader } from '../record/value-bytes-reader.ts'
import { ValueWriter } from '../record/value-bytes.ts'

export interface RowVersion {
  readonly part: string
  /** null: gone. */
  readonly row: Uint8Array | null
}

/** The newest version of no rolled-back part; null = the transaction has none. */
export function newestAlive(versions: Uint8Array, aborted: ReadonlySet<string>): RowVersion | null {
  return decodeVersions(versions).find(({ part }) => !aborted.has(part)) ?? null
}

/** The versions with one more, without those that will never be shown again. */
export function withVersion(
  before: Uint8Array | undefined,
  version: RowVersion,
  aborted: ReadonlySet<string>,
): RowVersion[] {
  const older = before === undefined ? [] : decodeVersions(before)
  return [version, ...older.filter(({ part }) => part !== version.part && !aborted.has(part))]
}

export function encodeVersions(versions: readonly RowVersion[]): Uint8Array {
  const writer = new ValueWriter(256)
  for (const { part, row } of versions) {
    const name = Buffer.from(part)
    writer.varint(name.length + 1)
    writer.raw(name)
    writer.varint(row === null ? 0 : row.length + 1)
    if (row !== null) writer.raw(row)
  }
  return writer.since(0)
}

function decodeVersions(bytes: Uint8Array): RowVersion[] {
  const versions: RowVersion[] = []
  const reader = new SlotReader(bytes)
  while (!reader.done) {
    reader.next()
    const part = Buffer.from(bytes.subarray(reader.start, reader.end)).toString()
    reader.next()
    versions.push({ part, row: reader.start < 0 ? null : bytes.subarray(reader.start, reader.end) })
  }
  return versions
}
