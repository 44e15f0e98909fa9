/**
 * Where the next request goes on, from the heads of the batches alone: it is on its way before anything
 * was inflated or decoded.
 *
 *   record set = batch* [cut-off batch]
 *   batch      = base offset int64, length int32 (of what follows), leader epoch int32 (v2) or CRC (v0, v1),
 *                magic int8 …; v2 goes on: CRC int32, attributes int16, last offset delta int32 …
 *   magic 0, 1: one message, or a wrapper whose offset is that of its last inner message
 *
 * Kafka's protocol guide, "Record Batch"; MessageSet of Kafka 0.10.
 */
const lengthAt = 8
const headBytes = 12
const magicAt = 16
const deltaAt = 23
/** Up to and with the last offset delta. */
const batchBytesMin = 27

/**
 * One after the last offset of the last whole batch; `from` where there is none. A batch that is not what
 * it says (record-batch.ts tells) ends it.
 */
export function fetchedEnd(bytes: Uint8Array, from: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let end = from
  for (let at = 0; at + headBytes <= bytes.length;) {
    const length = view.getInt32(at + lengthAt)
    const next = at + headBytes + length
    if (length <= magicAt - headBytes || next > bytes.length) break
    const base = Number(view.getBigInt64(at))
    if (bytes[at + magicAt]! < 2) end = base + 1
    else if (length + headBytes < batchBytesMin) break
    else end = base + view.getInt32(at + deltaAt) + 1
    at = next
  }
  return end
}
