/**
 * Which columns a topic of records has, and where each comes from: the value's fields, then the key's
 * that the value does not have, then the extra ones. Made once a schema, not once a record.
 */
import { SluiceError } from '../../errors/error.ts'
import { makeSchema, type Field, type Schema } from '../../record/schema.ts'
import { typeName } from '../../record/types.ts'
import { didYouMean } from '../nearest.ts'

/** Columns that a message names at most. */
const namedMax = 20

export interface ColumnSources {
  readonly topic: string
  readonly valueFields: readonly Field[]
  /** Of the key's format; none where the key is not read. */
  readonly keyFields: readonly Field[]
  readonly extraFields: readonly Field[]
  /** Names, in order; none = an append topic. */
  readonly keyColumns: readonly string[]
}

export interface RecordColumns {
  readonly schema: Schema
  /** Per field of the key's format: its column. */
  readonly keyTargets: Int32Array
  /** Columns before this one are the value's; from the second on, the extra ones. */
  readonly valueCount: number
  readonly extraFrom: number
}

/** Throws `format.schema` where two sources have a column of one name, or none has a key column. */
export function recordColumns(sources: ColumnSources): RecordColumns {
  const { valueFields, extraFields, keyColumns } = sources
  const keyFields = namedKeyFields(sources)
  const fields: Field[] = [...valueFields]
  const keyTargets = Int32Array.from(keyFields, (field) => placeOfKeyField(sources, fields, field))
  const extraFrom = fields.length
  for (const field of extraFields) {
    if (fields.some(({ name }) => name === field.name)) {
      const why = `columns: ${field.name} has the name of a column that the records have already`
      throw mistake(sources, why)
    }
    fields.push(field)
  }
  const key = keyColumns.map((name) => {
    const index = fields.findIndex((field) => field.name === name)
    if (index >= 0) return index
    const names = fields.map((field) => field.name)
    const hint = didYouMean(name, names) ?? `there are ${names.slice(0, namedMax).join(', ')}`
    throw mistake(sources, `key: neither the values nor the keys have a column ${name}; ${hint}`)
  })
  const schema = makeSchema(
    fields.map((field, index) => (key.includes(index) ? { ...field, nullable: false } : field)),
    key,
    key.length === 0 ? 'append' : 'upsert',
  )
  return { schema, keyTargets, valueCount: valueFields.length, extraFrom }
}

/** A key that is one bare value has no name of its own: it is the one key column. */
function namedKeyFields({ keyFields, keyColumns }: ColumnSources): readonly Field[] {
  const [field, ...others] = keyFields
  const [name, ...names] = keyColumns
  if (field === undefined || name === undefined || others.length + names.length > 0)
    return keyFields
  return [{ ...field, name }]
}

/** Index of the column that this field of the key fills; a new one where the value has none of its name. */
function placeOfKeyField(sources: ColumnSources, fields: Field[], field: Field): number {
  const index = fields.findIndex(({ name }) => name === field.name)
  if (index < 0) {
    // Records without key exist: where the column is no part of the key, it is null then.
    return fields.push({ ...field, nullable: true }) - 1
  }
  const [inValue, inKey] = [typeName(fields[index]!.type), typeName(field.type)]
  if (inValue === inKey) return index
  throw mistake(sources, `key: ${field.name} is ${inKey} in the keys and ${inValue} in the values`)
}

function mistake({ topic }: ColumnSources, why: string): SluiceError {
  return new SluiceError('format.schema', { message: `${topic}: ${why}` })
}
