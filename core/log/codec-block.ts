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
import { makeBatch, type Batch } from '../record/batch.ts'
import { bitmapBytes } from '../record/bitmap.ts'
import type { BytesColumn, Column, Encoding } from '../record/column.ts'
import type { Schema } from '../record/schema.ts'
import { SluiceError } from '../errors/error.ts'
import { ByteReader, ByteWriter, corrupt, type Place } from './codec-bytes.ts'
import {
  align8,
  compressFrame,
  compressFrameSync,
  FrameBuilder,
  frameBytesMax,
  openFrame,
  openFrameSync,
  Placer,
  type StoredFrame,
} from './codec-frames.ts'
import {
  bytesOf,
  packFloat64,
  packInt32,
  packInt64,
  packOffsets,
  unpackFloat64,
  unpackInt32,
  unpackInt64,
  type SectionSource,
} from './codec-numbers.ts'

const headBytes = 16
const nullsFlag = 0x80
const listDepthMax = 8
/** Where all rows are equal a row costs no byte, so the number of rows needs a bound of its own. */
const rowsMax = 2 ** 24
const elementsMax = 2 ** 27
const encodings: readonly Encoding[] = [
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
const tagOf = Object.fromEntries(encodings.map((encoding, tag) => [encoding, tag])) as Readonly<
  Record<Encoding, number>
>

/** A block before compression. */
interface Draft {
  readonly rows: number
  readonly meta: Uint8Array
  readonly frames: readonly Uint8Array[]
}

/** The block's bytes; the same for the same batch, always. Its length is a multiple of 8. */
export function encodeBlockSync(batch: Batch): Uint8Array {
  const draft = pack(batch)
  return assemble(
    draft,
    draft.frames.map((frame) => compressFrameSync(frame)),
  )
}

/** As `encodeBlockSync`, byte for byte, with large parts compressed on libuv's threads. */
export async function encodeBlock(batch: Batch): Promise<Uint8Array> {
  const draft = pack(batch)
  return assemble(draft, await Promise.all(draft.frames.map((frame) => compressFrame(frame))))
}

/** Throws `log.corrupt`. `bytes` need not be aligned; the batch keeps no reference to them. */
export function decodeBlockSync(schema: Schema, bytes: Uint8Array, place: Place): Batch {
  const block = parseBlock(bytes, place)
  const frames = block.frames.map((frame) => openFrameSync(frame, place))
  return unpack(schema, block, frames)
}

/** As `decodeBlockSync`, with large parts decompressed on libuv's threads. */
export async function decodeBlock(schema: Schema, bytes: Uint8Array, place: Place): Promise<Batch> {
  const block = parseBlock(bytes, place)
  const frames = await Promise.all(block.frames.map((frame) => openFrame(frame, place)))
  return unpack(schema, block, frames)
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

function assemble(draft: Draft, stored: readonly Uint8Array[]): Uint8Array {
  const head = new ByteWriter()
  head.u32(draft.rows)
  head.u32(draft.meta.length)
  head.u32(stored.length)
  head.u32(0)
  let bytes = align8(headBytes + stored.length * 8 + draft.meta.length)
  stored.forEach((frame, index) => {
    head.u32(frame.length)
    head.u32(draft.frames[index]!.length)
    bytes += align8(frame.length)
  })
  const block = new Uint8Array(bytes)
  block.set(head.finish())
  block.set(draft.meta, head.length)
  let at = align8(head.length + draft.meta.length)
  for (const frame of stored) {
    block.set(frame, at)
    at += align8(frame.length)
  }
  return block
}

interface ParsedBlock {
  readonly rows: number
  readonly meta: ByteReader
  readonly frames: readonly StoredFrame[]
}

function parseBlock(bytes: Uint8Array, place: Place): ParsedBlock {
  const head = new ByteReader(bytes, 0, bytes.length, place)
  const rows = head.u32()
  const metaBytes = head.u32()
  const frameCount = head.u32()
  if (head.u32() !== 0) throw head.fail('an unknown kind of block')
  if (frameCount * 8 > head.remaining) throw head.fail(`${frameCount} parts do not fit`)
  const metaStart = headBytes + frameCount * 8
  let at = align8(metaStart + metaBytes)
  if (metaBytes > bytes.length || at > bytes.length) throw head.fail('the description does not fit')
  const frames: StoredFrame[] = []
  for (let i = 0; i < frameCount; i++) {
    const storedBytes = head.u32()
    const rawBytes = head.u32()
    if (storedBytes > rawBytes || rawBytes > frameBytesMax || storedBytes > bytes.length - at) {
      throw head.fail(`part ${i} does not fit`)
    }
    frames.push({ stored: bytes.subarray(at, at + storedBytes), rawBytes, at })
    at += align8(storedBytes)
  }
  if (at !== bytes.length) throw corrupt(place, at, 'the block has another length than its parts')
  const meta = new ByteReader(bytes, metaStart, metaStart + metaBytes, place)
  return { rows, meta, frames }
}

/** Hands out sections in the order in which the encoder added them. */
class Sections implements SectionSource {
  readonly #placer = new Placer()
  readonly #frames: readonly Uint8Array[]
  readonly #meta: ByteReader
  constructor(frames: readonly Uint8Array[], meta: ByteReader) {
    this.#frames = frames
    this.#meta = meta
  }
  take(bytes: number): Uint8Array {
    this.#placer.place(bytes)
    const { frame, offset } = this.#placer
    const whole = this.#frames[frame]
    if (whole === undefined || offset + bytes > whole.length) {
      throw this.#meta.fail('a column is longer than the bytes there are for it')
    }
    return whole.subarray(offset, offset + bytes)
  }
  /** Throws unless everything was handed out. */
  finish(): void {
    const { frames } = this.#placer
    const whole = frames.length === this.#frames.length
    if (!whole || frames.some((bytes, index) => bytes !== this.#frames[index]!.length)) {
      throw this.#meta.fail('the columns do not use all the bytes of the block')
    }
    if (this.#meta.remaining !== 0) throw this.#meta.fail('the description is too long')
  }
}

function unpack(schema: Schema, block: ParsedBlock, frames: readonly Uint8Array[]): Batch {
  const { rows, meta } = block
  if (rows > rowsMax) throw meta.fail(`${rows} rows are too many`)
  const from = new Sections(frames, meta)
  const weights = unpackInt32(rows, meta, from)
  const ops = unpackBytes(rows, meta, from)
  const timesUs = unpackFloat64(rows, meta, from)
  const fields = meta.varint()
  if (fields !== schema.fields.length) {
    throw meta.fail(`${fields} columns, the schema has ${schema.fields.length} fields`)
  }
  const columns: Column[] = []
  for (let i = 0; i < fields; i++) columns.push(unpackColumn(rows, meta, from, 0))
  from.finish()
  return makeBatch(schema, columns, weights, ops, timesUs)
}

function unpackColumn(
  length: number,
  meta: ByteReader,
  from: SectionSource,
  depth: number,
): Column {
  const tag = meta.byte()
  const encoding = encodings[tag & ~nullsFlag]
  if (encoding === undefined) throw meta.fail('an unknown encoding of a column')
  const validity = (tag & nullsFlag) === 0 ? null : from.take(bitmapBytes(length))
  switch (encoding) {
    case 'bool':
      return { encoding, length, validity, values: unpackBytes(length, meta, from) }
    case 'int32':
      return { encoding, length, validity, values: unpackInt32(length, meta, from) }
    case 'float64':
      return { encoding, length, validity, values: unpackFloat64(length, meta, from) }
    case 'int64': {
      const values = new BigInt64Array(unpackInt64(length, meta, from))
      return { encoding, length, validity, values }
    }
    case 'uint64': {
      const values = new BigUint64Array(unpackInt64(length, meta, from))
      return { encoding, length, validity, values }
    }
    case 'fixed16':
      return { encoding, length, validity, data: from.take(length * 16) }
    case 'bytes': {
      const offsets = unpackOffsets(length, meta, from)
      const data = from.take(checkedEnd(offsets, meta))
      return { encoding, length, validity, offsets, data }
    }
    case 'dictionary': {
      const codes = unpackInt32(length, meta, from)
      const entries = meta.count(rowsMax, 'dictionary entries')
      const dictionary = bytesColumn(unpackColumn(entries, meta, from, depth), meta)
      checkCodes(codes, entries, meta)
      return { encoding, length, validity, codes, dictionary }
    }
    case 'list': {
      if (depth === listDepthMax) throw meta.fail('lists are nested too deeply')
      const offsets = unpackOffsets(length, meta, from)
      const elements = checkedEnd(offsets, meta)
      if (elements > elementsMax) throw meta.fail(`${elements} list elements are too many`)
      return {
        encoding,
        length,
        validity,
        offsets,
        child: unpackColumn(elements, meta, from, depth + 1),
      }
    }
  }
}

function unpackBytes(length: number, meta: ByteReader, from: SectionSource): Uint8Array {
  const kind = meta.byte()
  if (kind === 0) return from.take(length)
  if (kind !== 1) throw meta.fail('an unknown packing of bytes')
  return new Uint8Array(length).fill(meta.byte())
}

/** `length + 1` offsets from 0, never descending. */
function unpackOffsets(length: number, meta: ByteReader, from: SectionSource): Int32Array {
  const offsets = unpackInt32(length + 1, meta, from)
  let last = 0
  let ascending = offsets[0] === 0
  for (let i = 0; i < offsets.length; i++) {
    ascending = ascending && offsets[i]! >= last
    last = offsets[i]!
  }
  if (!ascending) throw meta.fail('offsets do not ascend')
  return offsets
}

/** The last offset, which the meta repeats as the length of what the offsets point into. */
function checkedEnd(offsets: Int32Array, meta: ByteReader): number {
  const end = offsets[offsets.length - 1]!
  if (meta.varint() !== end) throw meta.fail('offsets do not end with the data')
  return end
}

function checkCodes(codes: Int32Array, entries: number, meta: ByteReader): void {
  let below = true
  for (let i = 0; i < codes.length; i++) below = below && codes[i]! >>> 0 < entries
  // Code 0 stands in null rows, also when every row is null and there are no entries.
  if (!below && !(entries === 0 && codes.every((code) => code === 0))) {
    throw meta.fail('a dictionary code has no entry')
  }
}

function bytesColumn(column: Column, meta: ByteReader): BytesColumn {
  if (column.encoding !== 'bytes') throw meta.fail('a dictionary is not made of bytes')
  return column
}
