/** Protobuf: columns, presence, well-known types, versions, and broken bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import { GivenSchemaFormat } from '../../../../connectors/kafka/given-schema-format.ts'
import { ProtobufCodec } from '../../../../connectors/kafka/protobuf/codec.ts'
import type { ValueFormat } from '../../../../core/connector/format/format.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { attack, faultOf, fieldTexts, readOne, readValues } from '../read-values.ts'

const origin = { what: 'Schema 1 of the registry', fault: 'row' } as const

function given(text: string, message: string | null = null): ValueFormat {
  return new GivenSchemaFormat(new ProtobufCodec({ message, hasIndex: false }), text, 'proto')
}

/** Written by protobufjs, with google/protobuf/*.proto at hand. */
function bytesOf(text: string, name: string, value: object): Uint8Array {
  const { root, imports = [] } = protobuf.parse(text, new protobuf.Root(), { keepCase: true })
  for (const path of imports) root.addJSON(protobuf.common.get(path)!.nested!)
  const type = root.lookupType(name)
  return type.encode(type.fromObject(value)).finish()
}

/** Of several versions of one message, newest first; `read` reads what the version of that place wrote. */
function versions(...texts: readonly string[]): {
  readonly fields: Readonly<Record<string, string>>
  readonly read: (place: number, value: object) => unknown
} {
  const codec = new ProtobufCodec({ message: null, hasIndex: true })
  texts.forEach((text, place) =>
    codec.add({ id: 100 - place, type: 'PROTOBUF', text, references: [] }, false, origin),
  )
  const formatOf = (id: number): ValueFormat => ({
    fields: codec.fields,
    read: (bytes, start, end, builders) => codec.read(id, bytes, start, end, builders),
    prepare: () => Promise.resolve(),
  })
  return {
    fields: fieldTexts(formatOf(0)),
    read: (place, value) => {
      const bytes = Buffer.concat([Buffer.of(0), bytesOf(texts[place]!, 'M', value)])
      const { rows, faults } = readValues(formatOf(100 - place), [bytes])
      return rows[0] ?? faults[0]!.message
    },
  }
}

const wellKnown = `syntax = "proto3";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/field_mask.proto"; import "google/protobuf/any.proto"; import "google/protobuf/empty.proto";
message M {
  google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2;
  google.protobuf.Int64Value big = 3; google.protobuf.StringValue name = 4; google.protobuf.BoolValue flag = 5;
  google.protobuf.Struct free = 6; google.protobuf.Value any_value = 7; google.protobuf.ListValue list = 8;
  google.protobuf.FieldMask mask = 9; google.protobuf.Any any = 10; google.protobuf.Empty nothing = 11;
  repeated google.protobuf.Timestamp times = 12; N nested = 13;
}
message N { google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; google.protobuf.Int64Value big = 3; }`

test('Protobuf: well-known types have columns and JSON of their own', () => {
  const format = given(wellKnown, 'M')
  assert.deepEqual(fieldTexts(format), {
    at: 'timestamptz?',
    took: 'interval?',
    big: 'int64?',
    name: 'text?',
    flag: 'bool?',
    free: 'json?',
    any_value: 'json?',
    list: 'json?',
    mask: 'json?',
    any: 'json?',
    nothing: 'json?',
    times: 'json',
    nested: 'json?',
  })
  const at = { seconds: -1, nanos: 1500 }
  const value = {
    at,
    took: { seconds: -3, nanos: -500 },
    big: { value: 5 },
    name: {},
    free: {
      fields: {
        a: { numberValue: 1.5 },
        b: { nullValue: 0 },
        c: { listValue: { values: [{ boolValue: true }] } },
      },
    },
    anyValue: {},
    any_value: { stringValue: 'x' },
    list: { values: [{ structValue: { fields: {} } }] },
    mask: { paths: ['a_b.c_d', 'e'] },
    any: { type_url: 'type.test/X', value: Buffer.of(1) },
    nothing: {},
    times: [
      { seconds: 0, nanos: 1 },
      { seconds: 253402300799, nanos: 123_000_000 },
    ],
    nested: { at: { nanos: 1000 }, took: { seconds: -1, nanos: -500_000_000 }, big: { value: 7 } },
  }
  assert.deepEqual(readOne(format, bytesOf(wellKnown, 'M', value)), {
    // Half a microsecond is rounded away from zero.
    at: '1969-12-31T23:59:59.000002Z',
    took: 'PT-3.000001S',
    big: 5,
    name: '',
    flag: null,
    free: { a: 1.5, b: null, c: [true] },
    any_value: 'x',
    list: [{}],
    mask: 'aB.cD,e',
    any: { '@type': 'type.test/X', value: 'AQ==' },
    nothing: {},
    times: ['1970-01-01T00:00:00.000000001Z', '9999-12-31T23:59:59.123Z'],
    nested: { at: '1970-01-01T00:00:00.000001Z', took: '-1.500s', big: '7' },
  })
  const outOfRange = bytesOf(wellKnown, 'M', { at: { nanos: -1 } })
  assert.match(faultOf(format, outOfRange), /^at: a Timestamp is out of range/)
  const mixed = bytesOf(wellKnown, 'M', { took: { seconds: 1, nanos: -1 } })
  assert.match(faultOf(format, mixed), /^took: a Duration is out of range/)
  attack(format, bytesOf(wellKnown, 'M', value))
})

test('Protobuf: what is not there is null where that can be told, and the default elsewhere', () => {
  const three = `syntax = "proto3"; enum E { ZERO = 0; ONE = 1; }
message M { int32 a = 1; optional int32 b = 2; E c = 3; oneof o { string d = 4; bool e = 5; } repeated E f = 6; map<int32, E> g = 7; M h = 8; bytes i = 9; uint64 j = 10; }`
  const row = { a: 0, b: null, c: 'ZERO', d: null, e: null, f: [], g: {}, h: null, i: '', j: 0 }
  assert.deepEqual(readOne(given(three), Buffer.of()), row)
  assert.deepEqual(fieldTexts(given(three)), {
    a: 'int32',
    b: 'int32?',
    c: 'text',
    d: 'text?',
    e: 'bool?',
    f: 'list<text>',
    g: 'json',
    h: 'json?',
    i: 'bytes',
    j: 'uint64',
  })
  const two =
    'syntax = "proto2"; message M { required int32 a = 1; optional int32 b = 2 [default = 5]; }'
  assert.deepEqual(fieldTexts(given(two)), { a: 'int32', b: 'int32?' })
  assert.deepEqual(readOne(given(two), Buffer.of(8, 1)), { a: 1, b: null })
  assert.match(faultOf(given(two), Buffer.of()), /^a: it is required and not there/)
  const editions =
    'edition = "2023"; message M { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }'
  assert.deepEqual(fieldTexts(given(editions)), { a: 'int32?', b: 'int32' })
})

test('Protobuf: the last value counts, members of a oneof exclude each other, groups are messages', () => {
  const text = `syntax = "proto2"; message M { optional int32 a = 1; oneof o { string b = 2; int32 c = 3; } optional group G = 4 { optional int32 x = 1; } map<string, int32> m = 5; repeated int32 r = 6 [packed = true]; enum E { Z = 0; } optional E e = 7; }`
  const read = (...bytes: readonly number[]): unknown =>
    readOne(given(text), Uint8Array.from(bytes))
  const none = { a: null, b: null, c: null, g: null, m: {}, r: [], e: null }
  assert.deepEqual(read(8, 1, 8, 2), { ...none, a: 2 })
  assert.deepEqual(read(0x12, 1, 0x61, 0x18, 5), { ...none, c: 5 })
  assert.deepEqual(read(0x18, 5, 0x12, 1, 0x61, 0x18, 6, 0x12, 0), { ...none, b: '' })
  assert.deepEqual(read(0x23, 8, 1, 0x24, 0x23, 8, 3, 0x24), { ...none, g: { x: 3 } })
  // The key twice, and an entry without value or key.
  assert.deepEqual(
    read(0x2a, 5, 0x0a, 1, 0x61, 0x10, 1, 0x2a, 5, 0x0a, 1, 0x61, 0x10, 2, 0x2a, 0),
    {
      ...none,
      m: { a: 2, '': 0 },
    },
  )
  assert.deepEqual(read(0x30, 1, 0x32, 2, 2, 3, 0x32, 0, 0x30, 4), { ...none, r: [1, 2, 3, 4] })
  assert.deepEqual(read(0x38, 9), { ...none, e: '9' })
  // Fields that nobody knows, of every wire type, and one of a known number but another wire type.
  assert.deepEqual(
    read(
      0xa0,
      6,
      1,
      0xa1,
      6,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0xa2,
      6,
      1,
      0,
      0xa3,
      6,
      8,
      1,
      0xa4,
      6,
      0xa5,
      6,
      0,
      0,
      0,
      0,
      0x0a,
      1,
      1,
    ),
    none,
  )
})

test('Protobuf: broken values name what is wrong', () => {
  const format = given(
    'syntax = "proto3"; message M { string a = 1; M m = 2; repeated fixed32 f = 3; }',
  )
  const bad = (...bytes: readonly number[]): string => faultOf(format, Uint8Array.from(bytes))
  assert.match(bad(0x0a), /ends in the middle/)
  assert.match(bad(0x0a, 5, 0x61), /a length goes beyond/)
  assert.match(bad(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), /a length goes beyond/)
  assert.match(bad(0x0a, 1, 0xff), /^a: a text is not UTF-8/)
  assert.match(bad(0x00), /no valid number/)
  assert.match(bad(0x0e), /no valid wire type/)
  assert.match(bad(0x0c), /no valid wire type/)
  assert.match(bad(0x23, 0x2c), /a group ends that did not begin/)
  assert.match(bad(...Array<number>(300).fill(0x23)), /groups are nested deeper/)
  assert.match(bad(0x20, ...Array<number>(10).fill(0xff)), /longer than ten bytes/)
  assert.match(bad(0x1a, 3, 0, 0, 0), /^f: the record ends/)
  let deep: Uint8Array = Buffer.of()
  for (let level = 0; level < 110; level++) {
    const { bytes } = { bytes: protobuf.Writer.create().uint32(0x12).bytes(deep).finish() }
    deep = bytes
  }
  assert.match(faultOf(format, deep), /^m: a value is nested deeper/)
})

test('Protobuf: fields of versions are one by their numbers', () => {
  const { fields, read } = versions(
    'syntax = "proto3"; message M { int64 id = 1; string label = 2; optional int32 added = 4; string extra = 5; }',
    'syntax = "proto3"; message M { int32 id = 1; string name = 2; double gone = 3; }',
  )
  assert.deepEqual(fields, {
    id: 'int64',
    label: 'text',
    added: 'int32?',
    extra: 'text',
    gone: 'float64',
  })
  assert.deepEqual(read(0, { id: 1, label: 'a', added: 2, extra: 'x' }), {
    id: 1,
    label: 'a',
    added: 2,
    extra: 'x',
    gone: 0,
  })
  assert.deepEqual(read(1, { id: 1, name: 'b', gone: 1.5 }), {
    id: 1,
    label: 'b',
    added: null,
    extra: '',
    gone: 1.5,
  })
  const clash = versions(
    'syntax = "proto3"; message M { bool x = 1; }',
    'syntax = "proto3"; message M { string x = 1; }',
  )
  assert.equal(clash.fields['x'], 'bool')
  assert.match(String(clash.read(1, { x: 'a' })), /of a type that its column does not take/)
})

test('Protobuf: schemas that are none, or leave open what is to be read', () => {
  const problem = (text: string, message: string | null = null): string => {
    try {
      given(text, message)
    } catch (error) {
      assert.ok(error instanceof SluiceError)
      assert.deepEqual([error.code, error.fault], ['source.kafka.schema_invalid', 'config'])
      return error.message
    }
    return 'none'
  }
  assert.match(problem('hello'), /^The schema of `proto` is no Protobuf schema: /)
  assert.match(
    problem('syntax = "proto3"; message A {} message B {}'),
    /say which one in `message`/,
  )
  assert.match(
    problem('syntax = "proto3"; package p; message A {}', 'B'),
    /has no message B; it has p\.A/,
  )
  assert.match(
    problem('syntax = "proto3"; import "x.proto"; message A { X x = 1; }'),
    /imports x\.proto/,
  )
  assert.match(problem('syntax = "proto3"; message A { X x = 1; }'), /no such/)
  assert.match(problem('syntax = "proto3";'), /has no message/)
  assert.match(problem(`syntax = "proto3"; ${'message A {'.repeat(2000)}`), /is no Protobuf schema/)
  const chain = Array.from({ length: 15_000 }, (_, i) => `message M${i} { M${i + 1} m = 1; }`)
  const long = `syntax = "proto3"; ${chain.join(' ')} message M15000 {}`
  assert.match(problem(long, 'M0'), /nested too deeply/)
  assert.equal(
    problem('syntax = "proto3"; package p; message A { message B { int32 x = 1; } }', 'A.B'),
    'none',
  )
})
