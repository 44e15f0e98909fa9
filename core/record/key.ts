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

/** What `rowKey` gives for a row whose key fields have these texts, none of them null. */
export function keyOfTexts(texts: readonly string[]): string {
  return texts.map((text) => `${text.length}:${text}`).join('')
}

/** The texts of a key without nulls. */
export function textsOfKey(key: string): string[] {
  const texts: string[] = []
  for (let at = 0; at < key.length;) {
    const colon = key.indexOf(':', at)
    const end = colon + 1 + Number(key.slice(at, colon))
    texts.push(key.slice(colon + 1, end))
    at = end
  }
  return texts
}
