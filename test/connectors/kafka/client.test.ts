/**
 * The client over brokers that answer as the test says: whom it asks when one does not answer any more. Attacks
 * invariant 8: nothing is asked for ever of a broker that is gone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaClient } from '../../../connectors/kafka/client.ts'
import { addressOf, type Address } from '../../../connectors/kafka/broker-address.ts'
import type { Link } from '../../../connectors/kafka/link.ts'
import type { Encoded } from '../../../connectors/kafka/wire/api.ts'
import { Writer } from '../../../connectors/kafka/wire/writer.ts'

const { signal } = new AbortController()
const host = '127.0.0.1'
/** Metadata 1, FindCoordinator 0, OffsetCommit 2: what Kafka 0.10 has. */
const ranges = [
  [3, 1],
  [8, 2],
  [10, 0],
] as const

/** Nodes 1 to 3 on ports of their number. */
class Cluster {
  readonly dead = new Set<number>()
  coordinator = 1
  /** Ports that were tried, and ports that stored something. */
  readonly tried: number[] = []
  readonly stored: number[] = []

  connect({ port }: Address): Promise<Link> {
    this.tried.push(port)
    if (this.dead.has(port)) return Promise.reject(this.#refused(port))
    let isOpen = true
    const isAlive = (): boolean => isOpen && !this.dead.has(port)
    return Promise.resolve({
      get isOpen() {
        return isAlive()
      },
      reuse: null,
      login: () => Promise.resolve(),
      send: (request: Encoded) =>
        isAlive()
          ? Promise.resolve(this.#answer(port, request))
          : Promise.reject(this.#refused(port)),
      [Symbol.asyncDispose]: () => {
        isOpen = false
        return Promise.resolve()
      },
    })
  }

  #refused(port: number): Error {
    const error = new Error(`connect ECONNREFUSED ${addressOf({ host, port })}`)
    return Object.assign(error, { code: 'ECONNREFUSED' })
  }

  #answer(port: number, { key }: Encoded): Buffer {
    const to = new Writer(false)
    if (key === 18) {
      to.int16(0).array(ranges, ([api, max]) => to.int16(api).int16(0).int16(max))
    } else if (key === 3) {
      to.array([1, 2, 3], (node) => to.int32(node).string(host).int32(node).string(null))
      to.int32(1).array([], () => {})
    } else if (key === 10) {
      to.int16(0).int32(this.coordinator).string(host).int32(this.coordinator)
    } else {
      this.stored.push(port)
      to.array(['t'], (topic) => to.string(topic).array([0], () => to.int32(0).int16(0)))
    }
    return to.bytes
  }
}

function clientOf(cluster: Cluster): KafkaClient {
  return new KafkaClient({
    transport: {
      connect: (address) => cluster.connect(address),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    bootstrap: [{ host, port: 1 }],
    user: null,
    logsIn: true,
  })
}

const offsets = [{ topic: 't', partition: 0, offset: 5n }]

test('a coordinator that is gone is looked for anew', async () => {
  const cluster = new Cluster()
  await using client = clientOf(cluster)
  await client.clusterId(signal)
  await client.commitOffsets('g', offsets, signal)
  cluster.dead.add(1)
  cluster.coordinator = 2
  await assert.rejects(client.commitOffsets('g', offsets, signal), {
    code: 'source.kafka.unreachable',
  })
  await client.commitOffsets('g', offsets, signal)
  assert.deepEqual(cluster.stored, [1, 2])
})

test('a broker that is gone for good is asked after those that answer', async () => {
  const cluster = new Cluster()
  await using client = clientOf(cluster)
  await client.clusterId(signal)
  cluster.dead.add(1)
  await client.clusterId(signal)
  cluster.tried.length = 0
  for (let i = 0; i < 5; i++) await client.clusterId(signal)
  assert.ok(!cluster.tried.includes(1), cluster.tried.join(' '))
})
