/** What a topic holds, as Kafka's own consumer reads it. */
import type { KafkaCluster } from '../services/kafka.ts'

export interface TopicRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

/** Committed records alone, in the order of each partition; without tabs, line ends and `-` as a whole text. */
export async function consumeAll(
  cluster: KafkaCluster,
  topic: string,
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
    '8000',
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
