import type { Batch } from './batch.ts'
import { textAt } from './value.ts'

/**
 * The key of a row as one text that is equal exactly when the keys are equal, whatever encodings
 * their columns have: each field's exact text, preceded by its length (−1 for null), so that no two
 * keys run together. A schema without key uses all fields.
 */
export function rowKey(batch: Batch, row: number): string {
  const { schema, columns } = batch
  const { key, fields } = schema
  const count = key.length === 0 ? fields.length : key.length
  let text = ''
  for (let i = 0; i < count; i++) {
    const index = key.length === 0 ? i : key[i]!
    const value = textAt(fields[index]!.type, columns[index]!, row)
    text += value === null ? '-1:' : `${value.length}:${value}`
  }
  return text
}
