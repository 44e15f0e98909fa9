/** Texts of values → columns → texts: exact for whatever the server can print (invariant 9). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { valueDecoder } from '../../../connectors/postgres/values.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Column } from '../../../core/record/column.ts'
import type { LogicalType, SimpleKind } from '../../../core/record/types.ts'
import { dateText, floatText, numberAt, textAt, timestampText } from '../../../core/record/value.ts'

/** null = null. Each text stands between other bytes, which must not be looked at. */
function columnOf(type: LogicalType, texts: readonly (string | null)[]): Column {
  const decoder = valueDecoder(type)
  for (const text of texts) {
    if (text === null) decoder.appendNull()
    else {
      const bytes = Buffer.from(text)
      decoder.append(
        Buffer.concat([Buffer.from('12'), bytes, Buffer.from('34')]),
        2,
        2 + bytes.length,
      )
    }
  }
  return decoder.builder.finish()
}

function assertExact(type: LogicalType, texts: readonly (string | null)[]): void {
  const column = columnOf(type, texts)
  assert.deepEqual(
    texts.map((_, row) => textAt(type, column, row)),
    texts,
  )
}

const kind = (kind: SimpleKind): LogicalType => ({ kind })
const sometimesNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> =>
  fc.array(fc.option(values, { freq: 6 }), { maxLength: 40 })

const float32 = new Float32Array(1)
const float32Bits = new Uint32Array(float32.buffer)

describe('values', () => {
  it('of integers', () => {
    const wide = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)
    const mixed = fc.oneof(wide, fc.bigInt(-1000n, 1000n), fc.bigInt(-(2n ** 54n), 2n ** 54n))
    fc.assert(
      fc.property(sometimesNull(mixed), (values) => {
        assertExact(
          kind('int64'),
          values.map((value) => value?.toString() ?? null),
        )
      }),
    )
    fc.assert(
      fc.property(sometimesNull(fc.integer()), (values) => {
        assertExact(
          kind('int32'),
          values.map((value) => value?.toString() ?? null),
        )
      }),
    )
  })

  it('of doubles, from their shortest text', () => {
    fc.assert(
      fc.property(sometimesNull(fc.double()), (values) => {
        const column = columnOf(
          kind('float64'),
          values.map((value) => (value === null ? null : floatText(value))),
        )
        for (const [row, value] of values.entries()) {
          if (value !== null) assert.ok(Object.is(numberAt(column, row), value), String(value))
        }
      }),
    )
  })

  it('of doubles, from long texts and texts near the limits of the short way', () => {
    const digits = fc.tuple(fc.bigInt(0n, 10n ** 19n), fc.integer({ min: -40, max: 40 }))
    fc.assert(
      fc.property(digits, ([value, exponent]) => {
        const sign = exponent < 0 ? '-' : '+'
        for (const text of [`${value}e${sign}${Math.abs(exponent)}`, `${value}`, `0.${value}`]) {
          assert.ok(Object.is(numberAt(columnOf(kind('float64'), [text]), 0), Number(text)), text)
        }
      }),
    )
  })

  it('of floats, rounded once', () => {
    const bits = fc.oneof(
      fc.integer({ min: 0, max: 0x7f7ffffe }),
      fc.integer({ min: 0, max: 0x01000000 }),
    )
    fc.assert(
      fc.property(bits, fc.bigInt(1n, 10n ** 40n), (low, nudge) => {
        float32Bits[0] = low
        const below = float32[0]!
        float32Bits[0] = low + 1
        const above = float32[0]!
        // Exactly half-way, as decimal digits, then a little to either side of it.
        const half = exactDecimal((below + above) / 2)
        const [whole, fraction] = half.split('.') as [string, string]
        const more = `${whole}.${fraction}${'0'.repeat(30)}${nudge}`
        assert.equal(numberAt(columnOf(kind('float32'), [more]), 0), above, more)
        const digits = BigInt(whole + fraction) * 10n ** 60n - nudge
        const less = scaledBack(digits, fraction.length + 60)
        assert.equal(numberAt(columnOf(kind('float32'), [less]), 0), below, less)
      }),
    )
  })

  it('of dates and timestamps over the whole range', () => {
    fc.assert(
      fc.property(sometimesNull(fc.integer({ min: -2_440_588, max: 2_145_031_948 })), (days) => {
        assertExact(
          kind('date'),
          days.map((day) => (day === null ? null : dateText(day))),
        )
      }),
    )
    const us = fc.oneof(
      fc.bigInt(-210_866_803_200_000_000n, 9_223_371_331_199_999_999n),
      fc.bigInt(-(10n ** 16n), 10n ** 16n),
    )
    for (const [name, zone] of [
      ['timestamp', ''],
      ['timestamptz', '+00'],
    ] as const) {
      fc.assert(
        fc.property(sometimesNull(us), (values) => {
          assertExact(
            kind(name),
            values.map((value) => (value === null ? null : timestampText(value, zone))),
          )
        }),
      )
    }
    assertExact(kind('timestamptz'), ['infinity', '-infinity', null, '0001-01-01 00:00:00+00 BC'])
    assertExact(kind('date'), ['infinity', '-infinity', null])
    assertExact(kind('time'), ['24:00:00', '00:00:00', '12:34:56.000001', null])
  })

  it('of numerics of any size', () => {
    const numeric = fc
      .tuple(fc.bigInt(-(10n ** 18n) + 1n, 10n ** 18n - 1n), fc.constantFrom(0, 2))
      .map(([value, scale]) => (scale === 0 ? value.toString() : scaledBack(value, 2)))
    fc.assert(
      fc.property(
        sometimesNull(fc.oneof(numeric, fc.constantFrom('NaN', 'Infinity', '-Infinity'))),
        (texts) => {
          assertExact({ kind: 'decimal', precision: null, scale: null }, texts)
          const scaled = texts.map((text) =>
            text === null || !/\d/.test(text) || text.includes('.') ? text : `${text}.00`,
          )
          assertExact(
            { kind: 'decimal', precision: 18, scale: 2 },
            scaled.filter((text) => (text?.length ?? 0) < 19),
          )
          assertExact(
            { kind: 'decimal', precision: 12, scale: 2 },
            scaled.filter((text) => (text?.length ?? 0) < 14),
          )
        },
      ),
    )
  })

  it('of texts, bytes, uuids and lists of texts', () => {
    fc.assert(
      fc.property(
        sometimesNull(fc.string({ unit: 'grapheme' })),
        fc.uint8Array(),
        fc.uuid(),
        (texts, bytes, uuid) => {
          assertExact(kind('text'), texts)
          assertExact(kind('bytes'), [`\\x${Buffer.from(bytes).toString('hex')}`, null])
          assertExact(kind('uuid'), [uuid, null, uuid])
          // Every element quoted and escaped, as array_in may be given them.
          const list = `{${texts.map((text) => (text === null ? 'NULL' : quoted(text))).join(',')}}`
          const type: LogicalType = { kind: 'list', element: kind('text') }
          const column = columnOf(type, [null, list, '{}'])
          assert.ok(column.encoding === 'list')
          assert.deepEqual(Array.from(column.offsets), [0, 0, texts.length, texts.length])
          for (const [i, text] of texts.entries())
            assert.equal(textAt(kind('text'), column.child, i), text)
          const odd = ['{1,2}', null, '[0:1]={3,4}', '{{1},{2}}', '{}']
          assertExact({ kind: 'list', element: kind('int32') }, odd)
          assertExact({ kind: 'list', element: kind('int32') }, ['{1,NULL}', null, '{}'])
        },
      ),
    )
  })

  it('are refused where they are none, with a typed error', () => {
    const kinds: LogicalType[] = [
      ...(['bool', 'int16', 'int32', 'int64', 'float32', 'float64', 'uuid', 'bytes'] as const).map(
        kind,
      ),
      ...(['date', 'time', 'timestamp', 'timestamptz', 'interval'] as const).map(kind),
      { kind: 'decimal', precision: 10, scale: 2 },
      { kind: 'list', element: kind('int32') },
    ]
    for (const type of kinds) {
      const wrong =
        type.kind === 'bytes' ? ['', 'x', '\\xf', '\\xzz'] : ['', 'x', 'nonsense text', '--1', '{1']
      for (const text of wrong) {
        assert.throws(
          () => columnOf(type, [text]),
          (error: unknown) => {
            assert.ok(error instanceof SluiceError, `${type.kind} ${text}: ${String(error)}`)
            assert.equal(error.code, 'source.postgres.value')
            assert.ok(text === '' || !error.message.includes(text), 'no values in messages')
            return true
          },
        )
      }
    }
  })
})

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, (character) => `\\${character}`)}"`
}

/** All digits of a finite, positive double. */
function exactDecimal(value: number): string {
  let scale = 0
  let size = value
  while (!Number.isInteger(size)) {
    size *= 2
    scale++
  }
  // value = size / 2^scale = size × 5^scale / 10^scale
  return scaledBack(BigInt(size) * 5n ** BigInt(scale), Math.max(scale, 1), scale === 0)
}

function scaledBack(digits: bigint, scale: number, whole = false): string {
  if (whole) return `${digits}.0`
  const size = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0')
  return `${digits < 0n ? '-' : ''}${size.slice(0, -scale)}.${size.slice(-scale)}`
}
