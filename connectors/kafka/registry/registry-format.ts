/**
 * RegistryFormat: values that begin with the id of the schema that wrote them, in the wire format of
 * Confluent's serialisers.
 *
 *   value = 0x00 id:u32 payload        big-endian; payload = whatever the codec reads
 *
 * The newest schema of the topic's subject gives the fields before the first record; where the subject
 * is unknown (another naming strategy), the first record does. A schema that was not met before is asked
 * for once, and may add fields.
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
  #lastId = -1
  /** Of the record that could not be read yet. */
  #wanted = -1
  #schemas = 0

  constructor(registry: SchemaRegistry, subject: string, codec: SchemaCodec) {
    this.#registry = registry
    this.#subject = subject
    this.#codec = codec
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
        this.#wanted = id
        return notReady
      }
      this.#lastId = id
    }
    return this.#codec.read(id, bytes, start + prefixBytes, end, builders)
  }

  async prepare(signal: AbortSignal): Promise<void> {
    this.#codec.settle()
    // Kept until the registry has answered: who is refused by the network asks again without a record.
    const wanted = this.#wanted
    if (wanted >= 0 || this.fields === null) await this.#takeNewest(signal)
    if (wanted < 0) return
    if (!this.#codec.has(wanted)) {
      try {
        this.#take(await this.#registry.schema(wanted, signal), false)
      } catch (error) {
        if (error instanceof SluiceError && error.fault === 'row') this.#wanted = -1
        throw error
      }
    }
    this.#wanted = -1
  }

  /** A record that somebody else wrote is no reason to reject this one: only its own schema is. */
  async #takeNewest(signal: AbortSignal): Promise<void> {
    try {
      const newest = await this.#registry.latest(this.#subject, signal)
      if (newest !== null) this.#take(newest, true)
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
    if (!this.#codec.has(schema.id) && ++this.#schemas > schemasMax)
      throw schemaProblem(origin, `would be the topic’s ${this.#schemas}th`)
    this.#codec.add(schema, isNewest, origin)
  }
}
