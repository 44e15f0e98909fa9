/**
 * Brokers that are killed and come back, and connections that are cut, while records come in: every record
 * once, in the order of its partition. Attacks invariants 5 (nothing vanishes) and 8 (bounded).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { freePort } from '../../support/env.ts'
import { idSchema, Life, numbered } from './support.ts'

interface Written {
  /** By partition, in the order in which they were acknowledged; a send that failed may have come twice. */
  readonly partitions: readonly number[][]
  stop(): Promise<void>
}

/** Writes until it is stopped, through whatever happens to the brokers. */
function write(cluster: KafkaCluster, topic: string, count: number): Written {
  const partitions: number[][] = Array.from({ length: count }, () => [])
  const stop = new AbortController()
  const run = async (): Promise<void> => {
    // Idempotent, so that its own retries double nothing.
    const producer = cluster.client.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      idempotent: true,
      maxInFlightRequests: 1,
      // Without end, however long a broker takes to come back.
      retry: { retries: 1000, initialRetryTime: 100, maxRetryTime: 500 },
    })
    await producer.connect()
    for (let id = 0; !stop.signal.aborted; id += 10) {
      const partition = (id / 10) % count
      const messages = numbered(id, 10).map((message) => ({ ...message, partition }))
      await producer.send({ topic, messages, acks: -1 })
      for (let i = 0; i < 10; i++) partitions[partition]!.push(id + i)
      await sleep(10)
    }
    await producer.disconnect()
  }
  const running = run()
  running.catch(() => {})
  return {
    partitions,
    stop: async () => {
      stop.abort()
      await running
    },
  }
}

function judge(life: Life, { partitions }: Written): void {
  const seen: number[][] = partitions.map(() => [])
  for (const { values } of life.rows) seen[Number(values[1])]!.push(Number(values[0]))
  for (const [partition, ids] of partitions.entries()) {
    assert.deepEqual(seen[partition], ids, `partition ${partition}`)
  }
}

const settings = { ...idSchema, columns: { p: 'partition' } }

test('brokers are killed one after the other while others write', async () => {
  await using cluster = await startKafka({ nodes: 2, sessionMs: 2000 })
  await cluster.createTopic('killed', 4, { 'min.insync.replicas': '1' })
  const topics = { killed: settings }
  await using reading = await Life.running({ brokers: cluster.brokers(), topics })
  const written = write(cluster, 'killed', 4)
  for (const node of [2, 1, 2]) {
    await sleep(1500)
    await cluster.stop(node, 'SIGKILL')
    await sleep(500)
    await cluster.start(node)
  }
  await sleep(1500)
  await written.stop()
  const total = written.partitions.reduce((sum, ids) => sum + ids.length, 0)
  await reading.count(total)
  judge(reading, written)
  assert.equal(reading.error, null)
  await reading.until('it to be well', () => reading.status.state === 'running')
})

test('connections are cut, and stand still, while others write', async () => {
  await using proxy = await startTcpProxy(await freePort())
  const advertised = { sasl: `127.0.0.1:${proxy.port}` }
  await using cluster = await startKafka({ listeners: ['sasl'], advertised })
  proxy.target = Number(cluster.brokers('sasl')[0]!.split(':')[1])
  await cluster.createTopic('cut', 3)
  const sasl = { mechanism: 'plain', username: 'admin', password: 'admin-secret' }
  await using reading = await Life.running({
    brokers: [`127.0.0.1:${proxy.port}`],
    sasl,
    topics: { cut: settings },
  })
  const written = write(cluster, 'cut', 3)
  for (let cut = 0; cut < 15; cut++) {
    await sleep(50 + 60 * (cut % 7))
    if (cut % 5 === 4) {
      proxy.stall()
      await sleep(700)
      proxy.cut()
      proxy.resume()
    } else proxy.cut()
  }
  await written.stop()
  const total = written.partitions.reduce((sum, ids) => sum + ids.length, 0)
  await reading.count(total)
  judge(reading, written)
  assert.equal(reading.error, null)
})
