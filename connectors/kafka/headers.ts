/**
 * The headers of one record, as record batches hold them.
 *
 *   headers = count varint, header*
 *   header  = name length varint, name bytes, value length varint (−1 = null), value bytes
 *   varint  = zigzag, seven bits a byte, the least significant ones first
 *
 * Kafka's protocol guide, "Record Header". record-batch.ts has checked that they end where the record does.
 */
interface Cursor {
  at: number
}

function varint(bytes: Uint8Array, cursor: Cursor, end: number): number {
  let value = 0
  for (let shift = 0; shift < 35 && cursor.at < end; shift += 7) {
    const byte = bytes[cursor.at++]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return (value >>> 1) ^ -(value & 1)
}

const cursor: Cursor = { at: 0 }

/**
 * The last header of this name: its value's place into `range`, with a start of −1 where it is null.
 * False when there is none.
 */
export function findHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array,
  range: Int32Array,
): boolean {
  cursor.at = start
  let found = false
  for (let left = varint(bytes, cursor, end); left > 0 && cursor.at < end; left--) {
    const nameBytes = varint(bytes, cursor, end)
    const nameAt = cursor.at
    cursor.at += Math.max(0, nameBytes)
    const valueBytes = varint(bytes, cursor, end)
    if (isSame(bytes, nameAt, nameBytes, name)) {
      found = true
      range[0] = valueBytes < 0 ? -1 : cursor.at
      range[1] = cursor.at + Math.max(0, valueBytes)
    }
    cursor.at += Math.max(0, valueBytes)
  }
  return found
}

function isSame(bytes: Uint8Array, at: number, length: number, name: Uint8Array): boolean {
  if (length !== name.length) return false
  for (let i = 0; i < length; i++) if (bytes[at + i] !== name[i]) return false
  return true
}

export interface Header {
  readonly name: Uint8Array
  readonly value: Uint8Array | null
}

/** All of them, in their order. */
export function headerList(bytes: Uint8Array, start: number, end: number): readonly Header[] {
  const headers: Header[] = []
  cursor.at = start
  for (let left = varint(bytes, cursor, end); left > 0 && cursor.at < end; left--) {
    const name = piece(bytes, end) ?? new Uint8Array(0)
    headers.push({ name, value: piece(bytes, end) })
  }
  return headers
}

function piece(bytes: Uint8Array, end: number): Uint8Array | null {
  const length = varint(bytes, cursor, end)
  if (length < 0) return null
  const at = cursor.at
  cursor.at += length
  return bytes.subarray(at, Math.min(end, at + length))
}
