/**
 * Records of schemas that cannot be had or read, many of them: the registry is not asked for each, and none of them
 * takes the place of a good schema. Attacks invariants 5 and 8.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { AvroCodec } from '../../../../connectors/kafka/avro/codec.ts'
import { AvroSchemas } from '../../../../connectors/kafka/debezium/avro-schemas.ts'
import { SchemaRegistry } from '../../../../connectors/kafka/registry/client.ts'
import { registryConfig } from '../../../../connectors/kafka/registry/config.ts'
import { RegistryFormat } from '../../../../connectors/kafka/registry/registry-format.ts'
import { PlainDecoder } from '../../../../core/connector/format/record-decoder.ts'
import { keepAliveMs } from '../../../support/env.ts'
import { framed, recordsOf } from './framed.ts'

const { signal } = new AbortController()
const order = { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'int' }] }
/** This one and those from 6000 on can be read. */
const goodId = 5000
const goodFrom = 6000

interface Stage extends AsyncDisposable {
  readonly registry: SchemaRegistry
  readonly decoder: PlainDecoder
  readonly clock: { ms: number }
  /** Times that `prepare` was wanted. */
  decode(values: readonly Uint8Array[]): Promise<number>
}

/** A registry in which ids below 4000 are no Avro schemas, and the others are not there but for the good ones. */
async function start(): Promise<Stage> {
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    const asked = Number(/\/schemas\/ids\/(\d+)$/.exec(path)?.[1] ?? NaN)
    const id = path.endsWith('/subjects/good/versions/latest') ? goodFrom : asked
    const schema =
      id === goodId || id >= goodFrom
        ? JSON.stringify(order)
        : id < 4000
          ? '{"type":"nothing"}'
          : null
    response.writeHead(schema === null ? 404 : 200)
    response.end(JSON.stringify(schema === null ? { error_code: 40403 } : { schema, id }))
  })
  server.keepAliveTimeout = keepAliveMs
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const clock = { ms: 0 }
  const registry = new SchemaRegistry(registryConfig.parse({ url }), { nowMs: () => clock.ms })
  const value = new RegistryFormat(registry, 't-value', new AvroCodec('value'))
  const decoder = new PlainDecoder({
    topic: 't',
    value,
    key: null,
    keyColumns: [],
    extra: [],
    tombstones: 'delete',
  })
  return {
    registry,
    decoder,
    clock,
    decode: async (values) => {
      const records = recordsOf(values)
      let asked = 0
      for (let at = decoder.decode(records, 0); at < records.count; asked++) {
        await decoder.prepare(signal)
        at = decoder.decode(records, at)
      }
      return asked
    },
    [Symbol.asyncDispose]: async () => {
      await registry[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** `id` of the schema, the number 1 as the record. */
const record = (id: number): Uint8Array => framed(id, Buffer.of(2))
const many = (id: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, () => record(id))

test('a schema that cannot be read is asked for once, and again after a while', async () => {
  await using stage = await start()
  const { decoder, clock } = stage
  for (const [id, code] of [
    [7, 'source.kafka.schema_invalid'],
    [4007, 'source.kafka.schema_unknown'],
  ] as const) {
    assert.equal(await stage.decode(many(id, 500)), 1)
    clock.ms += 2000
    assert.equal(await stage.decode(many(id, 500)), 1)
    const errors = decoder.take().rejected.flatMap((part) => part.errors)
    assert.equal(errors.length, 1000)
    for (const error of errors) assert.deepEqual([error.code, error.fault], [code, 'row'])
    assert.match(errors[500]!.message, /^t, partition 0, offset 0: /)
    assert.equal(errors[500]!.message.slice(30), errors[501]!.message.slice(30))
  }
})

test('however many schemas cannot be read, one that can be is', async () => {
  await using stage = await start()
  const bad = Array.from({ length: 1100 }, (_, i) => record(1 + i))
  await stage.decode([...bad, record(goodId)])
  const { changes, rejected } = stage.decoder.take()
  assert.equal(rejected.flatMap((part) => part.errors).length, 1100)
  const rows = changes.map((change) => ('batch' in change ? change.batch.rows : 0))
  assert.deepEqual(rows, [1])
})

test('a topic of as many schemas as it may have is told that the newest is one of them', async () => {
  await using stage = await start()
  const schemas = new AvroSchemas(stage.registry, 'good')
  const ask = async (id: number): Promise<void> => {
    assert.equal(schemas.get(id), undefined)
    await schemas.prepare(signal)
  }
  for (let id = goodFrom; id < goodFrom + 1000; id++) await ask(id)
  schemas.wantNewest()
  await schemas.prepare(signal)
  assert.equal(schemas.newest, goodFrom)
  await assert.rejects(ask(goodFrom + 1000), /would be the topic’s 1001th/)
})
