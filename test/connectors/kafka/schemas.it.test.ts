/**
 * Formats with schemas through the whole source: a registry that goes away holds the topic that needs it and
 * no other; dead letters decoded once more; a schema read off the records; preflight. Attacks invariant 5.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import avsc from 'avsc'
import { kafka } from '../../../connectors/kafka/connector.ts'
import { startKafka, type KafkaCluster } from '../../services/kafka.ts'
import { startRegistry, type RegistryServer } from '../../services/registry.ts'
import { startTcpProxy } from '../../services/tcp-proxy.ts'
import { configOf, contextOf, idSchema, Life, numbered, range } from './support.ts'

const never = new AbortController().signal
/** No server has this port. */
const nobody = 1
const first = { type: 'record', name: 'Person', fields: [{ name: 'id', type: 'long' }] } as const
const second = {
  ...first,
  fields: [...first.fields, { name: 'name', type: ['null', 'string'], default: null }],
} as const

function encoded(schema: object, id: number, value: object): { readonly value: Buffer } {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  return {
    value: Buffer.concat([head, avsc.Type.forSchema(schema as avsc.Schema).toBuffer(value)]),
  }
}

describe('schemas of Kafka topics', () => {
  let cluster: KafkaCluster
  let registry: RegistryServer
  before(async () => {
    cluster = await startKafka()
    registry = await startRegistry()
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
    await cluster[Symbol.asyncDispose]()
  })

  test('a registry that is away holds its topic alone, and what comes after it is back', async () => {
    for (const topic of ['people', 'plain']) await cluster.createTopic(topic, 2)
    const register = (schema: object) => registry.register('people-value', JSON.stringify(schema))
    const one = await register(first)
    await cluster.produce('people', [encoded(first, one, { id: 1 })])
    const { port } = new URL(registry.url)
    await using proxy = await startTcpProxy(Number(port))
    const url = registry.url.replace(port, String(proxy.port))
    const topics = {
      people: { format: 'avro', registry: { url, timeout: '1s' } },
      plain: idSchema,
    }
    await using reading = await Life.start({ brokers: cluster.brokers(), topics })
    await reading.count(1)
    const two = await register(second)
    await registry.kill()
    proxy.target = nobody
    await cluster.produce('people', [encoded(second, two, { id: 2, name: 'zwei' })])
    await cluster.produce('people', [encoded(first, one, { id: 3 })], 1)
    await reading.until('it to say so', () => reading.status.state === 'retrying')
    await cluster.produce('people', [encoded(first, one, { id: 4 })], 1)
    await cluster.produce('plain', numbered(0, 100))
    await reading.until('the other topic', () => reading.ids('plain').length === 100)
    await registry.restart()
    // Its data was in memory: the source must not ask before it has the schemas again.
    assert.equal(await register(first), one)
    assert.equal(await register(second), two)
    proxy.target = Number(port)
    await reading.until('the rest', () => reading.ids('people').length === 4)
    assert.deepEqual(reading.ids('people').toSorted(), range(1, 4))
    const row = reading.rows.find(({ topic, values }) => topic === 'people' && values[0] === '2')
    assert.deepEqual(row?.values, ['2', 'zwei'])
    await reading.until('it to be well', () => reading.status.state === 'running')
  })

  test('a dead letter is decoded once more by what the topic is now', async () => {
    await cluster.createTopic('letters')
    await cluster.produce('letters', [{ key: 'k', value: '{"id":"x1"}' }, { value: '{"id":2}' }])
    const strict = { brokers: cluster.brokers(), topics: { letters: idSchema } }
    await using reading = await Life.start(strict)
    await reading.until('both', () => reading.rejected.length === 1 && reading.rows.length === 1)
    const { batch } = reading.batches.flatMap(({ rejected }) => rejected ?? [])[0]!
    const columns = { o: 'offset', k: 'key' }
    const lax = {
      brokers: cluster.brokers(),
      topics: { letters: { schema: { id: 'text' }, columns } },
    }
    await using source = await kafka.open(configOf(lax), contextOf())
    const { changes, rejected } = (await source.decodeAgain!('letters', batch, never))!
    assert.equal(await source.decodeAgain!('others', batch, never), null)
    assert.deepEqual(rejected, [])
    const rows = changes.flatMap((change) => ('batch' in change ? [change.batch.rows] : []))
    assert.equal(
      rows.reduce((sum, count) => sum + count, 0),
      1,
    )
  })

  test('a schema is read off the newest records', async () => {
    await cluster.createTopic('inferred', 3)
    for (let partition = 0; partition < 3; partition++) {
      await cluster.produce(
        'inferred',
        [{ value: '{"id":9007199254740993,"note":null}' }, { value: '{"id":1,"note":"x"}' }],
        partition,
      )
    }
    const config = configOf({ brokers: cluster.brokers(), topics: { 'infer*': null } })
    const question = { topic: null, recordsMax: 100 }
    const proposal = await kafka.inferSchema!(config, question, contextOf(), never)
    assert.equal(proposal.topic, 'inferred')
    assert.equal(proposal.records, 6)
    assert.deepEqual(proposal.schema, { id: 'int64', note: 'text?' })
    assert.deepEqual(proposal.path, ['topics', 'infer*'])
  })

  test('preflight finds brokers, topics and schemas together', async () => {
    const config = configOf({
      brokers: cluster.brokers(),
      topics: {
        letter: idSchema,
        letters: null,
        people: { format: 'avro', registry: { url: 'http://127.0.0.1:1' } },
      },
    })
    const problems = await kafka.check(config, contextOf())
    const errors = problems.filter(({ severity }) => severity === 'error')
    const codes = errors.map(({ code }) => code)
    assert.ok(codes.includes('source.kafka.topic_missing'), codes.join())
    assert.ok(codes.includes('format.schema'), codes.join())
    assert.ok(
      problems.some(({ code }) => code.startsWith('source.kafka.registry')),
      codes.join(),
    )
    const missing = errors.find(({ code }) => code === 'source.kafka.topic_missing')!
    assert.match(`${missing.message} ${missing.remedy}`, /did you mean "letters"/)
  })

  test('preflight finds key columns and columns that do not go with the schema of the registry', async () => {
    const keySchema = { type: 'record', name: 'K', fields: [{ name: 'tenant', type: 'string' }] }
    await registry.register('keyed-value', JSON.stringify(second))
    await registry.register('keyed-key', JSON.stringify(keySchema))
    for (const topic of ['keyed', 'given']) await cluster.createTopic(topic)
    const problemsWith = async (more: object, topic = 'keyed'): Promise<readonly string[]> => {
      const avro = { format: 'avro', registry: { url: registry.url }, ...more }
      const config = configOf({ brokers: cluster.brokers(), topics: { [topic]: avro } })
      const problems = await kafka.check(config, contextOf())
      return problems.map(({ code, severity, message }) => `${severity} ${code} ${message}`)
    }
    assert.deepEqual(await problemsWith({ key: ['id'] }), [])
    assert.deepEqual(await problemsWith({ key: ['tenant', 'id'], key_format: 'avro' }), [])
    const wrong = 'error format.schema keyed: key: neither the values nor the keys have a column'
    assert.deepEqual(await problemsWith({ key: ['ids'] }), [`${wrong} ids; did you mean "id"?`])
    assert.deepEqual(await problemsWith({ key: ['tenant'] }), [
      `${wrong} tenant; there are id, name`,
    ])
    assert.match((await problemsWith({ columns: { name: 'offset' } })).join(), /columns: name has/)
    // Known without a registry.
    const given = { key: ['ids'], avro_schema: JSON.stringify(second) }
    assert.match((await problemsWith(given, 'given')).join(), /given: key: .*did you mean "id"/)
  })
})
