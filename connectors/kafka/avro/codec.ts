/**
 * AvroCodec: binary Avro → columns, by the schema that wrote each value. A record's fields are columns;
 * a schema that is no record is one column.
 *
 *   value = record, and nothing after it        or a union of null and a record: branch record
 */
import type { ReadFault } from '../../../core/connector/format/format.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import type { Field } from '../../../core/record/schema.ts'
import type { RegisteredSchema } from '../registry/client.ts'
import { keptFields, SchemaOrder, type SchemaCodec } from '../schema-codec.ts'
import { schemaProblem, type SchemaOrigin } from '../schema-problem.ts'
import { AvroInput } from './input.ts'
import { parseAvroSchema } from './parse.ts'
import { RecordReader } from './record-reader.ts'
import { branchesOf, type AvroRecord, type AvroType } from './types.ts'
import { unionFields, type ReadPlan } from './union-fields.ts'

interface Writer {
  readonly record: AvroRecord
  /** Of a union with null around the record; −1 = there is none. */
  readonly branch: number
}

const trailing: ReadFault = {
  field: null,
  message: 'bytes are left behind the last field: it was written by another schema',
}

export class AvroCodec implements SchemaCodec {
  readonly type = 'AVRO'
  readonly #input = new AvroInput()
  readonly #reader = new RecordReader()
  readonly #column: string
  #writers = new SchemaOrder<Writer>()
  #plans = new Map<number, ReadPlan>()
  #fields: readonly Field[] | null = null

  /** `column`: what the field is called of a schema that is no record. */
  constructor(column: string) {
    this.#column = column
  }

  get fields(): readonly Field[] | null {
    return this.#fields
  }

  has(id: number): boolean {
    return this.#plans.has(id)
  }

  add(schema: RegisteredSchema, isNewest: boolean, origin: SchemaOrigin): void {
    const writer =
      this.#writers.get(schema.id) ??
      this.#writerOf(parseAvroSchema(schema.text, schema.references, origin), origin)
    const writers = this.#writers.with(schema.id, writer, isNewest)
    const sorted = writers.sorted()
    const { fields, plans } = unionFields(sorted.map(([, { record }]) => record))
    this.#writers = writers
    this.#plans = new Map(sorted.map(([id], i) => [id, plans[i]!]))
    this.#fields = keptFields(this.#fields, fields)
  }

  /** A schema is read as a whole when it comes. */
  settle(): void {}

  read(
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    const input = this.#input
    input.begin(bytes, start, end)
    const { branch } = this.#writers.get(id)!
    if (branch >= 0 && input.long() !== branch) {
      return { field: null, message: 'it is null, and no record' }
    }
    const fault = this.#reader.read(input, this.#plans.get(id)!, builders)
    return fault ?? (input.at < end ? trailing : null)
  }

  #writerOf(type: AvroType, origin: SchemaOrigin): Writer {
    const [only, ...others] = branchesOf(type)
    if (only?.kind === 'record' && others.length === 0) {
      if (only.fields.length === 0) throw schemaProblem(origin, `has no fields: ${only.name}`)
      const branch = type.kind === 'union' ? type.branches.indexOf(only) : -1
      return { record: only, branch }
    }
    const name = this.#column
    const field = { name, label: '', type, aliases: [] }
    return { record: { kind: 'record', name: '', fields: [field] }, branch: -1 }
  }
}
