/**
 * RegistryFormat: values that begin with the id of the schema that wrote them, in the wire format of
 * Confluent's serialisers.
 *
 *   value = 0x00 id:u32 payload        big-endian; payload = whatever the codec reads
 *
 * The topic's subject gives the fields before the first record: those of its newest schema, and those that
 * only older ones have. All of them, whether records of them are still to come or not: what a row has
 * must not depend on where a process began to read. Where the subject is unknown (another naming
 * strategy), fields are those of the schemas that were met. One that was not met before is asked for
 * once, and may add fields.
 */
import {
  notReady,
  type ReadFault,
  type ValueFormat,
} from '../../../core/connector/format/format.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import type { Field } from '../../../core/record/schema.ts'
import type { SchemaCodec } from '../schema-codec.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'
import { RefusedSchemas } from './refused-schemas.ts'
import type { RegisteredSchema, SchemaRegistry } from './client.ts'

const prefixBytes = 5
/** Schemas of one topic: a stream of ever new ones is somebody's mistake, and each costs memory. */
const schemasMax = 1000

const noPrefix: ReadFault = {
  field: null,
  message:
    'it does not begin with the byte 0 and a schema id: it was not written by a serialiser of the registry',
}

export class RegistryFormat implements ValueFormat {
  readonly #registry: SchemaRegistry
  readonly #subject: string
  readonly #codec: SchemaCodec
  readonly #refused: RefusedSchemas
  #lastId = -1
  #schemas = 0
  #isSubjectTaken = false
  #isNewestKnown = false

  constructor(registry: SchemaRegistry, subject: string, codec: SchemaCodec) {
    this.#registry = registry
    this.#subject = subject
    this.#codec = codec
    this.#refused = new RefusedSchemas(registry.clock)
  }

  get fields(): readonly Field[] | null {
    return this.#codec.fields
  }

  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    if (end - start < prefixBytes || bytes[start] !== 0) return noPrefix
    const id =
      ((bytes[start + 1]! << 24) |
        (bytes[start + 2]! << 16) |
        (bytes[start + 3]! << 8) |
        bytes[start + 4]!) >>>
      0
    if (id !== this.#lastId) {
      if (!this.#codec.has(id)) {
        const refused = this.#refused.of(id)
        if (refused !== null) return refused
        this.#refused.want(id)
        return notReady
      }
      this.#lastId = id
    }
    return this.#codec.read(id, bytes, start + prefixBytes, end, builders)
  }

  async prepare(signal: AbortSignal): Promise<void> {
    this.#codec.settle()
    await this.#refused.takeWanted(async (id) => {
      if (this.#codec.has(id)) return
      this.#take(await this.#registry.schema(id, signal), false)
      // Where one is new another may be newer.
      this.#isNewestKnown = false
    })
    if (this.#isSubjectTaken && this.#isNewestKnown) return
    const known = this.#isSubjectTaken
      ? [await this.#registry.latest(this.#subject, signal)]
      : await this.#registry.versions(this.#subject, signal)
    known.forEach((schema, i) => {
      if (schema !== null) this.#takeIfReadable(schema, i === 0)
    })
    this.#isSubjectTaken = true
    this.#isNewestKnown = true
  }

  /** What somebody registered is no reason to reject a record: only the record's own schema is. */
  #takeIfReadable(schema: RegisteredSchema, isNewest: boolean): void {
    try {
      this.#take(schema, isNewest)
    } catch (error) {
      if (!(error instanceof SluiceError) || error.fault !== 'row') throw error
    }
  }

  #take(schema: RegisteredSchema, isNewest: boolean): void {
    const origin: SchemaOrigin = {
      what: `Schema ${schema.id} of the registry ${this.#registry.origin}`,
      fault: 'row',
    }
    if (schema.type !== this.#codec.type) {
      throw schemaProblem(origin, `is of ${schema.type}, and ${this.#codec.type} is to be read`)
    }
    const isNew = !this.#codec.has(schema.id)
    if (isNew && this.#schemas >= schemasMax)
      throw schemaProblem(origin, `would be the topic’s ${schemasMax + 1}th`)
    this.#codec.add(schema, isNewest, origin)
    if (isNew) this.#schemas++
  }
}
