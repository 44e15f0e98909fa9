/** What a decoder made of records, as texts. */
import assert from 'node:assert/strict'
import type { Decoded } from '../../../../core/connector/format/format.ts'
import { opNames, type Batch } from '../../../../core/record/batch.ts'
import { textAt } from '../../../../core/record/value.ts'

/** Rows as `+insert id=1 name=a`, one batch after the other. */
export function shown({ changes }: Decoded): string[][] {
  return changes.map((change) => {
    assert.ok('batch' in change)
    const { batch } = change
    return Array.from({ length: batch.rows }, (_, row) => rowText(batch, row))
  })
}

export function rowText(batch: Batch, row: number): string {
  const values = batch.schema.fields.map(
    ({ name, type }, i) => `${name}=${textAt(type, batch.columns[i]!, row)}`,
  )
  return `${batch.weights[row]! > 0 ? '+' : '-'}${opNames[batch.ops[row]!]} ${values.join(' ')}`
}

export function reasons({ rejected }: Decoded): string[] {
  return rejected.flatMap(({ errors }) =>
    errors.map(({ code, fault, message }) => `${code} ${fault} ${message}`),
  )
}
