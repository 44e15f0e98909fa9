/**
 * Values copied one by one, and through their bytes, out of every encoding of every type: the exact
 * text stays the same, and so does the encoding's right to hold it. Attacks invariant 9.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Column } from '../../../core/record/column.ts'
import { isScaledDecimal, type LogicalType } from '../../../core/record/types.ts'
import { textAt } from '../../../core/record/value.ts'
import { columnOfValues, SlotReader } from '../../../core/record/value-bytes-reader.ts'
import { ValueWriter } from '../../../core/record/value-bytes.ts'
import { gatherColumn } from '../../../core/record/value-copy.ts'
import { anyColumn, anyType } from '../../support/batches.ts'

interface Case {
  readonly type: LogicalType
  readonly columns: readonly Column[]
  readonly picks: readonly (readonly [column: number, row: number] | null)[]
}

const cases: fc.Arbitrary<Case> = anyType.chain((type) =>
  fc
    .array(
      fc.integer({ min: 1, max: 20 }).chain((rows) => anyColumn(type, rows, true)),
      { minLength: 1, maxLength: 3 },
    )
    .chain((columns) => {
      const pick = fc
        .nat(columns.length - 1)
        .chain((c) => fc.nat(columns[c]!.length - 1).map((row) => [c, row] as const))
      return fc
        .array(fc.option(pick, { freq: 8 }), { minLength: 1, maxLength: 40 })
        .map((picks) => ({ type, columns, picks }))
    }),
)

/** A scaled decimal may be written with fewer digits than its scale in one encoding and all in another. */
function canonical(type: LogicalType, text: string | null): string | null {
  if (text === null || !isScaledDecimal(type) || !/^-?[\d.]+$/.test(text)) return text
  const trimmed = text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text
  return trimmed === '-0' ? '0' : trimmed
}

function expected({ type, columns, picks }: Case): (string | null)[] {
  return picks.map((pick) =>
    pick === null ? null : canonical(type, textAt(type, columns[pick[0]]!, pick[1])),
  )
}

function texts(type: LogicalType, column: Column): (string | null)[] {
  return Array.from({ length: column.length }, (_, row) =>
    canonical(type, textAt(type, column, row)),
  )
}

test('a gathered column has the values it was gathered from', () => {
  fc.assert(
    fc.property(cases, (sample) => {
      const { type, columns, picks } = sample
      const from = Int32Array.from(picks, (pick) => pick?.[0] ?? -1)
      const rows = Int32Array.from(picks, (pick) => pick?.[1] ?? 0)
      assert.deepEqual(texts(type, gatherColumn(type, columns, from, rows)), expected(sample))
    }),
    { numRuns: 1500 },
  )
})

test('values come back from their bytes, one after the other and as a column', () => {
  fc.assert(
    fc.property(cases, (sample) => {
      const { type, columns, picks } = sample
      const writer = new ValueWriter(16)
      const nulls = columns[0]!
      for (const pick of picks) {
        if (pick === null) writer.varint(0)
        else writer.slot(type, columns[pick[0]] ?? nulls, pick[1])
      }
      const bytes = writer.since(0)
      const reader = new SlotReader(bytes)
      const starts = new Int32Array(picks.length)
      const ends = new Int32Array(picks.length)
      for (let i = 0; i < picks.length; i++) {
        reader.next()
        starts[i] = reader.start
        ends[i] = reader.end
      }
      assert.ok(reader.done)
      const column = columnOfValues(type, { bytes: picks.map(() => bytes), starts, ends })
      assert.deepEqual(texts(type, column), expected(sample))
    }),
    { numRuns: 1500 },
  )
})

test('bytes cut short are an error, never a value', () => {
  const writer = new ValueWriter()
  writer.varint(300)
  writer.raw(new Uint8Array(20))
  assert.throws(() => new SlotReader(writer.since(0)).next(), RangeError)
  assert.throws(() => new SlotReader(Uint8Array.of(0x80)).next(), RangeError)
})
