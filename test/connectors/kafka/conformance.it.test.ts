/** The Kafka source under the suite that every source has to pass, on the newest broker and the oldest. */
import { after } from 'node:test'
import { kafka } from '../../../connectors/kafka/connector.ts'
import { sourceConformance } from '../../conformance/source.ts'
import { startKafka, type KafkaCluster, type KafkaVersion } from '../../services/kafka.ts'
import { configOf, idSchema, numbered } from './support.ts'

/** One for all tests of a version: brokers take long to start. */
const clusters = new Map<KafkaVersion, Promise<KafkaCluster>>()

function clusterOf(version: KafkaVersion): Promise<KafkaCluster> {
  let cluster = clusters.get(version)
  if (cluster === undefined) clusters.set(version, (cluster = startKafka({ version })))
  return cluster
}

after(async () => {
  for (const cluster of clusters.values()) await (await cluster)[Symbol.asyncDispose]()
})

/** A broker tells nobody who is connected; this process knows its sockets. */
function sockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

let topics = 0

for (const [version, driver] of [
  ['4.3', 'kafkajs'],
  ['4.3', 'platformatic'],
  ['0.11', 'kafkajs'],
] as const) {
  sourceConformance(`Kafka ${version} by ${driver}`, async () => {
    const cluster = await clusterOf(version)
    const topic = `orders${++topics}`
    await cluster.createTopic(topic, 3)
    let count = 0
    const insert = async (rows: number): Promise<void> => {
      for (let partition = 0; partition < 3; partition++) {
        const share = Math.floor((rows + partition) / 3)
        if (share > 0) await cluster.produce(topic, numbered(count, share), partition)
        count += share
      }
    }
    await insert(30)
    const own = sockets()
    return {
      connector: kafka,
      config: configOf({ brokers: cluster.brokers(), driver, topics: { [topic]: idSchema } }),
      topic,
      before: 30,
      insert,
      count: async () => Promise.resolve(count),
      connected: async () => Promise.resolve(sockets() > own),
      forgotten: null,
      forget: async () => {},
      [Symbol.asyncDispose]: async () => {},
    }
  })
}
