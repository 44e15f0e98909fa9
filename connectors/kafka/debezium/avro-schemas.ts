/**
 * AvroSchemas: what the registry says of the ids that values and keys of one topic begin with.
 *
 *   value, key = 0x00 id:u32 payload        big-endian
 */
import type { ReadFault } from '../../../core/connector/format/format.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { parseAvroSchema } from '../avro/parse.ts'
import type { AvroType } from '../avro/types.ts'
import type { RegisteredSchema, SchemaRegistry } from '../registry/client.ts'
import { RefusedSchemas } from '../registry/refused-schemas.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'

export const prefixBytes = 5
/** Schemas of one topic: a stream of ever new ones is somebody's mistake, and each costs memory. */
const schemasMax = 1000

export class AvroSchemas {
  readonly #registry: SchemaRegistry
  readonly #subject: string
  readonly #types = new Map<number, AvroType>()
  readonly #refused: RefusedSchemas
  /** The newest of the values; −1 = not asked, or there is none. */
  newest = -1
  #wantsNewest = false
  hasAskedNewest = false

  constructor(registry: SchemaRegistry, subject: string) {
    this.#registry = registry
    this.#subject = subject
    this.#refused = new RefusedSchemas(registry.clock)
  }

  static idAt(bytes: Uint8Array, start: number): number {
    const high = (bytes[start + 1]! << 24) | (bytes[start + 2]! << 16)
    return (high | (bytes[start + 3]! << 8) | bytes[start + 4]!) >>> 0
  }

  /** undefined: `prepare` asks for it. A fault: it was asked for just now, and cannot be had. */
  get(id: number): AvroType | ReadFault | undefined {
    const known = this.#types.get(id) ?? this.#refused.of(id)
    if (known !== null) return known
    this.#refused.want(id)
    return undefined
  }

  wantNewest(): void {
    this.#wantsNewest = true
  }

  /** As ValueFormat.prepare. */
  async prepare(signal: AbortSignal): Promise<void> {
    if (this.#wantsNewest) await this.#takeNewest(signal)
    await this.#refused.takeWanted(async (id) => {
      if (!this.#types.has(id)) this.#take(await this.#registry.schema(id, signal))
    })
  }

  async #takeNewest(signal: AbortSignal): Promise<void> {
    const newest = await this.#registry.latest(this.#subject, signal).catch((error: unknown) => {
      // A schema that somebody else registered is no reason to reject a record.
      if (error instanceof SluiceError && error.fault === 'row') return null
      throw error
    })
    this.#wantsNewest = false
    this.hasAskedNewest = true
    if (newest?.type !== 'AVRO') return
    this.#take(newest)
    this.newest = newest.id
  }

  #take(schema: RegisteredSchema): void {
    if (this.#types.has(schema.id)) return
    const origin: SchemaOrigin = {
      what: `Schema ${schema.id} of the registry ${this.#registry.origin}`,
      fault: 'row',
    }
    if (schema.type !== 'AVRO') throw schemaProblem(origin, `is of ${schema.type}, and no Avro`)
    if (this.#types.size >= schemasMax)
      throw schemaProblem(origin, `would be the topic’s ${schemasMax + 1}th`)
    this.#types.set(schema.id, parseAvroSchema(schema.text, schema.references, origin))
  }
}
