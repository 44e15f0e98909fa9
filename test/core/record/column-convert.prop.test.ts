/** Columns as columns of another type: a value is the same one, or it is refused. Attacks invariant 9. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isNull } from '../../../core/record/column.ts'
import { convertColumn } from '../../../core/record/column-convert.ts'
import { builderFor } from '../../../core/record/builder.ts'
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../core/record/decimal-builder.ts'
import { holdsType } from '../../../core/record/type-order.ts'
import { typeName, type LogicalType } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { anyColumn, anyType } from '../../support/batches.ts'

const decimal = (precision: number | null, scale: number | null): LogicalType => ({
  kind: 'decimal',
  precision,
  scale,
})
const simple = (
  [
    'int16',
    'int32',
    'int64',
    'uint64',
    'float32',
    'float64',
    'text',
    'json',
    'uuid',
    'date',
  ] as const
).map((kind): LogicalType => ({ kind }))
const types: readonly LogicalType[] = [
  ...simple,
  { kind: 'timestamp' },
  { kind: 'bool' },
  { kind: 'list', element: { kind: 'int32' } },
  { kind: 'list', element: { kind: 'int64' } },
  decimal(9, 2),
  decimal(15, 2),
  decimal(18, 4),
  decimal(30, 0),
  decimal(null, null),
]
const someType = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...types) },
  { weight: 1, arbitrary: anyType },
)

const rows = 20
/** Two types and a column of the first. */
const converted = fc
  .tuple(someType, someType)
  .chain(([from, to]) => anyColumn(from, rows, true).map((column) => ({ from, to, column })))

/** The value as a text that is the same for equal values of different types. */
function meaning(type: LogicalType, text: string): string {
  if (type.kind === 'decimal') return text.includes('.') ? text.replace(/\.?0*$/, '') : text
  if (type.kind === 'float32' || type.kind === 'float64') {
    // The shortest text of a 32-bit float names another double.
    const value = type.kind === 'float32' ? Math.fround(Number(text)) : Number(text)
    return Number.isInteger(value) && !Object.is(value, -0)
      ? BigInt(value).toString()
      : String(value)
  }
  if (type.kind === 'bool') return text === 't' ? 'true' : 'false'
  if (type.kind === 'timestamp') return text.replace(' 00:00:00', '')
  return text
}

test('a converted value is the same value, and converted back the same bits', () => {
  fc.assert(
    fc.property(converted, ({ from, to, column }) => {
      const result = convertColumn(from, column, to)
      const back = convertColumn(to, result.column, from)
      const refused = new Set(result.refused)
      const name = `${typeName(from)} → ${typeName(to)}`
      assert.equal(result.column.length, rows)
      for (let row = 0; row < rows; row++) {
        if (isNull(column, row)) {
          assert.ok(isNull(result.column, row) && !refused.has(row), name)
          continue
        }
        assert.equal(isNull(result.column, row), refused.has(row), name)
        if (refused.has(row)) continue
        const before = textAt(from, column, row)!
        const after = textAt(to, result.column, row)!
        const float = from.kind.startsWith('float') && to.kind.startsWith('float')
        if (float)
          assert.ok(Object.is(Number(before), Number(after)) || from.kind === 'float32', name)
        else if (to.kind !== 'list' && from.kind !== 'float32' && to.kind !== 'text')
          assert.equal(meaning(to, after), meaning(from, before), name)
        if (isNull(back.column, row)) continue
        const again = textAt(from, back.column, row)!
        const type = from.kind === 'text' ? to : from
        assert.equal(meaning(type, again), meaning(type, before), name)
      }
    }),
    { numRuns: 400 },
  )
})

test('a type that holds the other refuses nothing', () => {
  fc.assert(
    fc.property(converted, ({ from, to, column }) => {
      // Decimals may hold NaN and digits beyond their type, as PostgreSQL's unconstrained results do.
      const strict = from.kind !== 'decimal' && !typeName(from).includes('decimal')
      if (!strict || !holdsType(to, from)) return
      assert.deepEqual(
        convertColumn(from, column, to).refused,
        [],
        `${typeName(from)} → ${typeName(to)}`,
      )
    }),
    { numRuns: 1000 },
  )
})

function texts(
  from: LogicalType,
  given: readonly (string | number)[],
  to: LogicalType,
): (string | null)[] {
  const builder = builderFor(from)
  for (const value of given) {
    if (builder instanceof BytesBuilder) builder.appendString(String(value))
    else if (builder instanceof DecimalBuilder) {
      builder.appendText(Buffer.from(String(value)), 0, String(value).length)
    } else if ('appendBigInt' in builder && typeof value === 'string') {
      builder.appendBigInt(BigInt(value))
    } else if ('append' in builder) builder.append(Number(value))
  }
  const { column } = convertColumn(from, builder.finish(), to)
  return given.map((_, row) => textAt(to, column, row))
}

test('the values at the borders', () => {
  const max = '9223372036854775807'
  assert.deepEqual(texts({ kind: 'int64' }, [2147483647, 2147483648, max], { kind: 'int32' }), [
    '2147483647',
    null,
    null,
  ])
  assert.deepEqual(
    texts({ kind: 'int64' }, ['9007199254740992', '9007199254740993', max], { kind: 'float64' }),
    ['9.007199254740992e+15', null, null],
  )
  assert.deepEqual(
    texts({ kind: 'text' }, ['42', '042', '4.0', '-0', 'x', '', ' 4'], { kind: 'int32' }),
    ['42', null, null, null, null, null, null],
  )
  assert.deepEqual(texts(decimal(10, 2), ['1.50', '2.00', '12345678.99'], { kind: 'int16' }), [
    null,
    '2',
    null,
  ])
  assert.deepEqual(texts(decimal(10, 2), ['1.50', '1.05', '2.00'], decimal(10, 1)), [
    '1.5',
    null,
    '2.0',
  ])
  assert.deepEqual(texts({ kind: 'float64' }, [0.5, -0, 7, NaN, 1e300], { kind: 'int64' }), [
    null,
    null,
    '7',
    null,
    null,
  ])
  assert.deepEqual(texts({ kind: 'float64' }, [0.5, 0.1, -0], { kind: 'float32' }), [
    '0.5',
    null,
    '-0',
  ])
  assert.deepEqual(texts({ kind: 'text' }, ['{"a":1}', 'null', '{'], { kind: 'json' }), [
    '{"a":1}',
    'null',
    null,
  ])
  assert.deepEqual(texts({ kind: 'bool' }, [0, 1], { kind: 'text' }), ['false', 'true'])
})
