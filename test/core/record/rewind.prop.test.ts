/**
 * Taking rows back: what is left is, byte for byte, what it would be had they never been appended.
 * A record that does not fit leaves no trace in the batch of those that do. Attacks invariants 6 and 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BoolBuilder, builderFor, Int32Builder } from '../../../core/record/builder.ts'
import { Fixed16Builder, NumberBuilder, type AnyBuilder } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import { ListBuilder } from '../../../core/record/list-builder.ts'
import { typeName, type LogicalType } from '../../../core/record/types.ts'
import { assertSameColumn } from '../../support/same-batch.ts'

/** Numbers as text; lists as arrays; null as itself. */
type Value = null | string | readonly Value[]

const int = fc.integer({ min: -5, max: 5 }).map(String)
const wide = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
const edge = fc.constantFrom(String(2n ** 63n - 1n), String(-(2n ** 63n)))
const cents = fc.tuple(
  fc.integer({ min: -999, max: 999 }),
  fc.constantFrom('', '.5', '.25', '.125'),
)
const decimal = cents.map(([whole, fraction]) => `${whole}${fraction}`)
const words = fc.string({ maxLength: 40 })

const kinds: readonly (readonly [LogicalType, fc.Arbitrary<Value>])[] = [
  [{ kind: 'bool' }, fc.constantFrom('0', '1')],
  [{ kind: 'int32' }, int],
  [{ kind: 'int64' }, fc.oneof(int, wide, edge)],
  [
    { kind: 'uint64' },
    fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String), fc.constant('1')),
  ],
  [{ kind: 'timestamptz' }, fc.oneof(int, wide, fc.constantFrom('Infinity', '-Infinity'))],
  [{ kind: 'float64' }, fc.double().map((value) => value.toExponential())],
  [{ kind: 'text' }, fc.oneof(words, fc.constantFrom('new', 'paid'))],
  [
    { kind: 'uuid' },
    fc.string({ unit: fc.constantFrom('0', 'a', 'f'), minLength: 32, maxLength: 32 }),
  ],
  [{ kind: 'decimal', precision: 12, scale: 2 }, fc.oneof(decimal, fc.constant('NaN'))],
  [{ kind: 'decimal', precision: 18, scale: 2 }, fc.oneof(decimal, wide, fc.constant('NaN'))],
  [{ kind: 'decimal', precision: null, scale: null }, decimal],
  [
    { kind: 'list', element: { kind: 'int64' } },
    fc.array(fc.oneof(int, wide, fc.constant(null)), { maxLength: 4 }),
  ],
  [
    { kind: 'list', element: { kind: 'list', element: { kind: 'text' } } },
    fc.array(fc.array(words, { maxLength: 3 }), { maxLength: 3 }),
  ],
]

function append(builder: AnyBuilder, value: Value): void {
  if (value === null) builder.appendNull()
  else if (builder instanceof ListBuilder) {
    for (const element of value) append(builder.child as AnyBuilder, element)
    builder.endList()
  } else if (typeof value !== 'string') assert.fail('a list goes into a list')
  else if (builder instanceof BytesBuilder) builder.appendString(value)
  else if (builder instanceof DecimalBuilder)
    builder.appendText(Buffer.from(value), 0, value.length)
  else if (builder instanceof Fixed16Builder) {
    const at = builder.reserve()
    builder.bytes.set(Buffer.from(value, 'hex'), at)
  } else if (builder instanceof NumberBuilder && /^-?\d+$/.test(value)) {
    builder.appendBigInt(BigInt(value))
  } else {
    assert.ok(
      builder instanceof BoolBuilder ||
        builder instanceof Int32Builder ||
        builder instanceof NumberBuilder,
    )
    builder.append(Number(value))
  }
}

type Step = { readonly append: Value } | { readonly keep: number }

for (const [type, values] of kinds) {
  const name = typeName(type)
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ append: fc.option(values) }) },
    { weight: 1, arbitrary: fc.record({ keep: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  )
  test(`${name}: rows taken back leave no trace`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(step, { maxLength: 20 }),
        (...rounds) => {
          const builder = builderFor(type)
          // The second round shows that the first left nothing behind in a builder that is used again.
          for (const steps of rounds) {
            const left: Value[] = []
            for (const step of steps) {
              if ('append' in step) {
                append(builder, step.append)
                left.push(step.append)
              } else {
                left.length = Math.floor(left.length * step.keep)
                builder.rewind(left.length)
              }
              assert.equal(builder.length, left.length)
            }
            const plain = builderFor(type)
            left.forEach((value, row) => {
              append(plain, value)
              assert.equal(builder.isNullAt(row), value === null)
            })
            assert.equal(builder.byteLength, plain.byteLength)
            assertSameColumn(name, builder.finish(), plain.finish())
          }
        },
      ),
      { numRuns: 300 },
    )
  })
}

test('a list that was begun and not ended is taken back too', () => {
  const builder = new ListBuilder(new NumberBuilder())
  builder.child.append(1)
  builder.endList()
  builder.child.append(2)
  builder.rewind(1)
  builder.endList()
  const plain = new ListBuilder(new NumberBuilder())
  plain.child.append(1)
  plain.endList()
  plain.endList()
  assertSameColumn('list', builder.finish(), plain.finish())
})

test('a value that made a list column exact text is taken back with that', () => {
  const builder = new ListBuilder(new NumberBuilder())
  const lists = ['{1}', '[0:1]={1,2}', '{3}'].map((text) => Buffer.from(text))
  builder.keepText(lists[0]!, 0, lists[0]!.length)
  builder.child.append(1)
  builder.endList()
  builder.keepText(lists[1]!, 0, lists[1]!.length)
  builder.makeExact()
  builder.endList()
  builder.rewind(1)
  assert.equal(builder.exact, false)
  builder.keepText(lists[2]!, 0, lists[2]!.length)
  builder.child.append(3)
  builder.endList()
  const column = builder.finish()
  assert.ok(column.encoding === 'list' && column.child.encoding === 'float64')
  assert.deepEqual([...column.child.values], [1, 3])
})
