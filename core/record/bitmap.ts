/** Bitmaps, least significant bit first, as in Arrow. */

export function bitmapBytes(rows: number): number {
  return (rows + 7) >> 3
}

/** A bitmap of `rows` ones. Bits past the end are 0, so equal bitmaps have equal bytes. */
export function allSet(rows: number): Uint8Array {
  const bits = new Uint8Array(bitmapBytes(rows)).fill(0xff)
  if ((rows & 7) !== 0) bits[bits.length - 1] = (1 << (rows & 7)) - 1
  return bits
}

export function bitAt(bits: Uint8Array, row: number): boolean {
  return (bits[row >> 3]! & (1 << (row & 7))) !== 0
}

export function setBit(bits: Uint8Array, row: number): void {
  bits[row >> 3]! |= 1 << (row & 7)
}

export function clearBit(bits: Uint8Array, row: number): void {
  bits[row >> 3]! &= ~(1 << (row & 7))
}

/** The bitmap of rows [from, to); null when they are all set. */
export function sliceBitmap(bits: Uint8Array | null, from: number, to: number): Uint8Array | null {
  if (bits === null) return null
  const out = new Uint8Array(bitmapBytes(to - from))
  let zeros = false
  for (let row = from; row < to; row++) {
    if (bitAt(bits, row)) setBit(out, row - from)
    else zeros = true
  }
  return zeros ? out : null
}
