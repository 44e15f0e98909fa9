/**
 * Fetch (1): record batches as they lie in the broker's log. Fetch sessions are declined (id 0, epoch −1), so every
 * request says everything. From version 13 on topics are named by their ids: a topic that was deleted and
 * made again under the same name answers UNKNOWN_TOPIC_ID, instead of other records at the same offsets.
 *
 *   request   = replica int32 (−1), max wait int32, min bytes int32, [v3: max bytes int32], [v4: isolation int8],
 *               [v7: session int32, epoch int32], topics array(name | v13: id, partitions array(index int32,
 *                 [v9: leader epoch int32], offset int64, [v12: last epoch int32], [v5: log start int64],
 *                 max bytes int32)), [v7: forgotten array], [v11: rack string]
 *   answer    = [v1: throttle int32], [v7: error int16, session int32], topics array(name | v13: id,
 *               partitions array(index int32, error int16, high watermark int64, [v4: stable int64],
 *                 [v5: log start int64], [v4: aborted array?(producer int64, first int64)],
 *                 [v11: preferred replica int32], records bytes?))
 */
import type { FetchLimits, FetchPosition } from '../driver.ts'
import type { Api } from './api.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

export interface FetchRequest {
  /** By topic. */
  readonly topics: readonly FetchTopic[]
  readonly limits: FetchLimits
}

export interface FetchTopic {
  readonly name: string
  /** 32 hex digits; needed from version 13 on. */
  readonly id: string | null
  readonly partitions: readonly FetchPosition[]
}

export interface FetchAnswer {
  readonly error: number
  readonly topics: readonly {
    /** Its name, or from version 13 on its id. */
    readonly topic: string
    readonly partitions: readonly FetchedPartitionAnswer[]
  }[]
}

export interface FetchedPartitionAnswer {
  readonly partition: number
  readonly error: number
  readonly highWatermark: bigint
  readonly lastStableOffset: bigint
  readonly logStartOffset: bigint
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
  readonly records: Uint8Array
}

/** The first version that names topics by their ids. */
export const fetchByIdFrom = 13
const readCommitted = 1
/** 0.10's brokers know no transactions: nothing of them can be in their log. */
const transactionsFrom = 4

export const fetch: Api<FetchRequest, FetchAnswer> = {
  name: 'Fetch',
  key: 1,
  min: 2,
  max: fetchByIdFrom,
  flexibleFrom: 12,
  write: (to, { topics, limits }, version) => {
    to.int32(-1).int32(limits.maxWaitMs).int32(limits.minBytes)
    if (version >= 3) to.int32(limits.maxBytes)
    if (version >= transactionsFrom) to.int8(readCommitted)
    if (version >= 7) to.int32(0).int32(-1)
    to.array(topics, ({ name, id, partitions }) => {
      if (version >= fetchByIdFrom) to.uuid(id!)
      else to.string(name)
      to.array(partitions, (partition) => writePartition(to, partition, version)).tags()
    })
    if (version >= 7) to.array([], () => {})
    if (version >= 11) to.string('')
    to.tags()
  },
  read: (from, version) => {
    from.int32()
    const error = version >= 7 ? from.int16() : 0
    if (version >= 7) from.int32()
    const topics = from.array(() => {
      const topic = version >= fetchByIdFrom ? from.uuid() : from.string()
      const partitions = from.array(() => readPartition(from, version))
      from.tags()
      return { topic, partitions }
    })
    return { error, topics }
  },
}

function writePartition(
  to: Writer,
  { partition, offset, maxBytes }: FetchPosition,
  version: number,
): void {
  to.int32(partition)
  if (version >= 9) to.int32(-1)
  to.int64(offset)
  if (version >= 12) to.int32(-1)
  if (version >= 5) to.int64(-1n)
  to.int32(maxBytes).tags()
}

function readPartition(from: Reader, version: number): FetchedPartitionAnswer {
  const partition = from.int32()
  const error = from.int16()
  const highWatermark = from.int64()
  const lastStableOffset = version >= transactionsFrom ? from.int64() : highWatermark
  const logStartOffset = version >= 5 ? from.int64() : -1n
  const aborted = version >= transactionsFrom ? from.array(() => readAborted(from)) : []
  if (version >= 11) from.int32()
  const records = from.bytes()
  from.tags()
  return { partition, error, highWatermark, lastStableOffset, logStartOffset, aborted, records }
}

function readAborted(from: Reader): { readonly producerId: bigint; readonly firstOffset: bigint } {
  const aborted = { producerId: from.int64(), firstOffset: from.int64() }
  from.tags()
  return aborted
}
