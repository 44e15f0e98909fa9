/**
 * A cell: one value written as plain text (a CSV field, what stands between the quotes of a JSON
 * string), as the type of its column says it is to be read. One reader a column, made once a schema.
 */
import type { AnyBuilder } from '../../record/builder.ts'

export interface CellReader {
  /**
   * Appends the value that is all of bytes[start, end); or appends nothing and returns false where that
   * is none of this type, or one that the type does not hold exactly. Hot: allocates nothing on the
   * usual paths.
   */
  append(builder: AnyBuilder, bytes: Uint8Array, start: number, end: number): boolean
}

type Latin1Slice = (this: Uint8Array, start: number, end: number) => string
const { latin1Slice } = Buffer.prototype as unknown as { readonly latin1Slice: Latin1Slice }

/** The bytes as text, one character each: for the unusual paths. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end)
}
