/**
 * What bodies and answers take in memory: given back when they are done with, and not many times what they are
 * while they are read (invariant 8).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import { Delivery, type DeliveryParts } from '../../../connectors/http/delivery.ts'
import { pollSetup } from '../../../connectors/http/poll-setup.ts'
import { setupOf } from '../../../connectors/http/push-setup.ts'
import { PushTopic } from '../../../connectors/http/push-topic.ts'
import { quietContext } from '../../support/context.ts'
import { collect, orders } from './support.ts'

function deliveryOf(body: Buffer): Delivery {
  const request = { headers: {} }
  // Its client has gone.
  const response = { destroyed: true }
  const held = { heldBytes: 0, receivedMs: 0, signed: null }
  const parts = { topic: 'orders', request, response, body, ...held }
  return new Delivery(parts as unknown as DeliveryParts, () => {})
}

/** Of its own, as large bodies are. */
function alone(text: string): Buffer {
  const body = Buffer.from(new ArrayBuffer(Buffer.byteLength(text)))
  body.write(text)
  return body
}

test('the memory of a body is given back before its request is answered', () => {
  const config = http.config.parse(orders())
  const topic = new PushTopic(setupOf('orders', config.push['orders']!).topic)
  const large = alone(`{"id":1,"note":"${'x'.repeat(100_000)}"}`)
  const bad = alone(`{"id":"x","note":"${'x'.repeat(100_000)}"}`)
  // A small one is a part of memory that others have the rest of.
  const shared = alone(`{"id":2}{"id":3}`.padEnd(8192))
  const small = shared.subarray(0, 8)
  const deliveries = [large, bad, small].map(deliveryOf)
  for (const delivery of deliveries) topic.add(delivery)
  const { changes, deliveries: taken } = topic.drain(1 << 20)
  assert.deepEqual([large.buffer.byteLength, bad.buffer.byteLength], [0, 0])
  assert.equal(shared.subarray(8, 16).toString(), '{"id":3}')
  const rows = changes.map((change) => ('batch' in change ? change.batch.rows : 0))
  assert.deepEqual([rows, taken], [[2], [deliveries[0], deliveries[2]]])
  assert.ok(taken.every(({ isAnswered }) => !isAnswered))
})

test('a wide header of CSV is copied for a few records at a time', () => {
  const topic = { url: 'http://h', every: '1m', format: 'csv', csv: { header: true } }
  const config = http.config.parse({ poll: { t: { ...topic, schema: { id: 'int64' } } } })
  const { records } = pollSetup('t', config.poll['t']!, quietContext())
  const rows = 1500
  const lines = Array.from({ length: rows }, (_, id) => `${id},\n`).join('')
  const body = Buffer.from(`id,${'x'.repeat(50_000)}\n${lines}`)
  const before = process.memoryUsage().arrayBuffers
  assert.equal(records.add(body, { headers: {}, event: null, eventId: null }, 0), rows)
  let [taken, held] = [0, 0]
  while (records.count > 0) {
    for (const change of records.take(rows).changes) {
      if ('batch' in change) taken += change.batch.rows
    }
    // Not what nobody holds any more, which goes when the machine has time for it.
    collect()
    held = Math.max(held, process.memoryUsage().arrayBuffers - before)
  }
  assert.equal(taken, rows)
  assert.ok(held < 32 << 20, `${held} bytes, of ${rows * 50_000} that the copies have together`)
})

test('tiny records are held for as long as a few thousand of them take', () => {
  const topic = { url: 'http://h', every: '1m', schema: { id: 'int64?' } }
  const config = http.config.parse({ poll: { t: topic } })
  const { records } = pollSetup('t', config.poll['t']!, quietContext())
  const count = 500_000
  const body = Buffer.from(`[${'{},'.repeat(count - 1)}{}]`)
  const before = process.memoryUsage().arrayBuffers
  assert.equal(records.add(body, { headers: {}, event: null, eventId: null }, 0), count)
  records.take(4096)
  const held = process.memoryUsage().arrayBuffers - before
  // Two places a record, in arrays that double.
  assert.ok(held < 40 * count, `${held / count} bytes a record`)
})

test('the places of many records are not kept when their request is refused', () => {
  const config = http.config.parse(orders())
  const topic = new PushTopic(setupOf('orders', config.push['orders']!).topic)
  collect()
  const before = process.memoryUsage().arrayBuffers
  const tooMany = deliveryOf(alone(`[${'1,'.repeat(1_000_000)}1]`))
  topic.add(tooMany)
  topic.drain(1 << 20)
  collect()
  const held = process.memoryUsage().arrayBuffers - before
  assert.equal(tooMany.status, 413)
  assert.ok(held < 4 << 20, `${held} bytes`)
})
