/**
 * ListOffsets (2): the first offset of a partition, its end for `read_committed`, or the first at or after a time.
 *
 *   request = replica int32 (−1), [v2: isolation int8], topics array(name, partitions array(index int32,
 *             [v4: leader epoch int32], time int64))
 *   answer  = [v2: throttle int32], topics array(name, partitions array(index int32, error int16, time int64,
 *             offset int64, [v4: leader epoch int32]))
 */
import type { TopicPartition } from '../driver.ts'
import type { Api } from './api.ts'

export interface ListOffsetsRequest {
  readonly topics: readonly ByTopic[]
  /** Milliseconds since 1970; −2 = the first there is, −1 = the end. */
  readonly time: bigint
}

export interface ByTopic {
  readonly name: string
  readonly partitions: readonly number[]
}

export interface OffsetAnswer extends TopicPartition {
  readonly error: number
  /** −1 = none: no record is as late as that. */
  readonly offset: bigint
}

export const earliestTime = -2n
export const latestTime = -1n
const readCommitted = 1

export const listOffsets: Api<ListOffsetsRequest, readonly OffsetAnswer[]> = {
  name: 'ListOffsets',
  key: 2,
  min: 1,
  max: 6,
  flexibleFrom: 6,
  write: (to, { topics, time }, version) => {
    to.int32(-1)
    if (version >= 2) to.int8(readCommitted)
    to.array(topics, ({ name, partitions }) => {
      to.string(name).array(partitions, (partition) => {
        to.int32(partition)
        if (version >= 4) to.int32(-1)
        to.int64(time).tags()
      })
      to.tags()
    })
    to.tags()
  },
  read: (from, version) => {
    if (version >= 2) from.int32()
    const topics = from.array(() => {
      const topic = from.string()
      const partitions = from.array((): OffsetAnswer => {
        const partition = from.int32()
        const error = from.int16()
        from.int64()
        const offset = from.int64()
        if (version >= 4) from.int32()
        from.tags()
        return { topic, partition, error, offset }
      })
      from.tags()
      return partitions
    })
    return topics.flat()
  },
}

/** Of partitions, the requests' shape: by topic. */
export function byTopic(partitions: readonly TopicPartition[]): readonly ByTopic[] {
  const found = new Map<string, number[]>()
  for (const { topic, partition } of partitions) {
    const numbers = found.get(topic)
    if (numbers === undefined) found.set(topic, [partition])
    else numbers.push(partition)
  }
  return [...found].map(([name, numbers]) => ({ name, partitions: numbers }))
}
