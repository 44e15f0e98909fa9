/**
 * Layout: the rows of a topic while its columns and key stay as they are, and how rows of each schema that
 * Debezium wrote get into them. A schema whose columns are those of the topic is read straight into their
 * builders; what is of another type there (an int that has become a bigint) is read aside and converted.
 */
import type { ExtraColumn, ReadFault } from '../../../core/connector/format/format.ts'
import { TopicRows, TopicSchema } from '../../../core/connector/topic-rows.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { builderFor, type AnyBuilder } from '../../../core/record/builder.ts'
import { convertColumn } from '../../../core/record/column-convert.ts'
import { makeSchema, type Changelog, type Field, type Schema } from '../../../core/record/schema.ts'
import { sameType, typeName, type LogicalType } from '../../../core/record/types.ts'
import { appendValue } from '../../../core/record/value-copy.ts'
import type { RowShape } from './row-shape.ts'
import type { DebeziumTopic } from './topic.ts'

/** How rows of one shape get into the columns. */
export interface Mapping {
  /** One a column of the shape. */
  readonly builders: readonly AnyBuilder[]
  /** Per column of the shape: its column of the topic; −1 = it has none there. */
  readonly targets: Int32Array
  readonly converted: readonly Converted[]
  /** Columns that the shape lacks. */
  readonly missing: readonly number[]
}

interface Converted {
  readonly aside: AnyBuilder
  readonly from: Field
  readonly to: LogicalType
  readonly target: number
}

export class Layout {
  readonly version: number
  readonly schema: Schema
  readonly rows: TopicRows<{ readonly builder: AnyBuilder }>
  readonly builders: readonly AnyBuilder[]
  /** Columns that are no part of the key, the extra ones left out. */
  readonly others: readonly number[]
  /** Columns that may not be null, the key's left out. */
  readonly notNull: readonly number[]
  readonly extraFrom: number
  readonly #mappings = new Map<RowShape, Mapping>()

  /** `topic.key` is known. Throws `format.schema` where the key has a column that rows have not. */
  constructor(topic: DebeziumTopic, extra: readonly ExtraColumn[]) {
    this.version = topic.version
    this.schema = schemaOf(topic, extra)
    const { fields, key } = this.schema
    this.builders = fields.map(({ type }) => builderFor(type))
    const decoders = this.builders.map((builder) => ({ builder }))
    this.rows = new TopicRows(new TopicSchema(topic.name, this.schema), decoders)
    this.extraFrom = topic.fields.length
    const columns = topic.fields.map((_, column) => column)
    this.others = columns.filter((column) => !key.includes(column))
    this.notNull = this.others.filter((column) => !fields[column]!.nullable)
  }

  mapping(shape: RowShape): Mapping {
    let mapping = this.#mappings.get(shape)
    if (mapping === undefined) {
      mapping = this.#made(shape)
      this.#mappings.set(shape, mapping)
    }
    return mapping
  }

  /** After a row was read by it: what was read aside, and what the shape lacks. */
  complete({ converted, missing }: Mapping): ReadFault | null {
    for (const { aside, from, to, target } of converted) {
      const { column, refused } = convertColumn(from.type, aside.finish(), to)
      if (refused.length > 0) {
        const message = `is of an older schema, and its ${typeName(from.type)} does not fit the column, which is ${typeName(to)} by now`
        return { field: from.name, message }
      }
      if (target >= 0) appendValue(this.builders[target]!, to, column, 0)
    }
    for (const column of missing) this.builders[column]!.appendNull()
    return null
  }

  /** Forgets all that was appended of rows that did not end. */
  rewind(mapping: Mapping): void {
    const { rows } = this.rows
    for (const builder of this.builders) builder.rewind(rows)
    for (const { aside } of mapping.converted) aside.rewind(0)
  }

  get byteLength(): number {
    // Weight, operation and time of a row take 13 bytes.
    let bytes = this.rows.rows * 13
    for (const builder of this.builders) bytes += builder.byteLength
    return bytes
  }

  #made({ columns }: RowShape): Mapping {
    const { fields } = this.schema
    const targets = new Int32Array(columns.length).fill(-1)
    const converted: Converted[] = []
    const builders = columns.map(({ field }, i) => {
      const target = fields.findIndex(({ name }) => name === field.name)
      targets[i] = target
      const to = fields[target]?.type ?? field.type
      if (target >= 0 && sameType(field.type, to)) return this.builders[target]!
      const aside = builderFor(field.type)
      converted.push({ aside, from: field, to, target })
      return aside
    })
    const missing: number[] = []
    for (let column = 0; column < this.extraFrom; column++) {
      if (!targets.includes(column)) missing.push(column)
    }
    return { builders, targets, converted, missing }
  }
}

function schemaOf(topic: DebeziumTopic, extra: readonly ExtraColumn[]): Schema {
  const fields: Field[] = [...topic.fields]
  const mistake = (why: string): SluiceError =>
    new SluiceError('format.schema', { message: `${topic.name}: ${why}` })
  for (const { field } of extra) {
    if (fields.some(({ name }) => name === field.name)) {
      throw mistake(`columns: ${field.name} has the name of a column that the rows have already`)
    }
    fields.push(field)
  }
  const key = (topic.key ?? []).map((name) => {
    const index = topic.fields.findIndex((field) => field.name === name)
    if (index < 0) throw mistake(`key: the rows have no column ${name}`)
    return index
  })
  return makeSchema(
    fields.map((field, index) => (key.includes(index) ? { ...field, nullable: false } : field)),
    key,
    changelogOf(topic, key),
  )
}

function changelogOf({ settings }: DebeziumTopic, key: readonly number[]): Changelog {
  if (settings.before === 'full') return 'retract'
  return key.length === 0 ? 'append' : 'upsert'
}
