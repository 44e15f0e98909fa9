/**
 * Numbers from digits, against arithmetic on bigints: nothing is lost on the way, floats are rounded once.
 * And what sinks write of a batch as JSON (core/record/json.ts) is read as the same batch. Attacks
 * invariant 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonFormat } from '../../../../core/connector/format/json-format.ts'
import { parseColumnType } from '../../../../core/connector/format/schema-text.ts'
import { makeBatch } from '../../../../core/record/batch.ts'
import {
  builderFor,
  Fixed16Builder,
  NumberBuilder,
  type AnyBuilder,
} from '../../../../core/record/builder.ts'
import { BytesBuilder } from '../../../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../../../core/record/decimal-builder.ts'
import { ListBuilder } from '../../../../core/record/list-builder.ts'
import { jsonRows } from '../../../../core/record/json.ts'
import { makeSchema } from '../../../../core/record/schema.ts'
import { textAt } from '../../../../core/record/value.ts'
import { withScale } from '../../../../core/record/value-convert.ts'
import { fieldsOf, readAll, readOne } from './support.ts'

interface Parts {
  readonly negative: boolean
  readonly digits: string
  readonly fraction: number
}
const parts: fc.Arbitrary<Parts> = fc.record({
  negative: fc.boolean(),
  digits: fc.oneof(
    fc.stringMatching(/^[1-9]\d{0,24}$/),
    fc.constant('0'),
    fc.stringMatching(/^[1-9]\d{0,4}$/),
  ),
  fraction: fc.integer({ min: -5, max: 12 }),
})

/** In one of the ways in which JSON can write it. */
function written({ negative, digits, fraction }: Parts, exponent: boolean): string {
  const sign = negative ? '-' : ''
  if (exponent) return `${sign}${digits}e${-fraction}`
  if (fraction <= 0) return `${sign}${digits === '0' ? '0' : digits + '0'.repeat(-fraction)}`
  const all = digits.padStart(fraction + 1, '0')
  return `${sign}${all.slice(0, -fraction)}.${all.slice(-fraction)}`
}

/** Without exponent, and without the sign of a zero. */
function plain(value: Parts): string {
  const text = written(value, false)
  return /[1-9]/.test(text) ? text : text.replace('-', '')
}

function rowOf(type: string, json: string): string | null {
  const read = readOne(new JsonFormat(fieldsOf({ v: type })), `{"v":${json},"w":0}`)
  return Array.isArray(read) ? read[0]! : null
}

test('integers and decimals are exact, or refused', () => {
  fc.assert(
    fc.property(parts, fc.boolean(), fc.boolean(), (value, exponent, quoted) => {
      const text = written(value, exponent)
      const json = quoted ? `"${text}"` : text
      for (const [type, precision, scale] of [
        ['decimal(12,2)', 12, 2],
        ['decimal(18,4)', 18, 4],
        ['decimal(25,7)', 25, 7],
      ] as const) {
        const exact = withScale(plain(value), precision, scale)
        assert.equal(
          rowOf(type, json),
          exact === null || /[1-9]/.test(exact) ? exact : exact.replace('-', ''),
          `${type} ${json}`,
        )
      }
      assert.equal(rowOf('decimal', json), plain(value), json)
      const [whole, fraction = ''] = plain(value).split('.')
      const integer = /^0*$/.test(fraction) ? BigInt(whole!) : null
      for (const [type, bits] of [
        ['int16', 16],
        ['int32', 32],
        ['int64', 64],
      ] as const) {
        const fits = integer !== null && BigInt.asIntN(bits, integer) === integer
        assert.equal(rowOf(type, json), fits ? String(integer) : null, `${type} ${json}`)
      }
      const fits = integer !== null && BigInt.asUintN(64, integer) === integer
      assert.equal(rowOf('uint64', json), fits ? String(integer) : null, json)
      assert.equal(Number(rowOf('float64', json)), Number(text))
    }),
    { numRuns: 1500 },
  )
})

/** The float next to |value|, by bits. */
function floatOf(bits: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, bits)
  return view.getFloat32(0)
}

/** A double as an exact decimal text. */
function exactly(value: number): string {
  let scale = 0
  let scaled = value
  while (!Number.isInteger(scaled)) {
    scaled *= 2
    scale++
  }
  const digits = (BigInt(scaled) * 5n ** BigInt(scale)).toString().padStart(scale + 1, '0')
  return scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

test('32-bit floats: the nearest, also a hair beside the middle of two', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0x7f7f_fffe }),
      fc.constantFrom('', '-'),
      fc.boolean(),
      (bits, sign, quoted) => {
        const [low, high] = [floatOf(bits), floatOf(bits + 1)]
        const middle = exactly((low + high) / 2)
        const even = (bits & 1) === 0 ? low : high
        const less = middle.includes('.')
          ? `${middle.slice(0, -1)}4${'9'.repeat(20)}`
          : `${BigInt(middle) - 1n}.9`
        const more = middle.includes('.') ? `${middle}0000001` : `${middle}.0000001`
        for (const [text, wanted] of [
          [exactly(low), low],
          [middle, even],
          [less, low],
          [more, high],
        ] as const) {
          const json = quoted ? `"${sign}${text}"` : `${sign}${text}`
          const read = rowOf('float32', json)
          assert.equal(Math.fround(Number(read)), sign === '-' ? -wanted : wanted, json)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

type Value = string | number | bigint | null | readonly Value[]
const us = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
  fc.constantFrom(Infinity, -Infinity),
)
const columns: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  int16: fc.integer({ min: -0x8000, max: 0x7fff }),
  int64: fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  uint64: fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  float64: fc.double(),
  float32: fc.float(),
  bool: fc.constantFrom(0, 1),
  text: fc.string({ unit: 'grapheme' }),
  json: fc.json().filter((text) => text.trim() !== 'null'),
  bytes: fc.string({ unit: 'grapheme' }),
  'decimal(12,2)': fc.bigInt({ min: -(10n ** 12n) + 1n, max: 10n ** 12n - 1n }).map((n) => `${n}e`),
  'decimal(18,4)': fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }).map((n) => `${n}e`),
  decimal: fc.constantFrom('0.10', '-5', '123456789012345678901234567890.5', 'NaN', 'Infinity'),
  date: fc.oneof(
    fc.integer({ min: -3_000_000, max: 3_000_000 }),
    fc.constantFrom(0x7fff_ffff, -0x8000_0000),
  ),
  time: fc.integer({ min: -3_020_399_999_999, max: 3_020_399_999_999 }),
  timestamp: us,
  timestamptz: us,
  uuid: fc.stringMatching(/^[\da-f]{32}$/),
  interval: fc.stringMatching(/^[\da-f]{32}$/),
  'list<int64>': fc.array(fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), {
    maxLength: 4,
  }),
  'list<text>': fc.array(fc.option(fc.string({ unit: 'grapheme' })), { maxLength: 4 }),
}

function append(builder: AnyBuilder, value: Value): void {
  if (value === null) return builder.appendNull()
  if (builder instanceof ListBuilder) {
    for (const element of value as readonly Value[]) append(builder.child as AnyBuilder, element)
    return builder.endList()
  }
  if (builder instanceof BytesBuilder) return builder.appendString(value as string)
  if (builder instanceof DecimalBuilder)
    return builder.appendScaled(BigInt((value as string).slice(0, -1)))
  if (builder instanceof Fixed16Builder) {
    const at = builder.reserve()
    builder.bytes.set(Buffer.from(value as string, 'hex'), at)
    return
  }
  if (typeof value === 'bigint' && builder instanceof NumberBuilder)
    return builder.appendBigInt(value)
  builder.append(value as number)
}

for (const [type, values] of Object.entries(columns)) {
  test(`${type}: what is written as JSON is read as it was`, () => {
    const parsed = parseColumnType(`${type}?`)
    assert.ok(!('mistake' in parsed))
    const schema = makeSchema([{ name: 'v', ...parsed }], [], 'append')
    fc.assert(
      fc.property(fc.array(fc.option(values), { minLength: 1, maxLength: 20 }), (all) => {
        const builder = builderFor(parsed.type)
        for (const value of all) append(builder, value)
        const column = builder.finish()
        const count = all.length
        const batch = makeBatch(
          schema,
          [column],
          new Int32Array(count).fill(1),
          new Uint8Array(count),
          new Float64Array(count),
        )
        const write = jsonRows(batch)
        const lines = all.map((_, row) => Buffer.from(write(row)))
        const wanted = all.map((_, row) => [textAt(parsed.type, column, row)])
        assert.deepEqual(readAll(new JsonFormat(schema.fields), lines), wanted)
      }),
      { numRuns: 200 },
    )
  })
}
