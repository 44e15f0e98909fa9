/** Batches of one column of numbers, for tests of the loops: a row is known by its number. */
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import { Int32Builder } from '../../core/record/builder.ts'
import { makeSchema, type Schema } from '../../core/record/schema.ts'
import { numberAt } from '../../core/record/value.ts'

/** Schemas that differ in the name of their one column. */
export function numberSchema(name = 'n'): Schema {
  return makeSchema([{ name, type: { kind: 'int32' }, nullable: false }], [], 'append')
}

export function numberRows(values: readonly number[], schema = numberSchema()): Batch {
  const column = new Int32Builder()
  for (const value of values) column.append(value)
  return makeBatch(
    schema,
    [column.finish()],
    new Int32Array(values.length).fill(1),
    new Uint8Array(values.length).fill(Op.insert),
    Float64Array.from(values, (value) => 1_700_000_000_000_000 + value),
  )
}

export function numbersOf(batch: Batch): number[] {
  return Array.from({ length: batch.rows }, (_, row) => Number(numberAt(batch.columns[0]!, row)))
}
