/** JSON Schema: which columns it becomes, and how JSON under several versions is read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JsonSchemaCodec } from '../../../../connectors/kafka/json-schema/codec.ts'
import type { ReferencedSchema } from '../../../../connectors/kafka/registry/client.ts'
import type { ValueFormat } from '../../../../core/connector/format/format.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { attack, faultOf, fieldTexts, readOne } from '../read-values.ts'

const origin = { what: 'Schema 1 of the registry', fault: 'row' } as const

/** Versions, newest first. */
function formatOf(
  schemas: readonly unknown[],
  references: readonly ReferencedSchema[] = [],
): ValueFormat {
  const codec = new JsonSchemaCodec('value')
  schemas.forEach((schema, i) => {
    const text = JSON.stringify(schema)
    codec.add({ id: 100 - i, type: 'JSON', text, references }, false, origin)
  })
  return {
    fields: codec.fields,
    read: (bytes, start, end, builders) => codec.read(100, bytes, start, end, builders),
    prepare: () => Promise.resolve(),
  }
}

function object(properties: unknown, required: readonly string[] = []): unknown {
  return { type: 'object', properties, required }
}

test('JSON Schema: each type has its column', () => {
  const connect = (type: string, name: string, kind: string): unknown => ({
    type,
    title: `org.apache.kafka.connect.data.${name}`,
    'connect.type': kind,
  })
  const properties = {
    a: [{ type: 'boolean' }, 'bool'],
    b: [{ type: 'integer' }, 'int64'],
    c: [{ type: 'number' }, 'float64'],
    d: [{ type: 'string' }, 'text'],
    e: [{ type: 'string', format: 'date-time' }, 'timestamptz'],
    f: [{ type: 'string', format: 'date' }, 'date'],
    g: [{ type: 'string', format: 'uuid' }, 'uuid'],
    h: [{ type: 'string', format: 'email' }, 'text'],
    i: [{ type: 'string', contentEncoding: 'base64' }, 'bytes'],
    j: [{ type: 'array', items: { type: 'integer' } }, 'list<int64>'],
    k: [{ type: 'array', items: { type: 'object' } }, 'json'],
    l: [{ type: 'array' }, 'json'],
    m: [{ type: 'object', properties: { x: { type: 'integer' } } }, 'json'],
    n: [{ type: ['string', 'null'] }, 'text?'],
    o: [{ type: ['string', 'integer'] }, 'json'],
    p: [{ oneOf: [{ type: 'null' }, { type: 'integer' }] }, 'int64?'],
    q: [{ anyOf: [{ type: 'integer' }, { type: 'number' }] }, 'float64'],
    r: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, 'json'],
    s: [{ enum: ['x', 'y'] }, 'text'],
    t: [{ enum: [1, null] }, 'int64?'],
    u: [{ const: true }, 'bool'],
    v: [{ type: 'number', multipleOf: 0.01 }, 'decimal(38,2)'],
    w: [{ type: 'integer', minimum: 0, maximum: 2 ** 64 }, 'uint64'],
    x: [{ type: 'integer', minimum: 0, maximum: 2 ** 63 }, 'int64'],
    y: [{ type: 'string', nullable: true }, 'text?'],
    z: [{}, 'json?'],
    aa: [true, 'json?'],
    bb: [{ type: 'integer', 'connect.type': 'int8' }, 'int16'],
    cc: [{ type: 'number', 'connect.type': 'float32' }, 'float32'],
    dd: [{ type: 'string', 'connect.type': 'bytes' }, 'bytes'],
    ee: [connect('number', 'Decimal', 'bytes'), 'decimal'],
    ff: [connect('integer', 'Timestamp', 'int64'), 'timestamptz'],
    gg: [connect('integer', 'Date', 'int32'), 'int32'],
    hh: [{ allOf: [{ $ref: '#/definitions/id' }] }, 'uuid'],
    ii: [{ $ref: '#/definitions/id' }, 'uuid'],
    jj: [{ type: 'array', items: { $ref: '#' } }, 'json'],
    kk: [{ type: 'null' }, 'json?'],
  } as const
  const names = Object.keys(properties)
  const schemas = Object.fromEntries(
    Object.entries(properties).map(([name, [type]]) => [name, type]),
  )
  const wanted = Object.fromEntries(
    Object.entries(properties).map(([name, [, text]]) => [name, text]),
  )
  const schema = {
    ...(object(schemas, names) as object),
    definitions: { id: { type: 'string', format: 'uuid' } },
  }
  assert.deepEqual(fieldTexts(formatOf([schema])), wanted)
})

test('JSON Schema: what is not required is null where it is missing', () => {
  const format = formatOf([object({ id: { type: 'integer' }, note: { type: 'string' } }, ['id'])])
  assert.deepEqual(fieldTexts(format), { id: 'int64', note: 'text?' })
  assert.deepEqual(readOne(format, Buffer.from('{"id":9007199254740993,"more":[1]}')), {
    id: '9007199254740993',
    note: null,
  })
  assert.match(faultOf(format, Buffer.from('{"note":"a"}')), /^id: /)
  assert.match(faultOf(format, Buffer.from('{"id":1.5}')), /^id: /)
  attack(format, Buffer.from('{"id":12,"note":"a\\u00e9"}'))
})

test('JSON Schema: Connect’s Timestamp counts milliseconds', () => {
  const at = { type: 'integer', title: 'org.apache.kafka.connect.data.Timestamp' }
  assert.deepEqual(readOne(formatOf([object({ at }, ['at'])]), Buffer.from('{"at":1500}')), {
    at: '1970-01-01T00:00:01.500000Z',
  })
})

test('JSON Schema: parts are laid together, choices are open', () => {
  const schema = {
    allOf: [object({ id: { type: 'integer' } }, ['id']), { $ref: 'base.json#/$defs/audited' }],
    oneOf: [object({ card: { type: 'string' } }, ['card']), object({ iban: { type: 'string' } })],
  }
  const base = {
    $defs: { audited: object({ by: { $ref: '#/$defs/who' } }, ['by']), who: { type: 'string' } },
  }
  const references = [{ name: 'base.json', text: JSON.stringify(base) }]
  assert.deepEqual(fieldTexts(formatOf([schema], references)), {
    id: 'int64',
    by: 'text',
    card: 'text?',
    iban: 'text?',
  })
})

test('JSON Schema: the columns are those of all versions', () => {
  const format = formatOf([
    object({ id: { type: 'integer' }, name: { type: 'string' } }, ['id', 'name']),
    object({ gone: { type: 'boolean' }, id: { type: 'integer', 'connect.type': 'int32' } }, [
      'id',
      'gone',
    ]),
  ])
  assert.deepEqual(fieldTexts(format), { id: 'int64', name: 'text?', gone: 'bool?' })
  const clash = formatOf([
    object({ x: { type: 'string' } }, ['x']),
    object({ x: { type: 'object' } }, ['x']),
  ])
  assert.deepEqual(fieldTexts(clash), { x: 'json' })
})

test('JSON Schema: a document that is no object is one column', () => {
  assert.deepEqual(readOne(formatOf([{ type: 'integer' }]), Buffer.from('5')), { value: 5 })
  assert.deepEqual(readOne(formatOf([{ type: 'object' }]), Buffer.from('{"a":1}')), {
    value: { a: 1 },
  })
})

test('JSON Schema: schemas that are none', () => {
  const problem = (text: string): string => {
    const codec = new JsonSchemaCodec('value')
    try {
      codec.add({ id: 1, type: 'JSON', text, references: [] }, true, origin)
    } catch (error) {
      assert.ok(error instanceof SluiceError)
      assert.equal(error.code, 'source.kafka.schema_invalid')
      return error.message
    }
    return 'none'
  }
  assert.match(problem('{'), /is no JSON Schema/)
  assert.match(
    problem('{"properties":{"a":{"$ref":"#/nowhere"}}}'),
    /refers to #\/nowhere, which is not there/,
  )
  assert.match(problem('{"properties":{"a":{"$ref":"other.json"}}}'), /no reference to/)
  assert.match(problem('{"$ref":"#"}'), /refers to itself/)
  assert.match(problem('{"properties":{"a":{"$ref":"#/properties/a"}}}'), /refers to itself/)
  const deep = `${'{"anyOf":['.repeat(50_000)}{}${']}'.repeat(50_000)}`
  assert.match(problem(`{"properties":{"a":${deep}}}`), /nested too deeply/)
  assert.equal(problem('true'), 'none')
})
