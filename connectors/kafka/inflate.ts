/**
 * The records of compressed batches, one batch behind the other in memory that is used again. What would come of a
 * batch is bounded before it is inflated, or while.
 *
 *   codec 1 gzip (RFC 1952), 2 snappy: raw, or with snappy-java's frame around blocks, 3 LZ4 frames, 4 zstd
 *   snappy-java = 0x82 'SNAPPY' 0, version int32, compatible int32, (length int32, raw block)*
 *   raw         = inflated length uvarint, elements
 *
 * Kafka's CompressionType.java (4.1); snappy-java's SnappyOutputStream.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { uncompressSync } from 'snappy'
import { inflateLz4, lz4Bound } from './lz4.ts'

export type InflateFault = 'malformed' | 'too large'

const codecs = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
/** From this size on a batch is used where it was inflated, instead of being copied beside others. */
const aloneBytes = 256 * 1024
/** The pieces in which zlib makes its output, before it joins them. */
const chunkSize = 128 * 1024
const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const xerialHeadBytes = 16

export class Inflated {
  bytes: Uint8Array = new Uint8Array(64 * 1024)
  end = 0
  readonly #bytesMax: number
  /** Memory of its own, when `bytes` is somebody's. */
  #own = this.bytes

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Forgets what is there: its memory is used again. */
  clear(): void {
    this.bytes = this.#own
    this.end = 0
  }

  /** Whether nothing may be put behind what is there. */
  get isFull(): boolean {
    return this.bytes !== this.#own
  }

  /** Puts what comes of from[at, end) behind what is there; nothing where it says why not. */
  add(codec: number, from: Uint8Array, at: number, end: number): InflateFault | null {
    if (codec === codecs.lz4) return this.#lz4(from, at, end)
    try {
      const part = from.subarray(at, end)
      if (codec === codecs.gzip) {
        return this.#put(gunzipSync(part, { maxOutputLength: this.#bytesMax, chunkSize }))
      }
      if (codec === codecs.zstd) {
        return this.#put(zstdDecompressSync(part, { maxOutputLength: this.#bytesMax, chunkSize }))
      }
      return codec === codecs.snappy ? this.#snappy(part) : 'malformed'
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      return isTooLarge ? 'too large' : 'malformed'
    }
  }

  #lz4(from: Uint8Array, at: number, end: number): InflateFault | null {
    const bound = lz4Bound(from, at, end)
    if (bound < 0) return 'malformed'
    this.#room(Math.min(bound, this.#bytesMax))
    const inflated = inflateLz4(from, at, end, this.#own, this.end)
    if (inflated === -2) return bound > this.#bytesMax ? 'too large' : 'malformed'
    if (inflated < 0) return 'malformed'
    this.end = inflated
    return null
  }

  #snappy(part: Uint8Array): InflateFault | null {
    const isFramed = part.length >= xerialHeadBytes && xerial.equals(part.subarray(0, 8))
    if (!isFramed) return this.#snappyBlock(part, this.#bytesMax)
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength)
    const begin = this.end
    for (let at = xerialHeadBytes; at < part.length;) {
      if (at + 4 > part.length) return this.#backTo(begin)
      const length = view.getInt32(at)
      const blockEnd = at + 4 + length
      if (length < 0 || blockEnd > part.length) return this.#backTo(begin)
      const left = this.#bytesMax - (this.end - begin)
      const fault = this.#snappyBlock(part.subarray(at + 4, blockEnd), left)
      if (fault !== null) {
        this.#backTo(begin)
        return fault
      }
      // Others follow: it cannot stand alone.
      if (this.isFull && blockEnd < part.length) this.#adopt()
      at = blockEnd
    }
    return null
  }

  #snappyBlock(block: Uint8Array, bytesMax: number): InflateFault | null {
    const length = snappyLength(block)
    if (length < 0) return 'malformed'
    if (length > bytesMax) return 'too large'
    // An element of three bytes makes 64 at most: a length beyond that is a lie, and would be allocated.
    if (length > block.length * 32) return 'malformed'
    return this.#put(uncompressSync(block, { asBuffer: true }) as Buffer)
  }

  #put(part: Uint8Array): null {
    if (this.end === 0 && part.length >= aloneBytes) {
      this.bytes = part
      this.end = part.length
      return null
    }
    this.#room(part.length)
    this.#own.set(part, this.end)
    this.end += part.length
    return null
  }

  #adopt(): void {
    const part = this.bytes
    this.clear()
    this.#room(part.length)
    this.#own.set(part, 0)
    this.end = part.length
  }

  #backTo(end: number): InflateFault {
    if (this.isFull) this.clear()
    this.end = end
    return 'malformed'
  }

  #room(bytes: number): void {
    const wanted = this.end + bytes
    if (wanted > this.#own.length) {
      const grown = new Uint8Array(Math.max(wanted, this.#own.length * 2))
      grown.set(this.#own.subarray(0, this.end))
      this.#own = grown
    }
    this.bytes = this.#own
  }
}

/** What the block says that comes of it; −1 where it says nothing. */
function snappyLength(block: Uint8Array): number {
  let length = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) return -1
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return length
  }
  return -1
}
