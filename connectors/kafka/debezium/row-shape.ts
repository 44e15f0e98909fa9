/**
 * RowShape: the columns of the rows that one schema describes, in its order, and what beside them says
 * something of the event (`__op` of unwrapped rows). Made once a schema.
 */
import { FieldNames } from '../../../core/connector/format/json-names.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { typeName } from '../../../core/record/types.ts'
import type { ConnectField } from './connect-type.ts'
import type { Dialect } from './meaning.ts'
import { columnShape, type ColumnOverride, type ColumnShape } from './readers.ts'

/** What unwrapped rows say of their event; each is a name, or absent. */
export interface MetaNames {
  readonly op: string
  readonly deleted: string
}
/** Times of the source's commit that unwrapped rows may have; columns as well. */
const timeNames: Readonly<Record<string, number>> = {
  __source_ts_us: 1,
  __source_ts_ms: 1000,
}

/** What a member of a row is: a column's index, or one of these. */
export const member = { op: -1, deleted: -2, unknown: -3, timeUs: -4, timeMs: -5 } as const

export class RowShape {
  readonly columns: readonly ColumnShape[]
  /** Of each member in the schema's order: a column's index, or what else it is. */
  readonly members: readonly number[]
  /** Microseconds of one unit of the column that is the commit's time; 0 = it is none. */
  readonly timeFactors: readonly number[]
  readonly #names: FieldNames

  constructor(
    columns: readonly ColumnShape[],
    members: readonly number[],
    names: readonly string[],
  ) {
    this.columns = columns
    this.members = members
    this.timeFactors = columns.map(({ field }) => timeNames[field.name] ?? 0)
    this.#names = new FieldNames(names)
  }

  /** The member whose name stands at [start, close) in JSON; `close` as `stringEnd` gives it. */
  find(bytes: Uint8Array, start: number, close: number): number {
    const index = this.#names.find(bytes, start, close)
    return index < 0 ? member.unknown : this.members[index]!
  }
}

export interface ShapeOptions {
  readonly topic: string
  readonly dialect: Dialect
  readonly overrides: ReadonlyMap<string, ColumnOverride>
  /** null: rows stand in an envelope. */
  readonly meta: MetaNames | null
}

/**
 * null: the schema contradicts itself. Throws `format.schema` where the pipeline file wants of a column
 * what it cannot be.
 */
export function shapeOfFields(
  fields: readonly ConnectField[],
  { topic, dialect, overrides, meta }: ShapeOptions,
): RowShape | null {
  const columns: ColumnShape[] = []
  const members: number[] = []
  for (const given of fields) {
    const { name, type } = given
    if (name === meta?.op || name === meta?.deleted) {
      members.push(name === meta.op ? member.op : member.deleted)
      continue
    }
    const override = overrides.get(name) ?? null
    const column = columnShape(given, dialect, override)
    if (column === null && override === null) return null
    if (column === null) {
      const wanted = typeName(override!.field.type)
      const what = type.name === '' ? type.kind : type.name
      throw new SluiceError('format.schema', {
        message: `${topic}: schema: ${name} cannot be ${wanted}, Debezium writes it as ${what}`,
      })
    }
    members.push(columns.push(column) - 1)
  }
  return new RowShape(
    columns,
    members,
    fields.map(({ name }) => name),
  )
}

/** Of rows without a schema: the columns of the pipeline file. */
export function shapeOfColumns(columns: readonly ColumnShape[], meta: MetaNames | null): RowShape {
  const names = columns.map(({ field }) => field.name)
  const members: number[] = columns.map((_, index) => index)
  if (meta !== null) {
    names.push(meta.op, meta.deleted)
    members.push(member.op, member.deleted)
    // A column of the name is found before it.
    names.push('__source_ts_us', '__source_ts_ms')
    members.push(member.timeUs, member.timeMs)
  }
  return new RowShape(columns, members, names)
}
