/**
 * The fields of a topic whose records were written by several schemas: all fields that any of them has,
 * those of the newest first and as it says them. Nothing that a record holds has no column.
 *
 * A field that two schemas have is of the newest type that holds the values of all, rather one like the
 * newest schema's than another; where there is none, it is of the newest type, and records whose value
 * does not fit are rejected one by one. A field that a
 * schema lacks is, in its records, the default that the newest schema with the field gives it, or NULL.
 * A field that a newer schema renamed (`aliases`) is one field.
 */
import type { Field } from '../../../core/record/schema.ts'
import { columnReader } from './columns.ts'
import { defaultBytes } from './defaults.ts'
import { columnType, takesNull } from './logical.ts'
import type { ColumnReader } from './reader.ts'
import type { AvroField, AvroRecord } from './types.ts'

/** How the records of one schema are read: `steps` in the order of the bytes, then `missing`. */
export interface ReadPlan {
  readonly steps: readonly ReadStep[]
  readonly missing: readonly MissingField[]
}

export interface ReadStep {
  readonly name: string
  /** Index of its field, and of its builder. */
  readonly index: number
  /** null: values of this schema do not fit the field. */
  readonly reader: ColumnReader | null
}

export interface MissingField {
  readonly index: number
  /** null: the field is NULL. */
  readonly value: { readonly bytes: Uint8Array; readonly reader: ColumnReader } | null
}

export interface UnionFields {
  readonly fields: readonly Field[]
  /** One for each of the records. */
  readonly plans: readonly ReadPlan[]
}

interface Column {
  readonly name: string
  /** Per schema, newest first; undefined where it lacks the field. */
  readonly written: (AvroField | undefined)[]
}

/** `records`: newest first, at least one. */
export function unionFields(records: readonly AvroRecord[]): UnionFields {
  const columns = columnsOf(records)
  const chosen = columns.map(choose)
  const fields = columns.map(({ name, written }, i): Field => {
    const { type, missing } = chosen[i]!
    const nullable = written.some((field) =>
      field === undefined ? missing === null : takesNull(field.type),
    )
    return { name, type: columnType(type), nullable }
  })
  const plans = records.map((record, newest): ReadPlan => {
    const steps = record.fields.map((field): ReadStep => {
      const index = columns.findIndex(({ written }) => written[newest] === field)
      return { name: field.name, index, reader: columnReader(field.type, chosen[index]!.type) }
    })
    const missing = columns.flatMap(({ written }, index): readonly MissingField[] =>
      written[newest] === undefined ? [{ index, value: chosen[index]!.missing }] : [],
    )
    return { steps, missing }
  })
  return { fields, plans }
}

function columnsOf(records: readonly AvroRecord[]): readonly Column[] {
  const columns = new Map<string, Column>()
  records.forEach((record, newest) => {
    for (const field of record.fields) {
      const name = columns.has(field.name)
        ? field.name
        : (newName(records, newest, field.name) ?? field.name)
      const column = columns.get(name)
      // Two fields that one was made of stay two.
      if (column === undefined || column.written[newest] !== undefined) {
        const own = column === undefined ? name : field.name
        const written = records.map((_, i) => (i === newest ? field : undefined))
        columns.set(own, { name: own, written })
      } else column.written[newest] = field
    }
  })
  return [...columns.values()]
}

/** What the newest of the newer schemas that renamed the field calls it; not where this one has both. */
function newName(records: readonly AvroRecord[], newest: number, name: string): string | null {
  const own = new Set(records[newest]!.fields.map((field) => field.name))
  for (const newer of records.slice(0, newest)) {
    const renamed = newer.fields.find(({ aliases }) => aliases.includes(name))
    if (renamed !== undefined && !own.has(renamed.name)) return renamed.name
  }
  return null
}

interface Choice {
  readonly type: AvroField['type']
  readonly missing: MissingField['value']
}

function choose({ written }: Column): Choice {
  const present = written.filter((field) => field !== undefined)
  const types = present.map(({ type }) => type)
  const readers = types.map((column) => types.map((type) => columnReader(type, column)))
  const kind = columnType(types[0]!).kind
  const isOfKind = types.map((type) => columnType(type).kind === kind)
  const readable = readers.map((of) => of.every((reader) => reader !== null))
  const lossless = readers.map((of) => of.every((reader) => reader?.isLossless === true))
  // Text stays text, though older records have bytes; decimals get as wide as the widest.
  const best = [
    lossless.findIndex((holds, i) => holds && isOfKind[i]),
    readable.findIndex((holds, i) => holds && isOfKind[i]),
    lossless.indexOf(true),
    readable.indexOf(true),
    0,
  ].find((index) => index >= 0)!
  const type = types[best]!
  const [newest] = present
  const bytes = newest === undefined ? null : defaultBytes(newest)
  const reader = newest === undefined ? null : columnReader(newest.type, type)
  return { type, missing: bytes === null || reader === null ? null : { bytes, reader } }
}
