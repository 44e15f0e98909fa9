/** Record batches as a broker keeps them, and the encoder of kafkajs that writes them. */
import { createRequire } from 'node:module'

interface Encoder {
  readonly buffer: Buffer
}
const load = createRequire(import.meta.url)
export const { RecordBatch } = load('kafkajs/src/protocol/recordBatch/v0') as {
  readonly RecordBatch: (batch: object) => Promise<Encoder>
}
export const Record = load('kafkajs/src/protocol/recordBatch/record/v0') as (
  record: object,
) => Encoder

export interface WrittenRecord {
  readonly key?: string | null
  readonly value: string | null
}

/** Uncompressed, offsets from `firstOffset` on, one each; none for no records. null: compaction removed it. */
export async function writtenBatch(
  firstOffset: number,
  records: readonly (WrittenRecord | null)[],
): Promise<Uint8Array> {
  if (records.length === 0) return new Uint8Array(0)
  const { buffer } = await RecordBatch({
    compression: 0,
    firstOffset: String(firstOffset),
    firstTimestamp: 1_700_000_000_000,
    maxTimestamp: 1_700_000_000_000,
    lastOffsetDelta: records.length - 1,
    records: records.flatMap((record, offsetDelta) => {
      if (record === null) return []
      const [key, value] = [bytesOf(record.key ?? null), bytesOf(record.value)]
      return [Record({ key, value, headers: {}, offsetDelta, timestampDelta: 0 })]
    }),
  })
  return new Uint8Array(buffer)
}

function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text)
}
