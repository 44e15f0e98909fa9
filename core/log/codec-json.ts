/**
 * Reads the JSON of a footer field by field: what is missing or has another type is `log.corrupt`,
 * with the object's name, never an undefined that surfaces elsewhere.
 */
import { makeSchema, type Changelog, type Field, type Schema } from '../record/schema.ts'
import type { LogicalType } from '../record/types.ts'
import { corrupt } from './codec-bytes.ts'

export class JsonReader {
  readonly #value: unknown
  readonly #object: string
  readonly #path: string

  constructor(value: unknown, object: string, path = 'footer') {
    this.#value = value
    this.#object = object
    this.#path = path
  }

  get(name: string | number): JsonReader {
    const { value } = this
    const own =
      typeof value === 'object' && value !== null && Object.hasOwn(value, name)
        ? (value as Readonly<Record<string | number, unknown>>)[name]
        : undefined
    return new JsonReader(own, this.#object, `${this.#path}.${name}`)
  }
  /** Anything that JSON can say. */
  get value(): unknown {
    return this.#value
  }
  text(): string {
    if (typeof this.#value === 'string') return this.#value
    throw this.fail('a text')
  }
  textOrNull(): string | null {
    return this.#value === null ? null : this.text()
  }
  bool(): boolean {
    if (typeof this.#value === 'boolean') return this.#value
    throw this.fail('true or false')
  }
  /** A safe integer ≥ 0. */
  count(): number {
    if (Number.isSafeInteger(this.#value) && (this.#value as number) >= 0) {
      return this.#value as number
    }
    throw this.fail('a count')
  }
  number(): number {
    if (typeof this.#value === 'number') return this.#value
    throw this.fail('a number')
  }
  list(): JsonReader[] {
    if (!Array.isArray(this.#value)) throw this.fail('a list')
    return this.#value.map(
      (item: unknown, index) => new JsonReader(item, this.#object, `${this.#path}.${index}`),
    )
  }
  /** An object whose values are all counts. */
  counts(): Readonly<Record<string, number>> {
    if (typeof this.#value !== 'object' || this.#value === null) throw this.fail('an object')
    return Object.fromEntries(
      Object.keys(this.#value).map((name) => [name, this.get(name).count()]),
    )
  }
  fail(wanted: string): Error {
    return corrupt({ object: this.#object, byte: 0 }, 0, `${this.#path} is not ${wanted}`)
  }
}

const changelogs: readonly Changelog[] = ['append', 'upsert', 'retract']
const simpleKinds = new Set(
  'bool int16 int32 int64 uint64 float32 float64 text bytes uuid json date time timestamp timestamptz interval'.split(
    ' ',
  ),
)
const typeDepthMax = 8

/** Schema as JSON: its fields as [name, type, nullable, oldRows?], key, changelog, and the id to check against. */
export function schemaJson(schema: Schema): object {
  return {
    id: schema.id,
    fields: schema.fields.map(({ name, type, nullable, oldRows }) =>
      oldRows === undefined ? [name, type, nullable] : [name, type, nullable, oldRows],
    ),
    key: schema.key,
    changelog: schema.changelog,
  }
}

export function readSchema(json: JsonReader): Schema {
  const fields = json
    .get('fields')
    .list()
    .map((field): Field => ({
      name: field.get(0).text(),
      type: readType(field.get(1), 0),
      nullable: field.get(2).bool(),
      ...(field.get(3).value === undefined ? {} : { oldRows: field.get(3).text() }),
    }))
  const key = json
    .get('key')
    .list()
    .map((index) => index.count())
  if (key.some((index) => index >= fields.length)) throw json.get('key').fail('within the fields')
  const name = json.get('changelog').text()
  const changelog = changelogs.find((known) => known === name)
  if (changelog === undefined) throw json.get('changelog').fail('a kind of changelog')
  const schema = makeSchema(fields, key, changelog)
  if (schema.id !== json.get('id').text()) throw json.get('id').fail('the id of its fields')
  return schema
}

function readType(json: JsonReader, depth: number): LogicalType {
  const kind = json.get('kind').text()
  if (depth > typeDepthMax) throw json.fail('a type: it is nested too deeply')
  if (kind === 'decimal') {
    const [precision, scale] = [json.get('precision'), json.get('scale')]
    return {
      kind,
      precision: precision.value === null ? null : precision.number(),
      scale: scale.value === null ? null : scale.number(),
    }
  }
  if (kind === 'list') return { kind, element: readType(json.get('element'), depth + 1) }
  if (kind === 'other') return { kind, name: json.get('name').text() }
  if (simpleKinds.has(kind)) return { kind } as LogicalType
  throw json.get('kind').fail('a kind of type')
}
