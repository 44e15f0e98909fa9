/**
 * A topic that is deleted and made again while the log holds the source up, and has more records by then than were
 * read. Attacks invariant 5 (nothing vanishes): it is noticed, where it is asked for by its id (4.3) and by its name
 * (2.8), and no record of the new one is taken for one of the old.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { kafka } from '../../../connectors/kafka/connector.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'
import type { SluiceError } from '../../../core/errors/error.ts'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { configOf, contextOf, onTheWay } from './support.ts'

const topic = 'again'
const newIds = 1_000_000

/** Batches of 50 records of about 300 bytes. */
async function produce({ client }: KafkaCluster, from: number, batches: number): Promise<void> {
  const createPartitioner = kafkajs.Partitioners.DefaultPartitioner
  const producer = client.producer({ createPartitioner })
  await producer.connect()
  for (let batch = 0; batch < batches; batch++) {
    const messages = Array.from({ length: 50 }, (_, i) => ({
      value: JSON.stringify({ id: from + batch * 50 + i, filler: 'x'.repeat(280) }),
    }))
    await producer.send({ topic, messages })
  }
  await producer.disconnect()
}

function idsOf({ changes }: SourceBatch): number[] {
  return changes.flatMap((change) => {
    if (!('batch' in change)) return []
    const [column] = change.batch.columns
    assert.ok(column?.encoding === 'float64')
    return [...column.values.subarray(0, change.batch.rows)]
  })
}

describe('made again while nobody pulled', { concurrency: true }, () => {
  for (const version of ['4.3', '2.8'] as const)
    test(`on Kafka ${version}`, async () => {
      await using cluster = await startKafka({ version })
      await cluster.createTopic(topic)
      await produce(cluster, 0, 60)
      const config = configOf({
        brokers: cluster.brokers(),
        topics: { [topic]: { schema: { id: 'int64' } } },
        fetch: { max_bytes: '64KiB', partition_bytes: '16KiB' },
        // Only what brokers answer to requests tells.
        metadata_interval: '1h',
      })
      await using source = await kafka.open(config, contextOf())
      const { signal } = new AbortController()
      const reading = source.read(null, signal)[Symbol.asyncIterator]()
      const ids: number[] = []
      while (ids.length === 0) ids.push(...idsOf((await reading.next()).value as SourceBatch))
      // All that may wait is there by then.
      await sleep(1000)
      await cluster.replaceTopic(topic)
      await produce(cluster, newIds, 80)
      const ended = async (): Promise<SluiceError> => {
        try {
          for (;;) ids.push(...idsOf((await reading.next()).value as SourceBatch))
        } catch (error) {
          return error as SluiceError
        }
      }
      const { code } = await ended()
      assert.ok(['source.kafka.topic_recreated', ...onTheWay].includes(code), code)
      assert.ok(ids.length < 3000, 'it was held up before the end')
      assert.deepEqual(
        ids,
        ids.map((_, i) => i),
      )
    })
})
