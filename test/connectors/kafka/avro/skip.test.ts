/** Passing over Avro values: ends where reading ends; what Connect's converter says of types is kept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import { AvroInput } from '../../../../connectors/kafka/avro/input.ts'
import { parseAvroSchema } from '../../../../connectors/kafka/avro/parse.ts'
import { skipValue } from '../../../../connectors/kafka/avro/skip.ts'

const origin = { what: 'A schema', fault: 'row' } as const

test('Avro: passing over a value ends where the value ends', () => {
  const schema = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'a', type: 'boolean' },
      { name: 'b', type: ['null', 'long'] },
      { name: 'c', type: { type: 'array', items: 'float' } },
      { name: 'd', type: { type: 'map', values: 'double' } },
      { name: 'e', type: { type: 'fixed', name: 'F', size: 3 } },
      { name: 'f', type: { type: 'enum', name: 'E', symbols: ['X'] } },
      { name: 'g', type: { type: 'bytes', logicalType: 'decimal', precision: 4 } },
      { name: 'h', type: ['null', 'R'] },
      { name: 'i', type: 'string' },
      { name: 'j', type: 'null' },
    ],
  }
  const leaf = {
    a: true,
    b: 300,
    c: [1, 2],
    d: { x: 1 },
    e: Buffer.from('abc'),
    f: 'X',
    g: Buffer.of(1, 2),
    h: null,
    i: 'text',
    j: null,
  }
  const bytes = avro.Type.forSchema(schema as avro.Schema).toBuffer({ ...leaf, h: leaf })
  const type = parseAvroSchema(JSON.stringify(schema), [], origin)
  const input = new AvroInput()
  for (let end = 0; end <= bytes.length; end++) {
    input.begin(bytes, 0, end)
    skipValue(input, type)
    assert.equal(input.fault === null, end === bytes.length, `cut at ${end}`)
  }
  assert.equal(input.at, bytes.length)
  const list = parseAvroSchema(
    '{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]}',
    [],
    origin,
  )
  input.begin(new Uint8Array(100).fill(2), 0, 100)
  skipValue(input, list)
  assert.match(input.fault!, /nested deeper/)
})

test('Avro: types keep the names that Connect gave them', () => {
  const text = `{"type":"record","name":"R","connect.name":"shop.Value","fields":[
    {"name":"day","type":{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}},
    {"name":"n","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":3,
      "connect.name":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"3"}}]}]}`
  const type = parseAvroSchema(text, [], origin)
  assert.ok(type.kind === 'record')
  const [day, n] = type.fields
  assert.equal(type.connect?.name, 'shop.Value')
  assert.ok(day?.type.kind === 'int')
  assert.equal(day.type.connect?.name, 'io.debezium.time.Date')
  assert.ok(n?.type.kind === 'union')
  const [, decimal] = n.type.branches
  assert.ok(decimal?.kind === 'decimal')
  assert.equal(decimal.connect?.name, 'org.apache.kafka.connect.data.Decimal')
  assert.deepEqual(decimal.connect.parameters, { scale: '3' })
})
