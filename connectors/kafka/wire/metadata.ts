/**
 * Metadata (3): the cluster's brokers as they advertise themselves, topics and their leaders.
 *
 *   request = topics array?(v10: id uuid, name), [v4: allow auto creation bool],
 *             [v8–10: cluster operations bool], [v8: topic operations bool]
 *   answer  = [v3: throttle int32] brokers array(node int32, host, port int32, rack) [v2: cluster id string?]
 *             controller int32 topics array(error int16, name, [v10: id uuid], internal bool,
 *               partitions array(error int16, index int32, leader int32, [v7: epoch int32], replicas int32[],
 *                 isr int32[], [v5: offline int32[]]), [v8: operations int32]) [v8–10: cluster operations int32]
 */
import type { Api } from './api.ts'
import type { Reader } from './reader.ts'

export interface MetadataRequest {
  /** null = all topics; none at all asks for the cluster alone. */
  readonly topics: readonly string[] | null
}

export interface BrokerAddress {
  readonly node: number
  readonly host: string
  readonly port: number
}

export interface TopicMetadata {
  readonly error: number
  readonly name: string
  /** 32 hex digits; null = not told. */
  readonly id: string | null
  readonly isInternal: boolean
  readonly partitions: readonly PartitionMetadata[]
}

interface PartitionMetadata {
  readonly error: number
  readonly partition: number
  /** −1 = none. */
  readonly leader: number
}

export interface MetadataAnswer {
  readonly brokers: readonly BrokerAddress[]
  readonly clusterId: string | null
  readonly topics: readonly TopicMetadata[]
}

const noId = '0'.repeat(32)

export const metadata: Api<MetadataRequest, MetadataAnswer> = {
  name: 'Metadata',
  key: 3,
  min: 1,
  max: 12,
  flexibleFrom: 9,
  write: (to, { topics }, version) => {
    to.array(topics, (name) => {
      if (version >= 10) to.uuid(noId)
      to.string(name).tags()
    })
    if (version >= 4) to.bool(false)
    if (version >= 8 && version <= 10) to.bool(false)
    if (version >= 8) to.bool(false)
    to.tags()
  },
  read: (from, version) => {
    if (version >= 3) from.int32()
    const brokers = from.array(() => readBroker(from))
    const clusterId = version >= 2 ? from.nullableString() : null
    from.int32()
    const topics = from.array(() => readTopic(from, version))
    return { brokers, clusterId, topics }
  },
}

function readBroker(from: Reader): BrokerAddress {
  const broker = { node: from.int32(), host: from.string(), port: from.int32() }
  from.nullableString()
  from.tags()
  return broker
}

function readTopic(from: Reader, version: number): TopicMetadata {
  const error = from.int16()
  const name = from.string()
  const id = version >= 10 ? from.uuid() : noId
  const isInternal = from.bool()
  const partitions = from.array(() => readPartition(from, version))
  if (version >= 8) from.int32()
  from.tags()
  return { error, name, id: id === noId ? null : id, isInternal, partitions }
}

function readPartition(from: Reader, version: number): PartitionMetadata {
  const error = from.int16()
  const partition = from.int32()
  const leader = from.int32()
  if (version >= 7) from.int32()
  from.int32s()
  from.int32s()
  if (version >= 5) from.int32s()
  from.tags()
  return { error, partition, leader }
}
