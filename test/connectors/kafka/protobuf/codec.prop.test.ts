/**
 * Protobuf against protobufjs' own writer and reader as judge: random messages of one schema that has
 * everything (invariants 5 and 9), and what is left of them when bytes are missing or wrong.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import protobuf from 'protobufjs'
import { GivenSchemaFormat } from '../../../../connectors/kafka/given-schema-format.ts'
import { ProtobufCodec } from '../../../../connectors/kafka/protobuf/codec.ts'
import { attack, readOne } from '../read-values.ts'

const scalars = [
  'double',
  'float',
  'int32',
  'int64',
  'uint32',
  'uint64',
  'sint32',
  'sint64',
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
  'bool',
  'string',
  'bytes',
] as const

type Kind = (typeof scalars)[number] | 'Color' | 'Inner'

const text = (syntax: 'proto2' | 'proto3'): string => `syntax = "${syntax}";
package shop;
enum Color { NONE = 0; RED = 1; BLUE = -7; }
message Inner {
  ${syntax === 'proto2' ? 'optional ' : ''}int64 big_number = 1;
  repeated sint32 deltas = 2;
  map<string, Inner> nested = 3;
  ${syntax === 'proto2' ? 'optional ' : ''}Inner inner = 4;
  ${syntax === 'proto2' ? 'optional ' : ''}string note = 5;
}
message Every {
${scalars.map((type, i) => `  ${syntax === 'proto2' ? 'optional ' : ''}${type} one_${type} = ${i + 1};`).join('\n')}
${scalars.map((type, i) => `  repeated ${type} many_${type} = ${i + 101};`).join('\n')}
${scalars.map((type, i) => `  optional ${type} maybe_${type} = ${i + 201};`).join('\n')}
  ${syntax === 'proto2' ? 'optional ' : ''}Color one_color = 301;
  repeated Color many_color = 302;
  ${syntax === 'proto2' ? 'optional ' : ''}Inner one_inner = 303;
  repeated Inner many_inner = 304;
  map<int32, string> by_number = 305;
  map<bool, Color> by_flag = 306;
  oneof choice { string choice_text = 307; Inner choice_inner = 308; uint64 choice_number = 309; }
}`

const longs = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-3n, 3n))
const values: Readonly<Record<Exclude<Kind, 'Inner'>, fc.Arbitrary<unknown>>> = {
  double: fc.double(),
  float: fc.oneof(
    fc.integer({ min: -4096, max: 4096 }).map((n) => n / 8),
    fc.constant(NaN),
  ),
  int32: fc.integer(),
  sint32: fc.integer(),
  sfixed32: fc.integer(),
  uint32: fc.nat(0xffff_ffff),
  fixed32: fc.nat(0xffff_ffff),
  int64: longs,
  sint64: longs,
  sfixed64: longs,
  uint64: longs.map((value) => BigInt.asUintN(64, value)),
  fixed64: longs.map((value) => BigInt.asUintN(64, value)),
  bool: fc.boolean(),
  string: fc.string({ unit: 'grapheme' }),
  bytes: fc.uint8Array({ maxLength: 30 }),
  // Numbers without a name have a test of their own: proto2 readers take them for unknown fields.
  Color: fc.constantFrom(0, 1, -7),
}

const { inner } = fc.letrec<{ inner: unknown }>((tie) => ({
  inner: fc.record(
    {
      big_number: longs,
      deltas: fc.array(fc.integer(), { maxLength: 4 }),
      nested: fc.dictionary(
        fc.string({ maxLength: 4 }).filter((key) => key !== '__proto__'),
        tie('inner'),
        { maxKeys: 2, noNullPrototype: true },
      ),
      inner: fc.option(tie('inner'), { nil: undefined, depthSize: 'small' }),
      note: fc.string(),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
}))

const every = fc.record(
  Object.fromEntries([
    ...scalars.flatMap((type) => [
      [`one_${type}`, values[type]],
      [`many_${type}`, fc.array(values[type], { maxLength: 4 })],
      [`maybe_${type}`, values[type]],
    ]),
    ['one_color', values.Color],
    ['many_color', fc.array(values.Color, { maxLength: 4 })],
    ['one_inner', inner],
    ['many_inner', fc.array(inner, { maxLength: 3 })],
    [
      'by_number',
      fc.dictionary(fc.integer().map(String), values.string, { maxKeys: 3, noNullPrototype: true }),
    ],
    [
      'by_flag',
      fc.dictionary(fc.boolean().map(String), values.Color, { maxKeys: 2, noNullPrototype: true }),
    ],
    ['choice_number', values.uint64],
  ]) as Record<string, fc.Arbitrary<unknown>>,
  { requiredKeys: [], noNullPrototype: true },
)

/** What protobufjs takes for 64 bits: the two halves. */
function halved(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const bits = BigInt.asUintN(64, value)
    return {
      low: Number(bits & 0xffff_ffffn) | 0,
      high: Number(bits >> 32n) | 0,
      unsigned: value >= 2n ** 63n,
    }
  }
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(halved)
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, halved(of)]))
}

/** A field of a decoded message as JSON: nested values in the JSON mapping, columns as Sluice's rows. */
function seen(field: protobuf.Field, value: unknown, isNested: boolean): unknown {
  if (field instanceof protobuf.MapField) {
    const entries = Object.entries((value ?? {}) as object)
    return Object.fromEntries(entries.map(([key, of]) => [key, seenOne(field, of, true)]))
  }
  if (field.repeated) {
    const nested = isNested || field.resolvedType instanceof protobuf.Type
    return ((value ?? []) as readonly unknown[]).map((of) => seenOne(field, of, nested))
  }
  return seenOne(field, value, isNested)
}

function seenOne(field: protobuf.Field, value: unknown, isNested: boolean): unknown {
  const { resolvedType, type } = field
  if (resolvedType instanceof protobuf.Enum) {
    const name = resolvedType.valuesById[value as number]
    return name ?? (isNested ? value : String(value))
  }
  if (resolvedType instanceof protobuf.Type) return seenMessage(resolvedType, value as object)
  if (type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64')
  if (type === 'double' || type === 'float')
    return Number.isFinite(value) ? value : String(value as number)
  if (!type.endsWith('64')) return value
  const { low, high } = value as { readonly low: number; readonly high: number }
  const signed = (BigInt(high) << 32n) | BigInt(low >>> 0)
  const exact = type === 'uint64' || type === 'fixed64' ? BigInt.asUintN(64, signed) : signed
  return isNested || !Number.isSafeInteger(Number(exact)) ? String(exact) : Number(exact)
}

function isThere(field: protobuf.Field, message: object): boolean {
  const isMessage = field.resolvedType instanceof protobuf.Type && !field.repeated && !field.map
  return Object.hasOwn(message, field.name) || !(isMessage || field.hasPresence)
}

function seenMessage(type: protobuf.Type, message: object): unknown {
  const there = type.fieldsArray.filter((field) => isThere(field, message))
  return Object.fromEntries(
    there.map((field) => {
      const of = (message as Readonly<Record<string, unknown>>)[field.name]
      return [
        field.name.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase()),
        seen(field, of, true),
      ]
    }),
  )
}

for (const syntax of ['proto3', 'proto2'] as const) {
  const { root } = protobuf.parse(text(syntax), new protobuf.Root(), { keepCase: true })
  root.resolveAll()
  const judge = root.lookupType('shop.Every')
  const codec = (): ProtobufCodec => new ProtobufCodec({ message: 'Every', hasIndex: false })
  const format = new GivenSchemaFormat(codec(), text(syntax), 'proto')

  const expected = (bytes: Uint8Array): unknown => {
    const decoded = judge.decode(bytes)
    const entries = judge.fieldsArray.map((field): [string, unknown] => {
      const isNested = field.resolvedType instanceof protobuf.Type && !field.repeated
      const value = (decoded as unknown as Readonly<Record<string, unknown>>)[field.name]
      return [field.name, isThere(field, decoded) ? seen(field, value, isNested) : null]
    })
    return Object.fromEntries(entries)
  }

  test(`Protobuf, ${syntax}: columns hold what protobufjs reads`, () => {
    fc.assert(
      fc.property(every, (value) => {
        const bytes = judge.encode(judge.create(halved(value) as object)).finish()
        assert.deepEqual(readOne(format, bytes), expected(bytes))
      }),
      { numRuns: 150 },
    )
  })

  test(`Protobuf, ${syntax}: two messages one behind the other are one, as protobufjs merges them`, () => {
    fc.assert(
      fc.property(every, every, (first, second) => {
        const both = [first, second].map((value) =>
          judge.encode(judge.create(halved(value) as object)).finish(),
        )
        const bytes = Buffer.concat(both)
        assert.deepEqual(readOne(format, bytes), expected(bytes))
      }),
      { numRuns: 60 },
    )
  })

  test(`Protobuf, ${syntax}: cut and flipped values are rows or faults, never a throw`, () => {
    fc.assert(
      fc.property(every, (value) => {
        const bytes = judge.encode(judge.create(halved(value) as object)).finish()
        attack(format, bytes.subarray(0, 100))
      }),
      { numRuns: 15 },
    )
  })
}
