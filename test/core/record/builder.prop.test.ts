/**
 * Builders: what goes in comes out, for every kind, with nulls anywhere and any number of rows; and
 * slicing, selecting and joining give the rows they name. Attacks invariant 9 at its root.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { builderFor } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { Column } from '../../../core/record/column.ts'
import { concatColumns } from '../../../core/record/column-concat.ts'
import { selectColumn, sliceColumn } from '../../../core/record/column-ops.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'

const wideInteger = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const digits = fc.bigInt({ min: -(10n ** 17n) + 1n, max: 10n ** 17n - 1n })

/** A value as the text it must come out as, and how it goes in. */
interface Kind {
  readonly name: string
  readonly type: LogicalType
  readonly values: fc.Arbitrary<string>
  readonly build: (texts: readonly (string | null)[]) => Column
}

function texts(type: LogicalType): Kind['build'] {
  return (values) => {
    const builder = builderFor(type)
    assert.ok(builder instanceof BytesBuilder)
    for (const value of values) {
      if (value === null) builder.appendNull()
      else builder.appendString(value)
    }
    return builder.finish()
  }
}

function decimals(type: LogicalType & { kind: 'decimal' }): Kind['build'] {
  return (values) => {
    const builder = builderFor(type)
    assert.ok(builder instanceof DecimalBuilder)
    for (const value of values) {
      const bytes = Buffer.from(value ?? '')
      if (value === null) builder.appendNull()
      else builder.appendText(bytes, 0, bytes.length)
    }
    return builder.finish()
  }
}

function numbers(type: LogicalType): Kind['build'] {
  return (values) => {
    const builder = builderFor(type)
    for (const value of values) {
      if (value === null) builder.appendNull()
      else if ('appendBigInt' in builder) builder.appendBigInt(BigInt(value))
      else if ('append' in builder && !(builder instanceof BytesBuilder))
        builder.append(Number(value))
    }
    return builder.finish()
  }
}

function scaled(value: bigint, scale: number): string {
  const text = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  return `${value < 0n ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

const kinds: readonly Kind[] = [
  {
    name: 'text',
    type: { kind: 'text' },
    values: fc.string({ unit: 'binary', maxLength: 30 }),
    build: texts({ kind: 'text' }),
  },
  {
    name: 'text of few values',
    type: { kind: 'text' },
    values: fc.constantFrom('a', 'b', 'ä', ''),
    build: texts({ kind: 'text' }),
  },
  {
    name: 'int32',
    type: { kind: 'int32' },
    values: fc.integer().map(String),
    build: numbers({ kind: 'int32' }),
  },
  {
    name: 'int64',
    type: { kind: 'int64' },
    values: fc.oneof(fc.integer().map(String), wideInteger.map(String)),
    build: numbers({ kind: 'int64' }),
  },
  {
    name: 'uint64',
    type: { kind: 'uint64' },
    values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
    build: numbers({ kind: 'uint64' }),
  },
  {
    name: 'decimal(12,2)',
    type: { kind: 'decimal', precision: 12, scale: 2 },
    values: fc.oneof(
      fc.bigInt({ min: -(10n ** 12n) + 1n, max: 10n ** 12n - 1n }).map((v) => scaled(v, 2)),
      fc.constantFrom('NaN', 'Infinity', '-Infinity'),
    ),
    build: decimals({ kind: 'decimal', precision: 12, scale: 2 }),
  },
  {
    name: 'decimal(17,5)',
    type: { kind: 'decimal', precision: 17, scale: 5 },
    values: fc.oneof(
      digits.map((v) => scaled(v, 5)),
      fc.constant('NaN'),
    ),
    build: decimals({ kind: 'decimal', precision: 17, scale: 5 }),
  },
]

for (const { name, type, values, build } of kinds) {
  // Many nulls, and one null far in: the bitmap is made at the first one.
  const rows = fc.oneof(
    fc.array(fc.option(values, { freq: 6 }), { maxLength: 100, size: 'max' }),
    fc.array(fc.option(values, { freq: 200 }), { minLength: 100, maxLength: 900, size: 'max' }),
  )
  const read = (column: Column): (string | null)[] =>
    Array.from({ length: column.length }, (_, row) => textAt(type, column, row))

  test(`${name}: what is appended is read`, () => {
    fc.assert(
      fc.property(rows, (input) => assert.deepEqual(read(build(input)), input)),
      { numRuns: 60 },
    )
  })

  test(`${name}: slices, selections and joins have the rows they name`, () => {
    const cuts = fc.tuple(
      rows,
      rows,
      fc.nat(),
      fc.nat(),
      fc.array(fc.integer({ min: -1, max: 5000 })),
    )
    fc.assert(
      fc.property(cuts, ([first, second, a, b, picks]) => {
        const all = [...first, ...second]
        const joined = concatColumns(type, [build(first), build(second)])
        assert.deepEqual(read(joined), all)
        const [from, to] = [a % (all.length + 1), b % (all.length + 1)].sort((x, y) => x - y) as [
          number,
          number,
        ]
        const slice = sliceColumn(joined, from, to)
        assert.deepEqual(read(slice), all.slice(from, to))
        if (slice.length === 0) return
        const chosen = picks.map((pick) => (pick < 0 ? -1 : pick % slice.length))
        const selected = selectColumn(slice, Int32Array.from(chosen))
        assert.deepEqual(
          read(selected),
          chosen.map((row) => (row < 0 ? null : all[from + row])),
        )
      }),
      { numRuns: 60 },
    )
  })
}

test('appendAscii takes ASCII at any place, and nothing else', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40, max: 0x7f }),
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 300, maxLength: 9000, max: 0x7f }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(7), (pieces, shift) => {
      const builder = new BytesBuilder()
      const wanted: string[] = []
      for (const bytes of pieces) {
        const source = new Uint8Array(shift + bytes.length)
        source.set(bytes, shift)
        const isAscii = bytes.every((byte) => byte < 0x80)
        assert.equal(builder.appendAscii(source, shift, source.length), isAscii)
        if (isAscii) wanted.push(Buffer.from(bytes).toString('latin1'))
      }
      const column = builder.finish()
      const type: LogicalType = { kind: 'text' }
      assert.deepEqual(
        wanted.map((_, row) => textAt(type, column, row)),
        wanted,
      )
      assert.equal(column.length, wanted.length)
    }),
  )
})

test('decimals that are no numbers are joined with those that need 64 bits', () => {
  const type = { kind: 'decimal', precision: 17, scale: 5 } as const
  const column = decimals(type)
  const joined = concatColumns(type, [
    column(['NaN', '1.50000']),
    column(['123456789012.34567', null]),
  ])
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => textAt(type, joined, row)),
    ['NaN', '1.50000', '123456789012.34567', null],
  )
})
