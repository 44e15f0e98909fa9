/**
 * The last record that was read of a partition, by which it is known again. What is at its offset is another record
 * where the topic was deleted and made again (before topics had ids, in Kafka 2.8, nothing else tells that
 * once the new one is as long), and where the newest records were lost with a leader and others came in
 * their place. Going on behind it would pass over records and mix two topics.
 *
 * The checksum is of what a broker never changes about a record: its time, key and value. Batches are made anew when
 * they are compacted, and so are the messages of old formats when they are sent.
 */
import { crc32c } from '@node-rs/crc32'
import type { Records } from '../../core/connector/format/records.ts'
import type { FetchedPartition } from './driver.ts'
import {
  batchHeadBytes,
  batchLengthAt,
  batchPrefixBytes,
  emptyHead,
  magicAt,
  readHead,
} from './record-batch.ts'
import { RecordBatches } from './record-batches.ts'
import { firstAt } from './record-memory.ts'

export type LastRecord = readonly [offset: number, checksum: number]

/** Time in µs float64, length of the key and of the value int32 (−1 = null). */
const head = Buffer.alloc(16)

export function lastRecordOf(records: Records, index: number): LastRecord {
  const { bytes, keyStarts, keyEnds, valueStarts, valueEnds } = records
  const [keyStart, valueStart] = [keyStarts[index]!, valueStarts[index]!]
  const [keyEnd, valueEnd] = [keyEnds[index]!, valueEnds[index]!]
  head.writeDoubleBE(records.timesUs[index]!)
  head.writeInt32BE(keyStart < 0 ? -1 : keyEnd - keyStart, 8)
  head.writeInt32BE(valueStart < 0 ? -1 : valueEnd - valueStart, 12)
  let checksum = crc32c(head)
  if (keyStart >= 0) checksum = crc32c(bytes.subarray(keyStart, keyEnd), checksum)
  if (valueStart >= 0) checksum = crc32c(bytes.subarray(valueStart, valueEnd), checksum)
  return [records.offsets[index]!, checksum]
}

/**
 * Whether it is in what was asked for from its offset on; null where that does not tell: compaction or retention
 * removed it, or the bytes are damaged, which reading them will tell.
 */
export function isStillThere(
  { records, topic }: Pick<FetchedPartition, 'records' | 'topic'>,
  partition: number,
  [offset, checksum]: LastRecord,
): boolean | null {
  const batches = new RecordBatches()
  try {
    // Whatever became of its transaction: it is there all the same.
    batches.open({ records, topic, aborted: [] }, partition)
    for (let found = batches.next(); found !== null; found = batches.next()) {
      const index = firstAt(found, offset)
      if (index === found.count) continue
      if (found.offsets[index] === offset) return lastRecordOf(found, index)[1] === checksum
      break
    }
  } catch {
    return null
  }
  return isMarker(records, offset) ? false : null
}

/** Whether the end of a transaction is there: a record never becomes one. */
function isMarker(bytes: Uint8Array, offset: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const batch = emptyHead()
  for (let at = 0; at + batchHeadBytes <= bytes.length;) {
    if (bytes[at + magicAt] !== 2) return false
    readHead(view, at, batch)
    if (batch.lastOffset >= offset) return batch.baseOffset <= offset && batch.isControl
    at += batchPrefixBytes + view.getInt32(at + batchLengthAt)
  }
  return false
}
