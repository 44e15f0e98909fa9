/**
 * The text of a .proto file and of those it imports → messages. protobufjs reads the language (proto2,
 * proto3, editions) and resolves names and features; its codecs are not used.
 *
 * Imports are found among the schema's references by their path; google/protobuf/*.proto and Confluent's
 * own are known without. The order of messages in the file is what a record's message index counts.
 */
import protobuf from 'protobufjs'
import type { ReferencedSchema } from '../registry/client.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'
import {
  scalarOf,
  wellKnownOf,
  wireOf,
  type ProtoField,
  type ProtoMessage,
  type ProtoType,
} from './model.ts'

export interface ProtoSchema {
  /** By full name, or without its package; null = there is none. Throws `source.kafka.schema_invalid`. */
  message(name: string): ProtoMessage | null
  /** By the path of a message index; null = there is none. Throws `source.kafka.schema_invalid`. */
  at(path: readonly number[]): ProtoMessage | null
  /** The message under the text of its index, `0.2`; none where the file itself does not have it. */
  pathsOf(message: ProtoMessage): readonly (readonly [string, ProtoMessage])[]
  /** Full names of the file's own messages that are in no other. */
  readonly topLevel: readonly string[]
}

/** Confluent's serialisers know these without a reference; only what types need is in here. */
const confluentTexts: Readonly<Record<string, string>> = {
  'confluent/meta.proto': 'syntax = "proto3"; package confluent;',
  'confluent/type/decimal.proto':
    'syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }',
}
const messagesMax = 20_000

/** Throws `source.kafka.schema_invalid`. */
export function parseProtoSchema(
  text: string,
  references: readonly ReferencedSchema[],
  origin: SchemaOrigin,
): ProtoSchema {
  try {
    const root = new protobuf.Root()
    const files = new Map(references.map(({ name, text }) => [name, text]))
    load(root, files, text, origin)
    root.resolveAll()
    // Messages of other files can be of the same package: only the file alone tells its own.
    const own = protobuf.parse(text, new protobuf.Root(), { keepCase: true })
    const top = own.package === undefined ? own.root : own.root.lookup(own.package)
    return new Messages(root, messagesIn(top), origin)
  } catch (error) {
    if (!(error instanceof Error) || error.name === 'SluiceError') throw error
    const phrase = `is no Protobuf schema: ${error.message.slice(0, 300)}`
    throw schemaProblem(origin, phrase, error)
  }
}

function load(
  root: protobuf.Root,
  files: ReadonlyMap<string, string>,
  text: string,
  origin: SchemaOrigin,
): void {
  const loaded = new Set<string>()
  const parse = (source: string): void => {
    const { imports = [], weakImports = [] } = protobuf.parse(source, root, { keepCase: true })
    for (const path of [...imports, ...weakImports]) {
      if (loaded.has(path)) continue
      loaded.add(path)
      const file = files.get(path) ?? confluentTexts[path]
      const common = protobuf.common.get(path)
      if (common?.nested !== undefined) root.addJSON(common.nested)
      else if (file !== undefined) parse(file)
      else if (!path.startsWith('google/protobuf/')) {
        throw schemaProblem(origin, `imports ${path}, which it has no reference to`)
      }
    }
  }
  parse(text)
}

function messagesIn(parent: protobuf.ReflectionObject | null): readonly protobuf.Type[] {
  if (!(parent instanceof protobuf.Namespace)) return []
  return parent.nestedArray.filter(
    (nested): nested is protobuf.Type => nested instanceof protobuf.Type && !isGroupType(nested),
  )
}

/** The type that a group declares beside its field; the library does not tell it in its types. */
function isGroupType(type: protobuf.Type): boolean {
  return 'group' in type && type.group === true
}

class Messages implements ProtoSchema {
  readonly topLevel: readonly string[]
  readonly #root: protobuf.Root
  readonly #own: readonly protobuf.Type[]
  readonly #origin: SchemaOrigin
  readonly #made = new Map<string, ProtoMessage>()

  constructor(root: protobuf.Root, own: readonly protobuf.Type[], origin: SchemaOrigin) {
    this.#root = root
    this.#own = own
    this.#origin = origin
    this.topLevel = own.map(nameOf)
  }

  message(name: string): ProtoMessage | null {
    const inPackage = this.#own[0]?.parent?.lookup(name, [protobuf.Type])
    const type = this.#root.lookup(inPackage?.fullName ?? name, [protobuf.Type])
    try {
      return type instanceof protobuf.Type ? this.#make(type) : null
    } catch (error) {
      // Nothing half made is found again.
      this.#made.clear()
      // Of the stack: a chain of messages is as long as somebody registered it.
      if (error instanceof RangeError)
        throw schemaProblem(this.#origin, 'is nested too deeply', error)
      throw error
    }
  }

  at(path: readonly number[]): ProtoMessage | null {
    let among = this.#own
    let found: protobuf.Type | undefined
    for (const index of path) {
      found = among[index]
      if (found === undefined) return null
      among = messagesIn(found)
    }
    return found === undefined ? null : this.message(nameOf(found))
  }

  pathsOf(message: ProtoMessage): readonly (readonly [string, ProtoMessage])[] {
    const found: (readonly [string, ProtoMessage])[] = []
    const look = (among: readonly protobuf.Type[], path: readonly number[]): void => {
      among.forEach((type, i) => {
        if (nameOf(type) === message.name) found.push([[...path, i].join('.'), message])
        else look(messagesIn(type), [...path, i])
      })
    }
    look(this.#own, [])
    return found
  }

  #make(type: protobuf.Type): ProtoMessage {
    const name = nameOf(type)
    const known = this.#made.get(name)
    if (known !== undefined) return known
    if (this.#made.size >= messagesMax)
      throw schemaProblem(this.#origin, `has more than ${messagesMax} messages`)
    const message: ProtoMessage = {
      name,
      wellKnown: wellKnownOf(
        name,
        type.fieldsArray.map((field) => field.type),
      ),
      fields: [],
      byNumber: new Map(),
    }
    this.#made.set(name, message)
    type.fieldsArray.forEach((field, place) => {
      add(message, this.#field(field.resolve(), place, type.oneofsArray))
    })
    return message
  }

  #field(field: protobuf.FieldBase, place: number, oneofs: readonly protobuf.OneOf[]): ProtoField {
    const single = field instanceof protobuf.Field ? field : null
    const type = field instanceof protobuf.MapField ? this.#entry(field) : this.#type(field)
    const jsonName = field.jsonName ?? field.name
    const isRepeated = field.repeated || field.map
    return {
      number: field.id,
      name: field.name,
      label: `${JSON.stringify(jsonName)}:`,
      type,
      isRepeated,
      isMap: field.map,
      // A message that is not there is told from an empty one, whatever the syntax.
      hasPresence: !isRepeated && (type.kind === 'message' || Boolean(single?.hasPresence)),
      isRequired: single?.required === true,
      oneof: field.partOf === null ? -1 : oneofs.indexOf(field.partOf),
      place,
      wire: wireOf(type, single?.delimited === true),
    }
  }

  #type(field: protobuf.FieldBase): ProtoType {
    const { resolvedType } = field
    if (resolvedType instanceof protobuf.Enum) return enumOf(resolvedType)
    if (resolvedType instanceof protobuf.Type)
      return { kind: 'message', message: this.#make(resolvedType) }
    const scalar = scalarOf(field.type)
    if (scalar === null)
      throw schemaProblem(this.#origin, `has a field of an unknown type: ${field.name}`)
    return { kind: 'scalar', scalar }
  }

  /** A map is repeated entries, on the wire and here. */
  #entry(field: protobuf.MapField): ProtoType {
    const scalar = scalarOf(field.keyType)
    if (scalar === null)
      throw schemaProblem(this.#origin, `has a map with an unknown key type: ${field.name}`)
    const message: ProtoMessage = { name: '', wellKnown: null, fields: [], byNumber: new Map() }
    add(message, entryField(0, { kind: 'scalar', scalar }))
    add(message, entryField(1, this.#type(field)))
    return { kind: 'message', message }
  }
}

function entryField(place: number, type: ProtoType): ProtoField {
  const name = place === 0 ? 'key' : 'value'
  return {
    number: place + 1,
    name,
    label: `"${name}":`,
    type,
    isRepeated: false,
    isMap: false,
    hasPresence: false,
    isRequired: false,
    oneof: -1,
    place,
    wire: wireOf(type, false),
  }
}

function add(message: ProtoMessage, field: ProtoField): void {
  message.fields.push(field)
  message.byNumber.set(field.number, field)
}

function enumOf({ values }: protobuf.Enum): ProtoType {
  const names = new Map<number, string>()
  for (const [name, number] of Object.entries(values)) {
    if (!names.has(number)) names.set(number, name)
  }
  return { kind: 'enum', names, first: Object.values(values)[0] ?? 0 }
}

/** Without the dot in front. */
function nameOf(type: protobuf.Type): string {
  return type.fullName.replace(/^\./, '')
}
