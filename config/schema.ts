/**
 * The schema of a pipeline file but for what each source and sink adds to it. Type, default,
 * description, JSON Schema and docs/config.md all come from here.
 */
import { z } from 'zod'
import { durationText } from '../core/connector/duration.ts'
import { secretText } from '../core/connector/secret.ts'
import type { SinkConnector } from '../core/connector/sink.ts'
import type { SourceConnector } from '../core/connector/source.ts'
import { jsonSchemaOf, type JsonSchema } from './json-schema.ts'
import { serverSchema } from './server.ts'
import { sinkFrame } from './sink-frame.ts'

/** Lazy registers of source and sink types, as in connectors/index.ts and sinks/index.ts. */
export interface Registers {
  readonly sources: Readonly<Record<string, () => Promise<SourceConnector<unknown>>>>
  readonly sinks: Readonly<Record<string, () => Promise<SinkConnector<unknown>>>>
}

/** Names become parts of topics, chains and SQL identifiers. */
export const namePattern = /^[a-z][a-z0-9_]*$/
export const nameLengthMax = 48

export const logSchema = z.strictObject({
  url: z
    .string()
    .regex(/^(file|s3|memory):\/\/./, 'expected file://…, s3://bucket/prefix or memory://name')
    .meta({
      description:
        'Where the log is kept: `file://./folder` (relative to this file), `file:///folder` or `s3://bucket/prefix`.',
      examples: ['file://./.sluice/log', 's3://my-bucket/sluice'],
    }),
  endpoint: z
    .url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' })
    .optional()
    .meta({ description: 'S3 endpoint, for stores other than AWS.' }),
  region: z.string().min(1).optional().meta({ description: 'S3 region.' }),
  path_style: z
    .boolean()
    .optional()
    .meta({ description: 'Put the bucket in the path instead of the host name of S3 requests.' }),
  access_key_id: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'S3 access key; without it the AWS SDK looks in its usual places.' }),
  secret_access_key: secretText('S3 secret key that belongs to `access_key_id`.').optional(),
  flush: durationText(
    'Time between two commits under load; the first rows after a pause never wait for it. Default: 20ms on a local folder, 250ms on S3, and longer while the store answers slowly.',
    { minMs: 1, maxMs: 60_000 },
  ).optional(),
})

const transformSchema = z.strictObject({
  sql: z
    .string()
    .min(1)
    .meta({
      description:
        'One SELECT in PostgreSQL’s dialect over the topics of the sources and of other transforms. Its rows become the topic with the name of the transform.',
      examples: ['SELECT region, COUNT(*) AS orders FROM orders GROUP BY region'],
    }),
})

const sourcesText = 'Where rows come from, by name. Its topics are `<name>.<schema>.<table>`.'
const transformsText = 'Streaming SQL, by name.'
const sinksText = 'Where rows go, by name.'

/** The frame around sources and sinks, whose own keys are checked by their connector's schema. */
export const pipelineSchema = z.strictObject({
  version: z
    .literal(1, { error: 'expected 1, the version of the file format' })
    .meta({ description: 'Version of the file format.' }),
  name: z
    .string()
    .regex(namePattern, 'expected lower-case letters, digits and _, beginning with a letter')
    .max(nameLengthMax)
    .meta({ description: 'Name of the pipeline; part of its chains in the log.' }),
  log: logSchema.meta({ description: 'The log, which holds everything between source and sink.' }),
  server: serverSchema.optional().meta({
    description:
      'The HTTP server through which sources are called (`type: http` with `push`). It listens only when one of them is.',
  }),
  sources: z
    .record(z.string(), z.looseObject({ type: z.string() }))
    .meta({ description: sourcesText }),
  transforms: z
    .record(z.string(), transformSchema)
    .optional()
    .meta({ description: transformsText }),
  sinks: z
    .record(z.string(), z.looseObject({ type: z.string(), ...sinkFrame }))
    .optional()
    .meta({ description: sinksText }),
})

/** The JSON Schema of a whole pipeline file, for editors; loads every source and sink. */
export async function pipelineJsonSchema(registers: Registers): Promise<JsonSchema> {
  const frame = jsonSchemaOf(pipelineSchema)
  const common = sinkFrameJson()
  const named = (description: string, entry: JsonSchema): JsonSchema => ({
    type: 'object',
    description,
    patternProperties: { [namePattern.source]: entry },
    additionalProperties: false,
  })
  const schema: JsonSchema = {
    ...frame,
    properties: {
      ...frame.properties,
      sources: named(sourcesText, oneOfTypes(await schemasOf(registers.sources), {}, [])),
      transforms: named(transformsText, jsonSchemaOf(transformSchema)),
      sinks: named(sinksText, oneOfTypes(await schemasOf(registers.sinks), common, ['from'])),
    },
  }
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Sluice pipeline',
    ...(allowReferences(schema) as JsonSchema),
  } as JsonSchema
}

/** What every sink takes beside its own keys, by key. */
export function sinkFrameJson(): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(
    Object.entries(sinkFrame).map(([key, schema]) => [key, jsonSchemaOf(schema)]),
  )
}

async function schemasOf(
  register: Readonly<Record<string, () => Promise<{ readonly config: z.ZodType }>>>,
): Promise<ReadonlyMap<string, JsonSchema>> {
  const schemas = new Map<string, JsonSchema>()
  for (const [type, load] of Object.entries(register)) {
    schemas.set(type, jsonSchemaOf((await load()).config))
  }
  return schemas
}

function oneOfTypes(
  types: ReadonlyMap<string, JsonSchema>,
  common: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
): JsonSchema {
  const oneOf = [...types].map(([type, schema]) => ({
    ...schema,
    title: type,
    properties: { type: { const: type }, ...common, ...schema.properties },
    required: ['type', ...required, ...(schema.required ?? [])],
  }))
  return { type: 'object', oneOf }
}

/** Numbers and switches may also be written as `${env.X}`; an editor must not underline that. */
function allowReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(allowReferences)
  if (typeof schema !== 'object' || schema === null) return schema
  const walked = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'default' || key === 'examples' || key === 'enum' ? value : allowReferences(value),
    ]),
  )
  const { type, enum: values } = walked as JsonSchema
  const strict =
    type === 'number' || type === 'integer' || type === 'boolean' || values !== undefined
  if (!strict) return walked
  const { description, default: preset, ...rest } = walked as JsonSchema
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
    anyOf: [rest, { type: 'string', pattern: '\\$\\{' }],
  }
}
