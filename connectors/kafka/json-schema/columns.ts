/**
 * The columns that a JSON Schema describes (drafts 4 to 2020-12, as far as types go). Only the top level
 * becomes columns; what is nested is json.
 *
 *   boolean, integer, number            bool, int64, float64; number with multipleOf 0.01: decimal
 *   string                              text; format date-time, date, uuid: timestamptz, date, uuid;
 *                                       contentEncoding base64: bytes
 *   array of one of these               list<…>
 *   object, other arrays, mixed types   json
 *   enum, const                         the type of their values
 *   connect.type int8 … float64, bytes, and Connect's Decimal and Timestamp, as Connect means them
 *
 * NULL is what is not `required`, or may be null (`type: [string, "null"]`, oneOf with null, nullable).
 * `$ref` is followed within the schema and into its references; allOf, oneOf and anyOf are laid together.
 */
import type { EpochUnit } from '../../../core/connector/format/epoch.ts'
import type { LogicalType, SimpleKind } from '../../../core/record/types.ts'
import type { ReferencedSchema } from '../registry/client.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'

export interface JsonColumn {
  readonly name: string
  readonly type: LogicalType
  readonly nullable: boolean
  /** What its numbers count since 1970, where it is a timestamp by numbers. */
  readonly epoch: EpochUnit | null
}

export interface JsonColumns {
  readonly columns: readonly JsonColumn[]
  /** Whether the document is the value of its only column, instead of an object of columns. */
  readonly isBare: boolean
}

type Schema = Readonly<Record<string, unknown>>

interface Shape {
  readonly type: LogicalType | null
  readonly nullable: boolean
  readonly epoch: EpochUnit | null
}

const refsMax = 64
const json: LogicalType = { kind: 'json' }

/** `column`: what the column is called of a schema that has no properties. Throws `source.kafka.schema_invalid`. */
export function jsonSchemaColumns(
  text: string,
  references: readonly ReferencedSchema[],
  column: string,
  origin: SchemaOrigin,
): JsonColumns {
  try {
    const reader = new SchemaReader(text, references, origin)
    const columns = reader.columns()
    if (columns.length > 0) return { columns, isBare: false }
    return { columns: [reader.whole(column)], isBare: true }
  } catch (error) {
    // Of the stack: the depth of a schema is whatever somebody registered.
    if (error instanceof RangeError) throw schemaProblem(origin, 'is nested too deeply', error)
    throw error
  }
}

class SchemaReader {
  readonly #origin: SchemaOrigin
  readonly #root: unknown
  readonly #references: ReadonlyMap<string, unknown>
  #refs = 0

  constructor(text: string, references: readonly ReferencedSchema[], origin: SchemaOrigin) {
    this.#origin = origin
    this.#root = this.#parse(text)
    this.#references = new Map(references.map(({ name, text }) => [name, this.#parse(text)]))
  }

  whole(name: string): JsonColumn {
    const { type, nullable, epoch } = this.#shape(this.#root, this.#root)
    return { name, type: type ?? json, nullable, epoch }
  }

  columns(): readonly JsonColumn[] {
    const found = new Map<string, JsonColumn>()
    this.#collect(this.#root, this.#root, found, false)
    return [...found.values()]
  }

  /** `isChoice`: one of several, so that none of its properties has to be there. */
  #collect(
    schema: unknown,
    root: unknown,
    found: Map<string, JsonColumn>,
    isChoice: boolean,
  ): void {
    if (!isSchema(schema)) return
    const ref = schema['$ref']
    if (typeof ref === 'string') {
      const [target, home] = this.#follow(ref, root)
      this.#collect(target, home, found, isChoice)
    }
    const required = arrayOf(schema['required'])
    const { properties } = schema
    for (const [name, property] of isSchema(properties) ? Object.entries(properties) : []) {
      const { type, nullable, epoch } = this.#shape(property, root)
      const other = found.get(name)
      const isOpen = nullable || isChoice || !required.includes(name)
      found.set(name, {
        name,
        type: laid(other?.type ?? null, type) ?? json,
        nullable: isOpen && other?.nullable !== false,
        epoch: other?.epoch ?? epoch,
      })
    }
    for (const part of arrayOf(schema['allOf'])) this.#collect(part, root, found, isChoice)
    for (const part of [...arrayOf(schema['oneOf']), ...arrayOf(schema['anyOf'])])
      this.#collect(part, root, found, true)
  }

  #shape(schema: unknown, root: unknown): Shape {
    if (!isSchema(schema)) return { type: null, nullable: true, epoch: null }
    const ref = schema['$ref']
    if (typeof ref === 'string') {
      const [target, home] = this.#follow(ref, root)
      const shape = this.#shape(target, home)
      this.#refs--
      return shape
    }
    const choices = [...arrayOf(schema['oneOf']), ...arrayOf(schema['anyOf'])]
    if (choices.length > 0) return this.#choice(choices, root, schema['nullable'] === true)
    const parts = arrayOf(schema['allOf'])
    if (parts.length > 0 && schema['type'] === undefined) {
      const shapes = parts.map((part) => this.#shape(part, root))
      return shapes.find(({ type }) => type !== null) ?? shapes[0]!
    }
    const names = typesOf(schema)
    const others = names.filter((name) => name !== 'null')
    const nullable = names.length > others.length || schema['nullable'] === true
    const [only] = others
    if (names.length === 0 || only === undefined) return { type: null, nullable: true, epoch: null }
    if (others.length > 1) {
      const isNumber = others.every((name) => name === 'integer' || name === 'number')
      return { type: isNumber ? { kind: 'float64' } : json, nullable, epoch: null }
    }
    const isTime = isConnect(schema, 'Timestamp') && only === 'integer'
    return { type: this.#typeOf(only, schema, root), nullable, epoch: isTime ? 'ms' : null }
  }

  #choice(choices: readonly unknown[], root: unknown, isNullable: boolean): Shape {
    const shapes = choices.map((choice) => this.#shape(choice, root))
    const isNull = (choice: unknown): boolean => isSchema(choice) && choice['type'] === 'null'
    const values = shapes.filter((_, i) => !isNull(choices[i]))
    const types = values.map(({ type }) => type ?? json)
    const nullable = isNullable || shapes.some((shape) => shape.nullable)
    const type = types.reduce<LogicalType | null>((all, next) => laid(all, next), null)
    return { type, nullable, epoch: values[0]?.epoch ?? null }
  }

  #typeOf(name: string, schema: Schema, root: unknown): LogicalType {
    switch (name) {
      case 'boolean':
        return { kind: 'bool' }
      case 'integer':
        return isConnect(schema, 'Timestamp') ? { kind: 'timestamptz' } : integerType(schema)
      case 'number':
        return numberType(schema)
      case 'string':
        return { kind: textKind(schema) }
      case 'array': {
        const { type, epoch } = this.#shape(schema['items'], root)
        const isScalar = type !== null && type.kind !== 'json' && type.kind !== 'list'
        return isScalar && epoch === null ? { kind: 'list', element: type } : json
      }
      default:
        return json
    }
  }

  /** `#/definitions/money`, `money.json`, `money.json#/$defs/amount`: the schema, and the document it is in. */
  #follow(ref: string, root: unknown): readonly [unknown, unknown] {
    if (++this.#refs > refsMax)
      throw schemaProblem(this.#origin, 'refers to itself, or too often to others')
    const [document = '', pointer = ''] = ref.split('#', 2)
    const home = document === '' ? root : this.#documentOf(document)
    let at: unknown = home
    for (const step of pointer.split('/').slice(1)) {
      const key = decodeStep(step)
      at =
        (isSchema(at) || Array.isArray(at)) && Object.hasOwn(at, key) ? (at as Schema)[key] : null
    }
    if (at === null || at === undefined)
      throw schemaProblem(this.#origin, `refers to ${ref}, which is not there`)
    return [at, home]
  }

  /** By the reference's name, or, as `$ref` may be relative to an `$id`, by its last part. */
  #documentOf(name: string): unknown {
    const last = name.slice(name.lastIndexOf('/') + 1)
    const found = this.#references.get(name) ?? this.#references.get(last)
    if (found === undefined)
      throw schemaProblem(this.#origin, `refers to ${name}, which it has no reference to`)
    return found
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      throw schemaProblem(this.#origin, 'is no JSON Schema: it is not JSON', cause)
    }
  }
}

/** One type for two: null is a type that nothing is known of. */
function laid(a: LogicalType | null, b: LogicalType | null): LogicalType | null {
  if (a === null || b === null) return a ?? b
  if (a.kind === b.kind && a.kind !== 'list' && a.kind !== 'decimal') return a
  const kinds = [a.kind, b.kind]
  return kinds.every((kind) => kind === 'int64' || kind === 'float64') ? { kind: 'float64' } : json
}

function typesOf(schema: Schema): readonly string[] {
  const { type } = schema
  if (typeof type === 'string') return [type]
  if (Array.isArray(type)) return type.filter((name) => typeof name === 'string')
  const values = 'const' in schema ? [schema['const']] : arrayOf(schema['enum'])
  const found = values.length > 0 ? values.map(typeOfValue) : []
  if (found.length > 0) return [...new Set(found)]
  return 'properties' in schema ? ['object'] : 'items' in schema ? ['array'] : []
}

function typeOfValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

const connectKinds: Readonly<Record<string, SimpleKind>> = {
  int8: 'int16',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float32: 'float32',
  float64: 'float64',
}

function integerType(schema: Schema): LogicalType {
  const connect = connectKinds[String(schema['connect.type'])]
  if (connect !== undefined) return { kind: connect }
  const { minimum, maximum } = schema
  // What begins at 0 and goes beyond 2^63 is meant to be unsigned.
  const isLarge = typeof maximum === 'number' && maximum > 2 ** 63
  return { kind: isLarge && typeof minimum === 'number' && minimum >= 0 ? 'uint64' : 'int64' }
}

function numberType(schema: Schema): LogicalType {
  if (isConnect(schema, 'Decimal')) return { kind: 'decimal', precision: null, scale: null }
  const step = schema['multipleOf']
  // 1, 0.1, 0.01 …: as many digits behind the point are meant.
  const digits = typeof step === 'number' ? Math.round(-Math.log10(step)) : -1
  if (digits >= 0 && digits <= 18 && step === Number(`1e-${digits}`)) {
    return { kind: 'decimal', precision: 38, scale: digits }
  }
  return { kind: connectKinds[String(schema['connect.type'])] ?? 'float64' }
}

function textKind(schema: Schema): SimpleKind {
  if (schema['connect.type'] === 'bytes' || schema['contentEncoding'] === 'base64') return 'bytes'
  switch (schema['format']) {
    case 'date-time':
      return 'timestamptz'
    case 'date':
    case 'uuid':
      return schema['format']
    default:
      return 'text'
  }
}

function isConnect(schema: Schema, name: string): boolean {
  return schema['title'] === `org.apache.kafka.connect.data.${name}`
}

/** A step of a JSON Pointer in a URI fragment (RFC 6901 §6). */
function decodeStep(step: string): string {
  let text = step
  try {
    text = decodeURIComponent(step)
  } catch {
    // A stray percent sign stands for itself.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~')
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : []
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
