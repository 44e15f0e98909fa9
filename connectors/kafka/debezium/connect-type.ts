/**
 * Kafka Connect's schemas, in which Debezium says what its values are: a type, and often the name of what
 * it means (`io.debezium.time.MicroTimestamp` is an int64). Written in JSON beside each value, or as
 * attributes of the Avro schema in the registry.
 *
 *   schema = {"type", "optional"?, "name"?, "parameters"?, "fields"? [schema + {"field"}], "items"?, …}
 *
 * org.apache.kafka.connect.json.JsonSchema (Kafka 4.3) and Confluent's AvroData, whose attributes are
 * `connect.name`, `connect.type` and `connect.parameters`.
 */
import type { AvroRecord, AvroType } from '../avro/types.ts'

export interface ConnectType {
  readonly kind: ConnectKind
  /** What it means; '' = nothing but its type. */
  readonly name: string
  readonly parameters: Readonly<Record<string, string>>
  readonly optional: boolean
  /** Of an array: its elements. */
  readonly items: ConnectType | null
  /** Of a struct. */
  readonly fields: readonly ConnectField[]
}

export interface ConnectField {
  readonly name: string
  readonly type: ConnectType
  /** The default of the column, as JSON; absent: there is none, or none that is sure. */
  readonly default?: string
}

export type ConnectKind =
  | 'boolean'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float32'
  | 'float64'
  | 'string'
  | 'bytes'
  | 'array'
  | 'map'
  | 'struct'

const kinds: Readonly<Record<string, ConnectKind>> = {
  boolean: 'boolean',
  int8: 'int8',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  // JSON has names of its own for these two.
  float: 'float32',
  double: 'float64',
  string: 'string',
  bytes: 'bytes',
  array: 'array',
  map: 'map',
  struct: 'struct',
}
const depthMax = 32
const none: Readonly<Record<string, string>> = {}

/** The schema that stands beside a value, parsed as JSON; null: it is none. */
export function connectOfJson(schema: unknown, depth = 0): ConnectType | null {
  if (!isObject(schema) || depth > depthMax) return null
  const { type, name, optional, parameters, items, fields } = schema
  const kind = typeof type === 'string' && Object.hasOwn(kinds, type) ? kinds[type]! : null
  if (kind === null) return null
  const element = kind === 'array' ? connectOfJson(items, depth + 1) : null
  if (kind === 'array' && element === null) return null
  const members = kind === 'struct' ? fieldsOfJson(fields, depth) : []
  if (members === null) return null
  return {
    kind,
    name: typeof name === 'string' ? name : '',
    parameters: textsOf(parameters),
    optional: optional === true,
    items: element,
    fields: members,
  }
}

function fieldsOfJson(fields: unknown, depth: number): readonly ConnectField[] | null {
  if (!Array.isArray(fields)) return null
  const found: ConnectField[] = []
  const names = new Set<string>()
  for (const field of fields as readonly unknown[]) {
    const type = connectOfJson(field, depth + 1)
    const name = isObject(field) ? field['field'] : null
    if (type === null || typeof name !== 'string' || names.has(name)) return null
    names.add(name)
    found.push({ name, type, ...defaultOf(isObject(field) ? field['default'] : undefined) })
  }
  return found
}

/** What a type of an Avro schema stands for in Kafka Connect. */
export function connectOfAvro(type: AvroType, depth = 0): ConnectType {
  if (type.kind === 'union') {
    const branches = type.branches.filter(({ kind }) => kind !== 'null')
    const [only] = branches
    // A union of several types is told as it is written: as JSON.
    if (only === undefined || branches.length > 1) return plain('map', true)
    return { ...connectOfAvro(only, depth), optional: true }
  }
  const kind = kindOfAvro(type)
  const items = type.kind === 'array' ? connectOfAvro(type.items, depth + 1) : null
  const isOpen = type.kind === 'record' && depth < depthMax
  return {
    kind,
    name: type.connect?.name || (type.kind === 'record' ? type.name : ''),
    parameters: parametersOfAvro(type),
    optional: false,
    items,
    fields: isOpen ? fieldsOfAvro(type, depth) : [],
  }
}

function fieldsOfAvro({ fields }: AvroRecord, depth: number): readonly ConnectField[] {
  return fields.map((field) => {
    const type = connectOfAvro(field.type, depth + 1)
    // Bytes are written in another way there than in JSON.
    const own = type.kind === 'bytes' || type.kind === 'struct' ? undefined : field.default
    return { name: field.name, type, ...defaultOf(own) }
  })
}

/** Of scalars: an integer that a double may have rounded is not sure. */
function defaultOf(value: unknown): Pick<ConnectField, 'default'> {
  switch (typeof value) {
    case 'bigint':
      return { default: String(value) }
    case 'number':
      return Number.isInteger(value) && !Number.isSafeInteger(value)
        ? {}
        : { default: JSON.stringify(value) }
    case 'string':
    case 'boolean':
      return { default: JSON.stringify(value) }
    default:
      return {}
  }
}

function kindOfAvro(type: AvroType): ConnectKind {
  switch (type.kind) {
    case 'boolean':
    case 'string':
    case 'bytes':
    case 'array':
    case 'map':
      return type.kind
    case 'int':
      return type.connect?.type === 'int8' || type.connect?.type === 'int16' ? 'int16' : 'int32'
    case 'long':
      return 'int64'
    case 'float':
      return 'float32'
    case 'double':
      return 'float64'
    case 'enum':
      return 'string'
    case 'decimal':
    case 'fixed':
      return 'bytes'
    case 'record':
      return 'struct'
    case 'null':
    case 'union':
      return 'map'
  }
}

/** Connect's; Avro's own words for a decimal where the converter wrote no others. */
function parametersOfAvro(type: AvroType): Readonly<Record<string, string>> {
  const parameters = type.kind === 'union' ? none : (type.connect?.parameters ?? none)
  // A precision that only Avro says is the converter's, which needs one, and not the column's.
  if (type.kind !== 'decimal' || parameters['scale'] !== undefined) return parameters
  const { precision, scale } = type
  return { scale: String(scale), 'connect.decimal.precision': String(precision) }
}

export function plain(kind: ConnectKind, optional: boolean): ConnectType {
  return { kind, name: '', parameters: none, optional, items: null, fields: [] }
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return none
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
