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

/** What is said of the key at `path`; `parent`, the value that it is missing in, tells which of several kinds it is. */
export function describedAt(
  schema: JsonSchema,
  path: readonly (string | number)[],
  parent: unknown,
): string | undefined {
  const key = String(path.at(-1))
  const kinds = schemasAt(schema, path.slice(0, -1)).filter((one) =>
    Object.entries(one.properties ?? {}).every(
      ([name, { const: word }]) =>
        word === undefined || (parent as Readonly<Record<string, unknown>>)[name] === word,
    ),
  )
  const found = kinds.flatMap((one) => alternatives(one.properties?.[key] ?? {}))
  return found.find((one) => one.description !== undefined)?.description
}

/** Of several kinds of mappings at `path`, the one that a word names: `{ scheme: github, … }`; null = none. */
export function kindNamed(
  schema: JsonSchema,
  path: readonly (string | number)[],
  word: string,
): string | null {
  for (const { properties = {} } of schemasAt(schema, path)) {
    const named = Object.entries(properties).find(([, property]) => property.const === word)
    if (named !== undefined) return `{ ${named[0]}: ${word}, … }`
  }
  return null
}

export function isSecretAt(schema: JsonSchema, path: readonly (string | number)[]): boolean {
  return schemasAt(schema, path).some((one) => one.writeOnly === true)
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  return [schema, ...branches.flatMap(alternatives)]
}
