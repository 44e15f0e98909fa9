/**
 * One record batch (magic 2) into record memory. Hot: nothing is allocated a record.
 *
 *   batch   = base offset int64, length int32 (of all that follows), leader epoch int32, magic int8 (2),
 *             CRC uint32 (CRC-32C of all that follows), attributes int16, last offset delta int32,
 *             base time int64, max time int64, producer id int64, producer epoch int16, base sequence int32,
 *             count int32, records (compressed as a whole)
 *   attributes: bits 0–2 codec, 3 time is the broker's (max time is everyone's), 4 transactional, 5 control,
 *             6 base time is a delete horizon (times are relative to it all the same, KIP-534)
 *   record  = length varint (of all that follows), attributes int8, time delta varlong, offset delta varint,
 *             key length varint (−1 = null), key, value length varint (−1 = null), value, headers
 *   headers = count varint, (name length varint, name, value length varint (−1 = null), value)*
 *   varint, varlong = zigzag, seven bits a byte, the least significant ones first
 *
 * Kafka's documentation, "Record Batch" and "Record"; DefaultRecordBatch.java, DefaultRecord.java (4.1). The last
 * offset delta stays when compaction takes records out, so offsets of records may leave gaps anywhere.
 */
import type { RecordMemory } from './record-memory.ts'

export const batchLengthAt = 8
/** Base offset and length: a batch is its length longer than this. */
export const batchPrefixBytes = 12
export const magicAt = 16
export const batchHeadBytes = 61
const crcAt = 17
export const crcFrom = 21

export interface BatchHead {
  baseOffset: number
  lastOffset: number
  codec: number
  isTransactional: boolean
  isControl: boolean
  /** The broker's time for all records, in µs; NaN = each has its own. */
  appendTimeUs: number
  baseTimeMs: number
  producerId: bigint
  count: number
  crc: number
}

export function emptyHead(): BatchHead {
  return {
    baseOffset: 0,
    lastOffset: 0,
    codec: 0,
    isTransactional: false,
    isControl: false,
    appendTimeUs: NaN,
    baseTimeMs: 0,
    producerId: -1n,
    count: 0,
    crc: 0,
  }
}

/** Reads the head of the batch at `at`, all of which is there. */
export function readHead(view: DataView, at: number, head: BatchHead): void {
  const attributes = view.getInt16(at + 21)
  head.baseOffset = Number(view.getBigInt64(at))
  head.lastOffset = head.baseOffset + view.getInt32(at + 23)
  head.codec = attributes & 7
  head.appendTimeUs = (attributes & 8) === 0 ? NaN : Number(view.getBigInt64(at + 35)) * 1000
  head.isTransactional = (attributes & 16) !== 0
  head.isControl = (attributes & 32) !== 0
  head.baseTimeMs = Number(view.getBigInt64(at + 27))
  head.producerId = view.getBigInt64(at + 43)
  head.count = view.getInt32(at + 57)
  head.crc = view.getUint32(at + crcAt)
}

/** Least bytes of a record: its length, attributes, two deltas, two lengths, number of headers. */
const recordBytesMin = 7
/** Behind the varint that was read last. */
let past = 0

/**
 * Adds the records in bytes[at, end), which are all of the batch's. False when they are not what the head
 * says, or any length leads out of its record: then nothing of the batch counts.
 */
export function addRecords(
  memory: RecordMemory,
  bytes: Uint8Array,
  at: number,
  end: number,
  head: BatchHead,
): boolean {
  if (head.count < 0 || head.count * recordBytesMin > end - at) return false
  memory.reserve(head.count)
  const { keyStarts, keyEnds, valueStarts, valueEnds, headerStarts, headerEnds } = memory
  const { timesUs, offsets } = memory
  const { appendTimeUs, baseTimeMs, baseOffset, lastOffset } = head
  const isAppendTime = appendTimeUs === appendTimeUs
  let before = baseOffset - 1
  let index = memory.count
  for (let left = head.count; left > 0; left--, index++) {
    const length = varint(bytes, at)
    const recordEnd = past + length
    if (length < recordBytesMin - 1 || recordEnd > end) return false
    // Its attributes are not used by anybody.
    const timeDelta = varlong(bytes, past + 1)
    const offset = baseOffset + varint(bytes, past)
    if (offset <= before || offset > lastOffset) return false
    before = offset
    const keyLength = varint(bytes, past)
    const keyStart = past
    const keyEnd = keyLength < 0 ? keyStart : keyStart + keyLength
    if (keyEnd > recordEnd) return false
    const valueLength = varint(bytes, keyEnd)
    const valueStart = past
    const valueEnd = valueLength < 0 ? valueStart : valueStart + valueLength
    if (valueEnd > recordEnd) return false
    const headers = varint(bytes, valueEnd)
    if (headers === 0) {
      if (past !== recordEnd) return false
      headerStarts[index] = -1
      headerEnds[index] = -1
    } else {
      if (!headersFit(bytes, past, recordEnd, headers)) return false
      headerStarts[index] = valueEnd
      headerEnds[index] = recordEnd
    }
    keyStarts[index] = keyLength < 0 ? -1 : keyStart
    keyEnds[index] = keyLength < 0 ? -1 : keyEnd
    valueStarts[index] = valueLength < 0 ? -1 : valueStart
    valueEnds[index] = valueLength < 0 ? -1 : valueEnd
    offsets[index] = offset
    timesUs[index] = isAppendTime ? appendTimeUs : (baseTimeMs + timeDelta) * 1000
    at = recordEnd
  }
  if (at !== end) return false
  memory.count = index
  return true
}

/** Whether so many headers end exactly where the record does. */
function headersFit(bytes: Uint8Array, at: number, end: number, count: number): boolean {
  // Two bytes a header at least.
  if (count < 0 || count * 2 > end - at) return false
  for (; count > 0; count--) {
    const name = varint(bytes, at)
    if (name < 0 || past + name > end) return false
    const value = varint(bytes, past + name)
    at = value < 0 ? past : past + value
    if (at > end) return false
  }
  return at === end
}

/**
 * The varint at `at`. One that begins within a record ends at most four bytes behind it; what is there is of no
 * meaning, and the record's end is not where it should be then.
 */
function varint(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  past = at + 1
  if (first < 0x80) return (first >>> 1) ^ -(first & 1)
  let value = first & 0x7f
  for (let shift = 7; shift < 35; shift += 7) {
    const byte = bytes[past++]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return (value >>> 1) ^ -(value & 1)
}

/** As varint, of 64 bits: as a double, exact up to 2^53. */
function varlong(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  past = at + 1
  if (first < 0x80) return (first >>> 1) ^ -(first & 1)
  let low = first & 0x7f
  let scale = 128
  for (let count = 1; count < 10; count++) {
    const byte = bytes[past++]!
    low += (byte & 0x7f) * scale
    if (byte < 0x80) break
    scale *= 128
  }
  return low % 2 === 0 ? low / 2 : -(low + 1) / 2
}

/** Of a control batch's record: `0` aborted, `1` committed; −1 = it has none (compacted), or another. */
export function controlType(bytes: Uint8Array, at: number, end: number): number {
  // length, attributes, time delta, offset delta, key length; key = version int16, type int16
  varint(bytes, at)
  varlong(bytes, past + 1)
  varint(bytes, past)
  const length = varint(bytes, past)
  if (length < 4 || past + length > end) return -1
  return (bytes[past + 2]! << 8) | bytes[past + 3]!
}
