/**
 * SchemaCodec: a format whose records say nothing of themselves, together with the schemas that it has
 * met so far. Avro, Protobuf and JSON Schema implement it; RegistryFormat feeds it from the registry,
 * GivenSchemaFormat from the pipeline file.
 */
import type { AnyBuilder } from '../../core/record/builder.ts'
import type { Field } from '../../core/record/schema.ts'
import { sameType } from '../../core/record/types.ts'
import type { ReadFault } from '../../core/connector/format/format.ts'
import type { RegisteredSchema } from './registry/client.ts'
import type { SchemaOrigin } from './schema-problem.ts'

export interface SchemaCodec {
  /** For messages and the registry's `schemaType`. */
  readonly type: RegisteredSchema['type']
  /** Of all schemas that it has; null = it has none. The same array until they change. */
  readonly fields: readonly Field[] | null
  has(id: number): boolean
  /**
   * Takes a schema, or puts one that it has to the front: `isNewest` = no other is newer. Throws
   * `source.kafka.schema_invalid`, and then it is as before.
   */
  add(schema: RegisteredSchema, isNewest: boolean, origin: SchemaOrigin): void
  /** After `read` gave `notReady` of a schema that it has: takes in what that value needs of it. */
  settle(): void
  /** As ValueFormat.read, of a value that was written by schema `id`, which it has. */
  read(
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null
}

/** The schemas of one codec in the order in which they count: the newest of the subject, then by id. */
export class SchemaOrder<S> {
  readonly #schemas = new Map<number, S>()
  #newest = -1

  get(id: number): S | undefined {
    return this.#schemas.get(id)
  }

  get size(): number {
    return this.#schemas.size
  }

  /** Another order with this schema in it; this one stays as it is. */
  with(id: number, schema: S, isNewest: boolean): SchemaOrder<S> {
    const next = new SchemaOrder<S>()
    for (const [otherId, other] of this.#schemas) next.#schemas.set(otherId, other)
    next.#schemas.set(id, schema)
    next.#newest = isNewest ? id : this.#newest
    return next
  }

  /** Another order with this one in place of the schema of that id. */
  replaced(id: number, schema: S): SchemaOrder<S> {
    return this.with(id, schema, id === this.#newest)
  }

  /** Ids and schemas, newest first. */
  sorted(): readonly (readonly [number, S])[] {
    const newest = this.#newest
    return [...this.#schemas].sort(([a], [b]) => (a === newest ? -1 : b === newest ? 1 : b - a))
  }
}

/** `after`, or `before` itself where nothing is different: who keeps rows by it need not cut them. */
export function keptFields(
  before: readonly Field[] | null,
  after: readonly Field[],
): readonly Field[] {
  const same =
    before?.length === after.length &&
    before.every(({ name, type, nullable }, i) => {
      const other = after[i]!
      return name === other.name && nullable === other.nullable && sameType(type, other.type)
    })
  return same ? before : after
}
