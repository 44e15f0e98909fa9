/**
 * JSON Schema of a zod schema, as users write it in YAML: the one description from which editor
 * completion, docs/config.md, the names for "did you mean" and the masking of secrets are all taken.
 */
import { z } from 'zod'

export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly writeOnly?: boolean
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
}

/** Secrets become `writeOnly`. What JSON Schema cannot say (transforms, custom checks) is left out. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      if (jsonSchema['secret'] === true) jsonSchema.writeOnly = true
      delete jsonSchema['secret']
      // zod's notion of a safe integer is not a limit that a user set.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
    },
  })
  return json as JsonSchema
}

/** Every alternative at `path`: several where the schema is a union. */
export function schemasAt(schema: JsonSchema, path: readonly (string | number)[]): JsonSchema[] {
  let level = alternatives(schema)
  for (const part of path) {
    level = level.flatMap((one) => {
      const next =
        one.properties?.[String(part)] ??
        (typeof part === 'number' ? one.items : undefined) ??
        Object.values(one.patternProperties ?? {})[0] ??
        (typeof one.additionalProperties === 'object' ? one.additionalProperties : undefined)
      return next === undefined ? [] : alternatives(next)
    })
  }
  return level
}

/** Names that may stand as keys at `path`. */
export function keysAt(schema: JsonSchema, path: readonly (string | number)[]): readonly string[] {
  const names = schemasAt(schema, path).flatMap((one) => Object.keys(one.properties ?? {}))
  return [...new Set(names)]
}

export function isSecretAt(schema: JsonSchema, path: readonly (string | number)[]): boolean {
  return schemasAt(schema, path).some((one) => one.writeOnly === true)
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  return [schema, ...branches.flatMap(alternatives)]
}
