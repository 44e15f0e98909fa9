/**
 * What is asked about a consumer group, without being its member: where its coordinator is, what offsets it has
 * stored, to store some (generation −1, no member: allowed while the group has no members), and whether it
 * may be read at all (a heartbeat of nobody: UNKNOWN_MEMBER_ID says yes).
 */
import type { PartitionOffset } from '../driver.ts'
import type { Api } from './api.ts'
import { byTopic, type ByTopic, type OffsetAnswer } from './offsets.ts'
import type { BrokerAddress } from './metadata.ts'

export interface CoordinatorAnswer extends BrokerAddress {
  readonly error: number
}

/**
 *   request = group string, [v1: key type int8 (0 = group)]
 *   answer  = [v1: throttle int32], error int16, [v1: message string?], node int32, host, port int32
 */
export const findCoordinator: Api<string, CoordinatorAnswer> = {
  name: 'FindCoordinator',
  key: 10,
  min: 0,
  max: 2,
  flexibleFrom: 3,
  write: (to, group, version) => {
    to.string(group)
    if (version >= 1) to.int8(0)
  },
  read: (from, version) => {
    if (version >= 1) from.int32()
    const error = from.int16()
    if (version >= 1) from.nullableString()
    return { error, node: from.int32(), host: from.string(), port: from.int32() }
  },
}

export interface OffsetFetchRequest {
  readonly group: string
  readonly topics: readonly ByTopic[]
}

/**
 *   request = group string, topics array(name, partitions int32[])
 *   answer  = [v3: throttle int32], topics array(name, partitions array(index int32, offset int64 (−1 = none),
 *             [v5: leader epoch int32], metadata string?, error int16)), [v2: error int16]
 */
export const offsetFetch: Api<
  OffsetFetchRequest,
  { readonly error: number; readonly offsets: readonly OffsetAnswer[] }
> = {
  name: 'OffsetFetch',
  key: 9,
  min: 1,
  max: 5,
  flexibleFrom: 6,
  write: (to, { group, topics }) => {
    to.string(group).array(topics, ({ name, partitions }) => {
      to.string(name).array(partitions, (partition) => to.int32(partition))
    })
  },
  read: (from, version) => {
    if (version >= 3) from.int32()
    const topics = from.array(() => {
      const topic = from.string()
      return from.array((): OffsetAnswer => {
        const partition = from.int32()
        const offset = from.int64()
        if (version >= 5) from.int32()
        from.nullableString()
        return { topic, partition, offset, error: from.int16() }
      })
    })
    return { offsets: topics.flat(), error: version >= 2 ? from.int16() : 0 }
  },
}

export interface OffsetCommitRequest {
  readonly group: string
  readonly offsets: readonly PartitionOffset[]
}

export interface CommitAnswer {
  readonly topic: string
  readonly error: number
}

/**
 *   request = group string, generation int32, member string, [v7: instance string?], [v2–4: retention int64],
 *             topics array(name, partitions array(index int32, offset int64, [v6: leader epoch int32],
 *             metadata string?))
 *   answer  = [v3: throttle int32], topics array(name, partitions array(index int32, error int16))
 */
export const offsetCommit: Api<OffsetCommitRequest, readonly CommitAnswer[]> = {
  name: 'OffsetCommit',
  key: 8,
  min: 2,
  max: 7,
  flexibleFrom: 8,
  write: (to, { group, offsets }, version) => {
    to.string(group).int32(-1).string('')
    if (version >= 7) to.string(null)
    if (version <= 4) to.int64(-1n)
    const places = new Map(offsets.map((place) => [`${place.partition}/${place.topic}`, place]))
    to.array(byTopic(offsets), ({ name, partitions }) => {
      to.string(name).array(partitions, (partition) => {
        to.int32(partition).int64(places.get(`${partition}/${name}`)!.offset)
        if (version >= 6) to.int32(-1)
        to.string('')
      })
    })
  },
  read: (from, version) => {
    if (version >= 3) from.int32()
    const topics = from.array(() => {
      const topic = from.string()
      return from.array((): CommitAnswer => {
        from.int32()
        return { topic, error: from.int16() }
      })
    })
    return topics.flat()
  },
}

/**
 *   request = group string, generation int32, member string, [v3: instance string?]
 *   answer  = [v1: throttle int32], error int16
 */
export const heartbeat: Api<string, number> = {
  name: 'Heartbeat',
  key: 12,
  min: 0,
  max: 3,
  flexibleFrom: 4,
  write: (to, group, version) => {
    to.string(group).int32(-1).string('')
    if (version >= 3) to.string(null)
  },
  read: (from, version) => {
    if (version >= 1) from.int32()
    return from.int16()
  },
}
