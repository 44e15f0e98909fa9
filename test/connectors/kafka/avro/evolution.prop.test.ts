/**
 * Schemas that follow each other, against avsc's schema resolution as judge: what the newest schema asks
 * of older records is what the columns hold, and what only they have is not lost (invariants 5 and 9).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import * as fc from 'fast-check'
import { AvroCodec } from '../../../../connectors/kafka/avro/codec.ts'
import type { ValueFormat } from '../../../../core/connector/format/format.ts'
import { readValues } from '../read-values.ts'

const origin = { what: 'A schema', fault: 'row' } as const
const int = fc.integer({ min: -1_000_000, max: 1_000_000 })
/** avsc doubles negative numbers on their way to zigzag: beyond 2^52 it writes others. */
const long = fc.integer({ min: -(2 ** 52), max: 2 ** 52 })
const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const eighths = int.map((n) => n / 8)

interface Pair {
  readonly older: unknown
  readonly newer: unknown
  readonly value: fc.Arbitrary<unknown>
}

/** What a type may become (Apache Avro 1.12, "Schema Resolution"), with values that nothing changes. */
const pairs: readonly Pair[] = [
  { older: 'int', newer: 'long', value: int },
  { older: 'int', newer: 'float', value: int },
  { older: 'int', newer: 'double', value: int },
  { older: 'long', newer: 'float', value: int },
  { older: 'long', newer: 'double', value: long },
  { older: 'float', newer: 'double', value: eighths },
  { older: 'string', newer: 'string', value: text },
  { older: 'bytes', newer: 'string', value: text.map((s) => Buffer.from(s)) },
  { older: 'string', newer: 'bytes', value: text },
  { older: 'int', newer: ['null', 'long'], value: int },
  { older: ['null', 'int'], newer: ['null', 'double'], value: fc.option(int) },
  { older: ['string', 'null'], newer: ['null', 'string'], value: fc.option(text) },
  { older: 'boolean', newer: ['boolean', 'null'], value: fc.boolean() },
  {
    older: { type: 'array', items: 'int' },
    newer: { type: 'array', items: ['null', 'long'] },
    value: fc.array(int, { maxLength: 4 }),
  },
]
const defaults: readonly (readonly [unknown, unknown])[] = [
  ['int', -5],
  ['string', 'ä"\\'],
  [['null', 'long'], null],
  ['double', 0.5],
  ['boolean', true],
  [{ type: 'array', items: 'string' }, ['a', 'b']],
]

interface Plan {
  readonly older: readonly { readonly name: string; readonly type: unknown }[]
  readonly newer: readonly {
    readonly name: string
    readonly type: unknown
    readonly default?: unknown
  }[]
  readonly value: Readonly<Record<string, unknown>>
}

const plans: fc.Arbitrary<Plan> = fc
  .record({
    kept: fc.array(fc.constantFrom(...pairs), { minLength: 1, maxLength: 6 }),
    added: fc.array(fc.constantFrom(...defaults), { maxLength: 3 }),
    gone: fc.array(fc.constantFrom(...pairs), { maxLength: 3 }),
  })
  .chain(({ kept, added, gone }) => {
    const before = [
      ...kept.map((pair, i) => [`kept${i}`, pair] as const),
      ...gone.map((pair, i) => [`gone${i}`, pair] as const),
    ]
    const older = before.map(([name, pair]) => ({ name, type: pair.older }))
    const newer = [
      ...kept.map((pair, i) => ({ name: `kept${i}`, type: pair.newer })),
      ...added.map(([type, value], i) => ({ name: `added${i}`, type, default: value })),
    ]
    return fc.record({
      older: fc.shuffledSubarray(older, { minLength: older.length }),
      newer: fc.shuffledSubarray(newer, { minLength: newer.length }),
      value: fc.record(Object.fromEntries(before.map(([name, pair]) => [name, pair.value])), {
        noNullPrototype: true,
      }),
    })
  })

function schemaOf(fields: readonly unknown[]): avro.Schema {
  return { type: 'record', name: 'R', fields } as avro.Schema
}

function seen(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  return Array.isArray(value) ? value.map(seen) : value
}

test('Avro: older records are what avsc resolves them to, and keep what is gone', () => {
  fc.assert(
    fc.property(plans, ({ older, newer, value }) => {
      const writer = avro.Type.forSchema(schemaOf(older))
      const reader = avro.Type.forSchema(schemaOf(newer))
      const bytes = writer.toBuffer(value)
      const resolved = reader.fromBuffer(bytes, reader.createResolver(writer)) as Record<
        string,
        unknown
      >

      const codec = new AvroCodec('value')
      const add = (id: number, fields: readonly unknown[]): void => {
        const text = JSON.stringify(schemaOf(fields))
        codec.add({ id, type: 'AVRO', text, references: [] }, false, origin)
      }
      add(1, older)
      add(2, newer)
      const format: ValueFormat = {
        fields: codec.fields,
        read: (from, start, end, builders) => codec.read(1, from, start, end, builders),
        prepare: () => Promise.resolve(),
      }
      const { rows, faults } = readValues(format, [bytes])
      assert.deepEqual(faults, [])
      for (const { name } of newer) assert.deepEqual(rows[0]![name], seen(resolved[name]), name)
      for (const { name } of older) {
        if (name.startsWith('gone')) assert.deepEqual(rows[0]![name], seen(value[name]), name)
      }
      assert.deepEqual(
        codec.fields!.slice(0, newer.length).map(({ name }) => name),
        newer.map(({ name }) => name),
      )
    }),
    { numRuns: 400 },
  )
})
