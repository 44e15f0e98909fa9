/**
 * Topics that are deleted and made again with more records than were read, on brokers that know no ids of topics:
 * nothing but the records tells. Attacks invariant 5 (nothing vanishes): no record of the new one is passed over
 * for one of the old, and what brokers do to old records is not taken for that.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import kafkajs, { type Message } from 'kafkajs'
import { parsePosition } from '../../../connectors/kafka/position.ts'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { waitFor } from '../../support/env.ts'
import { idSchema, Life, numbered, onTheWay, range } from './support.ts'

const { Partitioners } = kafkajs

for (const version of ['0.10', '0.11'] as const) {
  describe(`topics of Kafka ${version} without ids`, () => {
    let cluster: KafkaCluster
    before(async () => {
      cluster = await startKafka({ version, sessionMs: 2000 })
    })
    after(() => cluster[Symbol.asyncDispose]())
    const configOf = (topic: string, rest = {}): object => ({
      brokers: cluster.brokers(),
      topics: { [topic]: idSchema },
      ...rest,
    })
    const life = (topic: string, position: Life['position'] = null, rest = {}): Promise<Life> =>
      Life.running(configOf(topic, rest), position)
    // A producer of its own each time: kafkajs' fails for all topics once one that it knows is gone.
    const produce = async (topic: string, messages: readonly Message[]): Promise<void> => {
      const createPartitioner = Partitioners.DefaultPartitioner
      const producer = cluster.client.producer({ createPartitioner })
      await producer.connect()
      await producer.send({ topic, messages: [...messages] })
      await producer.disconnect()
    }
    const nextOf = (reading: Life, topic: string): number | undefined =>
      reading.position === null
        ? undefined
        : parsePosition(reading.position).topics.get(topic)?.next[0]

    test('one that was made again with more records stops the source, running and at a start', async () => {
      await cluster.createTopic('again')
      await produce('again', numbered(0, 5))
      await using running = await life('again')
      await running.count(5)
      const { position } = running
      await cluster.replaceTopic('again')
      await produce('again', numbered(100, 20))
      await using started = await Life.ending(configOf('again'), position)
      const [live, atStart] = await Promise.all([running.ended(), started.ended()])
      assert.equal(atStart.code, 'source.kafka.records_replaced')
      for (const { code, message, remedy } of [live, atStart]) {
        if (onTheWay.includes(code)) continue
        assert.equal(code, 'source.kafka.records_replaced')
        assert.match(message, /again\/0 at offset 4 /)
        assert.match(remedy, /restart: \{ again: /)
      }
      assert.deepEqual([running.rows.length, started.rows.length], [5, 0])
      // The cure.
      await using cured = await life('again', position, { restart: { again: 'anew' } })
      await cured.count(20)
      assert.deepEqual(cured.ids(), range(100, 20))
    })

    test('one that is the same goes on: a broker that died, a last record that compaction took', async () => {
      await cluster.createTopic('same', 1, {
        'cleanup.policy': 'compact',
        'segment.ms': '100',
        'min.cleanable.dirty.ratio': '0.01',
        'delete.retention.ms': '0',
      })
      const keyed = (id: number): Message[] => [{ key: 'k', value: numbered(id, 1)[0]!.value }]
      await produce('same', keyed(0))
      await using running = await life('same')
      await running.count(1)
      await cluster.stop(1, 'SIGKILL')
      await cluster.start()
      await waitFor('the broker to take records', async () => {
        await produce('same', keyed(1))
        return true
      })
      await running.until('what came behind it', () => running.ids().includes('1'))
      const { position } = running
      let last = 1
      await waitFor('the cleaner to have been there', async () => {
        await produce('same', keyed(++last))
        await using reading = await life('same')
        await reading.until('the end', () => reading.ids().includes(String(last)))
        return !reading.ids().includes('1')
      })
      await using again = await life('same', position)
      await again.until('the end', () => again.ids().includes(String(last)))
      assert.ok(!again.ids().includes('1'))
      assert.equal(again.error, null)
      await running.until('the same', () => running.ids().includes(String(last)))
      assert.equal(nextOf(running, 'same'), nextOf(again, 'same'))
      assert.deepEqual(running.ids(), [...new Set(running.ids())])
    })
  })
}
