/**
 * The description of a block (codec-block.ts has its grammar) read for its layout alone: which
 * sections a column has and how long they are, without their bytes. Whoever wants some of the
 * columns finds out in this way which frames to decompress, and where the next column begins.
 */
import { bitmapBytes } from '../record/bitmap.ts'
import type { Encoding } from '../record/column.ts'
import type { ByteReader } from './codec-bytes.ts'
import { skipNumbers, type SectionSkipper } from './codec-numbers.ts'

export const headBytes = 16
export const nullsFlag = 0x80
export const listDepthMax = 8
/** Where all rows are equal a row costs no byte, so the number of rows needs a bound of its own. */
export const rowsMax = 2 ** 24
export const elementsMax = 2 ** 27
export const encodings: readonly Encoding[] = [
  'bool',
  'int32',
  'float64',
  'int64',
  'uint64',
  'bytes',
  'dictionary',
  'fixed16',
  'list',
]

/** Passes over a column's description and sections; throws where the description makes no sense. */
export function skipColumn(
  length: number,
  meta: ByteReader,
  from: SectionSkipper,
  depth: number,
): void {
  const tag = meta.byte()
  const encoding = encodings[tag & ~nullsFlag]
  if (encoding === undefined) throw meta.fail('an unknown encoding of a column')
  if ((tag & nullsFlag) !== 0) from.skip(bitmapBytes(length))
  switch (encoding) {
    case 'bool':
      return skipBytes(length, meta, from)
    case 'int32':
      return skipNumbers(length, 4, meta, from)
    case 'float64':
      return skipNumbers(length, 8, meta, from)
    case 'int64':
    case 'uint64':
      if (meta.byte() !== 3) throw meta.fail('an unknown packing of 64-bit integers')
      skipNumbers(length, 4, meta, from)
      return skipNumbers(length, 4, meta, from)
    case 'fixed16':
      return from.skip(length * 16)
    case 'bytes':
      skipNumbers(length + 1, 4, meta, from)
      return from.skip(meta.varint())
    case 'dictionary':
      skipNumbers(length, 4, meta, from)
      return skipColumn(meta.count(rowsMax, 'dictionary entries'), meta, from, nested(depth, meta))
    case 'list':
      skipNumbers(length + 1, 4, meta, from)
      return skipColumn(meta.count(elementsMax, 'elements'), meta, from, nested(depth, meta))
  }
}

/** A description of a few bytes must not nest without end. */
function nested(depth: number, meta: ByteReader): number {
  // A list of dictionaries: one level more than lists alone have.
  if (depth > listDepthMax) throw meta.fail('lists are nested too deeply')
  return depth + 1
}

/** One byte a row, or one byte that all rows have. */
export function skipBytes(length: number, meta: ByteReader, from: SectionSkipper): void {
  const kind = meta.byte()
  if (kind === 0) return from.skip(length)
  if (kind !== 1) throw meta.fail('an unknown packing of bytes')
  meta.byte()
}
