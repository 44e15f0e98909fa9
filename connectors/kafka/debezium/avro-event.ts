/** AvroEvents: change events in Avro, by the schemas of the registry. */
import { notReady, type ReadFault } from '../../../core/connector/format/format.ts'
import { AvroInput } from '../avro/input.ts'
import { skipValue } from '../avro/skip.ts'
import type { AvroField, AvroRecord, AvroType } from '../avro/types.ts'
import { AvroRow, longOf } from './avro-row.ts'
import { AvroSchemas, prefixBytes } from './avro-schemas.ts'
import { connectOfAvro } from './connect-type.ts'
import {
  dialectOf,
  isBeside,
  messageLetter,
  noEvent,
  type Begun,
  type EventReader,
  type Part,
} from './event-reader.ts'
import type { RowInto } from './row-into.ts'
import { shapeOfFields, type RowShape } from './row-shape.ts'
import type { DebeziumTopic } from './topic.ts'

/** What records of one schema are: rows in an envelope or bare, nothing, or what is passed over. */
interface Plan {
  /** null: a bare row. */
  readonly envelope: AvroRecord | null
  readonly record: AvroRecord
  readonly shape: RowShape
}

export const noPrefix: ReadFault = {
  field: null,
  message:
    'it does not begin with the byte 0 and a schema id: it was not written by a serialiser of the registry',
}

export class AvroEvents implements EventReader {
  op = 0
  timeUs = NaN
  shape: RowShape | null = null
  readonly schemas: AvroSchemas
  readonly #topic: DebeziumTopic
  readonly #plans = new Map<number, Plan | 'passed' | ReadFault>()
  readonly #rows: AvroRow
  readonly #input = new AvroInput()
  #plan: Plan | null = null
  #bytes: Uint8Array = new Uint8Array(0)
  #beforeAt = -1
  #afterAt = -1
  #end = 0

  constructor(topic: DebeziumTopic, schemas: AvroSchemas) {
    this.#topic = topic
    this.schemas = schemas
    this.#rows = new AvroRow(topic.placeholder)
  }

  /** Of the newest schema of the subject, once that was asked for. */
  get newestShape(): RowShape | null {
    const { newest } = this.schemas
    const plan = newest < 0 ? undefined : this.#planOf(newest)
    return plan !== undefined && typeof plan === 'object' && 'shape' in plan ? plan.shape : null
  }

  begin(bytes: Uint8Array, start: number, end: number): Begun {
    if (end - start < prefixBytes || bytes[start] !== 0) return noPrefix
    const plan = this.#planOf(AvroSchemas.idAt(bytes, start))
    if (plan === undefined) return notReady
    if (plan === 'passed') return 'passed'
    if ('message' in plan) return plan
    this.#plan = plan
    this.#bytes = bytes
    this.#end = end
    this.op = 0
    this.timeUs = NaN
    this.shape = plan.shape
    const at = start + prefixBytes
    this.#afterAt = at
    this.#beforeAt = -1
    this.#input.begin(bytes, at, end)
    if (plan.envelope === null) {
      skipValue(this.#input, plan.record)
      return this.#ended() ?? 'event'
    }
    this.#afterAt = -1
    const fault = this.#envelope(plan.envelope)
    if (fault !== null) return fault
    if (this.op === messageLetter) return 'passed'
    return 'event'
  }

  has(part: Part): boolean {
    return (part === 'before' ? this.#beforeAt : this.#afterAt) >= 0
  }

  row(part: Part, into: RowInto): ReadFault | null {
    const input = this.#input
    input.begin(this.#bytes, part === 'before' ? this.#beforeAt : this.#afterAt, this.#end)
    const { shape, record } = this.#plan!
    return this.#rows.read(shape, record, input, into)
  }

  #envelope({ fields }: AvroRecord): ReadFault | null {
    const input = this.#input
    for (const { name, type } of fields) {
      switch (name) {
        case 'before':
          this.#beforeAt = rowAt(input, type)
          break
        case 'after':
          this.#afterAt = rowAt(input, type)
          break
        case 'op': {
          const at = input.at
          skipValue(input, type)
          if (type.kind === 'string' && input.fault === null && input.at - at === 2)
            this.op = input.bytes[at + 1]!
          break
        }
        case 'source':
          this.#source(type)
          break
        default:
          skipValue(input, type)
      }
      if (input.fault !== null) return { field: null, message: `${name}: ${input.fault}` }
    }
    return this.op === 0 ? noEvent : this.#ended()
  }

  #source(type: AvroType): void {
    const input = this.#input
    if (type.kind !== 'record') return skipValue(input, type)
    let ms = NaN
    for (const field of type.fields) {
      if (field.name === 'ts_us') this.timeUs = timeOf(input, field)
      else if (field.name === 'ts_ms') ms = timeOf(input, field)
      else skipValue(input, field.type)
    }
    if (Number.isNaN(this.timeUs)) this.timeUs = ms * 1000
  }

  #ended(): ReadFault | null {
    const { fault, at } = this.#input
    if (fault !== null) return { field: null, message: fault }
    return at < this.#end ? trailing : null
  }

  #planOf(id: number): Plan | 'passed' | ReadFault | undefined {
    const known = this.#plans.get(id)
    if (known !== undefined) return known
    const type = this.schemas.get(id)
    if (type === undefined || 'message' in type) return type
    const plan = this.#made(type)
    this.#plans.set(id, plan)
    return plan
  }

  #made(type: AvroType): Plan | 'passed' | ReadFault {
    if (type.kind !== 'record') return noEvent
    if (isBeside(type.connect?.name ?? type.name)) return 'passed'
    if (this.#topic.settings.unwrapped) {
      const shape = shapeOfFields(connectOfAvro(type).fields, this.#topic.shapeOptions(null))
      return shape === null ? oddSchema : { envelope: null, record: type, shape }
    }
    const fieldOf = (name: string): AvroField | undefined =>
      type.fields.find((field) => field.name === name)
    if (fieldOf('op') === undefined) return noEvent
    const record = rowOf((fieldOf('after') ?? fieldOf('before'))?.type)
    if (record === null) return fieldOf('message') === undefined ? noEvent : 'passed'
    const source = fieldOf('source')?.type
    const dialect = dialectOf(
      source?.kind === 'record' ? (source.connect?.name ?? source.name) : '',
    )
    const shape = shapeOfFields(connectOfAvro(record).fields, this.#topic.shapeOptions(dialect))
    return shape === null ? oddSchema : { envelope: type, record, shape }
  }
}

const oddSchema: ReadFault = { field: null, message: 'its schema contradicts itself' }
const trailing: ReadFault = {
  field: null,
  message: 'bytes are left behind the last field: it was written by another schema',
}

function rowOf(type: AvroType | undefined): AvroRecord | null {
  const branches = type?.kind === 'union' ? type.branches : type === undefined ? [] : [type]
  const record = branches.find(({ kind }) => kind === 'record')
  return record?.kind === 'record' ? record : null
}

/** Where the row begins, −1 where it is null; the input is behind it then. */
function rowAt(input: AvroInput, type: AvroType): number {
  const branch = type.kind === 'union' ? type.branches[input.long()] : type
  const at = input.at
  if (branch === undefined) input.fail('a union has no such branch')
  else skipValue(input, branch)
  return branch?.kind === 'record' ? at : -1
}

function timeOf(input: AvroInput, { type }: AvroField): number {
  const start = input.at
  skipValue(input, type)
  if (input.fault !== null) return NaN
  const end = input.at
  input.at = start
  const count = longOf(input, type)
  input.at = end
  return count
}
