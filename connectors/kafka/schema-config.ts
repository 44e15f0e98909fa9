/**
 * Formats that need a schema beside the records, as the pipeline file says them: the zod pieces (spread
 * `schemaShape` into a strict object), what can be wrong between them, and the formats they make. As in
 * core/connector/format/format-config.ts none has a default, so that a topic's can be laid over its
 * source's.
 */
import { z } from 'zod'
import type { ValueFormat } from '../../core/connector/format/format.ts'
import type { SettingProblem } from '../../core/connector/format/format-config.ts'
import { AvroCodec } from './avro/codec.ts'
import { GivenSchemaFormat } from './given-schema-format.ts'
import { JsonSchemaCodec } from './json-schema/codec.ts'
import { ProtobufCodec } from './protobuf/codec.ts'
import type { SchemaRegistry } from './registry/client.ts'
import { RegistryFormat } from './registry/registry-format.ts'
import type { SchemaCodec } from './schema-codec.ts'

export const schemaFormats = ['avro', 'protobuf', 'json_schema'] as const
export type SchemaFormat = (typeof schemaFormats)[number]

/** All but `format` and `key_format`, which take `schemaFormats` beside the plain ones, and `registry`. */
export const schemaShape = {
  avro_schema: z.string().min(1).optional().meta({
    description:
      'The Avro schema of the values in JSON, where no registry has it: the text, such as ${file.order.avsc}. Values are bare Avro then, without a schema id in front.',
  }),
  proto: z.string().min(1).optional().meta({
    description:
      'The .proto file of the values, where no registry has it: the text, such as ${file.order.proto}. Values are bare messages then, without a schema id in front.',
  }),
  message: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'The Protobuf message to read, with or without its package. Default: the only one of `proto`; of a registry, whichever a record names, and others are set aside as dead letters where this is set.',
      examples: ['shop.Order'],
    }),
  subject: z.string().min(1).optional().meta({
    description:
      'Subject of the registry whose versions give the columns. Default: the topic’s name and -value.',
  }),
}

/** What `schemaShape` gives, with `format`. */
export interface SchemaSettings {
  readonly format: SchemaFormat
  readonly avro_schema?: string | undefined
  readonly proto?: string | undefined
  readonly message?: string | undefined
  readonly subject?: string | undefined
}

/** What is wrong between the settings; `format` may be a plain one, which takes none of them. */
export function schemaProblems(
  settings: Omit<SchemaSettings, 'format'> & { readonly format: string },
  hasRegistry: boolean,
): readonly SettingProblem[] {
  const { format, avro_schema: avro, proto, message, subject } = settings
  const problems: SettingProblem[] = []
  const add = (path: string, text: string): void => {
    problems.push({ path: [path], message: text })
  }
  if (avro !== undefined && format !== 'avro')
    add('avro_schema', `is for format: avro, and this is ${format}`)
  if (proto !== undefined && format !== 'protobuf')
    add('proto', `is for format: protobuf, and this is ${format}`)
  if (message !== undefined && format !== 'protobuf')
    add('message', `is for format: protobuf, and this is ${format}`)
  const isGiven = avro !== undefined || proto !== undefined
  const isKnown = (schemaFormats as readonly string[]).includes(format)
  if (isKnown && !isGiven && !hasRegistry) {
    const given =
      format === 'avro' ? ', or `avro_schema`' : format === 'protobuf' ? ', or `proto`' : ''
    add('format', `format: ${format} needs a schema: \`registry\` on the source or topic${given}`)
  }
  if (subject !== undefined && (!isKnown || isGiven))
    add('subject', 'is of a registry, which nothing is asked of here')
  return problems
}

export interface SchemaFormatOptions {
  /** Kafka's name of the topic. */
  readonly topic: string
  readonly part: 'value' | 'key'
  /** What the column is called of a schema that is no record: of a key, the key column. */
  readonly column: string
  /** Not needed where the settings give the schema. */
  readonly registry: SchemaRegistry | null
}

/**
 * Reads values or keys. A key's schema is always the registry's. Throws `source.kafka.schema_invalid`
 * (`config`) for a given schema that is none.
 */
export function schemaFormat(settings: SchemaSettings, options: SchemaFormatOptions): ValueFormat {
  const { topic, part, registry } = options
  const { avro_schema: avro, proto } = settings
  if (part === 'value' && settings.format === 'avro' && avro !== undefined)
    return new GivenSchemaFormat(new AvroCodec(options.column), avro, 'avro_schema')
  if (part === 'value' && settings.format === 'protobuf' && proto !== undefined) {
    const message = settings.message ?? null
    return new GivenSchemaFormat(new ProtobufCodec({ message, hasIndex: false }), proto, 'proto')
  }
  if (registry === null)
    throw new TypeError(`${topic}: a format of the registry without a registry`)
  return new RegistryFormat(registry, subjectOf(settings, topic, part), codecOf(settings, options))
}

/** The subject of a topic's schemas: Confluent's TopicNameStrategy, unless the settings say another one. */
export function subjectOf(
  { subject }: Pick<SchemaSettings, 'subject'>,
  topic: string,
  part: 'value' | 'key',
): string {
  return part === 'value' && subject !== undefined ? subject : `${topic}-${part}`
}

/** Reads values that begin with a schema id, by schemas that it is given. */
export function codecOf(
  { format, message }: SchemaSettings,
  { column, part }: Pick<SchemaFormatOptions, 'column' | 'part'>,
): SchemaCodec {
  switch (format) {
    case 'avro':
      return new AvroCodec(column)
    case 'protobuf': {
      const wanted = part === 'value' ? (message ?? null) : null
      return new ProtobufCodec({ message: wanted, hasIndex: true })
    }
    case 'json_schema':
      return new JsonSchemaCodec(column)
  }
}
