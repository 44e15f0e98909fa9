/**
 * Projections: the part of a topic's columns that a reader wants. What it gets is an ordinary batch
 * of a narrower schema, so that an unwanted column cannot be read by mistake: it is not there.
 *
 * The key's fields always stay. Without them an upsert topic's −1 rows would say nothing, and the
 * narrower schema would have another key than the topic.
 */
import { makeSchema, type Schema } from '../record/schema.ts'

export interface Projection {
  /** Of the batches that come out: the wanted fields and the key's, in the topic's order. */
  readonly schema: Schema
  /** Per field of the stored schema whether it is read. */
  readonly wanted: readonly boolean[]
}

/** Remembers the projections of one reader: making a schema costs a hash. */
export class Projections {
  readonly #known = new WeakMap<ReadonlySet<string>, Map<string, Projection | null>>()

  /** Null where every field is wanted. Names that the schema does not have are nobody's loss. */
  of(schema: Schema, wanted: ReadonlySet<string>): Projection | null {
    let bySchema = this.#known.get(wanted)
    if (bySchema === undefined) {
      bySchema = new Map()
      this.#known.set(wanted, bySchema)
    }
    let projection = bySchema.get(schema.id)
    if (projection === undefined) {
      projection = project(schema, wanted)
      bySchema.set(schema.id, projection)
    }
    return projection
  }
}

function project(
  { fields, key, changelog }: Schema,
  names: ReadonlySet<string>,
): Projection | null {
  const wanted = fields.map((field, i) => key.includes(i) || names.has(field.name))
  if (!wanted.includes(false)) return null
  const kept = fields.filter((_, i) => wanted[i]!)
  const places = key.map((index) => kept.indexOf(fields[index]!))
  return { schema: makeSchema(kept, places, changelog), wanted }
}
