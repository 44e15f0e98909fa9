/**
 * Bit-for-bit equality of batches. assert.deepStrictEqual takes every NaN for the same, so buffers
 * are compared as bytes.
 */
import assert from 'node:assert/strict'
import type { Batch } from '../../core/record/batch.ts'
import type { Column } from '../../core/record/column.ts'

export function assertSameBatch(actual: Batch, expected: Batch): void {
  assert.deepEqual(actual.schema, expected.schema)
  assert.equal(actual.rows, expected.rows)
  assertSameBytes('weights', actual.weights, expected.weights)
  assertSameBytes('ops', actual.ops, expected.ops)
  assertSameBytes('timesUs', actual.timesUs, expected.timesUs)
  assert.equal(actual.columns.length, expected.columns.length)
  expected.columns.forEach((column, i) =>
    assertSameColumn(`column ${i}`, actual.columns[i]!, column),
  )
}

export function assertSameColumn(where: string, actual: Column, expected: Column): void {
  assert.equal(actual.encoding, expected.encoding, where)
  assert.equal(actual.length, expected.length, where)
  const fields = Object.keys(expected) as (keyof Column)[]
  assert.deepEqual(Object.keys(actual).sort(), [...fields].sort(), where)
  for (const field of fields) {
    const [a, b]: unknown[] = [actual[field], expected[field]]
    if (ArrayBuffer.isView(b)) {
      assert.ok(ArrayBuffer.isView(a), `${where}.${field} is no array`)
      assertSameBytes(`${where}.${field}`, a, b)
    } else if (typeof b === 'object' && b !== null) {
      assertSameColumn(`${where}.${field}`, a as Column, b as Column)
    } else {
      assert.equal(a, b, `${where}.${field}`)
    }
  }
}

/** Same class, same length, same bytes; a Buffer is no Uint8Array here. */
export function assertSameBytes(where: string, a: ArrayBufferView, b: ArrayBufferView): void {
  assert.equal(a.constructor.name, b.constructor.name, `${where}: class`)
  assert.equal(a.byteLength, b.byteLength, `${where}: bytes`)
  assert.ok(
    Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ),
    `${where}: content`,
  )
}
