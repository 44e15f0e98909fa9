/**
 * Arbitrary schemas and batches for property tests: every logical type in every encoding that may
 * hold it, with nulls, lists, dictionaries, and the values at which codecs break.
 */
import * as fc from 'fast-check'
import { makeBatch, type Batch } from '../../core/record/batch.ts'
import { allSet, clearBit } from '../../core/record/bitmap.ts'
import type { BytesColumn, Column } from '../../core/record/column.ts'
import { makeSchema, type Changelog, type Field, type Schema } from '../../core/record/schema.ts'
import { ints, safeInts, timestamps } from './numbers.ts'
import { isScaledDecimal, type LogicalType, type SimpleKind } from '../../core/record/types.ts'

const simpleKinds: readonly SimpleKind[] = [
  'bool',
  'int16',
  'int32',
  'int64',
  'uint64',
  'float32',
  'float64',
  'text',
  'bytes',
  'uuid',
  'json',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
]

const changelogs: readonly Changelog[] = ['append', 'upsert', 'retract']

/** Any logical type; lists up to two deep. */
export const anyType: fc.Arbitrary<LogicalType> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...simpleKinds).map((kind): LogicalType => ({ kind })) },
  { weight: 2, arbitrary: anyDecimal() },
  {
    weight: 1,
    arbitrary: fc.string({ maxLength: 8 }).map((name): LogicalType => ({ kind: 'other', name })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...simpleKinds), fc.integer({ min: 1, max: 2 }))
      .map(([kind, depth]) => {
        let type: LogicalType = { kind }
        for (let i = 0; i < depth; i++) type = { kind: 'list', element: type }
        return type
      }),
  },
)

function anyDecimal(): fc.Arbitrary<LogicalType> {
  return fc.oneof(
    fc.constant<LogicalType>({ kind: 'decimal', precision: null, scale: null }),
    fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 20 }))
      .map(([precision, scale]): LogicalType => ({ kind: 'decimal', precision, scale })),
  )
}

/** A schema of up to `fieldsMax` fields with distinct names, and any key. */
export function anySchema(fieldsMax = 8): fc.Arbitrary<Schema> {
  const field = fc.record({
    name: fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
    type: anyType,
    nullable: fc.boolean(),
  })
  return fc
    .tuple(
      fc.uniqueArray(field, { maxLength: fieldsMax, selector: ({ name }: Field) => name }),
      fc.constantFrom(...changelogs),
      fc.nat(3),
    )
    .map(([fields, changelog, keys]) =>
      makeSchema(
        fields,
        fields.map((_, index) => index).filter((index) => index < keys),
        changelog,
      ),
    )
}

/** A batch of any schema, or of the given one, with up to `rowsMax` rows. */
export function anyBatch(
  options: { readonly schema?: Schema; readonly rowsMax?: number } = {},
): fc.Arbitrary<Batch> {
  const { rowsMax = 60 } = options
  const schema = options.schema === undefined ? anySchema() : fc.constant(options.schema)
  return fc.tuple(schema, fc.nat(rowsMax)).chain(([schema, rows]) =>
    fc
      .tuple(
        fc.tuple(...schema.fields.map((field) => anyColumn(field.type, rows, field.nullable))),
        fc.array(fc.constantFrom(1, -1), { minLength: rows, maxLength: rows }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: rows, maxLength: rows }),
        timesUs(rows),
      )
      .map(([columns, weights, ops, times]) => {
        const append = schema.changelog === 'append'
        return makeBatch(
          schema,
          columns,
          Int32Array.from(weights, (weight) => (append ? 1 : weight)),
          Uint8Array.from(ops),
          times,
        )
      }),
  )
}

/** A column of `rows` values in one of the encodings that may hold the type (column.ts). */
export function anyColumn(
  type: LogicalType,
  rows: number,
  nullable: boolean,
): fc.Arbitrary<Column> {
  return validityOf(rows, nullable).chain((validity) => {
    switch (type.kind) {
      case 'bool':
        return ints(rows, 0, 1).map((values): Column => {
          const zeroed = zeroNulls(values, validity)
          return { encoding: 'bool', length: rows, validity, values: Uint8Array.from(zeroed) }
        })
      case 'int16':
        return int32Column(rows, validity, -0x8000, 0x7fff)
      case 'int32':
      case 'date':
        return int32Column(rows, validity, -0x80000000, 0x7fffffff)
      case 'int64':
        return fc.oneof(float64Column(rows, validity, safeInts(rows)), int64Column(rows, validity))
      case 'uint64':
        return fc.oneof(
          float64Column(rows, validity, ints(rows, 0, Number.MAX_SAFE_INTEGER)),
          uint64Column(rows, validity),
        )
      case 'float32':
      case 'float64':
        return doubleColumn(rows, validity)
      case 'time':
        return float64Column(rows, validity, ints(rows, 0, 86_400_000_000))
      case 'timestamp':
      case 'timestamptz':
        return fc.oneof(
          float64Column(rows, validity, timestamps(rows)),
          int64Column(rows, validity),
        )
      case 'decimal':
        return decimalColumn(type, rows, validity)
      case 'uuid':
      case 'interval':
        return fixed16Column(rows, validity)
      case 'list':
        return listColumn(type.element, rows, validity)
      case 'text':
      case 'json':
      case 'other':
      case 'bytes':
        return bytesOrDictionary(type.kind, rows, validity)
    }
  })
}

/** Bitmap with some rows null, or null (no row is). */
function validityOf(rows: number, nullable: boolean): fc.Arbitrary<Uint8Array | null> {
  if (!nullable || rows === 0) return fc.constant(null)
  const some = fc.uniqueArray(fc.nat(rows - 1), { minLength: 1, maxLength: rows }).map((nulls) => {
    const bits = allSet(rows)
    for (const row of nulls) clearBit(bits, row)
    return bits
  })
  return fc.oneof(fc.constant(null), some)
}

function isSet(validity: Uint8Array | null, row: number): boolean {
  return validity === null || (validity[row >> 3]! & (1 << (row & 7))) !== 0
}

/** Null rows hold zero, as column.ts demands. */
function zeroNulls(values: readonly number[], validity: Uint8Array | null): number[] {
  return values.map((value, row) => (isSet(validity, row) ? value : 0))
}

function timesUs(rows: number): fc.Arbitrary<Float64Array> {
  return ints(rows, 0, 9_000_000_000_000_000).map((values) => Float64Array.from(values))
}

function int32Column(
  rows: number,
  validity: Uint8Array | null,
  min: number,
  max: number,
): fc.Arbitrary<Column> {
  return ints(rows, min, max).map((values) => ({
    encoding: 'int32',
    length: rows,
    validity,
    values: Int32Array.from(zeroNulls(values, validity)),
  }))
}

function float64Column(
  rows: number,
  validity: Uint8Array | null,
  numbers: fc.Arbitrary<number[]>,
): fc.Arbitrary<Column> {
  return numbers.map((values) => ({
    encoding: 'float64',
    length: rows,
    validity,
    values: Float64Array.from(zeroNulls(values, validity)),
  }))
}

/** Any 64 bits as a double: NaN with any payload, −0, subnormals. */
function doubleColumn(rows: number, validity: Uint8Array | null): fc.Arbitrary<Column> {
  const bits = fc.oneof(
    fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
    fc.constantFrom(0x8000000000000000n, 0x7ff8000000000001n, 0xfff4000000000000n, 1n, 0n),
  )
  const anyBits = fc.array(bits, { minLength: rows, maxLength: rows }).map((values) => {
    const zeroed = values.map((value, row) => (isSet(validity, row) ? value : 0n))
    return new Float64Array(BigUint64Array.from(zeroed).buffer)
  })
  const numbers = fc.oneof(
    anyBits,
    ints(rows, -1000, 1000).map((values) => Float64Array.from(zeroNulls(values, validity))),
    ints(rows, -10, 10).map((values) => {
      // −0 among integers: it must not come back as 0.
      return Float64Array.from(values, (v, row) => (isSet(validity, row) ? v * -0 : 0))
    }),
  )
  return numbers.map((values) => ({ encoding: 'float64', length: rows, validity, values }))
}

function int64Column(rows: number, validity: Uint8Array | null): fc.Arbitrary<Column> {
  const value = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, 2n ** 53n + 1n),
  )
  return fc.array(value, { minLength: rows, maxLength: rows }).map((values) => ({
    encoding: 'int64',
    length: rows,
    validity,
    values: BigInt64Array.from(values, (v, row) => (isSet(validity, row) ? v : 0n)),
  }))
}

function uint64Column(rows: number, validity: Uint8Array | null): fc.Arbitrary<Column> {
  const value = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  return fc.array(value, { minLength: rows, maxLength: rows }).map((values) => ({
    encoding: 'uint64',
    length: rows,
    validity,
    values: BigUint64Array.from(values, (v, row) => (isSet(validity, row) ? v : 0n)),
  }))
}

function fixed16Column(rows: number, validity: Uint8Array | null): fc.Arbitrary<Column> {
  return fc.uint8Array({ minLength: rows * 16, maxLength: rows * 16 }).map((data) => ({
    encoding: 'fixed16',
    length: rows,
    validity,
    data: data.map((byte, i) => (isSet(validity, i >> 4) ? byte : 0)),
  }))
}

function decimalColumn(
  type: LogicalType & { readonly kind: 'decimal' },
  rows: number,
  validity: Uint8Array | null,
): fc.Arbitrary<Column> {
  const digits = fc.oneof(fc.constantFrom('NaN', 'Infinity', '-Infinity', '0'), decimalText)
  const exact = textColumn(digits, rows, validity)
  if (!isScaledDecimal(type)) return exact
  const bound = 10 ** Math.min(15, type.precision) - 1
  const scaled = float64Column(rows, validity, ints(rows, -bound, bound))
  if (type.precision <= 15) return fc.oneof(scaled, exact)
  const wide = fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n })
  const int64 = fc.array(wide, { minLength: rows, maxLength: rows }).map((values): Column => ({
    encoding: 'int64',
    length: rows,
    validity,
    values: BigInt64Array.from(values, (v, row) => (isSet(validity, row) ? v : 0n)),
  }))
  return fc.oneof(scaled, int64, exact)
}

const decimalText = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat(99_999))
  .map(([whole, fraction]) => `${whole}.${fraction}`)

const anyJson = fc.json({ maxDepth: 2 })

function bytesOrDictionary(
  kind: 'text' | 'json' | 'other' | 'bytes',
  rows: number,
  validity: Uint8Array | null,
): fc.Arbitrary<Column> {
  if (kind === 'bytes') {
    const value = fc.uint8Array({ maxLength: 40 })
    return fc
      .array(value, { minLength: rows, maxLength: rows })
      .map((values) => bytesColumn(values, validity))
  }
  const value = kind === 'json' ? anyJson : fc.string({ maxLength: 20, unit: 'binary' })
  return fc.oneof(textColumn(value, rows, validity), dictionaryColumn(value, rows, validity))
}

function textColumn(
  value: fc.Arbitrary<string>,
  rows: number,
  validity: Uint8Array | null,
): fc.Arbitrary<Column> {
  return fc.array(value, { minLength: rows, maxLength: rows }).map((values) =>
    bytesColumn(
      values.map((text) => new TextEncoder().encode(text)),
      validity,
    ),
  )
}

function dictionaryColumn(
  value: fc.Arbitrary<string>,
  rows: number,
  validity: Uint8Array | null,
): fc.Arbitrary<Column> {
  return fc.uniqueArray(value, { minLength: 1, maxLength: 300 }).chain((entries) =>
    fc
      .array(fc.nat(entries.length - 1), { minLength: rows, maxLength: rows })
      .map((codes): Column => {
        const dictionary = bytesColumn(
          entries.map((text) => new TextEncoder().encode(text)),
          null,
        )
        return {
          encoding: 'dictionary',
          length: rows,
          validity,
          codes: Int32Array.from(zeroNulls(codes, validity)),
          dictionary,
        }
      }),
  )
}

function listColumn(
  element: LogicalType,
  rows: number,
  validity: Uint8Array | null,
): fc.Arbitrary<Column> {
  return fc.array(fc.nat(4), { minLength: rows, maxLength: rows }).chain((lengths) => {
    const offsets = new Int32Array(rows + 1)
    for (let row = 0; row < rows; row++) {
      offsets[row + 1] = offsets[row]! + (isSet(validity, row) ? lengths[row]! : 0)
    }
    return anyColumn(element, offsets[rows]!, true).map((child): Column => ({
      encoding: 'list',
      length: rows,
      validity,
      offsets,
      child,
    }))
  })
}

function bytesColumn(values: readonly Uint8Array[], validity: Uint8Array | null): BytesColumn {
  const held = values.map((value, row) => (isSet(validity, row) ? value : new Uint8Array(0)))
  const offsets = new Int32Array(held.length + 1)
  for (let i = 0; i < held.length; i++) offsets[i + 1] = offsets[i]! + held[i]!.length
  const data = new Uint8Array(offsets[held.length]!)
  for (let i = 0; i < held.length; i++) data.set(held[i]!, offsets[i]!)
  return { encoding: 'bytes', length: held.length, validity, offsets, data }
}
