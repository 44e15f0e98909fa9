/**
 * Avro against avsc as judge: random schemas, random values (invariants 5 and 9), and what is left of
 * them when bytes are missing or wrong.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import * as fc from 'fast-check'
import { AvroCodec } from '../../../../connectors/kafka/avro/codec.ts'
import { GivenSchemaFormat } from '../../../../connectors/kafka/given-schema-format.ts'
import { attack, readOne } from '../read-values.ts'

/** A type, values of it as avsc takes them, and what a JSON reader sees of each. */
interface Case {
  readonly schema: unknown
  readonly value: fc.Arbitrary<unknown>
  readonly seen: (value: unknown) => unknown
  /** What JSON may show of it: two branches of a union that share one need their names. */
  readonly shapes: readonly string[]
  readonly branch: string
}

let names = 0

function plain(
  schema: string,
  value: fc.Arbitrary<unknown>,
  shapes: readonly string[],
  seen: Case['seen'] = (same) => same,
): fc.Arbitrary<Case> {
  return fc.constant({ schema, value, seen, shapes, branch: schema })
}

const seenFloat = (value: unknown): unknown =>
  Number.isFinite(value as number) ? value : String(value)

const scalars: readonly fc.Arbitrary<Case>[] = [
  plain('boolean', fc.boolean(), ['boolean']),
  plain('int', fc.integer(), ['number']),
  plain(
    'long',
    fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), aroundPowers()),
    ['number', 'string'],
    (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)),
  ),
  plain(
    'float',
    fc.oneof(
      fc.integer({ min: -4096, max: 4096 }).map((n) => n / 8),
      fc.constantFrom(NaN, Infinity, -Infinity),
    ),
    ['number', 'string'],
    seenFloat,
  ),
  plain('double', fc.double(), ['number', 'string'], seenFloat),
  plain('string', fc.string({ unit: 'grapheme' }), ['string']),
  plain(
    'bytes',
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    ['string'],
    base64,
  ),
  fc.integer({ min: 1, max: 20 }).map((size): Case => {
    const name = `F${names++}`
    return {
      schema: { type: 'fixed', name, size },
      value: fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes)),
      seen: base64,
      shapes: ['string'],
      branch: name,
    }
  }),
  fc.integer({ min: 1, max: 5 }).map((count): Case => {
    const name = `E${names++}`
    const symbols = Array.from({ length: count }, (_, i) => `S${i}`)
    const value = fc.constantFrom(...symbols)
    return {
      schema: { type: 'enum', name, symbols },
      value,
      seen: (v) => v,
      shapes: ['string'],
      branch: name,
    }
  }),
]

/** Where varints get longer and doubles end. */
function aroundPowers(): fc.Arbitrary<bigint> {
  return fc
    .tuple(fc.integer({ min: 0, max: 62 }), fc.bigInt(-2n, 1n), fc.boolean())
    .map(([power, near, negative]) => (2n ** BigInt(power) + near) * (negative ? -1n : 1n))
}

function base64(value: unknown): unknown {
  return (value as Buffer).toString('base64')
}

const { type } = fc.letrec<{ type: Case; record: Case }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    ...scalars,
    tie('type').map(arrayOf),
    tie('type').map(mapOf),
    fc.array(tie('type'), { minLength: 1, maxLength: 4 }).map(recordOf),
    fc.array(tie('type'), { minLength: 1, maxLength: 3 }).map(unionOf),
  ),
  record: tie('type'),
}))

function arrayOf(items: Case): Case {
  return {
    schema: { type: 'array', items: items.schema },
    value: fc.array(items.value, { maxLength: 4 }),
    seen: (value) => (value as readonly unknown[]).map(items.seen),
    shapes: ['array'],
    branch: 'array',
  }
}

function mapOf(values: Case): Case {
  const key = fc.string({ maxLength: 5 }).filter((text) => text !== '__proto__')
  return {
    schema: { type: 'map', values: values.schema },
    value: fc.dictionary(key, values.value, { maxKeys: 3, noNullPrototype: true }),
    seen: (value) =>
      Object.fromEntries(Object.entries(value as object).map(([k, v]) => [k, values.seen(v)])),
    shapes: ['object'],
    branch: 'map',
  }
}

function recordOf(fields: readonly Case[]): Case {
  const name = `R${names++}`
  return {
    schema: {
      type: 'record',
      name,
      fields: fields.map(({ schema }, i) => ({ name: `f${i}`, type: schema })),
    },
    value: fc.record(Object.fromEntries(fields.map(({ value }, i) => [`f${i}`, value])), {
      noNullPrototype: true,
    }),
    seen: (value) =>
      Object.fromEntries(
        fields.map((field, i) => [
          `f${i}`,
          field.seen((value as Record<string, unknown>)[`f${i}`]),
        ]),
      ),
    shapes: ['object'],
    branch: name,
  }
}

/** null and up to three others, no two of one name. */
function unionOf(cases: readonly Case[]): Case {
  const branches = cases.filter(
    ({ branch }, i) => branch !== 'union' && cases.findIndex((c) => c.branch === branch) === i,
  )
  if (branches.length === 0) return cases[0]!
  const shapes = branches.flatMap((branch) => branch.shapes)
  const needsNames = new Set(shapes).size < shapes.length
  return {
    schema: ['null', ...branches.map(({ schema }) => schema)],
    value: fc.oneof(
      fc.constant(null),
      ...branches.map(({ branch, value }) => value.map((v) => ({ [branch]: v }))),
    ),
    seen: (value) => {
      if (value === null) return null
      const [name, inner] = Object.entries(value as object)[0] as [string, unknown]
      const seen = branches.find(({ branch }) => branch === name)!.seen(inner)
      return needsNames ? { [name]: seen } : seen
    },
    shapes,
    branch: 'union',
  }
}

const long = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(value)
    return buffer
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

const records = fc
  .array(type, { minLength: 1, maxLength: 6 })
  .map(recordOf)
  .chain((record) => fc.record({ record: fc.constant(record), value: record.value }))

function formatOf(record: Case): GivenSchemaFormat {
  return new GivenSchemaFormat(new AvroCodec('value'), JSON.stringify(record.schema), 'avro_schema')
}

function encode(record: Case, value: unknown): Uint8Array {
  const judge = avro.Type.forSchema(record.schema as avro.Schema, {
    wrapUnions: true,
    registry: { long },
  })
  return judge.toBuffer(value)
}

test('Avro: what avsc writes is what the columns hold', () => {
  fc.assert(
    fc.property(records, ({ record, value }) => {
      assert.deepEqual(readOne(formatOf(record), encode(record, value)), record.seen(value))
    }),
    { numRuns: 400 },
  )
})

test('Avro: cut and flipped values are rows or faults, never a throw', () => {
  fc.assert(
    fc.property(records, ({ record, value }) => {
      const bytes = encode(record, value)
      attack(formatOf(record), bytes.subarray(0, 200))
    }),
    { numRuns: 60 },
  )
})
