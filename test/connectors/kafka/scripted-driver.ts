/** A driver that answers as a test says: for what real brokers do only now and then, or not on demand. */
import type {
  FetchedPartition,
  FetchLimits,
  FetchPosition,
  KafkaDriver,
  KafkaTopic,
  PartitionOffset,
  TopicPartition,
} from '../../../connectors/kafka/driver.ts'

export class ScriptedDriver implements KafkaDriver {
  cluster: string | null = 'c1'
  /** What exists now. */
  there: KafkaTopic[] = []
  stored: PartitionOffset[] = []
  earliest = 0n
  latest = 100n

  clusterId(): Promise<string | null> {
    return Promise.resolve(this.cluster)
  }

  topics(names: readonly string[] | null): Promise<readonly KafkaTopic[]> {
    return Promise.resolve(this.there.filter(({ name }) => names?.includes(name) ?? true))
  }

  offsets(
    partitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
  ): Promise<readonly PartitionOffset[]> {
    // No record is younger than 1000.
    const offset =
      at === 'earliest' ? this.earliest : at === 'latest' ? this.latest : at < 1000 ? 50n : -1n
    return Promise.resolve(partitions.map((each) => ({ ...each, offset })))
  }

  fetch(
    _broker: number,
    _partitions: readonly FetchPosition[],
    _limits: FetchLimits,
  ): Promise<readonly FetchedPartition[]> {
    return Promise.reject(new Error('not in this script'))
  }

  commitOffsets(): Promise<void> {
    return Promise.resolve()
  }

  committedOffsets(): Promise<readonly PartitionOffset[]> {
    return Promise.resolve(this.stored)
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export function topic(name: string, id: string | null, partitions = 2): KafkaTopic {
  const numbers = Array.from({ length: partitions }, (_, partition) => ({ partition, leader: 1 }))
  return { name, id, partitions: numbers }
}
