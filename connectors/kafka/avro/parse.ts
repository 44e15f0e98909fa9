/**
 * The JSON text of an Avro schema → its tree (Apache Avro 1.12, "Schema Declaration").
 *
 *   schema = "name" | [schema, …] | {"type": name | schema, …attributes}
 *   record = {"type": "record", "name", "namespace"?, "fields": [{"name", "type", "default"?, "aliases"?}]}
 *   enum   = {"type": "enum", "name", "symbols": […]}       fixed = {"type": "fixed", "name", "size"}
 *   array  = {"type": "array", "items": schema}             map   = {"type": "map", "values": schema}
 *
 * A name without a dot lies in the namespace of the definition around it. References come first and in
 * order, so that each name is known where it is used.
 */
import type { ReferencedSchema } from '../registry/client.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'
import {
  branchName,
  type AvroField,
  type AvroPlain,
  type AvroRecord,
  type AvroType,
} from './types.ts'
import { decimalOf, logicalOf } from './logical.ts'

const depthMax = 64
/** Definitions and uses of types in one schema, its references included. */
const typesMax = 20_000
/** The largest `fixed`: what it says is a length that every record has to have. */
const fixedBytesMax = 64 * 1024 * 1024
const plain: ReadonlySet<string> = new Set<AvroPlain>([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])
const encoder = new TextEncoder()

type Attributes = Readonly<Record<string, unknown>>

/** Throws `source.kafka.schema_invalid`. */
export function parseAvroSchema(
  text: string,
  references: readonly ReferencedSchema[],
  origin: SchemaOrigin,
): AvroType {
  const parser = new Parser(origin)
  for (const reference of references) parser.parse(reference.text)
  return parser.parse(text)
}

class Parser {
  readonly #origin: SchemaOrigin
  readonly #named = new Map<string, AvroType>()
  #types = 0

  constructor(origin: SchemaOrigin) {
    this.#origin = origin
  }

  parse(text: string): AvroType {
    return this.#type(this.#jsonOf(text), '', 0)
  }

  /** A schema may be the bare name of a type, with or without quotes. */
  #jsonOf(text: string): unknown {
    if (/^\s*[\w.]+\s*$/.test(text)) return text.trim()
    try {
      return JSON.parse(text, exactIntegers) as unknown
    } catch (cause) {
      throw this.#problem('is no Avro schema: it is not JSON', cause)
    }
  }

  #type(schema: unknown, namespace: string, depth: number): AvroType {
    if (depth > depthMax) throw this.#problem(`is nested deeper than ${depthMax} levels`)
    if (++this.#types > typesMax) throw this.#problem(`has more than ${typesMax} types`)
    if (typeof schema === 'string') return this.#byName(schema, namespace)
    if (Array.isArray(schema)) return this.#union(schema, namespace, depth)
    if (!isAttributes(schema)) throw this.#problem('is no Avro schema: a type is missing')
    const kind = schema['type']
    switch (kind) {
      case 'record':
      case 'error':
        return this.#record(schema, namespace, depth)
      case 'enum':
        return this.#enum(schema, namespace)
      case 'fixed':
        return this.#fixed(schema, namespace)
      case 'array':
        return {
          kind,
          items: this.#type(schema['items'], namespace, depth + 1),
          ...connectOf(schema),
        }
      case 'map':
        return {
          kind,
          values: this.#type(schema['values'], namespace, depth + 1),
          ...connectOf(schema),
        }
      default:
        return this.#attributed(schema, namespace, depth)
    }
  }

  /** `{"type": "int", "logicalType": "date"}`, or another schema with attributes that mean nothing. */
  #attributed(schema: Attributes, namespace: string, depth: number): AvroType {
    const type = this.#type(schema['type'], namespace, depth + 1)
    if (!plain.has(type.kind)) return type
    const connect = connectOf(schema)
    const decimal = type.kind === 'bytes' ? decimalOf(schema, 'bytes', null) : null
    if (decimal !== null) return { ...decimal, ...connect }
    const logical = logicalOf(type.kind, schema['logicalType'])
    return { kind: type.kind as AvroPlain, logical, ...connect }
  }

  #byName(name: string, namespace: string): AvroType {
    if (plain.has(name)) return { kind: name as AvroPlain, logical: null }
    const type = this.#named.get(fullName(name, namespace)) ?? this.#named.get(name)
    if (type === undefined) throw this.#problem(`names a type that it does not define: ${name}`)
    return type
  }

  #union(schemas: readonly unknown[], namespace: string, depth: number): AvroType {
    const branches = schemas.map((schema) => this.#type(schema, namespace, depth + 1))
    if (branches.length === 0) throw this.#problem('has a union of nothing')
    if (branches.some(({ kind }) => kind === 'union'))
      throw this.#problem('has a union within a union')
    if (new Set(branches.map(branchName)).size < branches.length)
      throw this.#problem('has a union with two branches of one type')
    return { kind: 'union', branches }
  }

  #record(schema: Attributes, namespace: string, depth: number): AvroType {
    const fields: AvroField[] = []
    const name = this.#name(schema, namespace)
    const record: AvroRecord = { kind: 'record', name, fields, ...connectOf(schema) }
    this.#define(name, record)
    const listed = schema['fields']
    if (!Array.isArray(listed)) throw this.#problem(`has a record without fields: ${name}`)
    const seen = new Set<string>()
    for (const field of listed as readonly unknown[]) {
      const fieldName = isAttributes(field) ? field['name'] : undefined
      if (!isAttributes(field) || typeof fieldName !== 'string')
        throw this.#problem(`has a field without a name in ${name}`)
      if (seen.has(fieldName)) throw this.#problem(`has two fields ${fieldName} in ${name}`)
      seen.add(fieldName)
      fields.push({
        name: fieldName,
        label: `${JSON.stringify(fieldName)}:`,
        type: this.#type(field['type'], spaceOf(name), depth + 1),
        aliases: textsOf(field['aliases']),
        ...('default' in field && { default: field['default'] }),
      })
    }
    return record
  }

  #enum(schema: Attributes, namespace: string): AvroType {
    const name = this.#name(schema, namespace)
    const symbols = textsOf(schema['symbols'])
    if (symbols.length === 0) throw this.#problem(`has an enum without symbols: ${name}`)
    const texts = symbols.map((symbol) => encoder.encode(symbol))
    return this.#define(name, { kind: 'enum', name, symbols, texts, ...connectOf(schema) })
  }

  #fixed(schema: Attributes, namespace: string): AvroType {
    const name = this.#name(schema, namespace)
    const size = schema['size']
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > fixedBytesMax)
      throw this.#problem(`has a fixed type without a usable size: ${name}`)
    const logical = schema['logicalType']
    const decimal = decimalOf(schema, name, size)
    if (decimal !== null) return this.#define(name, { ...decimal, ...connectOf(schema) })
    const known =
      logical === 'uuid' && size === 16
        ? 'uuid'
        : logical === 'duration' && size === 12
          ? 'duration'
          : null
    return this.#define(name, { kind: 'fixed', name, size, logical: known, ...connectOf(schema) })
  }

  #name(schema: Attributes, namespace: string): string {
    const name = schema['name']
    if (typeof name !== 'string' || name === '') throw this.#problem('has a type without a name')
    const own = schema['namespace']
    return fullName(name, typeof own === 'string' ? own : namespace)
  }

  #define(name: string, type: AvroType): AvroType {
    if (plain.has(name) || this.#named.has(name))
      throw this.#problem(`defines ${name} a second time`)
    this.#named.set(name, type)
    return type
  }

  #problem(phrase: string, cause?: unknown): Error {
    return schemaProblem(this.#origin, phrase, cause)
  }
}

/** A default of 2^63 − 1 is that, and not what a double makes of it. */
function exactIntegers(
  this: unknown,
  _key: string,
  value: unknown,
  ...more: readonly unknown[]
): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const [context] = more
  const source = isAttributes(context) ? context['source'] : undefined
  return typeof source === 'string' && /^-?\d+$/.test(source) ? BigInt(source) : value
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function spaceOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')))
}

/** The name under which Connect knows the type, where its converter wrote the schema. */
function connectOf(schema: Attributes): Pick<AvroRecord, 'connect'> {
  const { 'connect.name': name, 'connect.type': type, 'connect.parameters': given } = schema
  if (typeof name !== 'string' && typeof type !== 'string' && !isAttributes(given)) return {}
  const parameters: Record<string, string> = {}
  for (const [key, value] of Object.entries(isAttributes(given) ? given : {})) {
    if (typeof value === 'string') parameters[key] = value
  }
  return {
    connect: {
      name: typeof name === 'string' ? name : '',
      type: typeof type === 'string' ? type : '',
      parameters,
    },
  }
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function isAttributes(value: unknown): value is Attributes {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
