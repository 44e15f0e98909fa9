/** What rows of one table may be put together, where its columns were changed while it was copied. */
import { makeBatch, type Batch } from '../../record/batch.ts'
import { makeSchema, type Schema } from '../../record/schema.ts'
import { sameType } from '../../record/types.ts'

/**
 * One schema for rows of both: they have the same fields, key and meaning, and at most differ in which
 * fields may be null. null = they are of two different tables, or of one before and after a change of it.
 */
export function commonSchema(a: Schema, b: Schema): Schema | null {
  if (a.id === b.id) return a
  const same =
    a.changelog === b.changelog &&
    a.key.join() === b.key.join() &&
    a.fields.length === b.fields.length &&
    a.fields.every(({ name, type }, i) => {
      const other = b.fields[i]!
      return name === other.name && sameType(type, other.type)
    })
  if (!same) return null
  if (a.fields.every(({ nullable }, i) => nullable || !b.fields[i]!.nullable)) return a
  if (b.fields.every(({ nullable }, i) => nullable || !a.fields[i]!.nullable)) return b
  return makeSchema(
    a.fields.map((field, i) => (b.fields[i]!.nullable ? { ...field, nullable: true } : field)),
    a.key,
    a.changelog,
  )
}

/** The batch under a schema that its rows fit too (commonSchema). */
export function withSchema(batch: Batch, schema: Schema): Batch {
  if (batch.schema.id === schema.id) return batch
  return makeBatch(schema, batch.columns, batch.weights, batch.ops, batch.timesUs)
}
