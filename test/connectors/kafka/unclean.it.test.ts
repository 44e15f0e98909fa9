/**
 * A leader that lacks the newest records, elected since no other is there (`unclean.leader.election.enable`): what was
 * read is not there any more, whether others came in its place or not. Attacks invariant 5 (nothing vanishes):
 * the source stops and says so; it neither waits for the offset to come again nor passes over records.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs, { type Message, type Producer } from 'kafkajs'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { waitFor } from '../../support/env.ts'
import { idSchema, Life, numbered, onTheWay, range } from './support.ts'

/** First the leader that dies, then the one that lags behind. */
const replicas = [2, 3]
const names = ['shorter', 'longer', 'other'] as const

async function create(cluster: KafkaCluster): Promise<void> {
  const unclean = { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '1' }
  const configEntries = Object.entries(unclean).map(([name, value]) => ({ name, value }))
  const replicaAssignment = [{ partition: 0, replicas }]
  const topics = names.map((topic) => ({ topic, replicaAssignment, configEntries }))
  await cluster.createTopics(topics)
}

async function stateOf(
  cluster: KafkaCluster,
  topic: string,
): Promise<{ readonly leader: number; readonly isr: readonly number[] }> {
  const { topics } = await cluster.admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]!.partitions[0]!
}

async function produceAnew(
  producer: Producer,
  topic: string,
  messages: readonly Message[],
): Promise<void> {
  await waitFor(`${topic} to take records`, async () => {
    const sent = await producer.send({ topic, messages: [...messages] })
    if (sent.length > 0) return true
    // It would not ask for the topic again for minutes.
    await producer.disconnect()
    await producer.connect()
    return false
  })
}

test('an unclean leader: fewer records than were read, and others in their place', async () => {
  await using cluster = await startKafka({ nodes: 3, sessionMs: 2000 })
  await create(cluster)
  const configOf = (topic: string): object => ({
    brokers: cluster.brokers(),
    topics: { [topic]: idSchema },
  })
  await using shorter = await Life.running(configOf('shorter'))
  await using longer = await Life.running(configOf('longer'))
  await using other = await Life.running(configOf('other'))
  const all = [shorter, longer, other]
  for (const each of all) await each.until('it to run', () => each.position !== null)
  for (const topic of names) await cluster.produce(topic, numbered(0, 10))
  await cluster.stop(3, 'SIGKILL')
  await waitFor('the leader to be alone', async () => {
    const states = await Promise.all(names.map((topic) => stateOf(cluster, topic)))
    return states.every(({ isr }) => isr.join() === '2')
  })
  // The third lost nothing: its newest records are on both.
  for (const topic of ['shorter', 'longer']) await cluster.produce(topic, numbered(10, 10))
  await Promise.all([shorter.count(20), longer.count(20), other.count(10)])
  const { position } = other
  // Connected by now, so that the records come soon after the election; it does not count on what the leader before
  // knew of it, since it is not idempotent.
  const createPartitioner = kafkajs.Partitioners.DefaultPartitioner
  const producer = cluster.client.producer({ createPartitioner })
  await producer.connect()
  await using _disconnect = { [Symbol.asyncDispose]: () => producer.disconnect() }
  await cluster.stop(2, 'SIGKILL')
  await cluster.start(3)
  await waitFor('an unclean leader', async () => {
    const states = await Promise.all(names.map((topic) => stateOf(cluster, topic)))
    return states.every(({ leader }) => leader === 3)
  })
  await produceAnew(producer, 'longer', numbered(100, 15))
  await produceAnew(producer, 'other', numbered(10, 5))
  await using shorterAgain = await Life.ending(configOf('shorter'), shorter.position)
  await using longerAgain = await Life.ending(configOf('longer'), longer.position)
  await using otherAgain = await Life.running(configOf('other'), position)
  const ends = [shorter, shorterAgain, longerAgain].map((reading) => reading.ended())
  const codes = (await Promise.all(ends)).map(({ code }) => code)
  assert.deepEqual(codes, [
    'source.kafka.offset_beyond_end',
    'source.kafka.offset_beyond_end',
    'source.kafka.records_replaced',
  ])
  const live = await longer.ended()
  assert.ok(['source.kafka.records_replaced', ...onTheWay].includes(live.code), live.code)
  const replaced = /longer\/0 at offset 19 .* the partition has lost/
  if (live.code === 'source.kafka.records_replaced') assert.match(live.message, replaced)
  assert.match(longerAgain.error!.message, /longer\/0 at offset 19 /)
  assert.match(shorterAgain.error!.message, /shorter\/0 ends at offset 10, and the log is at 20/)
  assert.deepEqual(longer.ids(), range(0, 20), 'nothing of what came in their place')
  await Promise.all(
    [other, otherAgain].map((reading) =>
      reading.until('the rest', () => reading.ids().includes('14')),
    ),
  )
  assert.deepEqual(other.ids(), range(0, 15))
  assert.deepEqual(
    all.map(({ error }) => error === null),
    [false, false, true],
  )
})
