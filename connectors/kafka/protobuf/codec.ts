/**
 * ProtobufCodec: Protobuf messages → columns, by the schema that wrote each.
 *
 *   value         = index message         of the registry
 *   index         = 0x00                  the first message of the file
 *                 | count place{count}    zigzag varints: the message's place in the file, then those of
 *                                         messages within it
 *   given schemas = message
 *
 * A topic may carry several messages: its columns are those of all that were met.
 */
import { notReady, type ReadFault } from '../../../core/connector/format/format.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import type { Field } from '../../../core/record/schema.ts'
import type { RegisteredSchema } from '../registry/client.ts'
import { keptFields, SchemaOrder, type SchemaCodec } from '../schema-codec.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'
import { protoColumns, type ProtoStep } from './columns.ts'
import type { ProtoMessage } from './model.ts'
import { Occurrences } from './occurrences.ts'
import { readStep } from './readers.ts'
import { parseProtoSchema, type ProtoSchema } from './schema.ts'

export interface ProtobufOptions {
  /** The only message to be read, by its full name or without its package; null = whatever comes. */
  readonly message: string | null
  /** Whether values begin with a message index. */
  readonly hasIndex: boolean
}

interface Writer {
  readonly schema: ProtoSchema
  /** Those that were met, by the text of their index. */
  readonly messages: ReadonlyMap<string, ProtoMessage>
}

/** Levels of messages within messages that an index may name. */
const indexMax = 32
const firstPath = '0'

export class ProtobufCodec implements SchemaCodec {
  readonly type = 'PROTOBUF'
  readonly #options: ProtobufOptions
  readonly #occurrences = new Occurrences()
  #writers = new SchemaOrder<Writer>()
  #plans = new Map<number, ReadonlyMap<string, readonly ProtoStep[]>>()
  #fields: readonly Field[] | null = null
  /** Of the value that is read: the text of its index. */
  #path = firstPath
  /** Of a value that was not read because its message was not met before. */
  #wanted: { readonly id: number; readonly path: string; readonly message: ProtoMessage } | null =
    null

  constructor(options: ProtobufOptions) {
    this.#options = options
  }

  get fields(): readonly Field[] | null {
    return this.#fields
  }

  has(id: number): boolean {
    return this.#plans.has(id)
  }

  add(schema: RegisteredSchema, isNewest: boolean, origin: SchemaOrigin): void {
    let writer = this.#writers.get(schema.id)
    if (writer === undefined) {
      const parsed = parseProtoSchema(schema.text, schema.references, origin)
      writer = { schema: parsed, messages: this.#known(parsed, origin) }
    }
    this.#use(this.#writers.with(schema.id, writer, isNewest))
  }

  settle(): void {
    const wanted = this.#wanted
    this.#wanted = null
    if (wanted === null) return
    const { id, path, message } = wanted
    const writer = this.#writers.get(id)!
    const messages = new Map(writer.messages).set(path, message)
    this.#use(this.#writers.replaced(id, { ...writer, messages }))
  }

  read(
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    const occurrences = this.#occurrences
    const { input } = occurrences
    occurrences.begin(bytes)
    input.at = start
    if (this.#options.hasIndex) this.#readIndex(end)
    if (input.fault !== null) return { field: null, message: input.fault }
    const plan = this.#plans.get(id)!.get(this.#path)
    if (plan === undefined) return this.#unmet(id)
    const { messages } = this.#writers.get(id)!
    const frame = occurrences.open(messages.get(this.#path)!, occurrences.whole(input.at, end))
    if (input.fault !== null) return { field: null, message: input.fault }
    for (let i = 0; i < plan.length; i++) {
      readStep(occurrences, plan[i]!, frame, builders[i]!)
      if (input.fault !== null) return { field: plan[i]!.name, message: input.fault }
    }
    return null
  }

  /** Sets the path; mostly it is one byte. */
  #readIndex(end: number): void {
    const { input } = this.#occurrences
    const count = this.#zigzag(end)
    this.#path = firstPath
    if (count === 0 || input.fault !== null) return
    if (count < 0 || count > indexMax)
      return input.fail('it does not begin with the index of a message')
    const places: number[] = []
    for (let i = 0; i < count; i++) places.push(this.#zigzag(end))
    this.#path = places.join('.')
  }

  #zigzag(end: number): number {
    const { input } = this.#occurrences
    input.varint(end)
    return (input.low >>> 1) ^ -(input.low & 1)
  }

  #unmet(id: number): ReadFault {
    const path = this.#path
    const { schema } = this.#writers.get(id)!
    let message: ProtoMessage | null
    try {
      message = schema.at(path.split('.').map(Number))
    } catch (error) {
      return { field: null, message: error instanceof Error ? error.message : String(error) }
    }
    if (message === null)
      return { field: null, message: `schema ${id} has no message with the index ${path}` }
    if (this.#options.message !== null && !isNamed(message, this.#options.message)) {
      return { field: null, message: `it is a ${message.name}, and no ${this.#options.message}` }
    }
    this.#wanted = { id, path, message }
    return notReady
  }

  /** The messages of a schema that are read before a record names one. */
  #known(schema: ProtoSchema, origin: SchemaOrigin): ReadonlyMap<string, ProtoMessage> {
    const { message: name, hasIndex } = this.#options
    const names = schema.topLevel
    if (name === null) {
      if (names.length === 0) throw schemaProblem(origin, 'has no message')
      const message = names.length === 1 ? schema.at([0]) : null
      return new Map(message === null ? [] : [[firstPath, message]])
    }
    const message = schema.message(name)
    if (message === null) {
      const list = names.slice(0, 10).join(', ')
      throw schemaProblem(origin, `has no message ${name}; it has ${list}`)
    }
    // By its index the message is found again when a record comes with it.
    return new Map(hasIndex ? schema.pathsOf(message) : [[firstPath, message]])
  }

  #use(writers: SchemaOrder<Writer>): void {
    const met = writers
      .sorted()
      .flatMap(([id, { messages }]) =>
        [...messages].map(([path, message]) => ({ id, path, message })),
      )
    const plans = new Map<number, Map<string, readonly ProtoStep[]>>()
    for (const [id] of writers.sorted()) plans.set(id, new Map())
    if (met.length > 0) {
      const columns = protoColumns(met.map(({ message }) => message))
      met.forEach(({ id, path }, i) => plans.get(id)!.set(path, columns.plans[i]!))
      this.#fields = keptFields(this.#fields, columns.fields)
    }
    this.#writers = writers
    this.#plans = plans
  }
}

function isNamed({ name }: ProtoMessage, wanted: string): boolean {
  return name === wanted || name.endsWith(`.${wanted}`)
}
