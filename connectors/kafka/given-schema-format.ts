/** GivenSchemaFormat: values without a prefix, all written by the one schema of the pipeline file. */
import type { ReadFault, ValueFormat } from '../../core/connector/format/format.ts'
import type { AnyBuilder } from '../../core/record/builder.ts'
import type { Field } from '../../core/record/schema.ts'
import type { SchemaCodec } from './schema-codec.ts'
import { schemaProblem, type SchemaOrigin } from './schema-problem.ts'

const givenId = 0

export class GivenSchemaFormat implements ValueFormat {
  readonly #codec: SchemaCodec

  /** `option`: where the schema stands in the pipeline file. Throws `source.kafka.schema_invalid`. */
  constructor(codec: SchemaCodec, text: string, option: string) {
    this.#codec = codec
    const origin: SchemaOrigin = { what: `The schema of \`${option}\``, fault: 'config' }
    codec.add({ id: givenId, type: codec.type, text, references: [] }, true, origin)
    if (codec.fields === null)
      throw schemaProblem(origin, 'has several messages: say which one in `message`')
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
    return this.#codec.read(givenId, bytes, start, end, builders)
  }

  prepare(): Promise<void> {
    return Promise.resolve()
  }
}
