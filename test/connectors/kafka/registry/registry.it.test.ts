/**
 * Records under schemas of a real registry: versions that follow each other, ids that are not there, a
 * registry that goes away and comes back (invariants 5 and 9).
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import avro from 'avsc'
import protobuf from 'protobufjs'
import { AvroCodec } from '../../../../connectors/kafka/avro/codec.ts'
import { JsonSchemaCodec } from '../../../../connectors/kafka/json-schema/codec.ts'
import { ProtobufCodec } from '../../../../connectors/kafka/protobuf/codec.ts'
import { SchemaRegistry } from '../../../../connectors/kafka/registry/client.ts'
import { registryConfig } from '../../../../connectors/kafka/registry/config.ts'
import {
  registryProblems,
  type WantedSubject,
} from '../../../../connectors/kafka/registry/preflight.ts'
import { RegistryFormat } from '../../../../connectors/kafka/registry/registry-format.ts'
import type { SchemaCodec } from '../../../../connectors/kafka/schema-codec.ts'
import { systemClock } from '../../../../core/connector/context.ts'
import { PlainDecoder } from '../../../../core/connector/format/record-decoder.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { jsonRows } from '../../../../core/record/json.ts'
import { typeName } from '../../../../core/record/types.ts'
import { startRegistry, type RegistryServer } from '../../../services/registry.ts'
import { missingService } from '../../../support/env.ts'
import { framed, recordsOf } from './framed.ts'

const signal = new AbortController().signal
let server: RegistryServer | null = null
let reason: unknown

before(async () => {
  try {
    server = await startRegistry()
  } catch (error) {
    reason = error
  }
})
after(() => server?.[Symbol.asyncDispose]())

function it(name: string, run: (server: RegistryServer) => Promise<void>): void {
  test(name, async (t) => {
    if (server === null) return missingService(t, 'the schema registry', reason)
    await run(server)
  })
}

function clientOf(url: string): SchemaRegistry {
  return new SchemaRegistry(registryConfig.parse({ url, timeout: '60s' }), systemClock)
}

function decoderOf(registry: SchemaRegistry, topic: string, codec: SchemaCodec): PlainDecoder {
  return new PlainDecoder({
    topic,
    value: new RegistryFormat(registry, `${topic}-value`, codec),
    key: null,
    keyColumns: [],
    extra: [],
    tombstones: 'delete',
  })
}

interface Taken {
  /** Per batch its columns, and its rows as JSON. */
  readonly batches: readonly (readonly [columns: string, ...rows: readonly string[]])[]
  readonly rejected: readonly string[]
}

/** All values through the decoder, which may ask the registry as often as it wants. */
async function decode(decoder: PlainDecoder, values: readonly Uint8Array[]): Promise<Taken> {
  const records = recordsOf(values)
  for (let at = decoder.decode(records, 0); at < values.length; at = decoder.decode(records, at)) {
    await decoder.prepare(signal)
  }
  const { changes, rejected } = decoder.take()
  const batches = changes.flatMap((change) => {
    if (!('batch' in change)) return []
    const { batch } = change
    const columns = batch.schema.fields.map(
      ({ name, type, nullable }) => `${name} ${typeName(type)}${nullable ? '?' : ''}`,
    )
    const row = jsonRows(batch)
    const rows = Array.from({ length: batch.rows }, (_, i) => row(i))
    return [[columns.join(', '), ...rows] as const]
  })
  const errors = rejected.flatMap((part) => part.errors)
  return { batches, rejected: errors.map(({ code, message }) => `${code} ${message}`) }
}

const order1 = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'id', type: 'int' },
    { name: 'note', type: 'string' },
  ],
}
const order2 = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'total', type: ['null', 'double'], default: null },
  ],
}

function avroBytes(schema: unknown, value: unknown): Uint8Array {
  return avro.Type.forSchema(schema as avro.Schema).toBuffer(value)
}

it('two versions of an Avro schema: the columns of both, the newest first', async (server) => {
  await using registry = clientOf(server.url)
  const id1 = await server.register('orders-value', JSON.stringify(order1))
  const id2 = await server.register('orders-value', JSON.stringify(order2))
  const decoder = decoderOf(registry, 'orders', new AvroCodec('value'))
  await decoder.prepare(signal)
  const columns = 'id int64, total float64?, note text?'
  assert.deepEqual((await decode(decoder, [])).batches, [[columns]], 'before the first record')
  const taken = await decode(decoder, [
    framed(id2, avroBytes(order2, { id: 1, total: 1.5 })),
    framed(id1, avroBytes(order1, { id: 2, note: 'a' })),
    framed(id2, avroBytes(order2, { id: 3, total: null })),
  ])
  assert.deepEqual(taken.batches, [
    [
      columns,
      '{"id":1,"total":1.5,"note":null}',
      '{"id":2,"total":null,"note":"a"}',
      '{"id":3,"total":null,"note":null}',
    ],
  ])
  assert.deepEqual(taken.rejected, [])
})

it('a newer version that comes while records are read comes first', async (server) => {
  await using registry = clientOf(server.url)
  const id1 = await server.register('later-value', JSON.stringify({ ...order1, name: 'Later' }))
  const decoder = decoderOf(registry, 'later', new AvroCodec('value'))
  const first = await decode(decoder, [framed(id1, avroBytes(order1, { id: 1, note: 'a' }))])
  assert.equal(first.batches[0]?.[0], 'id int32, note text')
  const newer = {
    ...order1,
    name: 'Later',
    fields: [{ name: 'at', type: 'string', default: '' }, ...order1.fields],
  }
  const id2 = await server.register('later-value', JSON.stringify(newer))
  const second = await decode(decoder, [
    framed(id1, avroBytes(order1, { id: 2, note: 'b' })),
    framed(id2, avroBytes(newer, { at: 'now', id: 3, note: 'c' })),
    framed(id1, avroBytes(order1, { id: 4, note: 'd' })),
  ])
  assert.deepEqual(second.batches, [
    ['id int32, note text', '{"id":2,"note":"b"}'],
    [
      'at text, id int32, note text',
      '{"at":"now","id":3,"note":"c"}',
      '{"at":"","id":4,"note":"d"}',
    ],
  ])
})

it('records that cannot be read are set aside, one by one, and the others go on', async (server) => {
  await using registry = clientOf(server.url)
  const id = await server.register('mixed-value', JSON.stringify({ ...order1, name: 'Mixed' }))
  const json = await server.register('other-value', '{"type":"object","properties":{}}', 'JSON')
  const decoder = decoderOf(registry, 'mixed', new AvroCodec('value'))
  const good = framed(id, avroBytes(order1, { id: 1, note: 'a' }))
  const taken = await decode(decoder, [
    framed(987_654, Buffer.from([2])),
    good,
    Buffer.from('{"id":1}'),
    framed(json, Buffer.from('{}')),
    framed(987_654, Buffer.from([2])),
    framed(id, Buffer.from([2, 200])),
    good,
  ])
  assert.deepEqual(taken.batches, [
    ['id int32, note text', '{"id":1,"note":"a"}', '{"id":1,"note":"a"}'],
  ])
  const [unknown, prefix, type, again, cut] = taken.rejected
  assert.match(
    unknown!,
    /^source.kafka.schema_unknown mixed, partition 0, offset 0: .* has no schema with id 987654/,
  )
  assert.match(prefix!, /^format.value .*offset 2: it does not begin with the byte 0/)
  assert.match(
    type!,
    /^source.kafka.schema_invalid .*offset 3: .* is of JSON, and AVRO is to be read/,
  )
  assert.match(again!, /^source.kafka.schema_unknown .*offset 4/)
  assert.match(cut!, /^format.field .*offset 5: note: /)
  assert.equal(taken.rejected.length, 5)
})

it('a topic whose subject is unknown has the columns of its first record', async (server) => {
  await using registry = clientOf(server.url)
  const id = await server.register('com.shop.Free', JSON.stringify({ ...order1, name: 'Free' }))
  const decoder = decoderOf(registry, 'free', new AvroCodec('value'))
  await decoder.prepare(signal)
  assert.deepEqual(decoder.take().changes, [])
  const taken = await decode(decoder, [framed(id, avroBytes(order1, { id: 1, note: 'x' }))])
  assert.deepEqual(taken.batches, [['id int32, note text', '{"id":1,"note":"x"}']])
})

it('schemas that refer to others: Avro, Protobuf, JSON Schema', async (server) => {
  await using registry = clientOf(server.url)
  const money = {
    type: 'record',
    name: 'Money',
    namespace: 'shop',
    fields: [{ name: 'cents', type: 'long' }],
  }
  await server.register('money', JSON.stringify(money))
  const bill = {
    type: 'record',
    name: 'Bill',
    namespace: 'shop',
    fields: [{ name: 'total', type: 'shop.Money' }],
  }
  const references = [{ name: 'shop.Money', subject: 'money', version: 1 }]
  const billId = await server.register('bills-value', JSON.stringify(bill), 'AVRO', references)
  const bills = decoderOf(registry, 'bills', new AvroCodec('value'))
  assert.deepEqual((await decode(bills, [framed(billId, Buffer.from([4]))])).batches, [
    ['total json', '{"total":{"cents":2}}'],
  ])

  const common = 'syntax = "proto3"; package shop; message Price { int64 cents = 1; }'
  await server.register('price', common, 'PROTOBUF')
  const text = `syntax = "proto3"; package shop; import "shop/price.proto"; import "google/protobuf/timestamp.proto";
message Ignored { int32 x = 1; }
message Sale { message Line { string sku = 1; Price price = 2; google.protobuf.Timestamp at = 3; } repeated Line lines = 1; }`
  const saleId = await server.register('sales-value', text, 'PROTOBUF', [
    { name: 'shop/price.proto', subject: 'price', version: 1 },
  ])
  const root = protobuf.parse(common, new protobuf.Root(), { keepCase: true }).root
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')!.nested!)
  protobuf.parse(text, root, { keepCase: true })
  const line = root.lookupType('shop.Sale.Line')
  const bytes = line
    .encode(line.create({ sku: 'a', price: { cents: 5 }, at: { seconds: 1, nanos: 5000 } }))
    .finish()
  // The second message's first one: 2 places, 1 and 0, in zigzag.
  const sales = decoderOf(registry, 'sales', new ProtobufCodec({ message: null, hasIndex: true }))
  const taken = await decode(sales, [
    framed(saleId, Buffer.from([4, 2, 0]), bytes),
    framed(saleId, Buffer.from([0]), Buffer.from([8, 7])),
    framed(saleId, Buffer.from([2, 18]), Buffer.from([8, 7])),
  ])
  assert.deepEqual(taken.batches, [
    [
      'sku text, price json?, at timestamptz?',
      '{"sku":"a","price":{"cents":"5"},"at":"1970-01-01T00:00:01.000005Z"}',
    ],
    [
      'sku text?, price json?, at timestamptz?, x int32?',
      '{"sku":null,"price":null,"at":null,"x":7}',
    ],
  ])
  assert.match(taken.rejected[0]!, /has no message with the index 9/)

  const address = '{"type":"object","properties":{"city":{"type":"string"}}}'
  await server.register('address', address, 'JSON')
  const person = {
    type: 'object',
    required: ['id'],
    properties: {
      id: { type: 'integer' },
      born: { type: 'string', format: 'date' },
      home: { $ref: 'address.json' },
      city: { $ref: 'address.json#/properties/city' },
    },
  }
  const personId = await server.register('people-value', JSON.stringify(person), 'JSON', [
    { name: 'address.json', subject: 'address', version: 1 },
  ])
  const people = decoderOf(registry, 'people', new JsonSchemaCodec('value'))
  const one = '{"id":9007199254740993,"home":{"city":"a"},"more":1}'
  assert.deepEqual((await decode(people, [framed(personId, Buffer.from(one))])).batches, [
    [
      'id int64, born date?, home json?, city text?',
      '{"id":"9007199254740993","born":null,"home":{"city":"a"},"city":null}',
    ],
  ])
})

it('preflight: what is missing is told, what cannot be read too', async (server) => {
  await using registry = clientOf(server.url)
  await server.register('checked-value', JSON.stringify({ ...order1, name: 'Checked' }))
  const wanted = (topic: string): WantedSubject => ({
    topic,
    part: 'value',
    subject: `${topic}-value`,
    codec: new AvroCodec('value'),
  })
  assert.deepEqual(await registryProblems(registry, [wanted('checked')], signal), [])
  const [missing] = await registryProblems(registry, [wanted('checkd')], signal)
  assert.equal(missing?.severity, 'warning')
  assert.match(missing.message, /has no subject checkd-value/)
  assert.match(missing.remedy, /Did you mean subject: checked-value\?/)
  const proto = {
    ...wanted('checked'),
    codec: new ProtobufCodec({ message: null, hasIndex: true }),
  }
  const [type] = await registryProblems(registry, [proto], signal)
  assert.equal(type?.code, 'source.kafka.schema_invalid')
})

// Last: the registry forgets everything.
it('a registry that is away holds records up, and loses none when it is back', async (server) => {
  await using registry = clientOf(server.url)
  await server.kill()
  await server.restart()
  const id1 = await server.register('away-value', JSON.stringify({ ...order1, name: 'Away' }))
  const decoder = decoderOf(registry, 'away', new AvroCodec('value'))
  const known = framed(id1, avroBytes(order1, { id: 1, note: 'a' }))
  assert.equal((await decode(decoder, [known])).batches.length, 1)
  await server.kill()
  const newer = { ...order2, name: 'Away' }
  const records = recordsOf([known, framed(id1 + 1, avroBytes(newer, { id: 2, total: 2 })), known])
  assert.equal(decoder.decode(records, 0), 1, 'what is known is read')
  for (let attempt = 0; attempt < 20; attempt++) {
    await assert.rejects(decoder.prepare(signal), (error: unknown) => {
      assert.ok(error instanceof SluiceError)
      assert.equal(error.code, 'source.kafka.registry_unreachable')
      assert.equal(error.fault, 'transient')
      return true
    })
  }
  assert.equal(decoder.decode(records, 1), 1, 'and the others wait')
  await server.restart()
  // In memory as it is, it counts ids from the beginning.
  assert.equal(
    await server.register('away-value', JSON.stringify({ ...order1, name: 'Away' })),
    id1,
  )
  assert.equal(await server.register('away-value', JSON.stringify(newer)), id1 + 1)
  for (let at = 1; at < records.count; at = decoder.decode(records, at))
    await decoder.prepare(signal)
  const rows = decoder
    .take()
    .changes.flatMap((change) => ('batch' in change ? [change.batch.rows] : []))
  assert.deepEqual(rows, [1, 2])
})
