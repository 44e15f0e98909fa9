/**
 * Both drivers against real brokers, from the oldest to the newest: what they tell is what kafkajs' own admin client tells.
 * Attacks invariants 5 (nothing vanishes: errors are told, never swallowed) and 8 (every wait by a signal).
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { KafkaClient } from '../../../connectors/kafka/client.ts'
import { openDriver } from '../../../connectors/kafka/drivers.ts'
import { RecordBatches } from '../../../connectors/kafka/record-batches.ts'
import { kafkaVersions, startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { waitFor } from '../../support/env.ts'

const drivers = ['kafkajs', 'platformatic'] as const
const limits = { minBytes: 1, maxBytes: 1_000_000, maxWaitMs: 500 }
const { signal } = new AbortController()

for (const version of kafkaVersions) {
  describe(`Kafka ${version}`, () => {
    let kafka: KafkaCluster
    before(async () => {
      kafka = await startKafka({ version })
      await kafka.createTopic('orders', 3)
      await kafka.createTopic('empty')
      await kafka.produce('orders', [{ key: 'a', value: 'one' }, { value: 'two' }], 1)
    })
    after(() => kafka[Symbol.asyncDispose]())

    for (const driver of drivers) {
      const open = (brokers = kafka.brokers()): Promise<KafkaClient> =>
        openDriver({ driver, brokers, tls: false }, { clock: systemClock })

      it(`${driver} finds topics, their leaders and ids`, async () => {
        await using client = await open()
        const { clusterId } = await kafka.admin.describeCluster()
        assert.equal(await client.clusterId(signal), clusterId)
        const all = await client.topics(null, signal)
        assert.deepEqual(all.map(({ name }) => name).sort(), ['empty', 'orders'])
        const [orders, ...others] = await client.topics(['orders', 'nowhere'], signal)
        assert.deepEqual(others, [])
        assert.deepEqual(
          orders!.partitions,
          [0, 1, 2].map((partition) => ({ partition, leader: 1 })),
        )
        assert.equal(orders!.id === null, version.startsWith('0.'))
        // Asking for a topic must not make it, on no version.
        assert.deepEqual((await kafka.admin.listTopics()).includes('nowhere'), false)
      })

      it(`${driver} writes nothing to standard error`, async () => {
        // In a process of its own: Node says most of its warnings once a process.
        const script = `
          import { openDriver } from './connectors/kafka/drivers.ts'
          import { systemClock } from './core/connector/context.ts'
          const config = { driver: '${driver}', brokers: ${JSON.stringify(kafka.brokers())}, tls: false }
          await using client = await openDriver(config, { clock: systemClock })
          const { signal } = new AbortController()
          process.stdout.write(String((await client.topics(null, signal)).length))`
        const { stdout, stderr } = await promisify(execFile)(process.execPath, [
          '--input-type=module-typescript',
          '--eval',
          script,
        ])
        assert.deepEqual([stdout, stderr], ['2', ''])
      })

      it(`${driver} tells offsets by end and by time`, async () => {
        await using client = await open()
        const places = [0, 1].map((partition) => ({ topic: 'orders', partition }))
        const ask = async (at: 'earliest' | 'latest' | number): Promise<readonly bigint[]> => {
          const found = await client.offsets(places, at, signal)
          return places.map(
            ({ partition }) => found.find((one) => one.partition === partition)!.offset,
          )
        }
        assert.deepEqual(await ask('earliest'), [0n, 0n])
        assert.deepEqual(await ask('latest'), [0n, 2n])
        assert.deepEqual(await ask(0), [0n, 0n])
        assert.deepEqual(await ask(Date.now() + 60_000), [0n, 2n])
      })

      it(`${driver} fetches batches as they are, and partitions' errors`, async () => {
        await using client = await open()
        await client.topics(null, signal)
        const positions = [
          { topic: 'orders', partition: 1, offset: 0n, maxBytes: 100_000 },
          { topic: 'orders', partition: 0, offset: 5n, maxBytes: 100_000 },
        ]
        const answers = await client.fetch(1, positions, limits, signal)
        const [good, bad] = [1, 0].map((n) => answers.find(({ partition }) => partition === n)!)
        assert.equal(bad!.error, 'OFFSET_OUT_OF_RANGE')
        assert.deepEqual([good!.error, good!.highWatermark, good!.lastStableOffset], [null, 2n, 2n])
        const batches = new RecordBatches()
        batches.open(good!, 1)
        const { bytes, count, keyStarts, keyEnds, valueStarts, valueEnds } = batches.next()!
        assert.equal(count, 2)
        const text = (start: number, end: number): string =>
          Buffer.from(bytes.subarray(start, end)).toString()
        assert.equal(text(keyStarts[0]!, keyEnds[0]!), 'a')
        assert.equal(keyStarts[1], -1)
        assert.equal(text(valueStarts[1]!, valueEnds[1]!), 'two')
      })

      it(`${driver} ends a waiting fetch by its signal, and goes on at once`, async () => {
        await using client = await open()
        await client.topics(['empty'], signal)
        const stop = new AbortController()
        const waits = client.fetch(
          1,
          [{ topic: 'empty', partition: 0, offset: 0n, maxBytes: 1000 }],
          { ...limits, maxWaitMs: 20_000 },
          stop.signal,
        )
        setTimeout(() => stop.abort(new Error('enough')), 100)
        await assert.rejects(waits, /enough/)
        const place = { topic: 'orders', partition: 1, offset: 1n, maxBytes: 1000 }
        const began = Date.now()
        await client.fetch(1, [place], limits, signal)
        // The fetch before would hold it up for 20 s if it were on the same connection.
        assert.ok(Date.now() - began < 10_000)
      })

      it(`${driver} stores a group's offsets and reads them`, async () => {
        await using client = await open()
        const group = `lag-${driver}`
        const offsets = [{ topic: 'orders', partition: 1, offset: 2n }]
        await waitFor('the groups’ topic', async () => {
          await client.commitOffsets(group, offsets, signal)
          return true
        })
        assert.deepEqual(
          await client.committedOffsets(
            group,
            [...offsets, { topic: 'orders', partition: 0 }],
            signal,
          ),
          offsets,
        )
        const told = await kafka.admin.fetchOffsets({ groupId: group, topics: ['orders'] })
        assert.equal(told[0]!.partitions.find(({ partition }) => partition === 1)!.offset, '2')
        assert.equal(await client.groupRefusal(group, signal), null)
      })

      it(`${driver} tells of nobody at an address, and of what is no Kafka`, async () => {
        await using nobody = await open(['127.0.0.1:1', 'localhost:2'])
        await assert.rejects(nobody.clusterId(signal), (error: SluiceError) => {
          assert.equal(error.code, 'source.kafka.unreachable')
          assert.match(error.message, /127\.0\.0\.1:1.*localhost:2/s)
          return true
        })
      })

      it(`${driver} survives a cut in the middle of a fetch`, async () => {
        const [port] = kafka.brokers().map((broker) => Number(broker.split(':')[1]))
        await using proxy = await startTcpProxy(port!)
        await using client = await open([`127.0.0.1:${proxy.port}`])
        await client.clusterId(signal)
        proxy.cut()
        // It tells or it connects anew; a second time it has connected anew.
        await client.clusterId(signal).catch((error: SluiceError) => {
          assert.equal(error.code, 'source.kafka.unreachable')
        })
        assert.notEqual(await client.clusterId(signal), null)
      })
    }
  })
}
