/**
 * Columns whose values have parts, as encode.ts's grammar goes on. Hot.
 *
 *   Array(T)   rows × end:u64 of each row's elements, then all elements as one column of T
 *   Map(K, V)  rows × end:u64, then all keys, then all values: an Array of pairs
 *   JSON       rows × string, after the number 1 that says so (26.7, SerializationObject: 1 is the
 *              form for clients); '{}' where there is none, since the server parses NULL's slot too
 */
import type { NativeWriter } from './native-writer.ts'
import { bytesAt } from '../../core/record/value.ts'
import type { Cells, WriteValues } from './cells.ts'
import { HstoreReader } from './hstore.ts'
import type { Storage } from './types.ts'

export function writeNulls(out: NativeWriter, rows: number, blank: Uint8Array | null): void {
  if (blank !== null) return out.raw(blank)
  out.ensure(rows)
  out.bytes.fill(0, out.at, out.at + rows)
  out.at += rows
}

export function writeJsonVersion(out: NativeWriter): void {
  out.ensure(8)
  out.view.setUint32(out.at, 1, true)
  out.view.setUint32(out.at + 4, 0, true)
  out.at += 8
}

const emptyDocument = new TextEncoder().encode('{}')

export function writeJson(out: NativeWriter, { column, rows, blank }: Cells): void {
  for (let i = 0; i < rows.length; i++) {
    const document = blank !== null && blank[i] !== 0 ? emptyDocument : bytesAt(column, rows[i]!)
    out.varint(document.length)
    out.raw(document)
  }
}

export function writeArrays(
  out: NativeWriter,
  { column, rows, blank }: Cells,
  { element, of }: Storage & { readonly kind: 'array' },
  writeElements: WriteValues,
): void {
  // Lists that a batch holds as text are taken apart before (lists.ts).
  if (column.encoding !== 'list') throw new TypeError(`no lists in a ${column.encoding} column`)
  const { offsets, child } = column
  let count = 0
  out.ensure(rows.length * 8)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (blank === null || blank[i] === 0) count += offsets[row + 1]! - offsets[row]!
    putEnd(out, count)
  }
  const elements = new Int32Array(count)
  let at = 0
  for (let i = 0; i < rows.length; i++) {
    if (blank !== null && blank[i] !== 0) continue
    const row = rows[i]!
    for (let from = offsets[row]!; from < offsets[row + 1]!; from++) elements[at++] = from
  }
  const nulls = nullElements(child.validity, elements)
  if (element.nullable) writeNulls(out, count, nulls)
  writeElements(out, { column: child, type: of, rows: elements, blank: nulls }, element)
}

function nullElements(validity: Uint8Array | null, elements: Int32Array): Uint8Array | null {
  if (validity === null) return null
  const nulls = new Uint8Array(elements.length)
  for (let i = 0; i < elements.length; i++) {
    const row = elements[i]!
    nulls[i] = (validity[row >> 3]! & (1 << (row & 7))) === 0 ? 1 : 0
  }
  return nulls
}

export function writeMaps(out: NativeWriter, cells: Cells): void {
  const { column, rows, blank } = cells
  const reader = new HstoreReader()
  for (let i = 0; i < rows.length; i++) {
    if (blank === null || blank[i] === 0) reader.read(bytesAt(column, rows[i]!))
    out.ensure(8)
    putEnd(out, reader.pairs)
  }
  reader.writeKeys(out)
  reader.writeValues(out)
}

/** Element counts of one insert lie below 2^32: so do its bytes. */
function putEnd(out: NativeWriter, end: number): void {
  out.view.setUint32(out.at, end, true)
  out.view.setUint32(out.at + 4, 0, true)
  out.at += 8
}
