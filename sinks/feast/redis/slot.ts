/**
 * The slot of a key in a cluster: CRC-16/XMODEM of the key, or of what stands between its first `{` and the
 * next `}`, over 16384 (Redis Cluster Specification, "Key distribution model"). Entity keys are binary:
 * any byte may be a brace.
 */
const slots = 16_384
const open = 0x7b
const close = 0x7d

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  return crc & 0xffff
})

export interface Span {
  readonly bytes: Uint8Array
  readonly from: number
  readonly end: number
}

/** The slot of the key that is `head` followed by `tail`. */
export function slotOf(head: Span, tail: Uint8Array): number {
  const length = head.end - head.from + tail.length
  let start = 0
  let stop = length
  const opened = find(head, tail, open, 0)
  if (opened < length) {
    const closed = find(head, tail, close, opened + 1)
    if (closed < length && closed > opened + 1) {
      start = opened + 1
      stop = closed
    }
  }
  let crc = 0
  for (let i = start; i < stop; i++) {
    crc = ((crc << 8) & 0xffff) ^ table[(crc >> 8) ^ byteAt(head, tail, i)]!
  }
  return crc % slots
}

/** The first place of the byte from `i` on; the key's length where there is none. */
function find(head: Span, tail: Uint8Array, byte: number, i: number): number {
  const length = head.end - head.from + tail.length
  while (i < length && byteAt(head, tail, i) !== byte) i++
  return i
}

function byteAt({ bytes, from, end }: Span, tail: Uint8Array, i: number): number {
  return i < end - from ? bytes[from + i]! : tail[i - (end - from)]!
}
