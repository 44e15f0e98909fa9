/**
 * A value as bytes, one call a row. Texts, json and bytes are the bytes themselves; everything else is as
 * core/record/json.ts writes it, without quotes: `1`, `true`, `12.50`, `2026-01-31T23:59:59.000001Z`,
 * `["a","b"]` for a list. All digits are there: readers of Redis parse them as they need.
 */
import type { Batch } from '../../core/record/batch.ts'
import { jsonColumn, type JsonOptions } from '../../core/record/json.ts'
import { bytesAt } from '../../core/record/value.ts'

export const exactJson: JsonOptions = { int64: 'number', decimal: 'string' }

export type BytesOf = (row: number) => Buffer

/** For rows in which the column is not null. */
export function textColumns(batch: Batch, fields: readonly number[]): BytesOf[] {
  return fields.map((index): BytesOf => {
    const { type } = batch.schema.fields[index]!
    const column = batch.columns[index]!
    const asItIs = column.encoding === 'bytes' || column.encoding === 'dictionary'
    if (asItIs && type.kind !== 'list') {
      return (row) => {
        const bytes = bytesAt(column, row)
        return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      }
    }
    const json = jsonColumn(type, column, exactJson)
    return (row) => {
      const text = json(row)
      // Of the types left only those that JSON has no form for are quoted, and none needs an escape.
      return Buffer.from(text.startsWith('"') ? text.slice(1, -1) : text)
    }
  })
}
