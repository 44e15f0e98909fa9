/**
 * Bytes of a block -> a Batch, whole or a projection of it; codec-block.ts has the grammar. Hot.
 *
 * The description says where every section is before any frame is opened, so that a reader of some
 * columns decompresses only the frames that hold a part of them.
 */
import { makeBatch, type Batch } from '../record/batch.ts'
import { bitmapBytes } from '../record/bitmap.ts'
import type { BytesColumn, Column } from '../record/column.ts'
import type { Schema } from '../record/schema.ts'
import { ByteReader, corrupt, type Place } from './codec-bytes.ts'
import { align8, frameBytesMax, Placer, type StoredFrame } from './codec-frames.ts'
import {
  elementsMax,
  encodings,
  headBytes,
  listDepthMax,
  nullsFlag,
  rowsMax,
  skipBytes,
  skipColumn,
} from './codec-layout.ts'
import {
  skipNumbers,
  unpackFloat64,
  unpackInt32,
  unpackInt64,
  type SectionSkipper,
  type SectionSource,
} from './codec-numbers.ts'
import type { Projection } from './projection.ts'

export interface ParsedBlock {
  readonly rows: number
  /** A new reader each time, at the start of the description. */
  readonly describe: () => ByteReader
  readonly frames: readonly StoredFrame[]
}

export function parseBlock(bytes: Uint8Array, place: Place): ParsedBlock {
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
  const describe = (): ByteReader => new ByteReader(bytes, metaStart, metaStart + metaBytes, place)
  return { rows, describe, frames }
}

/** Says which frames hold sections that were passed while `wants` was set. */
class FrameNeeds implements SectionSkipper {
  readonly #placer = new Placer()
  readonly needed: boolean[] = []
  wants = true
  skip(bytes: number): void {
    this.#placer.place(bytes)
    if (this.wants) this.needed[this.#placer.frame] = true
  }
}

/** Per frame whether the projection, or the weights, ops and times, have a part in it. */
export function framesNeeded(
  { rows, describe }: ParsedBlock,
  { wanted }: Projection,
): readonly boolean[] {
  const meta = describe()
  const needs = new FrameNeeds()
  skipNumbers(rows, 4, meta, needs)
  skipBytes(rows, meta, needs)
  skipNumbers(rows, 8, meta, needs)
  const fields = meta.varint()
  // Another number of columns than the schema has is refused when they are unpacked.
  for (let i = 0; i < fields && i < wanted.length; i++) {
    needs.wants = wanted[i]!
    skipColumn(rows, meta, needs, 0)
  }
  return needs.needed
}

/** Hands out sections in the order in which the encoder added them. */
class Sections implements SectionSource, SectionSkipper {
  readonly #placer = new Placer()
  /** Null where no column that is wanted has a part in the frame. */
  readonly #frames: readonly (Uint8Array | null)[]
  readonly #stored: readonly StoredFrame[]
  readonly #meta: ByteReader
  constructor(
    frames: readonly (Uint8Array | null)[],
    stored: readonly StoredFrame[],
    meta: ByteReader,
  ) {
    this.#frames = frames
    this.#stored = stored
    this.#meta = meta
  }
  skip(bytes: number): void {
    this.#placer.place(bytes)
  }
  take(bytes: number): Uint8Array {
    this.#placer.place(bytes)
    const { frame, offset } = this.#placer
    const whole = this.#frames[frame]
    if (whole === undefined || whole === null || offset + bytes > whole.length) {
      throw this.#meta.fail('a column is longer than the bytes there are for it')
    }
    return whole.subarray(offset, offset + bytes)
  }
  /** Throws unless everything was handed out. */
  finish(): void {
    const { frames } = this.#placer
    const whole = frames.length === this.#stored.length
    if (!whole || frames.some((bytes, index) => bytes !== this.#stored[index]!.rawBytes)) {
      throw this.#meta.fail('the columns do not use all the bytes of the block')
    }
    if (this.#meta.remaining !== 0) throw this.#meta.fail('the description is too long')
  }
}

export function unpack(
  schema: Schema,
  block: ParsedBlock,
  frames: readonly (Uint8Array | null)[],
  projection: Projection | null,
): Batch {
  const { rows } = block
  const meta = block.describe()
  if (rows > rowsMax) throw meta.fail(`${rows} rows are too many`)
  const from = new Sections(frames, block.frames, meta)
  const weights = unpackInt32(rows, meta, from)
  const ops = unpackBytes(rows, meta, from)
  const timesUs = unpackFloat64(rows, meta, from)
  const fields = meta.varint()
  if (fields !== schema.fields.length) {
    throw meta.fail(`${fields} columns, the schema has ${schema.fields.length} fields`)
  }
  const columns: Column[] = []
  for (let i = 0; i < fields; i++) {
    if (projection === null || projection.wanted[i]!) {
      columns.push(unpackColumn(rows, meta, from, 0))
    } else skipColumn(rows, meta, from, 0)
  }
  from.finish()
  return makeBatch(projection?.schema ?? schema, columns, weights, ops, timesUs)
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
