/**
 * Sections and frames: how the buffers of a block are packed for compression.
 *
 *   section = the bytes of one buffer
 *   frame   = sections, each at a multiple of 8 bytes, zero between; stored as one zstd frame
 *             (level 1, content size in its header), or as it is where zstd does not make it smaller
 *
 * A section of `ownFrameBytes` or more is a frame of its own: it is compressed from where it lies,
 * without a copy, and on another thread than its neighbours. Smaller ones share frames of at most
 * `sharedFrameBytes`. The placement follows from the lengths alone, so it is not written down:
 * encoder and decoder both ask `Placer`, whose constants are part of the format.
 */
import { promisify } from 'node:util'
import {
  constants,
  createZstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
  type ZstdOptions,
} from 'node:zlib'
import { SluiceError } from '../errors/error.ts'
import { freeMemory } from '../record/batch-memory.ts'
import { corrupt, type Place } from './codec-bytes.ts'

const ownFrameBytes = 256 * 1024
const sharedFrameBytes = 512 * 1024
/** Below this zstd's header and our call into it cost more than they save. */
const compressBytesMin = 96
/** From here on a hop to libuv's threads costs less than it frees on this one. */
const threadBytesMin = 96 * 1024
/** A zstd block holds at most 128 KiB and takes at least 4 bytes: nothing shrinks further. */
const ratioMax = 32 * 1024
/** Offsets are 32-bit, so no buffer is longer. */
export const frameBytesMax = 0x7fffffff

export function align8(bytes: number): number {
  return (bytes + 7) & ~7
}

/** Says where each section goes. Both sides call `place` with the same lengths in the same order. */
export class Placer {
  /** Bytes of each frame so far. */
  readonly frames: number[] = []
  /** Set by `place`. */
  frame = -1
  offset = 0
  #shared = -1

  place(bytes: number): void {
    if (bytes >= ownFrameBytes) {
      this.frame = this.frames.push(bytes) - 1
      this.offset = 0
      return
    }
    const start = this.#shared < 0 ? 0 : align8(this.frames[this.#shared]!)
    if (this.#shared < 0 || start + bytes > sharedFrameBytes) {
      this.#shared = this.frames.push(bytes) - 1
      this.offset = 0
    } else {
      this.frames[this.#shared] = start + bytes
      this.offset = start
    }
    this.frame = this.#shared
  }
}

/** Bytes of a frame before compression. */
export interface Frame {
  readonly bytes: Uint8Array
  /** Whether they were made for the frame: then they are given back with it. */
  readonly owned: boolean
}

interface Section extends Frame {
  readonly frame: number
  readonly offset: number
}

/** Frames as the encoder leaves them, each a list of sections to be laid out. */
export class FrameBuilder {
  readonly #placer = new Placer()
  readonly #sections: Section[] = []

  /** `owned`: nobody else has the bytes. */
  add(bytes: Uint8Array, owned = false): void {
    this.#placer.place(bytes.length)
    const { frame, offset } = this.#placer
    this.#sections.push({ bytes, owned, frame, offset })
  }

  /** One that holds a single section is that section, not a copy of it. */
  finish(): Frame[] {
    const sizes = this.#placer.frames
    const frames: Frame[] = sizes.map(() => empty)
    for (const { bytes, owned, frame, offset } of this.#sections) {
      if (bytes.length === sizes[frame]) {
        frames[frame] = { bytes, owned }
        continue
      }
      if (frames[frame] === empty) {
        frames[frame] = { bytes: new Uint8Array(sizes[frame]!), owned: true }
      }
      frames[frame]!.bytes.set(bytes, offset)
      if (owned) freeMemory(bytes)
    }
    return frames
  }
}
const empty: Frame = { bytes: new Uint8Array(0), owned: false }

function compressOptions(bytes: number): ZstdOptions {
  return {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    // Room for the worst case makes zlib return one buffer instead of joining many.
    chunkSize: Math.max(1024, bytes + (bytes >> 8) + 64),
    pledgedSrcSize: bytes,
  }
}

/**
 * In memory of the size that it takes. As zlib's own call, which gives what comes of writing and what comes of ending as
 * two pieces and joins them in a third: they lie beside each other in the memory that it asked for. That is as much as
 * the frame has, and would be left to V8: memory outside of its heap that comes and goes makes it collect the heap.
 */
function compressOnThread(frame: Uint8Array, options: ZstdOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stream = createZstdCompress(options)
    let packed: Uint8Array = new Uint8Array(0)
    stream.on('data', (piece: Buffer) => {
      packed = packed.length === 0 ? piece : joined(packed, piece)
    })
    stream.on('error', reject)
    stream.on('end', () => {
      const exact = new Uint8Array(packed)
      freeMemory(packed)
      resolve(exact)
    })
    stream.end(frame)
  })
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = first
  const isBeside = second.buffer === buffer && second.byteOffset === byteOffset + length
  if (!isBeside) return Buffer.concat([first, second])
  return new Uint8Array(buffer, byteOffset, length + second.length)
}

const decompressOnThread = promisify<Uint8Array, ZstdOptions, Uint8Array>(zstdDecompress)

/** The smaller of a frame and its compressed form; of the same length, it is stored as it is. An owned frame is given up. */
export function compressFrameSync(frame: Frame): Frame {
  const { bytes } = frame
  if (bytes.length < compressBytesMin) return frame
  return smaller(frame, zstdCompressSync(bytes, compressOptions(bytes.length)))
}

/** As `compressFrameSync`, byte for byte; large frames go to libuv's threads. */
export async function compressFrame(frame: Frame): Promise<Frame> {
  const { bytes } = frame
  if (bytes.length < threadBytesMin) return compressFrameSync(frame)
  return smaller(frame, await compressOnThread(bytes, compressOptions(bytes.length)))
}

function smaller(frame: Frame, packed: Uint8Array): Frame {
  if (packed.length >= frame.bytes.length) return frame
  if (frame.owned) freeMemory(frame.bytes)
  // A small one may lie in a pool, with what others have there.
  return { bytes: packed, owned: packed.buffer.byteLength > Buffer.poolSize }
}

/** A frame in a stored block. */
export interface StoredFrame {
  readonly stored: Uint8Array
  readonly rawBytes: number
  /** Of `stored`, within the block. */
  readonly at: number
}

/**
 * The frame's bytes in memory of their own, 8-byte aligned. Memory is only asked for when zstd's
 * own header agrees with the size that the block gives.
 */
export function openFrameSync(frame: StoredFrame, place: Place): Uint8Array {
  const { stored, rawBytes } = frame
  // A copy by the constructor: `slice` of a Buffer would be a view of the caller's bytes.
  if (stored.length === rawBytes) return new Uint8Array(stored)
  const options = checkFrame(frame, place)
  try {
    return checkLength(zstdDecompressSync(stored, options), frame, place)
  } catch (error) {
    throw notZstd(frame, place, error)
  }
}

/** As `openFrameSync`; large frames go to libuv's threads. */
export async function openFrame(frame: StoredFrame, place: Place): Promise<Uint8Array> {
  if (frame.rawBytes < threadBytesMin || frame.stored.length === frame.rawBytes) {
    return openFrameSync(frame, place)
  }
  const options = checkFrame(frame, place)
  try {
    return checkLength(await decompressOnThread(frame.stored, options), frame, place)
  } catch (error) {
    throw notZstd(frame, place, error)
  }
}

function checkFrame({ stored, rawBytes, at }: StoredFrame, place: Place): ZstdOptions {
  if (rawBytes > stored.length * ratioMax || contentSize(stored) !== rawBytes) {
    throw corrupt(place, at, `a compressed part does not hold ${rawBytes} bytes`)
  }
  // One chunk for everything, and too large for Buffer's shared pool, whose memory can neither be
  // transferred to a thread nor be relied on to be aligned.
  return { chunkSize: Math.max(Buffer.poolSize, rawBytes), maxOutputLength: Math.max(1, rawBytes) }
}

function checkLength(opened: Uint8Array, frame: StoredFrame, place: Place): Uint8Array {
  if (opened.length !== frame.rawBytes) {
    throw corrupt(place, frame.at, `a compressed part does not hold ${frame.rawBytes} bytes`)
  }
  return new Uint8Array(opened.buffer, opened.byteOffset, opened.length)
}

/** zlib's errors carry a code; anything else (no memory) is not about the bytes. */
function notZstd(frame: StoredFrame, place: Place, error: unknown): unknown {
  if (error instanceof SluiceError || !(error instanceof Error) || !('code' in error)) return error
  return corrupt(place, frame.at, `a compressed part cannot be read (${String(error.code)})`)
}

/**
 * Frame_Content_Size of a zstd frame header (RFC 8878 §3.1.1.1), −1 when it is not given.
 *
 *   header = magic u32, descriptor u8, [window u8], [dictionary id 0/1/2/4], [content size 0/1/2/4/8]
 */
function contentSize(bytes: Uint8Array): number {
  if (bytes.length < 18) bytes = Buffer.concat([bytes, new Uint8Array(18)])
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== 0xfd2fb528) return -1
  const descriptor = view.getUint8(4)
  const single = (descriptor & 0x20) !== 0
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!
  switch (descriptor >> 6) {
    case 0:
      return single ? view.getUint8(at) : -1
    case 1:
      return view.getUint16(at, true) + 256
    case 2:
      return view.getUint32(at, true)
    default:
      return Number(view.getBigUint64(at, true))
  }
}
