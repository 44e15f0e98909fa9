/**
 * Block codec: a Batch <-> bytes. Hot.
 *
 *   block    = rows u32, metaBytes u32, frameCount u32, 0 u32,
 *              frameCount × (storedBytes u32, rawBytes u32), meta, zeros to a multiple of 8,
 *              frames, each followed by zeros to a multiple of 8      (codec-frames.ts)
 *   meta     = numbers of weights (int32), bytes of ops, numbers of timesUs (double),
 *              fieldCount varint, fieldCount × column                  (codec-numbers.ts)
 *   column   = tag u8: encoding | 0x80 when it has nulls, [validity: one section of ⌈rows/8⌉ bytes],
 *     bool        0   bytes
 *     int32       1   numbers
 *     float64     2   numbers
 *     int64       3   numbers (halves)
 *     uint64      4   numbers (halves)
 *     bytes       5   numbers of rows + 1 offsets, dataBytes varint, a section of dataBytes
 *     dictionary  6   numbers of the codes, entries varint, column of the entries (bytes)
 *     fixed16     7   a section of 16 bytes a row
 *     list        8   numbers of rows + 1 offsets, elements varint, column of the elements
 *   bytes    = 0 and a section of one byte a row, or 1 and the byte that all rows have
 *
 * A frame whose stored and raw sizes are equal is not compressed. The checksum of a block is kept by
 * whoever names it (codec-footer.ts), so that a block can neither be damaged nor be swapped.
 */
import { freeMemory } from '../record/batch-memory.ts'
import type { Batch } from '../record/batch.ts'
import { bitmapBytes } from '../record/bitmap.ts'
import type { Column, Encoding } from '../record/column.ts'
import type { Schema } from '../record/schema.ts'
import { SluiceError } from '../errors/error.ts'
import { ByteWriter, type Place } from './codec-bytes.ts'
import {
  align8,
  compressFrame,
  compressFrameSync,
  FrameBuilder,
  openFrame,
  openFrameSync,
  type Frame,
} from './codec-frames.ts'
import { encodings, headBytes, nullsFlag, rowsMax } from './codec-layout.ts'
import { bytesOf, packFloat64, packInt32, packInt64, packOffsets } from './codec-numbers.ts'
import { framesNeeded, parseBlock, unpack } from './codec-unpack.ts'
import type { Projection } from './projection.ts'

const tagOf = Object.fromEntries(encodings.map((encoding, tag) => [encoding, tag])) as Readonly<
  Record<Encoding, number>
>

/** A block before compression. */
interface Draft {
  readonly rows: number
  readonly meta: Uint8Array
  readonly frames: readonly Frame[]
}

/** The block's bytes; the same for the same batch, always. Its length is a multiple of 8. */
export function encodeBlockSync(batch: Batch): Uint8Array {
  const draft = pack(batch)
  return assemble(
    draft,
    draft.frames.map(({ bytes }) => bytes.length),
    draft.frames.map((frame) => compressFrameSync(frame)),
  )
}

/** As `encodeBlockSync`, byte for byte, with large parts compressed on libuv's threads. */
export async function encodeBlock(batch: Batch): Promise<Uint8Array> {
  const draft = pack(batch)
  const rawBytes = draft.frames.map(({ bytes }) => bytes.length)
  return assemble(draft, rawBytes, await Promise.all(draft.frames.map(compressFrame)))
}

/**
 * Throws `log.corrupt`. `bytes` need not be aligned; the batch keeps no reference to them. With a
 * projection only its columns are read, and only the frames that hold some of them decompressed.
 */
export function decodeBlockSync(
  schema: Schema,
  bytes: Uint8Array,
  place: Place,
  projection: Projection | null = null,
): Batch {
  const block = parseBlock(bytes, place)
  const needed = projection === null ? null : framesNeeded(block, projection)
  const frames = block.frames.map((frame, i) =>
    needed === null || needed[i] === true ? openFrameSync(frame, place) : null,
  )
  return unpack(schema, block, frames, projection)
}

/** As `decodeBlockSync`, with large parts decompressed on libuv's threads. */
export async function decodeBlock(
  schema: Schema,
  bytes: Uint8Array,
  place: Place,
  projection: Projection | null = null,
): Promise<Batch> {
  const block = parseBlock(bytes, place)
  const needed = projection === null ? null : framesNeeded(block, projection)
  const frames = await Promise.all(
    block.frames.map(async (frame, i) =>
      needed === null || needed[i] === true ? openFrame(frame, place) : null,
    ),
  )
  return unpack(schema, block, frames, projection)
}

function pack(batch: Batch): Draft {
  const meta = new ByteWriter()
  const out = new FrameBuilder()
  packInt32(batch.weights, meta, out)
  packBytes(batch.ops, meta, out)
  packFloat64(batch.timesUs, meta, out)
  meta.varint(batch.columns.length)
  if (batch.rows > rowsMax) throw misfit(`a batch of ${batch.rows} rows`, 'one block')
  if (batch.columns.length !== batch.schema.fields.length) throw misfit('a batch', 'its schema')
  for (const column of batch.columns) {
    if (column.length !== batch.rows) throw misfit('a column', 'its batch')
    packColumn(column, meta, out)
  }
  return { rows: batch.rows, meta: meta.finish(), frames: out.finish() }
}

function misfit(what: string, whole: string): SluiceError {
  return new SluiceError('internal.bug', { message: `${what} does not fit ${whole}` })
}

function packColumn(column: Column, meta: ByteWriter, out: FrameBuilder): void {
  const { validity } = column
  meta.byte(tagOf[column.encoding] | (validity === null ? 0 : nullsFlag))
  if (validity !== null) out.add(validity.subarray(0, bitmapBytes(column.length)))
  switch (column.encoding) {
    case 'bool':
      return packBytes(column.values, meta, out)
    case 'int32':
      return packInt32(column.values, meta, out)
    case 'float64':
      return packFloat64(column.values, meta, out)
    case 'int64':
    case 'uint64':
      return packInt64(column.values, meta, out)
    case 'fixed16':
      return out.add(column.data.subarray(0, column.length * 16))
    case 'bytes': {
      const end = column.offsets[column.length]!
      packOffsets(column.offsets.subarray(0, column.length + 1), meta, out)
      meta.varint(end)
      return out.add(column.data.subarray(0, end))
    }
    case 'dictionary':
      packInt32(column.codes, meta, out)
      meta.varint(column.dictionary.length)
      return packColumn(column.dictionary, meta, out)
    case 'list':
      packOffsets(column.offsets.subarray(0, column.length + 1), meta, out)
      meta.varint(column.child.length)
      return packColumn(column.child, meta, out)
  }
}

function packBytes(values: Uint8Array, meta: ByteWriter, out: FrameBuilder): void {
  const first = values[0] ?? 0
  let same = 1
  while (same < values.length && values[same] === first) same++
  if (same < values.length) {
    meta.byte(0)
    out.add(bytesOf(values))
  } else {
    meta.byte(1)
    meta.byte(first)
  }
}

/** `rawBytes`: of each frame before it was compressed. */
function assemble(draft: Draft, rawBytes: readonly number[], stored: readonly Frame[]): Uint8Array {
  const head = new ByteWriter()
  head.u32(draft.rows)
  head.u32(draft.meta.length)
  head.u32(stored.length)
  head.u32(0)
  let bytes = align8(headBytes + stored.length * 8 + draft.meta.length)
  stored.forEach(({ bytes: { length } }, index) => {
    head.u32(length)
    head.u32(rawBytes[index]!)
    bytes += align8(length)
  })
  const block = new Uint8Array(bytes)
  block.set(head.finish())
  block.set(draft.meta, head.length)
  let at = align8(head.length + draft.meta.length)
  for (const frame of stored) {
    block.set(frame.bytes, at)
    at += align8(frame.bytes.length)
    if (frame.owned) freeMemory(frame.bytes)
  }
  return block
}
