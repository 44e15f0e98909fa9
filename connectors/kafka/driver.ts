/**
 * The driver: what the source needs of a Kafka client, and no more. Two libraries stand behind it
 * (kafkajs and @platformatic/kafka). Partitions are assigned by the source itself, not by a consumer
 * group, so nobody's rebalance can take them away; record batches come as the broker sent them, and
 * record-batch.ts reads them into Records: no object a record.
 *
 * Every call may reject with a SluiceError of `core/errors/codes/kafka.ts`; none tries again by itself.
 */
import type { AnswerMemory } from './answer-memory.ts'

export interface KafkaDriver extends AsyncDisposable {
  /** The cluster's id; null where the broker does not tell it. */
  clusterId(signal: AbortSignal): Promise<string | null>
  /** Those of these topics that exist; null = all that this user may see, internal ones left out. */
  topics(names: readonly string[] | null, signal: AbortSignal): Promise<readonly KafkaTopic[]>
  /** First offset, end (of what is committed, for `read_committed`), or the first at or after a time in ms. */
  offsets(
    partitions: readonly TopicPartition[],
    at: 'earliest' | 'latest' | number,
    signal: AbortSignal,
  ): Promise<readonly PartitionOffset[]>
  /**
   * One request to one broker; waits there for data for at most `maxWaitMs`. A partition's error is in
   * its answer; the promise rejects only where the request as a whole failed.
   */
  fetch(
    broker: number,
    partitions: readonly FetchPosition[],
    limits: FetchLimits,
    signal: AbortSignal,
  ): Promise<readonly FetchedPartition[]>
  /** What other people's lag tools read. Fails without harm where the group has members of its own. */
  commitOffsets(
    group: string,
    offsets: readonly PartitionOffset[],
    signal: AbortSignal,
  ): Promise<void>
  /** What a group has stored: where a consumer that is replaced by this source got to. */
  committedOffsets(
    group: string,
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<readonly PartitionOffset[]>
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface KafkaTopic {
  readonly name: string
  /** Another id under the same name is another topic (Metadata 10 on); null = not told. */
  readonly id: string | null
  readonly partitions: readonly KafkaPartition[]
}

export interface KafkaPartition {
  readonly partition: number
  /** Node id; null while there is no leader. */
  readonly leader: number | null
}

/** Offset of the next record to read. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint
}

export interface FetchPosition extends TopicPartition {
  /** Which topic of this name is meant, where ids are known: another one is refused, not read. */
  readonly id?: string | null
  readonly offset: bigint
  readonly maxBytes: number
}

export interface FetchLimits {
  readonly minBytes: number
  readonly maxBytes: number
  readonly maxWaitMs: number
}

export interface FetchedPartition extends TopicPartition {
  /** Its topic was asked for by id: this cannot be another topic of the same name. */
  readonly isById: boolean
  /** Kafka's own name of the error (`OFFSET_OUT_OF_RANGE`); null = none. */
  readonly error: string | null
  /** One after the last record that is replicated; −1 where it is not told. */
  readonly highWatermark: bigint
  /** One after the last record of no open transaction. */
  readonly lastStableOffset: bigint
  readonly logStartOffset: bigint
  /** Transactions that were aborted: their records are passed over (`read_committed`). */
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[]
  /** Record batches, the last of which may be cut off. Belongs to the caller. */
  readonly records: Uint8Array
  /** What they lie in, with those of other partitions: whoever has read them may release it, once. */
  readonly memory?: AnswerMemory
}
