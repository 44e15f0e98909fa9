/**
 * LZ4 frames, straight into the memory where records are gathered. Own code, because the frame has to be read in
 * any case: how much may come of it is to be known before, Kafka's own clients before 0.10 wrote a wrong header
 * checksum (KAFKA-3160), and some write blocks that refer to those before. Checksums are not looked at:
 * the batch's own covers all of it.
 *
 *   frame    = magic 0x184D2204, flags, block size, [content size uint64], [dictionary uint32], header checksum
 *              byte, block*, end mark 0 uint32, [content checksum uint32]
 *   flags    : bits 7–6 version 01, 5 blocks stand alone, 4 block checksums, 3 content size, 2 content checksum,
 *              0 dictionary
 *   block    = size uint32 (bit 31: not compressed), data, [checksum uint32]
 *   data     = sequence*; sequence = token, [length bytes], literals, offset uint16, [length bytes]
 *   token    : high 4 bits literals, low 4 bits match length − 4; 15 = more in bytes of 255 and a last one
 *
 * LZ4 frame format 1.6.2, LZ4 block format; all little-endian.
 */
const frameMagic = 0x184d_2204
const stored = 0x8000_0000
const minMatch = 4

/** Returns where the output ends, or −1 where it is malformed, −2 where it does not fit. */
export function inflateLz4(
  from: Uint8Array,
  at: number,
  end: number,
  to: Uint8Array,
  toAt: number,
): number {
  const begin = toAt
  while (at < end) {
    if (end - at < 11 || uint32(from, at) !== frameMagic) return -1
    const flags = from[at + 4]!
    if (flags >> 6 !== 1 || (flags & 1) !== 0) return -1
    at += (flags & 8) === 0 ? 7 : 15
    const checksumBytes = (flags & 16) === 0 ? 0 : 4
    const isLinked = (flags & 32) === 0
    for (;;) {
      if (at + 4 > end) return -1
      const size = uint32(from, at)
      at += 4
      if (size === 0) break
      const length = size & ~stored
      if (length > end - at) return -1
      if (size >= stored) {
        if (toAt + length > to.length) return -2
        for (let i = 0; i < length; i++) to[toAt + i] = from[at + i]!
        toAt += length
      } else {
        toAt = inflateBlock(from, at, at + length, to, toAt, isLinked ? begin : toAt)
        if (toAt < 0) return toAt
      }
      at += length + checksumBytes
    }
    at += (flags & 4) === 0 ? 0 : 4
  }
  return at === end ? toAt : -1
}

function uint32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}

/** Matches may reach back to `floor`. */
function inflateBlock(
  from: Uint8Array,
  at: number,
  end: number,
  to: Uint8Array,
  toAt: number,
  floor: number,
): number {
  const room = to.length
  while (at < end) {
    const token = from[at++]!
    let literals = token >> 4
    if (literals === 15) {
      let more: number
      do {
        if (at >= end) return -1
        more = from[at++]!
        literals += more
      } while (more === 255)
    }
    if (literals > end - at) return -1
    if (literals > room - toAt) return -2
    if (literals > 32) {
      to.set(from.subarray(at, at + literals), toAt)
      at += literals
      toAt += literals
    } else for (const stop = at + literals; at < stop;) to[toAt++] = from[at++]!
    // The last sequence has no match.
    if (at === end) return toAt
    if (at + 2 > end) return -1
    const back = from[at]! | (from[at + 1]! << 8)
    at += 2
    let match = (token & 15) + minMatch
    if ((token & 15) === 15) {
      let more: number
      do {
        if (at >= end) return -1
        more = from[at++]!
        match += more
      } while (more === 255)
    }
    let source = toAt - back
    if (back === 0 || source < floor) return -1
    if (match > room - toAt) return -2
    if (back >= match && match > 32) {
      to.copyWithin(toAt, source, source + match)
      toAt += match
    } else for (const stop = toAt + match; toAt < stop;) to[toAt++] = to[source++]!
  }
  return -1
}

/** At least as much as comes of the frames, by the heads of their blocks; −1 where these are malformed. */
export function lz4Bound(from: Uint8Array, at: number, end: number): number {
  let bound = 0
  while (at < end) {
    if (end - at < 11) return -1
    const flags = from[at + 4]!
    const size = (from[at + 5]! >> 4) & 7
    if (size < 4) return -1
    const blockMax = 2 ** (8 + 2 * size)
    at += (flags & 8) === 0 ? 7 : 15
    for (;;) {
      if (at + 4 > end) return -1
      const block = uint32(from, at)
      at += 4
      if (block === 0) break
      const length = block & ~stored
      if (length > end - at) return -1
      // A byte of length stands for 255 bytes at most.
      bound += block >= stored ? length : Math.min(blockMax, length * 255)
      at += length + ((flags & 16) === 0 ? 0 : 4)
    }
    at += (flags & 4) === 0 ? 0 : 4
  }
  return bound
}
