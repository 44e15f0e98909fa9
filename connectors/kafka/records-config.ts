/**
 * How records become rows, in the pipeline file: the words that topics and their source share, and what can
 * be wrong between them. Formats that need nobody to ask are those of all sources of messages
 * (core/connector/format); the others have their schemas from a registry, or beside the topic.
 */
import { z } from 'zod'
import {
  plainFormats,
  plainKeyFormats,
  plainProblems,
  plainShape,
  type PlainFormat,
  type PlainKeyFormat,
  type PlainSettings,
  type SettingProblem,
} from '../../core/connector/format/format-config.ts'
import { debeziumProblems, debeziumShape } from './debezium/config.ts'
import { columnFault, columnWords } from './extra-columns.ts'
import { registryConfig } from './registry/config.ts'
import {
  schemaFormats,
  schemaProblems,
  schemaShape,
  type SchemaFormat,
  type SchemaSettings,
} from './schema-config.ts'

const columnWhat = z.string().superRefine((what, ctx) => {
  const fault = columnFault(what)
  if (fault !== null) ctx.addIssue({ code: 'custom', message: fault, input: what })
})

/** Of the source and of each topic; nothing has a default here, so that a topic's silence is heard. */
export const recordsShape = {
  format: z
    .enum([...plainFormats, ...schemaFormats, 'debezium'])
    .optional()
    .meta({
      description:
        'How values are written; default: json. avro, protobuf and json_schema have their columns from the registry, or from `avro_schema` or `proto`. debezium: change events of Debezium, which become the changes of the rows that they are about.',
    }),
  ...plainShape,
  key_format: z
    .enum([...plainKeyFormats, ...schemaFormats])
    .optional()
    .meta({
      description:
        'How the records’ keys are written, where columns of `key` are to be read from them: tombstones need it, since they have nothing else. json takes an object, or a bare value for one column.',
    }),
  columns: z
    .record(z.string().min(1), columnWhat)
    .optional()
    .meta({
      description: `Columns beside those of the value, each with what it holds: ${columnWords}. Keys and headers are text, and what is not UTF-8 stands as \\x and hexadecimal digits.`,
      examples: [{ kafka_offset: 'offset', at: 'timestamp', trace: 'header.traceparent' }],
    }),
  registry: registryConfig.optional().meta({ description: 'The schema registry.' }),
  ...schemaShape,
  ...debeziumShape,
}

export type RecordsConfig = {
  readonly [K in keyof typeof recordsShape]?: z.output<(typeof recordsShape)[K]>
}

/** As format-config.ts takes it, where the format is one of its own. */
export function plainSettings(config: RecordsConfig): PlainSettings | null {
  const { format = 'json', key_format, schema, key, epoch, csv, tombstones } = config
  if (format === 'debezium' || isSchemaFormat(format)) return null
  const keyFormat = key_format === undefined || isSchemaFormat(key_format) ? undefined : key_format
  return { format, schema, key, keyFormat, epoch, csv, tombstones }
}

/** As schema-config.ts takes it, where values are of one of its formats. */
export function schemaSettings(config: RecordsConfig): SchemaSettings | null {
  const { format = 'json', avro_schema, proto, message, subject } = config
  return isSchemaFormat(format) ? { format, avro_schema, proto, message, subject } : null
}

export function isSchemaFormat(
  format: PlainFormat | PlainKeyFormat | SchemaFormat | 'debezium',
): format is SchemaFormat {
  return (schemaFormats as readonly string[]).includes(format)
}

/** Of the settings of one topic, those of its source included. */
export function recordsProblems(config: RecordsConfig): readonly SettingProblem[] {
  const problems: SettingProblem[] = []
  const add = (path: readonly string[], message: string): void => {
    problems.push({ path, message })
  }
  const { format = 'json', key_format, registry } = config
  const plain = plainSettings(config)
  // Without columns it is a file that `sluice schema infer` is yet to be asked about.
  if (plain !== null && !lacksSchema(config)) problems.push(...plainProblems(plain))
  if (plain === null && format !== 'debezium' && config.schema !== undefined) {
    add(['schema'], `the columns of format: ${format} are those of its own schema`)
  }
  problems.push(...debeziumProblems(config))
  const ofRegistry = format === 'debezium' && registry !== undefined
  const asked = ofRegistry ? { ...config, subject: undefined } : config
  problems.push(...schemaProblems({ ...asked, format }, registry !== undefined))
  if (key_format !== undefined && isSchemaFormat(key_format) && registry === undefined) {
    add(['key_format'], `${key_format} needs a \`registry\``)
  }
  const { key = [], tombstones } = config
  if (
    format !== 'debezium' &&
    tombstones === 'delete' &&
    key.length > 0 &&
    key_format === undefined
  ) {
    add(
      ['tombstones'],
      'records without value have their key alone: `key_format` says how to read it',
    )
  }
  for (const name of Object.keys(config.columns ?? {})) {
    if (config.schema?.[name] === undefined) continue
    add(['columns', name], 'is a column of `schema` already')
  }
  return problems
}

/** Whether the columns are still to be written down. */
export function lacksSchema({ format = 'json', schema }: RecordsConfig): boolean {
  return (format === 'json' || format === 'csv') && Object.keys(schema ?? {}).length === 0
}
