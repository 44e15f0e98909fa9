/**
 * RecordKeys: the keys of change events. Which columns they have is the topic's key; their values matter
 * only where a record has nothing else (a tombstone).
 *
 *   key = struct of the key's columns, in JSON (with or without its schema) or in Avro of the registry
 */
import { latin1 } from '../../../core/connector/format/cell.ts'
import { notReady, type ReadFault } from '../../../core/connector/format/format.ts'
import { JsonMembers } from '../../../core/connector/format/json-ranges.ts'
import { letterN, openBrace, skipBlanks } from '../../../core/connector/format/json-scan.ts'
import { planOf } from '../../../core/connector/format/field-plan.ts'
import { AvroInput } from '../avro/input.ts'
import type { AvroRecord } from '../avro/types.ts'
import { AvroRow } from './avro-row.ts'
import { AvroSchemas, prefixBytes } from './avro-schemas.ts'
import { connectOfAvro, type ConnectField, type ConnectType } from './connect-type.ts'
import { InlineSchemas } from './inline-schemas.ts'
import { JsonRow } from './json-row.ts'
import { looseShape } from './readers.ts'
import type { RowInto } from './row-into.ts'
import { shapeOfColumns, shapeOfFields, type RowShape } from './row-shape.ts'
import type { DebeziumTopic } from './topic.ts'

/** A key's columns; null: it is one bare value, whose column has no name. */
type KeyShape = { readonly names: readonly string[] | null; readonly shape: RowShape | null }

const noStruct: ReadFault = {
  field: null,
  message: 'it is no struct of columns: say in `key` which columns it is',
}
const noRegistry: ReadFault = {
  field: null,
  message: 'it begins with a schema id, and there is no `registry` to ask for it',
}
const oddKey: ReadFault = { field: null, message: 'it has columns that the rows do not have' }
const noMembers = new JsonMembers([])

export class RecordKeys {
  readonly #topic: DebeziumTopic
  readonly #schemas: AvroSchemas | null
  readonly #inline: InlineSchemas<KeyShape>
  readonly #json: JsonRow
  readonly #avro: AvroRow
  readonly #input = new AvroInput()
  readonly #records = new Map<number, { readonly record: AvroRecord; readonly shape: RowShape }>()
  /** Of keys in JSON without schema: of the topic's key as it was. */
  #loose: RowShape | null = null
  #looseOf: readonly string[] | null = null

  constructor(topic: DebeziumTopic, schemas: AvroSchemas | null) {
    this.#topic = topic
    this.#schemas = schemas
    this.#json = new JsonRow(topic.placeholder)
    this.#avro = new AvroRow(topic.placeholder)
    this.#inline = new InlineSchemas((schema) => this.#shapeOf(schema))
  }

  /** Learns the topic's key of a record that has a row. Where it stands in the pipeline file, nothing. */
  learn(bytes: Uint8Array, start: number, end: number): ReadFault | null {
    if (this.#topic.settings.key !== null) return null
    if (start < 0) {
      // An event about a table has none either; a key that rows have had is not taken back by one.
      if (this.#topic.key === null) this.#topic.setKey([])
      return null
    }
    if (isAvro(bytes, start, end)) return this.#learnAvro(bytes, start)
    const found = this.#inline.open(bytes, start, end)
    const { start: at, end: last, isPresent } = this.#inline
    if (isPresent) {
      if (found === null || found.names === null) {
        if (bytes[at] !== letterN) return noStruct
        if (this.#topic.key === null) this.#topic.setKey([])
        return null
      }
      return this.#learned(found.names)
    }
    if (this.#topic.key !== null && this.#topic.key.length > 0) return null
    const from = skipBlanks(bytes, at, last)
    if (bytes[from] !== openBrace) return noStruct
    const fault = noMembers.find(bytes, from, last)
    if (fault !== null) return fault
    return this.#learned(Object.keys(JSON.parse(utf8(bytes, from, last)) as object))
  }

  /** A key that fits no row is this record's problem where another one did, and else the topic's. */
  #learned(names: readonly string[]): ReadFault | null {
    const { key, fields } = this.#topic
    const isOdd = (name: string): boolean => !fields.some((field) => field.name === name)
    if (key !== null && key.length > 0 && names.some(isOdd)) return oddKey
    this.#topic.setKey(names)
    return null
  }

  /**
   * What rows of this key's columns are made of; the topic's columns are known. A fault: the key cannot
   * be read.
   */
  shapeAt(bytes: Uint8Array, start: number, end: number): RowShape | ReadFault {
    if (isAvro(bytes, start, end)) {
      const of = this.#recordAt(bytes, start)
      return 'message' in of ? of : of.shape
    }
    const found = this.#inline.open(bytes, start, end)
    if (found !== null && found.shape !== null) return found.shape
    return this.#looseShape()
  }

  /** Of the key whose shape was asked for last. */
  row(bytes: Uint8Array, start: number, end: number, into: RowInto): ReadFault | null {
    if (isAvro(bytes, start, end)) {
      const of = this.#recordAt(bytes, start)
      if ('message' in of) return of
      const input = this.#input
      input.begin(bytes, start + prefixBytes, end)
      return this.#avro.read(of.shape, of.record, input, into)
    }
    const found = this.#inline.open(bytes, start, end)
    const shape = found?.shape ?? this.#looseShape()
    const at = skipBlanks(bytes, this.#inline.start, this.#inline.end)
    const last = this.#inline.end
    if (bytes[at] === openBrace) {
      // Nothing of it was looked at yet.
      const fault = noMembers.find(bytes, at, last)
      return fault ?? this.#json.read(shape, bytes, at, last, into)
    }
    const [column, ...others] = shape.columns
    if (column === undefined || others.length > 0) return noStruct
    return this.#bare(column.field.name, shape, bytes, at, last, into)
  }

  /** A key of one column that is its bare value. */
  #bare(
    name: string,
    shape: RowShape,
    bytes: Uint8Array,
    at: number,
    end: number,
    into: RowInto,
  ): ReadFault | null {
    const { reader, field } = shape.columns[0]!
    const builder = into.builders[0]!
    const last = reader.json(builder, bytes, at, end)
    if (last > 0 && skipBlanks(bytes, last, end) === end) return null
    builder.rewind(builder.length)
    // StringConverter writes the value's text without quotes.
    const { cell } = planOf(field, null)
    if (last <= 0 && cell?.append(builder, bytes, at, end) === true) return null
    return { field: name, message: reader.wanted }
  }

  #looseShape(): RowShape {
    const names = this.#topic.key ?? []
    if (this.#loose === null || this.#looseOf !== names) {
      const columns = names.flatMap((name) => {
        const field = this.#topic.fields.find((each) => each.name === name)
        const override = this.#topic.override(name)
        if (override === null && field === undefined) return []
        const own = override ?? { field: field!, unit: null }
        return [looseShape(own, this.#topic.settings.decimals)]
      })
      this.#loose = shapeOfColumns(columns, null)
      this.#looseOf = names
    }
    return this.#loose
  }

  #learnAvro(bytes: Uint8Array, start: number): ReadFault | null {
    const of = this.#recordAt(bytes, start)
    if ('message' in of) return of
    return this.#learned(of.record.fields.map(({ name }) => name))
  }

  #recordAt(
    bytes: Uint8Array,
    start: number,
  ): { readonly record: AvroRecord; readonly shape: RowShape } | ReadFault {
    if (this.#schemas === null) return noRegistry
    const id = AvroSchemas.idAt(bytes, start)
    let known = this.#records.get(id)
    if (known === undefined) {
      const type = this.#schemas.get(id)
      if (type === undefined) return notReady
      if ('message' in type) return type
      if (type.kind !== 'record') return noStruct
      const shape = this.#shape(connectOfAvro(type).fields)
      if (shape === null) return noStruct
      known = { record: type, shape }
      this.#records.set(id, known)
    }
    return known
  }

  #shapeOf({ kind, fields }: ConnectType): KeyShape {
    const shape = kind === 'struct' ? this.#shape(fields) : null
    return { names: shape === null ? null : fields.map(({ name }) => name), shape }
  }

  #shape(fields: readonly ConnectField[]): RowShape | null {
    return shapeOfFields(fields, { ...this.#topic.shapeOptions(null), meta: null })
  }
}

function isAvro(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= prefixBytes && bytes[start] === 0
}

function utf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(latin1(bytes, start, end), 'latin1').toString('utf8')
}
