/**
 * Three brokers: leaders die, are elected anew and moved to other brokers while others write, under both drivers.
 * Attacks invariant 5 (nothing vanishes): every record once, in the order of its partition.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { waitFor } from '../../support/env.ts'
import { consumeAll } from '../../support/kafka-truth.ts'
import { idSchema, Life, numbered } from './support.ts'

const topic = 'moved'
const partitions = 6

test('leaders die, are elected and move while others write', async () => {
  await using cluster = await startKafka({ nodes: 3, sessionMs: 2000 })
  // Led in another way than after each of the moves: as Kafka places them, they may begin as they will end.
  const replicaAssignment = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    replicas: [2, 3, 4].map((i) => 1 + ((partition + i) % 3)),
  }))
  const configEntries = [{ name: 'min.insync.replicas', value: '1' }]
  await cluster.createTopics([{ topic, replicaAssignment, configEntries }])
  await waitFor('its leaders to serve', () => cluster.admin.fetchTopicOffsets(topic))
  const topics = { [topic]: { ...idSchema, columns: { p: 'partition', o: 'offset' } } }
  const life = (driver: string) => Life.running({ driver, brokers: cluster.brokers(), topics })
  await using first = await life('kafkajs')
  await using second = await life('platformatic')
  const readings = [first, second]
  for (const each of readings) await each.until('it to run', () => each.position !== null)
  const stop = new AbortController()
  const writing = write(cluster, stop.signal)
  try {
    const seen = await moveLeaders(cluster)
    assert.ok(seen.size >= 4, [...seen].join(' '))
  } finally {
    stop.abort()
    await writing
  }
  const truth = await consumeAll(cluster, topic)
  assert.ok(truth.length > 500, `${truth.length} records were written`)
  for (const reading of readings) {
    await reading.count(truth.length)
    const { rows } = reading
    for (let partition = 0; partition < partitions; partition++) {
      const read = rows.filter(({ values }) => values[1] === String(partition))
      const there = truth.filter((record) => record.partition === partition)
      assert.deepEqual(
        read.map(({ values: [id, , offset] }) => `${offset} ${id}`),
        there.map(({ offset, value }) => `${offset} ${(JSON.parse(value!) as { id: number }).id}`),
      )
    }
    assert.equal(reading.error, null)
    await reading.until('it to be well', () => reading.status.state === 'running')
  }
})

/** A leader's death, then two moves of all partitions; how the leaders stood in between. */
async function moveLeaders(cluster: KafkaCluster): Promise<ReadonlySet<string>> {
  const before = await leaders(cluster)
  const seen = new Set([before.join()])
  const look = async (): Promise<void> => void seen.add((await leaders(cluster)).join())
  // Node 1 is the controller too: while it is down nobody is elected.
  const dies = before.find((leader) => leader !== 1)!
  await cluster.stop(dies, 'SIGKILL')
  await waitFor('others to lead', async () => {
    const now = await leaders(cluster)
    return now.every((leader) => leader > 0 && leader !== dies)
  })
  await look()
  await sleep(500)
  await cluster.start(dies)
  for (const turn of [0, 1]) {
    await reassign(cluster, turn)
    await look()
    await electPreferred(cluster)
    await look()
  }
  return seen
}

/** By partition. One broker at least answers. */
async function leaders({ admin }: KafkaCluster): Promise<readonly number[]> {
  return waitFor('the leaders', async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const found = topics[0]!.partitions.toSorted((a, b) => a.partitionId - b.partitionId)
    return found.map(({ leader }) => leader)
  })
}

/** To two of the three brokers; where its leader was is none of them for a third of the partitions. */
async function reassign({ admin }: KafkaCluster, turn: number): Promise<void> {
  const numbers = Array.from({ length: partitions }, (_, partition) => partition)
  const partitionAssignment = numbers.map((partition) => ({
    partition,
    replicas: [0, 1].map((i) => 1 + ((partition + turn + i) % 3)),
  }))
  await waitFor('the order to be taken', async () => {
    await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] })
    return true
  })
  await waitFor('the partitions to have moved', async () => {
    const wanted = { topics: [{ topic, partitions: numbers }] }
    const { topics } = await admin.listPartitionReassignments(wanted)
    return topics.every((each) => each.partitions.length === 0)
  })
}

async function electPreferred(cluster: KafkaCluster): Promise<void> {
  const words = ['--bootstrap-server', cluster.brokers()[0]!, '--election-type', 'preferred']
  const tool = 'org.apache.kafka.tools.LeaderElectionCommand'
  await cluster.run(tool, ...words, '--all-topic-partitions')
}

/** Through whatever happens to the brokers; what a send that failed left there counts too. */
async function write({ client }: KafkaCluster, signal: AbortSignal): Promise<void> {
  const createPartitioner = kafkajs.Partitioners.DefaultPartitioner
  for (let id = 0; !signal.aborted;) {
    const producer = client.producer({ createPartitioner, retry: { retries: 2 } })
    try {
      await producer.connect()
      for (; !signal.aborted; id += 10) {
        const partition = (id / 10) % partitions
        const messages = numbered(id, 10).map((message) => ({ ...message, partition }))
        await producer.send({ topic, messages })
        await sleep(20)
      }
    } catch {
      await sleep(100)
    }
    // It may wait for answers that a dead broker owes.
    await Promise.race([producer.disconnect().catch(() => {}), sleep(2000)])
  }
}
