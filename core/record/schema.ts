import { createHash } from 'node:crypto'
import { typeName, type LogicalType } from './types.ts'

/**
 * What a weight means on a topic:
 * - `append`: only +1 rows;
 * - `upsert`: +1 is the new image of its key, −1 takes the key away and only its key fields are sure;
 * - `retract`: −1 carries the full old row.
 */
export type Changelog = 'append' | 'upsert' | 'retract'

export interface Field {
  readonly name: string
  readonly type: LogicalType
  readonly nullable: boolean
  /**
   * The value, as exact text (value.ts), that rows have which the source had before it got this field
   * (ADD COLUMN … DEFAULT, which sends no row); absent: NULL, or nobody knows. No part of the schema's
   * id: it is about rows of the schemas before, and counts where the schema comes first.
   */
  readonly oldRows?: string
}

export interface Schema {
  /** Hash of everything below but `oldRows`: two schemas with the same content have the same id. */
  readonly id: string
  readonly fields: readonly Field[]
  /** Indexes into `fields`, in key order; empty when the rows have no key. */
  readonly key: readonly number[]
  readonly changelog: Changelog
}

export function makeSchema(
  fields: readonly Field[],
  key: readonly number[],
  changelog: Changelog,
): Schema {
  const content = JSON.stringify([
    fields.map((field) => [field.name, typeName(field.type), field.nullable]),
    key,
    changelog,
  ])
  const id = createHash('sha256').update(content).digest('hex').slice(0, 16)
  return { id, fields, key, changelog }
}
