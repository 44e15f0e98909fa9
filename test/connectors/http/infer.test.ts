/** `sluice schema infer` off files: of what is pushed, of what is polled, and of messages, without asking anybody. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { http } from '../../../connectors/http/connector.ts'
import { kafka } from '../../../connectors/kafka/connector.ts'
import { sampleValues } from '../../../core/connector/format/sample.ts'
import { quietContext } from '../../support/context.ts'

const { signal } = new AbortController()
const nowhere = 'http://127.0.0.1:1/'

const config = http.config.parse({
  push: {
    hooks: { path: '/in', auth: 'none', columns: { at: 'received' } },
    raw: { path: '/raw', auth: 'none', cloudevents: 'off' },
    lists: { path: '/csv', auth: 'none', format: 'csv', csv: { header: true, delimiter: ';' } },
  },
  poll: {
    items: { url: nowhere, every: '1m', records: '$.d' },
    events: { url: nowhere, stream: 'ndjson' },
  },
})

async function inferred(topic: string | null, ...samples: readonly string[]) {
  const question = {
    topic,
    recordsMax: 10,
    samples: samples.map((text) => Buffer.from(text)),
  }
  const { schema, records, path } = await http.inferSchema!(
    config,
    question,
    quietContext(),
    signal,
  )
  return { schema, records, path: path.join('.') }
}

test('bodies, answers and lines that were saved', async () => {
  const one = { schema: { id: 'int64', note: 'text?' }, path: 'push.hooks' }
  for (const [records, ...samples] of [
    [2, '[{"id":9007199254740993,"note":"x"},{"id":2}]'],
    [2, '\ufeff{"id":1,"note":"x"}\r\n{"id":2}\r\n'],
    [2, '{\n  "id": 1,\n  "note": "x"\n}\n', '{"id":2}'],
  ] as const) {
    assert.deepEqual(await inferred('hooks', ...samples), { ...one, records })
  }
  const event = '{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"id":1,"note":"x"}}'
  const packed = `{"specversion":"1.0","id":"2","source":"s","type":"t","data_base64":"${Buffer.from('{"id":2}').toString('base64')}"}`
  assert.deepEqual(await inferred('hooks', event, packed), { ...one, records: 2 })
  assert.deepEqual(await inferred('hooks', `[${event},${packed}]`), { ...one, records: 2 })
  const empty = '{"specversion":"1.0","id":"3","source":"s","type":"t"}'
  assert.deepEqual(await inferred('hooks', `[${event},${empty}]`), {
    schema: { id: 'int64', note: 'text' },
    path: 'push.hooks',
    records: 1,
  })
  assert.deepEqual(Object.keys((await inferred('raw', event)).schema).includes('specversion'), true)
  assert.deepEqual(await inferred('lists', 'id;price\n1;1.50\n2;\n'), {
    schema: { id: 'int64', price: 'decimal(18,4)?' },
    records: 2,
    path: 'push.lists',
  })
  assert.deepEqual(await inferred('items', '{"d":[{"id":1}]}'), {
    schema: { id: 'int64' },
    records: 1,
    path: 'poll.items',
  })
  const events = await inferred('events', '{"id":1}\n{"id":2}')
  assert.deepEqual([events.records, events.path], [2, 'poll.events'])
})

test('what is pushed cannot be asked for, and a topic has to be one', async () => {
  const ask = (topic: string | null) =>
    http.inferSchema!(config, { topic, recordsMax: 10 }, quietContext(), signal)
  await assert.rejects(ask('hooks'), { code: 'http.invalid_config', remedy: /--sample body\.json/ })
  await assert.rejects(ask(null), { remedy: /hooks, raw, lists, items, events/ })
  await assert.rejects(ask('hook'), { message: /no topic hook/, remedy: /did you mean "hooks"/ })
})

test('messages of Kafka, without a broker', async () => {
  const own = kafka.config.parse({
    brokers: ['127.0.0.1:1'],
    topics: { 'orders*': null, changes: { format: 'debezium' } },
  })
  const ask = (topic: string | null, sample: string) => {
    const question = { topic, recordsMax: 10, samples: [Buffer.from(sample)] }
    return kafka.inferSchema!(own, question, quietContext(), signal)
  }
  const { schema, path } = await ask('orders.eu', '{"id":1}\n{"id":2}\n')
  assert.deepEqual([schema, path], [{ id: 'int64' }, ['topics', 'orders*']])
  const event = await ask('changes', '{"op":"c","before":null,"after":{"id":1,"n":"x"}}')
  assert.deepEqual(event.schema, { id: 'int64', n: 'text' })
  await assert.rejects(ask(null, '{}'), { code: 'source.kafka.topic_missing' })
  await assert.rejects(ask('order', '{}'), { remedy: /did you mean "orders\*"|--topic/ })
})

test('a file that holds no value is no record', () => {
  for (const format of ['json', 'csv'] as const) {
    assert.deepEqual(sampleValues({ format }, Buffer.from('\n\n')), [])
  }
})
