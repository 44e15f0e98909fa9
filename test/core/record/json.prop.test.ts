/** Rows of any batch as JSON: it reads back, under the right names, as the same values (invariant 9). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Batch } from '../../../core/record/batch.ts'
import { isNull } from '../../../core/record/column.ts'
import { jsonRows } from '../../../core/record/json.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { bytesAt, numberAt, textAt } from '../../../core/record/value.ts'
import { anyBatch, anySchema } from '../../support/batches.ts'

/** The generator's json columns hold any text; a source's hold JSON. */
function holdsJson(type: LogicalType): boolean {
  return type.kind === 'list' ? holdsJson(type.element) : type.kind === 'json'
}

const batches: fc.Arbitrary<Batch> = anySchema()
  .filter(({ fields }) => !fields.some(({ type }) => holdsJson(type)))
  .chain((schema) => anyBatch({ schema, rowsMax: 20 }))

function assertValue(batch: Batch, index: number, row: number, value: unknown): void {
  const { type } = batch.schema.fields[index]!
  const column = batch.columns[index]!
  if (isNull(column, row)) return assert.equal(value, null)
  switch (type.kind) {
    case 'int64':
    case 'uint64':
      return assert.equal(BigInt(value as number | string), BigInt(numberAt(column, row)))
    case 'decimal':
      return assert.equal(value, textAt(type, column, row))
    case 'float64': {
      const expected = Number(numberAt(column, row))
      return assert.ok(Object.is(Number(value), expected), `${String(value)} for ${expected}`)
    }
    case 'text':
    case 'other':
      return assert.deepEqual(Buffer.from(value as string), Buffer.from(bytesAt(column, row)))
    case 'bytes':
      return assert.deepEqual(
        Buffer.from(value as string, 'base64'),
        Buffer.from(bytesAt(column, row)),
      )
    case 'list':
      if (column.encoding !== 'list') return assert.equal(typeof value, 'string')
      return assert.equal(
        (value as unknown[]).length,
        column.offsets[row + 1]! - column.offsets[row]!,
      )
    default:
      return assert.notEqual(value, null)
  }
}

test('any row of any batch reads back (invariant 9)', () => {
  fc.assert(
    fc.property(batches, (batch) => {
      const write = jsonRows(batch)
      for (let row = 0; row < batch.rows; row++) {
        const object = JSON.parse(write(row)) as Record<string, unknown>
        const names = batch.schema.fields.map(({ name }) => name)
        assert.deepEqual(Object.keys(object).sort(), names.toSorted())
        names.forEach((name, index) => assertValue(batch, index, row, object[name]))
      }
    }),
    { numRuns: 300 },
  )
})
