/** A growing buffer for encoders: make room first, then write at `end`. Hot. */

/** Copies this[from, end) to `into` at `to`. */
type Copy = (this: Uint8Array, into: Uint8Array, to: number, from: number, end: number) => number
const { copy } = Buffer.prototype as { readonly copy: Copy }
/** Below this length a loop over the bytes beats the call into native code. */
const shortCopyBytes = 24
const two32 = 2 ** 32

/** The most bytes that a 64-bit varint takes. */
export const varintBytesMax = 10

export class BytesOut {
  bytes: Uint8Array
  view: DataView
  end = 0

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for so many more bytes; `bytes` and `view` may be others afterwards. */
  ensure(more: number): void {
    if (this.end + more <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.end + more))
    grown.set(this.bytes.subarray(0, this.end))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  /** Copies source[from, end). The room must be there. */
  copy(source: Uint8Array, from: number, end: number): void {
    if (end - from > shortCopyBytes) {
      copy.call(source, this.bytes, this.end, from, end)
      this.end += end - from
      return
    }
    const { bytes } = this
    let to = this.end
    for (let at = from; at < end; at++) bytes[to++] = source[at]!
    this.end = to
  }

  /** A whole number from 0 to 2^53 as a base-128 varint (protobuf encoding, "Base 128 Varints"). */
  varint(value: number): void {
    const { bytes } = this
    let at = this.end
    while (value >= 0x80000000) {
      bytes[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    while (value >= 0x80) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.end = at
  }

  /** A safe integer as protobuf's int32 and int64 write it: negative ones as 64-bit two's complement. */
  signedVarint(value: number): void {
    if (value >= 0) return this.varint(value)
    const high = Math.floor(value / two32)
    this.varintOf(value - high * two32, high >>> 0)
  }

  /** As `signedVarint`, for any 64-bit integer. */
  signedVarintOfBig(value: bigint): void {
    const bits = BigInt.asUintN(64, value)
    this.varintOf(Number(bits & 0xffff_ffffn), Number(bits >> 32n))
  }

  /** The two halves of a 64-bit number, each from 0 to 2^32 − 1. */
  varintOf(low: number, high: number): void {
    const { bytes } = this
    let at = this.end
    while (high !== 0) {
      bytes[at++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.end = at
    this.varint(low)
  }
}

/** Bytes that `varint` takes for a number below 2^31. */
export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5
}
