/**
 * Topics that come, grow, lose records, go, and come again under the same name, on real brokers. Attacks
 * invariant 5 (nothing vanishes): whatever is lost is told, and nothing of another topic is taken for this one.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import kafkajs, { type Message } from 'kafkajs'
import { parsePosition } from '../../../connectors/kafka/position.ts'
import { startKafka, type KafkaCluster, type KafkaVersion } from '../../services/kafka.ts'
import { tempDir, waitFor } from '../../support/env.ts'
import { idSchema, Life, numbered, range } from './support.ts'

const { Partitioners } = kafkajs

export function topicTests(version: KafkaVersion): void {
  describe(`topics of Kafka ${version}`, () => {
    let cluster: KafkaCluster
    before(async () => {
      cluster = await startKafka({ version })
    })
    after(() => cluster[Symbol.asyncDispose]())
    type After = Life['position']
    const life = (topics: object, rest: object = {}, position: After = null): Promise<Life> =>
      Life.start(
        { brokers: cluster.brokers(), metadata_interval: '500ms', topics, ...rest },
        position,
      )
    // A producer of its own each time: kafkajs' fails for all topics once one that it knows is gone. What is
    // for a partition that it has not heard of it drops without a word, but for the answer that is missing.
    const produce = async (
      topic: string,
      messages: readonly Message[],
      partition = 0,
    ): Promise<void> => {
      const createPartitioner = Partitioners.DefaultPartitioner
      const producer = cluster.client.producer({
        createPartitioner,
        idempotent: true,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      const placed = messages.map((each) => ({ ...each, partition }))
      const sent = await producer.send({ topic, messages: placed })
      await producer.disconnect()
      if (sent.length === 0) throw new Error(`kafkajs knows no partition ${partition} of ${topic}`)
    }
    const removeRecords = async (topic: string, before: number): Promise<void> => {
      using folder = tempDir('removed')
      const file = join(folder.path, 'offsets.json')
      const partitions = [{ topic, partition: 0, offset: before }]
      writeFileSync(file, JSON.stringify({ partitions, version: 1 }))
      const tool = version === '4.3' ? 'org.apache.kafka.tools' : 'kafka.admin'
      const broker = cluster.brokers()[0]!
      const words = ['--bootstrap-server', broker, '--offset-json-file', file]
      await cluster.run(`${tool}.DeleteRecordsCommand`, ...words)
    }
    const remove = (...topics: string[]) => cluster.admin.deleteTopics({ topics })

    // Clients can add partitions since 1.0.
    if (version !== '0.11') {
      test('new partitions and topics of a pattern are read from their first record', async () => {
        await cluster.createTopic('grow.a')
        await produce('grow.a', numbered(0, 5))
        await using reading = await life({ 'grow.*': { ...idSchema, start: 'latest' } })
        await reading.until('it to run', () => reading.status.state === 'running')
        await cluster.admin.createPartitions({ topicPartitions: [{ topic: 'grow.a', count: 3 }] })
        for (const partition of [1, 2]) {
          await waitFor('the new partition to take a record', async () => {
            await produce('grow.a', numbered(9 + partition, 1), partition)
            return true
          })
        }
        await cluster.createTopic('grow.b', 2)
        await produce('grow.b', numbered(20, 5), 1)
        await reading.until(
          'all',
          () => reading.ids('grow.b').length === 5 && reading.ids('grow.a').length >= 2,
        )
        assert.deepEqual([...new Set(reading.ids('grow.a'))].toSorted(), ['10', '11'])
        assert.deepEqual(reading.ids('grow.b'), range(20, 5))
        // While nobody reads: still from the first record.
        const { position } = reading
        await reading[Symbol.asyncDispose]()
        await cluster.createTopic('grow.c')
        await produce('grow.c', numbered(30, 5))
        await using again = await life({ 'grow.*': { ...idSchema, start: 'latest' } }, {}, position)
        await again.count(5)
        assert.deepEqual(again.ids(), range(30, 5))
      })
    }

    test('begins at a time, at offsets, at the end, and where a group is', async () => {
      await cluster.createTopic('starts', 2)
      const at = (ms: number, id: number) => ({ ...numbered(id, 1)[0]!, timestamp: String(ms) })
      const messages = range(0, 10).map((id) =>
        at(1_700_000_000_000 + Number(id) * 1000, Number(id)),
      )
      await produce('starts', messages)
      const settings = { starts: idSchema }
      const groups = { group: 'starting', start: 'group' }
      await using time = await life(settings, { start: '2023-11-14T22:13:24Z' })
      await time.count(6)
      assert.deepEqual(time.ids(), range(4, 6))
      await using offsets = await life({ starts: { ...idSchema, start: { '0': 7 } } })
      await offsets.count(3)
      await using latest = await life(settings, { start: 'latest' })
      await latest.until('it to run', () => latest.position !== null)
      // A group that nobody used before has no coordinator for a moment.
      await waitFor('a coordinator', async () => {
        await cluster.admin.fetchOffsets({ groupId: 'starting', topics: ['starts'] })
        return true
      })
      // The group has nothing yet: from the first record on; then from where the log was told to be.
      await using first = await life(settings, groups)
      await first.count(10)
      await first.source.ack(first.position!)
      const stored = async () => {
        const [topic] = await cluster.admin.fetchOffsets({
          groupId: 'starting',
          topics: ['starts'],
        })
        return topic?.partitions.find(({ partition }) => partition === 0)?.offset
      }
      await waitFor('the group to be told', async () => (await stored()) === '10')
      await produce('starts', numbered(10, 2))
      await using second = await life(settings, groups)
      await second.count(2)
      await latest.count(2)
      assert.deepEqual(second.ids(), range(10, 2))
      assert.deepEqual(latest.ids(), range(10, 2))
    })

    test('others who join and leave the group change nothing', async () => {
      await cluster.createTopic('shared', 2)
      await using reading = await life({ shared: idSchema }, { group: 'crowd' })
      const consumers = [1, 2].map(() =>
        cluster.client.consumer({ groupId: 'crowd', sessionTimeout: 6000 }),
      )
      let sent = 0
      const send = async (): Promise<void> => {
        await produce('shared', numbered(sent++, 1), sent % 2)
        if (reading.position !== null) await reading.source.ack(reading.position)
      }
      for (const consumer of consumers) {
        await consumer.connect()
        await consumer.subscribe({ topic: 'shared', fromBeginning: true })
        await consumer.run({ eachMessage: async () => Promise.resolve() })
        for (let i = 0; i < 20; i++) await send()
      }
      for (const consumer of consumers) {
        await consumer.disconnect()
        for (let i = 0; i < 20; i++) await send()
      }
      await reading.count(sent)
      assert.deepEqual(
        reading.ids().toSorted((a, b) => Number(a) - Number(b)),
        range(0, sent),
      )
      assert.equal(reading.error, null)
    })

    test('records removed before they were read stop the source, or are passed over with a word', async () => {
      await cluster.createTopic('removed')
      await produce('removed', numbered(0, 10))
      const begun = await life({ removed: idSchema })
      await begun.count(10)
      await begun[Symbol.asyncDispose]()
      await produce('removed', numbered(10, 10))
      await removeRecords('removed', 15)
      await using stopping = await life({ removed: idSchema }, {}, begun.position)
      const error = await stopping.ended()
      assert.equal(error.code, 'source.kafka.records_lost')
      assert.match(error.message, /removed\/0.* offset 10.* begins at 15/)
      await using first = await life({ removed: idSchema }, { on_lost: 'earliest' }, begun.position)
      await first.count(5)
      assert.deepEqual(first.ids(), range(15, 5))
      assert.ok(first.logged.some((line) => line.includes('records_lost')))
      await using last = await life(
        { removed: { ...idSchema, on_lost: 'latest' } },
        {},
        begun.position,
      )
      await last.until('it to be at the end', () => {
        return parsePosition(last.position!).topics.get('removed')?.next[0] === 20
      })
      await produce('removed', numbered(20, 1))
      await last.count(1)
      assert.deepEqual(last.ids(), ['20'])
      // Nobody has read anything: from the first record on, whichever that is.
      await using fresh = await life({ removed: idSchema })
      await fresh.count(6)
    })

    test('a deleted topic stops the source, or is kept; made again it is another one', async () => {
      await cluster.createTopic('going')
      await cluster.createTopic('staying')
      await produce('going', numbered(0, 5))
      const both = { going: idSchema, staying: idSchema }
      await using stopping = await life(both)
      await using keeping = await life(both, { on_deleted: 'keep' })
      await Promise.all([stopping.count(5), keeping.count(5)])
      await remove('going')
      assert.equal((await stopping.ended()).code, 'source.kafka.topic_deleted')
      await keeping.until('it to be said', () =>
        keeping.logged.some((line) => line.includes('a topic is gone')),
      )
      await produce('staying', numbered(100, 5))
      await keeping.until('the other one', () => keeping.ids('staying').length === 5)
      // Again, with fewer records than were read.
      await cluster.createTopic('going')
      await produce('going', numbered(50, 2))
      const codes = ['source.kafka.topic_recreated', 'source.kafka.offset_beyond_end']
      await using again = await life(both, {}, stopping.position)
      const [kept, error] = await Promise.all([keeping.ended(40_000), again.ended(40_000)])
      assert.ok(codes.includes(kept.code))
      assert.ok(codes.includes(error.code))
      assert.match(error.remedy, /restart: \{ going: /)
      // The cure.
      const restart = { going: 'anew' }
      await using cured = await life(both, { restart }, stopping.position)
      await cured.until('the new one', () => cured.ids('going').length === 2)
      assert.deepEqual(cured.ids('going'), range(50, 2))
      const { position } = cured
      await cured[Symbol.asyncDispose]()
      await using after = await life(both, { restart }, position)
      await produce('going', numbered(60, 1))
      await after.until('what comes next, and nothing else', () => after.ids('going').length > 0)
      assert.deepEqual(after.ids('going'), ['60'])
    })

    test('a topic with a key that is read anew is emptied first, with the position of that', async () => {
      await cluster.createTopic('keyed')
      await produce('keyed', [{ key: '1', value: '{"id":1}' }])
      const topics = { keyed: { ...idSchema, key: ['id'], key_format: 'json' } }
      const first = await life(topics)
      await first.count(1)
      await first[Symbol.asyncDispose]()
      await using again = await life(topics, { restart: { keyed: 'x' } }, first.position)
      await again.count(1)
      assert.deepEqual(again.truncated, [{ topic: 'keyed', at: 0 }])
      const emptying = again.batches.find(({ changes }) =>
        changes.some((change) => 'truncate' in change),
      )!
      assert.equal(parsePosition(emptying.position!).topics.get('keyed')?.restarts, 1)
    })
  })
}
