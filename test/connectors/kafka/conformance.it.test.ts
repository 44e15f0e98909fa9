/** The Kafka source under the suite that every source has to pass, on the newest broker and the oldest. */
import { kafka } from '../../../connectors/kafka/connector.ts'
import { sourceConformance } from '../../conformance/source.ts'
import { startKafka } from '../../services/kafka.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { freePort } from '../../support/env.ts'
import { configOf, idSchema, numbered } from './support.ts'

for (const [version, driver] of [
  ['4.3', 'kafkajs'],
  ['4.3', 'platformatic'],
  ['0.11', 'kafkajs'],
] as const) {
  sourceConformance(`Kafka ${version} by ${driver}`, async () => {
    // A broker tells nobody who is connected: the source comes by a listener of its own, through a proxy.
    const proxy = await startTcpProxy(await freePort())
    const cluster = await startKafka({
      version,
      listeners: ['sasl'],
      advertised: { sasl: `127.0.0.1:${proxy.port}` },
    })
    proxy.target = Number(cluster.brokers('sasl')[0]!.split(':')[1])
    await cluster.createTopic('orders', 3)
    let count = 0
    const insert = async (rows: number): Promise<void> => {
      for (let partition = 0; partition < 3; partition++) {
        const share = Math.floor((rows + partition) / 3)
        if (share > 0) await cluster.produce('orders', numbered(count, share), partition)
        count += share
      }
    }
    await insert(30)
    return {
      connector: kafka,
      config: configOf({
        brokers: [`127.0.0.1:${proxy.port}`],
        driver,
        sasl: { mechanism: 'plain', username: 'admin', password: 'admin-secret' },
        topics: { orders: idSchema },
      }),
      topic: 'orders',
      before: 30,
      insert,
      count: async () => Promise.resolve(count),
      connected: async () => Promise.resolve(proxy.open > 0),
      forgotten: null,
      forget: async () => {},
      [Symbol.asyncDispose]: async () => {
        await cluster[Symbol.asyncDispose]()
        await proxy[Symbol.asyncDispose]()
      },
    }
  })
}
