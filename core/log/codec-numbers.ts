/**
 * Numbers packed small: Int32Array, Float64Array and 64-bit integers <-> sections. Hot.
 *
 *   numbers = kind u8, then by kind:
 *     raw     0   one section: the values as they lie in memory
 *     offset  1   width u8, base double; u: value[i] = base + u[i]
 *     delta   2   width u8, base double, step double; u: value[i] = value[i−1] + step + u[i],
 *                 value[−1] = base − step
 *     halves  3   (64-bit only) numbers of the low and numbers of the high 32 bits, as int32
 *   u       = width 0: nothing, all are 0 · 1, 2, 4: one section of that many bytes a value
 *             · 6: a section of the low 4 bytes, then one of the high 2
 *
 * Doubles are packed only when all are integers of at most 2^52 and none is −0, so that every sum
 * is exact; otherwise they are raw, which keeps each bit of a NaN.
 */
import type { FrameBuilder } from './codec-frames.ts'
import type { ByteReader, ByteWriter } from './codec-bytes.ts'

const raw = 0
const offset = 1
const delta = 2
const halves = 3
const exactMax = 2 ** 52
const u32Max = 0xffffffff

/** Where a decoder takes its sections from. */
export interface SectionSource {
  /** The next section; its start is aligned to 8 bytes and it may be kept. */
  take(bytes: number): Uint8Array
}

/** Where a reader that wants only the layout leaves sections out. */
export interface SectionSkipper {
  skip(bytes: number): void
}

// Results of a scan. Module variables, because an object per column would cost more than the scan
// of a small batch; encoding is synchronous.
let min = 0
let max = 0
let stepMin = 0
let stepMax = 0

let scratch = new Uint32Array(4096)
let scratchHigh = new Uint16Array(4096)

export function packInt32(values: Int32Array, meta: ByteWriter, out: FrameBuilder): void {
  if (values.length === 0) return packRaw(values, meta, out)
  scanInt32(values)
  const kind = choose(values, values.length)
  reserve(values.length)
  if (kind === delta) {
    for (let i = 1; i < values.length; i++) scratch[i] = values[i]! - values[i - 1]! - stepMin
    finishDelta(values[0]!, values.length, meta, out)
  } else {
    for (let i = 0; i < values.length; i++) scratch[i] = values[i]! - min
    writeOffset(max - min, values.length, meta, out)
  }
}

/** Ascending offsets: always as deltas, which are the lengths. */
export function packOffsets(values: Int32Array, meta: ByteWriter, out: FrameBuilder): void {
  scanInt32(values)
  reserve(values.length)
  for (let i = 1; i < values.length; i++) scratch[i] = values[i]! - values[i - 1]! - stepMin
  finishDelta(values[0]!, values.length, meta, out)
}

export function packFloat64(values: Float64Array, meta: ByteWriter, out: FrameBuilder): void {
  const { length } = values
  if (length === 0 || !scanFloat64(values)) return packRaw(values, meta, out)
  const kind = choose(values, length)
  reserve(length)
  if (kind === delta) {
    for (let i = 1; i < length; i++) scratch[i] = values[i]! - values[i - 1]! - stepMin
    finishDelta(values[0]!, length, meta, out)
  } else if (kind === offset) {
    const base = min
    if (max - base <= u32Max) {
      for (let i = 0; i < length; i++) scratch[i] = values[i]! - base
    } else {
      splitWide(values, base)
    }
    writeOffset(max - base, length, meta, out)
  } else {
    packRaw(values, meta, out)
  }
}

/** 64-bit integers, signed or not, as two columns of 32 bits: the high half hardly ever varies. */
export function packInt64(
  values: BigInt64Array | BigUint64Array,
  meta: ByteWriter,
  out: FrameBuilder,
): void {
  const pairs = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  const low = new Int32Array(values.length)
  const high = new Int32Array(values.length)
  for (let i = 0; i < low.length; i++) {
    low[i] = pairs[i * 2]!
    high[i] = pairs[i * 2 + 1]!
  }
  meta.byte(halves)
  packInt32(low, meta, out)
  packInt32(high, meta, out)
}

export function unpackInt32(length: number, meta: ByteReader, from: SectionSource): Int32Array {
  const kind = meta.byte()
  if (kind === raw) {
    const bytes = from.take(length * 4)
    return new Int32Array(bytes.buffer, bytes.byteOffset, length)
  }
  const width = readWidth(kind, meta)
  const base = meta.double()
  const out = new Int32Array(length)
  if (kind === offset) {
    fillInt32(out, width, from)
    if (base !== 0) for (let i = 0; i < length; i++) out[i]! += base
    return out
  }
  const step = meta.double()
  fillInt32(out, width, from)
  let value = base - step
  for (let i = 0; i < length; i++) {
    // Lengths of 2 GiB and more come back as negative numbers; `>>> 0` reads them as they were meant.
    value += step + (out[i]! >>> 0)
    out[i] = value
  }
  return out
}

export function unpackFloat64(length: number, meta: ByteReader, from: SectionSource): Float64Array {
  const kind = meta.byte()
  if (kind === raw) {
    const bytes = from.take(length * 8)
    return new Float64Array(bytes.buffer, bytes.byteOffset, length)
  }
  const width = readWidth(kind, meta)
  const base = meta.double()
  const out = new Float64Array(length)
  if (kind === offset) {
    fillFloat64(out, width, from)
    if (base !== 0) for (let i = 0; i < length; i++) out[i]! += base
    return out
  }
  const step = meta.double()
  fillFloat64(out, width, from)
  let value = base - step
  for (let i = 0; i < length; i++) {
    value += step + out[i]!
    out[i] = value
  }
  return out
}

/** The 64-bit integers' buffer, to be viewed as signed or unsigned. */
export function unpackInt64(length: number, meta: ByteReader, from: SectionSource): ArrayBuffer {
  if (meta.byte() !== halves) throw meta.fail('an unknown packing of 64-bit integers')
  const low = unpackInt32(length, meta, from)
  const high = unpackInt32(length, meta, from)
  const pairs = new Int32Array(length * 2)
  for (let i = 0; i < length; i++) {
    pairs[i * 2] = low[i]!
    pairs[i * 2 + 1] = high[i]!
  }
  return pairs.buffer
}

/** Passes over `length` numbers of `valueBytes` bytes each, as `unpackInt32` and its like read them. */
export function skipNumbers(
  length: number,
  valueBytes: number,
  meta: ByteReader,
  from: SectionSkipper,
): void {
  const kind = meta.byte()
  if (kind === raw) return from.skip(length * valueBytes)
  const width = readWidth(kind, meta)
  meta.double()
  if (kind === delta) meta.double()
  if (width > 0) from.skip(length * Math.min(width, 4))
  if (width === 6) from.skip(length * 2)
}

function scanInt32(values: Int32Array): void {
  let last = values[0]!
  let low = last
  let high = last
  let stepLow = Infinity
  let stepHigh = -Infinity
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!
    const step = value - last
    if (value < low) low = value
    if (value > high) high = value
    if (step < stepLow) stepLow = step
    if (step > stepHigh) stepHigh = step
    last = value
  }
  min = low
  max = high
  stepMin = values.length === 1 ? 0 : stepLow
  stepMax = values.length === 1 ? 0 : stepHigh
}

/** False when a value is no integer, too large for exact sums, NaN, or −0. */
function scanFloat64(values: Float64Array): boolean {
  let last = values[0]!
  let low = last
  let high = last
  let stepLow = Infinity
  let stepHigh = -Infinity
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (Math.floor(value) !== value || (value === 0 && 1 / value < 0)) return false
    if (value < low) low = value
    if (value > high) high = value
    const step = value - last
    last = value
    if (i === 0) continue
    if (step < stepLow) stepLow = step
    if (step > stepHigh) stepHigh = step
  }
  min = low
  max = high
  stepMin = values.length === 1 ? 0 : stepLow
  stepMax = values.length === 1 ? 0 : stepHigh
  return low >= -exactMax && high <= exactMax
}

function widthOf(range: number): number {
  if (range === 0) return 0
  if (range <= 0xff) return 1
  if (range <= 0xffff) return 2
  if (range <= u32Max) return 4
  return range < 2 ** 48 ? 6 : 8
}

/** The narrower of offset and delta; between equals, the one whose values have fewer bits. */
function choose(values: Int32Array | Float64Array, length: number): number {
  const offsetWidth = widthOf(max - min)
  const deltaWidth = stepMin < -exactMax ? 8 : widthOf(stepMax - stepMin)
  if (deltaWidth <= 4 && deltaWidth < offsetWidth) return delta
  if (offsetWidth === 8) return raw
  if (offsetWidth === 0 || offsetWidth < deltaWidth || deltaWidth > 4) return offset
  // Equally wide: zstd gains from small steps (sorted values), so look at about 64 of them.
  const stride = Math.max(1, length >> 6)
  let offsetBits = 0
  let deltaBits = 0
  for (let i = 1; i < length; i += stride) {
    offsetBits += Math.log2(values[i]! - min + 1)
    deltaBits += Math.log2(Math.abs(values[i]! - values[i - 1]!) + 1) + 2
  }
  return deltaBits < offsetBits ? delta : offset
}

function reserve(length: number): void {
  if (scratch.length < length) scratch = new Uint32Array(length * 2)
  scratch[0] = 0
}

/** Values more than 32 bits above `base`: low and high parts into the two scratch arrays. */
function splitWide(values: Float64Array, base: number): void {
  if (scratchHigh.length < values.length) scratchHigh = new Uint16Array(values.length * 2)
  for (let i = 0; i < values.length; i++) {
    const above = values[i]! - base
    const high = Math.floor(above / 0x100000000)
    scratchHigh[i] = high
    scratch[i] = above - high * 0x100000000
  }
}

function finishDelta(first: number, length: number, meta: ByteWriter, out: FrameBuilder): void {
  const width = widthOf(stepMax - stepMin)
  meta.byte(delta)
  meta.byte(width)
  meta.double(first)
  meta.double(stepMin)
  writeNarrow(width, length, out)
}

function writeOffset(range: number, length: number, meta: ByteWriter, out: FrameBuilder): void {
  const width = widthOf(range)
  meta.byte(offset)
  meta.byte(width)
  meta.double(min)
  writeNarrow(width, length, out)
}

/** The first `length` values of the scratch arrays, as a section of that width. */
function writeNarrow(width: number, length: number, out: FrameBuilder): void {
  const values = scratch.subarray(0, length)
  if (width === 1) out.add(new Uint8Array(values), true)
  else if (width === 2) out.add(bytesOf(new Uint16Array(values)), true)
  else if (width >= 4) out.add(bytesOf(values.slice()), true)
  if (width === 6) out.add(bytesOf(scratchHigh.slice(0, length)), true)
}

function packRaw(values: ArrayBufferView, meta: ByteWriter, out: FrameBuilder): void {
  meta.byte(raw)
  out.add(bytesOf(values))
}

export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

function readWidth(kind: number, meta: ByteReader): number {
  if (kind !== offset && kind !== delta) throw meta.fail('an unknown packing of numbers')
  const width = meta.byte()
  const known = width === 0 || width === 1 || width === 2 || width === 4
  if (!known && !(width === 6 && kind === offset)) throw meta.fail('an unknown width of numbers')
  return width
}

function fillInt32(out: Int32Array, width: number, from: SectionSource): void {
  const { length } = out
  if (width === 1) out.set(from.take(length))
  else if (width === 2) {
    const bytes = from.take(length * 2)
    out.set(new Uint16Array(bytes.buffer, bytes.byteOffset, length))
  } else if (width >= 4) {
    const bytes = from.take(length * 4)
    out.set(new Int32Array(bytes.buffer, bytes.byteOffset, length))
  }
}

function fillFloat64(out: Float64Array, width: number, from: SectionSource): void {
  const { length } = out
  if (width === 0) return
  if (width === 1) return out.set(from.take(length))
  const bytes = from.take(length * Math.min(width, 4))
  if (width === 2) out.set(new Uint16Array(bytes.buffer, bytes.byteOffset, length))
  else out.set(new Uint32Array(bytes.buffer, bytes.byteOffset, length))
  if (width !== 6) return
  const highBytes = from.take(length * 2)
  const high = new Uint16Array(highBytes.buffer, highBytes.byteOffset, length)
  for (let i = 0; i < length; i++) out[i]! += high[i]! * 0x100000000
}
