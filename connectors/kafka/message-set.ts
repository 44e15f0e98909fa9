/**
 * Messages of before Kafka 0.11 (magic 0 and 1) into record memory: old segments hold them, and topics whose
 * message.format.version says so.
 *
 *   message set = message*
 *   message     = offset int64, size int32 (of all that follows), CRC uint32 (CRC-32 of all that follows),
 *                 magic int8, attributes int8, [magic 1: time int64], key length int32 (−1 = null), key,
 *                 value length int32 (−1 = null), value
 *   attributes  : bits 0–2 codec, 3 time is the broker's (magic 1)
 *   wrapper     : a message with a codec; its value is a compressed message set, its offset that of the last
 *                 inner message. Inner offsets: magic 0 as they are, magic 1 relative (the last one's is known)
 *
 * Kafka 0.10.2's documentation, "Message Set"; KIP-31 (relative offsets), KIP-32 (times).
 */
import { crc32 } from '@node-rs/crc32'
import type { RecordMemory } from './record-memory.ts'

const prefixBytes = 12
const crcFrom = 16
const timeAt = 18
/** Kafka's own sign for a message without a time: magic 0 knows none. */
const noTimeMs = -1

export interface MessageHead {
  offset: number
  /** One after its last byte. */
  end: number
  magic: number
  codec: number
  isAppendTime: boolean
  timeMs: number
  /** −1 = null. */
  keyStart: number
  keyEnd: number
  valueStart: number
  valueEnd: number
}

export function emptyMessage(): MessageHead {
  return {
    offset: 0,
    end: 0,
    magic: 0,
    codec: 0,
    isAppendTime: false,
    timeMs: noTimeMs,
    keyStart: -1,
    keyEnd: -1,
    valueStart: -1,
    valueEnd: -1,
  }
}

/** Reads the message at `at`, all of which should be before `end`. False when it is damaged. */
export function readMessage(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  message: MessageHead,
): boolean {
  if (at + crcFrom + 2 > end) return false
  const size = view.getInt32(at + 8)
  const messageEnd = at + prefixBytes + size
  if (size < 0 || messageEnd > end) return false
  const magic = view.getInt8(at + crcFrom)
  const keyLengthAt = at + (magic === 0 ? timeAt : timeAt + 8)
  if ((magic !== 0 && magic !== 1) || keyLengthAt + 8 > messageEnd) return false
  const keyLength = view.getInt32(keyLengthAt)
  const keyStart = keyLengthAt + 4
  const keyEnd = keyLength < 0 ? keyStart : keyStart + keyLength
  if (keyEnd + 4 > messageEnd) return false
  const valueLength = view.getInt32(keyEnd)
  const valueStart = keyEnd + 4
  const valueEnd = valueLength < 0 ? valueStart : valueStart + valueLength
  if (valueEnd !== messageEnd) return false
  if (crc32(bytes.subarray(at + crcFrom, messageEnd)) !== view.getUint32(at + prefixBytes)) {
    return false
  }
  const attributes = view.getInt8(at + crcFrom + 1)
  message.offset = Number(view.getBigInt64(at))
  message.end = messageEnd
  message.magic = magic
  message.codec = attributes & 7
  message.isAppendTime = magic === 1 && (attributes & 8) !== 0
  message.timeMs = magic === 0 ? noTimeMs : Number(view.getBigInt64(at + timeAt))
  message.keyStart = keyLength < 0 ? -1 : keyStart
  message.keyEnd = keyLength < 0 ? -1 : keyEnd
  message.valueStart = valueLength < 0 ? -1 : valueStart
  message.valueEnd = valueLength < 0 ? -1 : valueEnd
  return true
}

/** Adds a message that is no wrapper. */
export function addMessage(memory: RecordMemory, message: MessageHead): void {
  memory.reserve(1)
  const index = memory.count++
  memory.keyStarts[index] = message.keyStart
  memory.keyEnds[index] = message.keyEnd
  memory.valueStarts[index] = message.valueStart
  memory.valueEnds[index] = message.valueEnd
  memory.headerStarts[index] = -1
  memory.headerEnds[index] = -1
  memory.offsets[index] = message.offset
  memory.timesUs[index] = message.timeMs * 1000
}

const inner = emptyMessage()

/**
 * Adds the messages in bytes[at, end), inflated from `wrapper`. False when they are damaged, or wrappers
 * themselves: then nothing of them counts.
 */
export function addInner(
  memory: RecordMemory,
  bytes: Uint8Array,
  at: number,
  end: number,
  wrapper: MessageHead,
): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const first = memory.count
  let last = -1
  while (at < end) {
    const isWhole = readMessage(bytes, view, at, end, inner)
    if (!isWhole || inner.codec !== 0 || inner.offset <= last) {
      memory.count = first
      return false
    }
    last = inner.offset
    if (wrapper.isAppendTime) inner.timeMs = wrapper.timeMs
    addMessage(memory, inner)
    at = inner.end
  }
  const shift = wrapper.magic === 0 ? 0 : wrapper.offset - last
  if (shift < 0 || last + shift > wrapper.offset) {
    memory.count = first
    return false
  }
  for (let index = first; index < memory.count; index++) memory.offsets[index]! += shift
  return true
}
