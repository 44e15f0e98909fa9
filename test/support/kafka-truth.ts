/** What a topic holds, as Kafka's own consumer reads it. */
import type { KafkaCluster } from '../services/kafka.ts'
import { waitFor } from './env.ts'

export interface TopicRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

/**
 * How long the consumer waits for one more record. Its clock starts before it has found its coordinator and joined
 * its group, so that on a slow machine it may end before it has read all, or anything.
 */
const patienceMs = [8000, 30_000, 90_000]

/**
 * Committed records alone, in the order of each partition; without tabs, line ends and `-` as a whole text. The last
 * record of each partition is to be one that is read: no marker of a transaction, and none that was aborted.
 */
export async function consumeAll(
  cluster: KafkaCluster,
  topic: string,
): Promise<readonly TopicRecord[]> {
  // Where leaders have just moved the first answer may be an error.
  const ends = await waitFor('the ends', () => cluster.admin.fetchTopicOffsets(topic))
  let records: readonly TopicRecord[] = []
  for (const timeoutMs of patienceMs) {
    records = await consume(cluster, topic, timeoutMs)
    const next = new Map(ends.map(({ partition, low }) => [partition, Number(low)]))
    for (const { partition, offset } of records) next.set(partition, offset + 1)
    if (ends.every(({ partition, high }) => next.get(partition)! >= Number(high))) break
  }
  return records
}

async function consume(
  cluster: KafkaCluster,
  topic: string,
  timeoutMs: number,
): Promise<readonly TopicRecord[]> {
  const properties = ['print.key=true', 'print.partition=true', 'print.offset=true']
  const formats = [...properties, 'key.separator=\t', 'null.literal=-']
  const said = await cluster.run(
    'org.apache.kafka.tools.consumer.ConsoleConsumer',
    '--bootstrap-server',
    cluster.brokers().join(),
    '--topic',
    topic,
    '--from-beginning',
    '--isolation-level',
    'read_committed',
    // Without one more.
    '--timeout-ms',
    String(timeoutMs),
    ...formats.flatMap((property) => ['--formatter-property', property]),
  )
  const lines = said.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const [partition, offset, key, value] = line.split('\t') as [string, string, string, string]
    return {
      partition: Number(partition.replace('Partition:', '')),
      offset: Number(offset.replace('Offset:', '')),
      key: key === '-' ? null : key,
      value: value === '-' ? null : value,
    }
  })
}
