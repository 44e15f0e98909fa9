/** Records out of record sets, as objects that tests can compare: by our decoder, and by kafkajs' as the judge. */
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { headerList } from '../../../connectors/kafka/headers.ts'
import { RecordBatches } from '../../../connectors/kafka/record-batches.ts'

export interface Fetched {
  readonly records: Uint8Array
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
}

export interface ReadRecord {
  readonly offset: number
  readonly timeMs: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

export function readAll(fetched: Fetched, inflatedBytesMax = 1 << 26): ReadRecord[] {
  const batches = new RecordBatches({ inflatedBytesMax })
  batches.open(fetched, 0)
  const found: ReadRecord[] = []
  for (let read = batches.next(); read !== null; read = batches.next()) {
    const { bytes, count, headerStarts, headerEnds } = read
    const text = (start: number, end: number): string | null =>
      start < 0 ? null : Buffer.from(bytes.subarray(start, end)).toString('latin1')
    for (let i = 0; i < count; i++) {
      const start = headerStarts[i]!
      const headers = start < 0 ? [] : headerList(bytes, start, headerEnds[i]!)
      found.push({
        offset: read.offsets[i]!,
        timeMs: read.timesUs[i]! / 1000,
        key: text(read.keyStarts[i]!, read.keyEnds[i]!),
        value: text(read.valueStarts[i]!, read.valueEnds[i]!),
        headers: headers.map(({ name, value }) => [latin(name)!, latin(value)]),
      })
    }
  }
  return found
}

function latin(bytes: Uint8Array | null | undefined): string | null {
  return bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('latin1')
}

interface KafkajsMessage {
  readonly offset: string
  readonly timestamp?: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, Buffer | Buffer[]>>
}

interface Codec {
  decompress(bytes: Buffer): Promise<Buffer>
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>
}

const load = createRequire(import.meta.url)
const Decoder = load('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
const decodeMessages = load('kafkajs/src/protocol/requests/fetch/v4/decodeMessages') as (
  decoder: object,
) => Promise<readonly KafkajsMessage[]>
const Batch = load('kafkajs/src/consumer/batch') as new (
  topic: string,
  offset: string,
  data: object,
) => { readonly messages: readonly KafkajsMessage[] }
const { Codecs } = load('kafkajs/src/protocol/message/compression') as {
  readonly Codecs: Record<number, () => Codec>
}
Codecs[1] = () => ({
  decompress: (bytes) => promisify(gunzip)(bytes),
  compress: ({ buffer }) => promisify(gzip)(buffer),
})
Codecs[2] = () => ({
  decompress: (bytes) => Promise.resolve(unsnap(bytes)),
  compress: ({ buffer }) => snappy.compress(buffer),
})
Codecs[3] = () => ({
  decompress: (bytes) => lz4.decompressFrame(healed(bytes)),
  compress: ({ buffer }) => lz4.compressFrame(buffer),
})
Codecs[4] = () => ({
  decompress: (bytes) => promisify(zstdDecompress)(bytes),
  compress: ({ buffer }) => promisify(zstdCompress)(buffer),
})

export async function judged({ records, aborted }: Fetched): Promise<ReadRecord[]> {
  const sized = Buffer.alloc(4 + records.length)
  sized.writeInt32BE(records.length)
  sized.set(records, 4)
  const messages = await decodeMessages(new Decoder(sized))
  const abortedTransactions = aborted.map(({ producerId, firstOffset }) => ({
    producerId: String(producerId),
    firstOffset: String(firstOffset),
  }))
  const batch = new Batch('topic', '0', { partition: 0, messages, abortedTransactions })
  return batch.messages.map(({ offset, timestamp, key, value, headers = {} }) => ({
    offset: Number(offset),
    timeMs: Number(timestamp ?? -1),
    key: latin(key),
    value: latin(value),
    headers: Object.entries(headers).flatMap(([name, values]) =>
      (Array.isArray(values) ? values : [values]).map(
        (each) => [Buffer.from(name).toString('latin1'), latin(each)] as const,
      ),
    ),
  }))
}

function unsnap(bytes: Buffer): Buffer {
  if (bytes[0] !== 0x82) return snappy.uncompressSync(bytes, { asBuffer: true }) as Buffer
  const parts: Buffer[] = []
  for (let at = 16; at < bytes.length;) {
    const end = at + 4 + bytes.readInt32BE(at)
    const block = bytes.subarray(at + 4, end)
    parts.push(snappy.uncompressSync(block, { asBuffer: true }) as Buffer)
    at = end
  }
  return Buffer.concat(parts)
}

/** Kafka's first LZ4 had another header checksum (KAFKA-3160), which the judge would refuse: of 64 KB blocks, alone. */
function healed(bytes: Buffer): Buffer {
  const fixed = Buffer.from(bytes)
  if (fixed[4] === 0x60 && fixed[5] === 0x40) fixed[6] = 0x82
  return fixed
}
