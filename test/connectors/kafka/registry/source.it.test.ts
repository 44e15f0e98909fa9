/**
 * The whole source on a real broker and a real registry: Avro keys and values, tombstones, a schema that
 * changes in mid-stream, a registry that is killed while records come. Attacks invariant 5: nothing
 * vanishes, and topics that need no schema are not held up.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import avro from 'avsc'
import { startKafka, type KafkaCluster } from '../../../services/kafka.ts'
import { startRegistry, type RegistryServer } from '../../../services/registry.ts'
import { startTcpProxy } from '../../../services/tcp-proxy.ts'
import { freePort, missingService } from '../../../support/env.ts'
import { Life } from '../support.ts'
import { framed } from './framed.ts'

const key = { type: 'record', name: 'OrderKey', fields: [{ name: 'id', type: 'long' }] }
const order = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'total', type: { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 } },
  ],
}
const wider = {
  ...order,
  fields: [...order.fields, { name: 'note', type: ['null', 'string'], default: null }],
}

let cluster: KafkaCluster | null = null
let registry: RegistryServer | null = null
let reason: unknown

before(async () => {
  try {
    const starting = startRegistry()
    cluster = await startKafka()
    registry = await starting
  } catch (error) {
    reason = error
  }
})
after(async () => {
  await cluster?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

function bytesOf(id: number, schema: unknown, value: unknown): Buffer {
  return Buffer.from(framed(id, avro.Type.forSchema(schema as avro.Schema).toBuffer(value)))
}

test('Avro through the whole source, while its registry dies and comes back', async (t) => {
  if (cluster === null || registry === null)
    return missingService(t, 'Kafka and its registry', reason)
  const kafka = cluster
  const schemas = registry
  const register = async (): Promise<readonly [number, number]> => [
    await schemas.register('orders-key', JSON.stringify(key)),
    await schemas.register('orders-value', JSON.stringify(order)),
  ]
  const [keyId, id] = await register()
  await kafka.createTopic('orders')
  await kafka.createTopic('plain')
  const keyOf = (of: number): Buffer => bytesOf(keyId, key, { id: of })
  await kafka.produce('orders', [
    { key: keyOf(1), value: bytesOf(id, order, { id: 1, total: Buffer.of(0x04, 0xd2) }) },
    { key: keyOf(2), value: bytesOf(id, order, { id: 2, total: Buffer.of(0xff) }) },
    { key: keyOf(1), value: null },
    { key: keyOf(3), value: 'no Avro at all' },
  ])
  await using proxy = await startTcpProxy(Number(new URL(schemas.url).port))
  const url = new URL(schemas.url)
  url.port = String(proxy.port)
  await using life = await Life.start({
    brokers: kafka.brokers(),
    registry: { url: url.href.replace(/\/$/, ''), timeout: '2s' },
    topics: {
      orders: { format: 'avro', key: ['id'], key_format: 'avro' },
      plain: { format: 'text' },
    },
  })
  const orders = (): readonly unknown[] =>
    life.rows
      .filter(({ topic }) => topic === 'orders')
      .map(({ weight, values }) => [weight, ...values])
  await life.until('the first rows', () => orders().length >= 3 && life.rejected.length >= 1)
  assert.deepEqual(orders(), [
    [1, '1', '12.34'],
    [1, '2', '-0.01'],
    [-1, '1', null],
  ])
  assert.match(life.rejected[0]!.message, /^orders, partition 0, offset 3: /)

  // Away for the source until it has its schemas again: before that it would say that it knows none.
  const { target } = proxy
  proxy.target = await freePort()
  proxy.cut()
  await schemas.kill()
  // A schema that only the registry of later knows; in memory as it is, it counts ids from the beginning.
  const newId = id + 1
  await kafka.produce('orders', [
    { key: keyOf(4), value: bytesOf(id, order, { id: 4, total: Buffer.of(1) }) },
    { key: keyOf(5), value: bytesOf(newId, wider, { id: 5, total: Buffer.of(2), note: 'ü' }) },
    { key: keyOf(6), value: bytesOf(id, order, { id: 6, total: Buffer.of(3) }) },
  ])
  await kafka.produce('plain', [{ value: 'goes on' }])
  await life.until('a topic without schema', () => life.ids('plain').length === 1)
  await life.until('a schema that is known', () => orders().length >= 4)
  assert.equal(orders().length, 4, 'the others wait for the registry')
  assert.equal(life.error, null)

  await schemas.restart()
  assert.deepEqual(await register(), [keyId, id])
  assert.equal(await schemas.register('orders-value', JSON.stringify(wider)), newId)
  proxy.target = target
  await life.until('the rows that waited', () => orders().length >= 6)
  assert.deepEqual(orders().slice(3), [
    [1, '4', '0.01'],
    [1, '5', '0.02', 'ü'],
    [1, '6', '0.03', null],
  ])
  assert.equal(life.rejected.length, 1)
})
