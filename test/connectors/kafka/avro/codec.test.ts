/** Avro: which columns a schema becomes, logical types, schemas that follow each other, broken bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import { AvroCodec } from '../../../../connectors/kafka/avro/codec.ts'
import { GivenSchemaFormat } from '../../../../connectors/kafka/given-schema-format.ts'
import type { ReferencedSchema } from '../../../../connectors/kafka/registry/client.ts'
import type { ValueFormat } from '../../../../core/connector/format/format.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { intervalAt, textAt } from '../../../../core/record/value.ts'
import { faultOf, fieldTexts, readOne, readValues } from '../read-values.ts'

const origin = { what: 'Schema 1 of the registry', fault: 'row' } as const

function record(...fields: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return { type: 'record', name: 'R', fields: fields.map(([name, type]) => ({ name, type })) }
}

function given(schema: unknown): ValueFormat {
  return new GivenSchemaFormat(new AvroCodec('value'), JSON.stringify(schema), 'avro_schema')
}

/** Of several schemas, the newest first; `read` reads a value that the schema of that place wrote. */
function evolved(...schemas: readonly unknown[]): {
  readonly fields: Readonly<Record<string, string>>
  readonly read: (place: number, value: unknown) => unknown
} {
  const codec = new AvroCodec('value')
  // Met in another order than they count.
  for (let place = schemas.length - 1; place >= 0; place--) {
    const text = JSON.stringify(schemas[place])
    codec.add({ id: 100 - place, type: 'AVRO', text, references: [] }, false, origin)
  }
  const formatOf = (id: number): ValueFormat => ({
    fields: codec.fields,
    read: (bytes, start, end, builders) => codec.read(id, bytes, start, end, builders),
    prepare: () => Promise.resolve(),
  })
  return {
    fields: fieldTexts(formatOf(0)),
    read: (place, value) => {
      const bytes = avro.Type.forSchema(schemas[place] as avro.Schema).toBuffer(value)
      const { rows, faults } = readValues(formatOf(100 - place), [bytes])
      return rows[0] ?? faults[0]!.message
    },
  }
}

test('Avro: each type has its column', () => {
  const money = { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 }
  const wide = {
    type: 'fixed',
    name: 'W',
    size: 20,
    logicalType: 'decimal',
    precision: 40,
    scale: 5,
  }
  const format = given(
    record(
      ['a', 'boolean'],
      ['b', 'int'],
      ['c', ['null', 'long']],
      ['d', 'float'],
      ['e', ['double', 'null']],
      ['f', 'string'],
      ['g', { type: 'enum', name: 'E', symbols: ['X'] }],
      ['h', 'bytes'],
      ['i', { type: 'fixed', name: 'F', size: 3 }],
      ['j', money],
      ['k', wide],
      ['l', { type: 'int', logicalType: 'date' }],
      ['m', { type: 'int', logicalType: 'time-millis' }],
      ['n', { type: 'long', logicalType: 'time-micros' }],
      ['o', { type: 'long', logicalType: 'timestamp-millis' }],
      ['p', { type: 'long', logicalType: 'timestamp-micros' }],
      ['q', { type: 'long', logicalType: 'timestamp-nanos' }],
      ['r', { type: 'long', logicalType: 'local-timestamp-micros' }],
      ['s', { type: 'string', logicalType: 'uuid' }],
      ['t', { type: 'fixed', name: 'U', size: 16, logicalType: 'uuid' }],
      ['u', { type: 'fixed', name: 'D', size: 12, logicalType: 'duration' }],
      ['v', { type: 'array', items: ['null', 'int'] }],
      ['w', { type: 'array', items: { type: 'map', values: 'int' } }],
      ['x', { type: 'map', values: 'int' }],
      ['y', ['null', 'int', 'string']],
      ['z', { type: 'record', name: 'N', fields: [] }],
      ['aa', 'null'],
      ['bb', ['int']],
      ['cc', { type: 'string', logicalType: 'colour' }],
      ['dd', { type: 'bytes', logicalType: 'decimal', precision: 2, scale: 3 }],
      ['ee', { type: 'int', logicalType: 'timestamp-millis' }],
    ),
  )
  const types =
    'bool int32 int64? float32 float64? text text bytes bytes decimal(12,2) decimal(40,5) date time time timestamptz timestamptz int64 timestamp uuid uuid interval list<int32> json json json? json json? int32 text bytes int32'
  assert.deepEqual(Object.values(fieldTexts(format)), types.split(' '))
})

test('Avro: a schema that is no record is one column', () => {
  assert.deepEqual(fieldTexts(given('long')), { value: 'int64' })
  assert.deepEqual(readOne(given('"string"'.slice(1, -1)), Buffer.from([4, 0x68, 0x69])), {
    value: 'hi',
  })
  assert.deepEqual(fieldTexts(given(['null', record(['a', 'int'])])), { a: 'int32' })
  assert.deepEqual(readOne(given(['null', record(['a', 'int'])]), Buffer.from([2, 8])), { a: 4 })
  assert.match(faultOf(given(['null', record(['a', 'int'])]), Buffer.from([0])), /it is null/)
})

test('Avro: logical types are read exactly, and out of range not at all', () => {
  const one = (type: unknown, bytes: readonly number[]): unknown =>
    readOne(given(record(['x', type])), Uint8Array.from(bytes))['x']
  const bad = (type: unknown, bytes: readonly number[]): string =>
    faultOf(given(record(['x', type])), Uint8Array.from(bytes))
  const decimal = (precision: number, scale: number): unknown => ({
    type: 'bytes',
    logicalType: 'decimal',
    precision,
    scale,
  })
  assert.equal(one(decimal(5, 2), [4, 0x30, 0x39]), '123.45')
  assert.equal(one(decimal(5, 2), [4, 0xcf, 0xc7]), '-123.45')
  assert.equal(one(decimal(5, 2), [2, 0xff]), '-0.01')
  assert.equal(
    one(decimal(18, 0), [16, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x63, 0xff, 0xff]),
    '999999999999999999',
  )
  assert.equal(
    one(decimal(30, 3), [20, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    '-4722366482869645213.696',
  )
  assert.equal(one(decimal(5, 2), [12, 0, 0, 0, 0, 0x30, 0x39]), '123.45')
  assert.match(bad(decimal(4, 2), [4, 0x30, 0x39]), /x: a decimal has too many digits/)
  assert.match(bad(decimal(5, 2), [0]), /no bytes/)
  const uuid = [...Buffer.from('\u0048F81D4FAE-7dec-11d0-a765-00a0c91e6bf6')]
  assert.equal(
    one({ type: 'string', logicalType: 'uuid' }, uuid),
    'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  )
  uuid[9] = 0x2b
  assert.match(bad({ type: 'string', logicalType: 'uuid' }, uuid), /no UUID/)
  assert.equal(one({ type: 'int', logicalType: 'date' }, [1]), '1969-12-31')
  assert.match(bad({ type: 'int', logicalType: 'time-millis' }, [1]), /time of day/)
  assert.equal(
    one({ type: 'long', logicalType: 'timestamp-millis' }, [1]),
    '1969-12-31T23:59:59.999000Z',
  )
  assert.equal(
    one({ type: 'long', logicalType: 'local-timestamp-micros' }, [2]),
    '1970-01-01T00:00:00.000001',
  )
  const longMax = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
  assert.match(bad({ type: 'long', logicalType: 'timestamp-micros' }, longMax), /out of range/)
  assert.match(bad({ type: 'long', logicalType: 'timestamp-millis' }, longMax), /out of range/)
  assert.equal(
    one({ type: 'long', logicalType: 'timestamp-nanos' }, longMax),
    '9223372036854775807',
  )
  const duration = { type: 'fixed', name: 'D', size: 12, logicalType: 'duration' }
  const { batch } = readValues(given(record(['x', duration])), [
    Uint8Array.from([14, 0, 0, 0, 3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
  ])
  assert.deepEqual(intervalAt(batch.columns[0]!, 0), {
    months: 14,
    days: 3,
    us: 4_294_967_295_000n,
  })
  assert.equal(
    textAt({ kind: 'interval' }, batch.columns[0]!, 0),
    '1 year 2 mons 3 days 1193:02:47.295',
  )
})

test('Avro: nested values carry their logical types into JSON', () => {
  const at = { type: 'long', logicalType: 'timestamp-micros' }
  const price = { type: 'bytes', logicalType: 'decimal', precision: 6, scale: 2 }
  const line = record(['at', at], ['price', price], ['day', { type: 'int', logicalType: 'date' }])
  assert.deepEqual(
    readOne(given(record(['line', { ...line, name: 'L' }])), Uint8Array.from([2, 4, 1, 0, 0])),
    { line: { at: '1970-01-01T00:00:00.000001Z', price: '2.56', day: '1970-01-01' } },
  )
})

test('Avro: fields are those of all schemas, the newest first', () => {
  const { fields, read } = evolved(
    record(['id', 'long'], ['name', ['null', 'string']], ['added', 'string']),
    record(['gone', 'int'], ['id', 'int'], ['name', 'string']),
  )
  assert.deepEqual(fields, { id: 'int64', name: 'text?', added: 'text?', gone: 'int32?' })
  assert.deepEqual(Object.keys(fields), ['id', 'name', 'added', 'gone'])
  assert.deepEqual(read(0, { id: 1, name: 'a', added: 'b' }), {
    id: 1,
    name: 'a',
    added: 'b',
    gone: null,
  })
  assert.deepEqual(read(1, { id: 2, name: 'c', gone: 3 }), {
    id: 2,
    name: 'c',
    added: null,
    gone: 3,
  })
})

test('Avro: a missing field is its default', () => {
  const withDefault = (name: string, type: unknown, value: unknown): unknown => ({
    name,
    type,
    default: value,
  })
  const newest = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'id', type: 'int' },
      withDefault('s', 'string', 'ä'),
      withDefault('n', ['null', 'int'], null),
      withDefault('u', ['int', 'null'], -7),
      withDefault('l', { type: 'array', items: 'int' }, [1, 2]),
      withDefault('m', { type: 'map', values: 'boolean' }, { x: true }),
      withDefault('b', 'bytes', '\u0000\u00ff'),
      withDefault('d', 'double', 1.5),
      withDefault('e', { type: 'enum', name: 'E', symbols: ['A', 'B'] }, 'B'),
      withDefault('wrong', 'int', 'seven'),
    ],
  }
  // JSON.stringify has no bigints: the largest long goes in as text.
  const text = JSON.stringify(newest).replace(
    '1.5}',
    '1.5},{"name":"big","type":"long","default":9223372036854775807}',
  )
  const codec = new AvroCodec('value')
  codec.add({ id: 2, type: 'AVRO', text, references: [] }, true, origin)
  const older = JSON.stringify(record(['id', 'int']))
  codec.add({ id: 1, type: 'AVRO', text: older, references: [] }, false, origin)
  const format: ValueFormat = {
    fields: codec.fields,
    read: (bytes, start, end, builders) => codec.read(1, bytes, start, end, builders),
    prepare: () => Promise.resolve(),
  }
  assert.deepEqual(readOne(format, Uint8Array.from([10])), {
    id: 5,
    s: 'ä',
    n: null,
    u: -7,
    l: [1, 2],
    m: { x: true },
    b: 'AP8=',
    d: 1.5,
    big: '9223372036854775807',
    e: 'B',
    wrong: null,
  })
  assert.equal(fieldTexts(format)['s'], 'text')
  assert.equal(fieldTexts(format)['wrong'], 'int32?')
})

test('Avro: values of older types are read where none is changed (invariant 9)', () => {
  const types = (newer: unknown, older: unknown): ReturnType<typeof evolved> =>
    evolved(record(['x', newer]), record(['x', older]))
  assert.equal(types('int', 'long').fields['x'], 'int64')
  assert.equal(types('float', 'int').fields['x'], 'float32')
  const doubles = types('double', 'long')
  assert.equal(doubles.fields['x'], 'float64')
  assert.deepEqual(doubles.read(1, { x: 2 ** 52 }), { x: 2 ** 52 })
  const exact = evolved(record(['x', 'float']), record(['x', 'int']))
  assert.deepEqual(exact.read(1, { x: 16_777_216 }), { x: 16_777_216 })
  assert.match(String(exact.read(1, { x: 16_777_217 })), /cannot hold/)
  const texts = types('string', 'bytes')
  assert.deepEqual(texts.read(1, { x: Buffer.from('é') }), { x: 'é' })
  assert.match(String(texts.read(1, { x: Buffer.from([0xe9]) })), /UTF-8/)
  assert.equal(types('string', { type: 'enum', name: 'E', symbols: ['A'] }).fields['x'], 'text')
  const mixed = types('string', ['null', 'int', { ...record(['y', 'int']), name: 'Y' }])
  assert.equal(mixed.fields['x'], 'json?')
  assert.deepEqual(mixed.read(0, { x: 'a' }), { x: 'a' })
  const clash = types('boolean', 'string')
  assert.equal(clash.fields['x'], 'bool')
  assert.match(String(clash.read(1, { x: 'a' })), /its schema wrote it as a type/)
  const units = types(
    { type: 'long', logicalType: 'timestamp-micros' },
    { type: 'long', logicalType: 'timestamp-millis' },
  )
  assert.deepEqual(units.read(1, { x: 1 }), { x: '1970-01-01T00:00:00.001000Z' })
  const dates = types({ type: 'int', logicalType: 'date' }, 'int')
  assert.deepEqual(dates.read(1, { x: 1 }), { x: '1970-01-02' })
  const lists = types({ type: 'array', items: ['null', 'long'] }, { type: 'array', items: 'int' })
  assert.equal(lists.fields['x'], 'list<int64>')
  assert.deepEqual(lists.read(1, { x: [1, 2] }), { x: [1, 2] })
})

test('Avro: decimals grow with their column, and what does not fit is refused', () => {
  const decimal = (precision: number, scale: number): unknown => ({
    type: 'bytes',
    logicalType: 'decimal',
    precision,
    scale,
  })
  const grown = evolved(record(['x', decimal(12, 4)]), record(['x', decimal(8, 2)]))
  assert.equal(grown.fields['x'], 'decimal(12,4)')
  assert.deepEqual(grown.read(1, { x: Buffer.from([0x30, 0x39]) }), { x: '123.4500' })
  const crossed = evolved(record(['x', decimal(6, 1)]), record(['x', decimal(6, 3)]))
  assert.equal(crossed.fields['x'], 'decimal(6,1)')
  assert.deepEqual(crossed.read(1, { x: Buffer.from([0x07, 0x08]) }), { x: '1.8' })
  assert.match(String(crossed.read(1, { x: Buffer.from([0x07, 0x09]) })), /does not fit/)
})

test('Avro: a renamed field stays one field', () => {
  const newest = {
    type: 'record',
    name: 'R',
    fields: [{ name: 'customer', aliases: ['client'], type: 'string' }],
  }
  const renamed = evolved(newest, record(['client', 'string']))
  assert.deepEqual(renamed.fields, { customer: 'text' })
  assert.deepEqual(renamed.read(1, { client: 'x' }), { customer: 'x' })
  const both = evolved(newest, record(['client', 'string'], ['customer', 'string']))
  assert.deepEqual(both.fields, { customer: 'text', client: 'text?' })
})

test('Avro: broken values name the field and what is wrong', () => {
  const format = given(
    record(['a', 'int'], ['b', ['null', 'string']], ['c', { type: 'array', items: 'null' }]),
  )
  const bad = (...bytes: readonly number[]): string => faultOf(format, Uint8Array.from(bytes))
  assert.match(bad(), /^a: the record ends/)
  assert.match(bad(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2), /^a: a long is longer/)
  assert.match(bad(0xff, 0xff, 0xff, 0xff, 0x7f), /^a: an int is longer/)
  assert.match(bad(2, 4), /^b: a union has no such branch/)
  assert.match(bad(2, 2, 4, 0xff), /^b: a length goes beyond/)
  assert.match(bad(2, 2, 2, 0xff, 0), /^b: a text is not UTF-8/)
  // 2^40 nulls take no byte at all.
  assert.match(bad(2, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40), /^c: an array or map has more items/)
  assert.match(bad(2, 0, 0, 0), /bytes are left behind/)
  assert.deepEqual(readOne(format, Uint8Array.from([2, 0, 3, 0, 0])), {
    a: 1,
    b: null,
    c: [null, null],
  })
})

test('Avro: a value nested in itself ends at a depth', () => {
  const list = record(['next', ['null', 'R']])
  const deep = (levels: number): Uint8Array => Buffer.from(`${'02'.repeat(levels)}00`, 'hex')
  assert.deepEqual(readOne(given(list), deep(2)), { next: { next: { next: null } } })
  assert.match(faultOf(given(list), deep(100)), /nested deeper/)
})

test('Avro: schemas that refer to others, and those that are none', () => {
  const codec = (text: string, references: readonly ReferencedSchema[] = []): AvroCodec => {
    const made = new AvroCodec('value')
    made.add({ id: 1, type: 'AVRO', text, references }, true, origin)
    return made
  }
  const money = {
    name: 'shop.Money',
    text: '{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}',
  }
  const order =
    '{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"total","type":"Money"},{"name":"paid","type":"shop.Money"}]}'
  assert.deepEqual(
    codec(order, [money]).fields!.map(({ name }) => name),
    ['total', 'paid'],
  )
  const problem = (text: string): string => {
    try {
      codec(text)
    } catch (error) {
      assert.ok(error instanceof SluiceError)
      assert.equal(error.code, 'source.kafka.schema_invalid')
      return error.message
    }
    return 'none'
  }
  assert.match(problem(order), /names a type that it does not define: Money/)
  assert.match(problem('{'), /it is not JSON/)
  assert.match(problem('[]'), /a union of nothing/)
  assert.match(problem('["int","int"]'), /two branches of one type/)
  assert.match(problem('{"type":"record","name":"A"}'), /a record without fields: A/)
  assert.match(
    problem(`${'{"type":"array","items":'.repeat(100)}"int"${'}'.repeat(100)}`),
    /nested deeper/,
  )
  assert.match(problem('['.repeat(200_000)), /it is not JSON/)
})
