/**
 * The shape of a topic's rows as its target has it: the topic's own schema, but for the columns that
 * `on_schema_change` kept, left out, or holds at an older type or name. Kept in the deliver task's
 * commits as the differences alone, so that a table of two hundred columns costs a few bytes a commit.
 */
import { builderFor } from '../record/builder.ts'
import { makeBatch, type Batch } from '../record/batch.ts'
import { isNull, type Column } from '../record/column.ts'
import { convertColumn } from '../record/column-convert.ts'
import { makeSchema, type Field, type Schema } from '../record/schema.ts'
import type { Past, Then } from './schema-past.ts'
import { appendValue } from './value-edit.ts'

export interface TopicShape {
  /** Id of the topic's schema that this belongs to. */
  readonly schema: string
  /** Fields of the topic, by name, that have another type, name, NULL or `oldRows` in the target. */
  readonly as?: readonly { readonly from: string; readonly field: Field }[]
  /** Fields of the topic that the target does not have. */
  readonly out?: readonly string[]
  /** Fields of the target that the topic has no more; NULL in every row. */
  readonly kept?: readonly Field[]
}

export interface ShapeColumn {
  readonly field: Field
  /** The topic's field that its values come from; null = none, every row is NULL. */
  readonly from: string | null
}

/** A shape with its topic's schema: what rows are brought into. */
export interface Target {
  readonly schema: Schema
  /** Id of the topic's schema that it is of: the one whose names `columns` and `past` speak of. */
  readonly topic: string
  /** One per field of `schema`; null when the topic's rows are sent as they are. */
  readonly columns: readonly ShapeColumn[] | null
  /** For rows of the topic's earlier schemas; without it they are taken by the names of now. */
  readonly past?: Past
}

export function targetOf(shape: TopicShape, topic: Schema): Target {
  const columns = columnsOf(shape, topic)
  return columns === null
    ? { schema: topic, topic: topic.id, columns }
    : { schema: targetSchema(columns, topic), topic: topic.id, columns }
}

/** The target's columns; null when they are the topic's. */
function columnsOf({ as, out, kept }: TopicShape, topic: Schema): readonly ShapeColumn[] | null {
  if (as === undefined && out === undefined && kept === undefined) return null
  const columns: ShapeColumn[] = []
  for (const field of topic.fields) {
    if (out?.includes(field.name) === true) continue
    columns.push(as?.find(({ from }) => from === field.name) ?? { field, from: field.name })
  }
  for (const field of kept ?? []) columns.push({ field, from: null })
  return columns
}

/** The schema of these columns, with the topic's key under their names. */
export function targetSchema(columns: readonly ShapeColumn[], topic: Schema): Schema {
  const key = topic.key.map((index) =>
    columns.findIndex(({ from }) => from === topic.fields[index]!.name),
  )
  return makeSchema(
    columns.map(({ field }) => field),
    key,
    topic.changelog,
  )
}

/** The other way round: the differences that make these columns of the topic's schema. */
export function shapeOf(columns: readonly ShapeColumn[], topic: Schema): TopicShape {
  const as: { from: string; field: Field }[] = []
  const out: string[] = []
  for (const field of topic.fields) {
    const column = columns.find(({ from }) => from === field.name)
    if (column === undefined) out.push(field.name)
    else if (!sameField(column.field, field) || losesOldRows(column.field, field))
      as.push({ from: field.name, field: column.field })
  }
  const kept = columns.flatMap(({ field, from }) => (from === null ? [field] : []))
  return {
    schema: topic.id,
    ...(as.length === 0 ? {} : { as }),
    ...(out.length === 0 ? {} : { out }),
    ...(kept.length === 0 ? {} : { kept }),
  }
}

function sameField(a: Field, b: Field): boolean {
  const [first, second] = [a, b].map(({ name, type, nullable }) => ({ name, type, nullable }))
  return JSON.stringify(first) === JSON.stringify(second)
}

function losesOldRows(column: Field, { oldRows }: Field): boolean {
  return oldRows !== undefined && column.oldRows === undefined
}

/** A row that the target's columns do not hold, and the first of them that does not. */
export interface Misfit {
  readonly row: number
  readonly field: Field
  readonly isNull: boolean
}

export interface Shaped {
  /** All rows, in the target's schema; what does not fit is null in it. */
  readonly batch: Batch
  /** By ascending row, one a row. */
  readonly misfits: readonly Misfit[]
}

/**
 * Rows of the topic as the target has them. Also rows of an older schema of the topic, which are sent
 * again: its fields are found by their names. Columns that are alike are shared, not copied.
 */
export function shapeBatch(batch: Batch, target: Target): Shaped {
  if (batch.schema.id === target.schema.id) return { batch, misfits: [] }
  const columns =
    target.columns ?? target.schema.fields.map((field) => ({ field, from: field.name }))
  const then = target.past?.(batch.schema)
  const kept = new Set(columns.flatMap(({ field, from }) => (from === null ? [field.name] : [])))
  const misfits = new Map<number, Misfit>()
  const shaped = columns.map((wanted, index) => {
    const { field } = wanted
    const source = sourceIndex(batch.schema, wanted, then?.names, kept)
    const isKey = target.schema.key.includes(index)
    const mayLack = (row: number): boolean => !isKey && keyAlone(batch, row)
    const refuse = (row: number, isNull: boolean): void => {
      if (!mayLack(row) && !misfits.has(row)) misfits.set(row, { row, field, isNull })
    }
    if (source < 0) {
      const added = wanted.from === null ? undefined : then?.added.get(wanted.from)
      const filled = added === undefined ? null : columnOfText(field, added, batch.rows)
      if (filled !== null) return filled
      if (!field.nullable) for (let row = 0; row < batch.rows; row++) refuse(row, true)
      return nullColumn(field, batch.rows)
    }
    const given = batch.schema.fields[source]!
    const { column, refused } = convertColumn(given.type, batch.columns[source]!, field.type)
    for (const row of refused) refuse(row, false)
    if (given.nullable && !field.nullable) {
      for (const row of nullRows(column)) refuse(row, true)
    }
    return column
  })
  const { weights, ops, timesUs } = batch
  return {
    batch: makeBatch(target.schema, shaped, weights, ops, timesUs),
    misfits: [...misfits.values()].sort((a, b) => a.row - b.row),
  }
}

/** −1 where the row has no such value. A column of then that the target has kept goes on with its values. */
function sourceIndex(
  { fields }: Schema,
  { field, from }: ShapeColumn,
  names: Then['names'] | undefined,
  kept: ReadonlySet<string>,
): number {
  const index = (name: string | null): number => fields.findIndex((one) => one.name === name)
  const then = from === null ? undefined : names?.get(from)
  if (then === null) return -1
  if (then !== undefined && !kept.has(then)) return index(then)
  const own = index(from)
  return own >= 0 ? own : index(field.name)
}

/** Of such a row only the key is sure: that the rest is missing says nothing. */
function keyAlone({ schema, weights }: Batch, row: number): boolean {
  return schema.changelog === 'upsert' && weights[row]! < 0
}

/** The same value in every row; null where the text is none of the type's. */
function columnOfText(field: Field, text: string, rows: number): Column | null {
  const builder = builderFor(field.type)
  for (let row = 0; row < rows; row++) if (appendValue(builder, field, text) !== null) return null
  return builder.finish()
}

function nullColumn({ type }: Field, rows: number): Column {
  const builder = builderFor(type)
  for (let row = 0; row < rows; row++) builder.appendNull()
  return builder.finish()
}

function* nullRows(column: Column): Iterable<number> {
  if (column.validity === null) return
  for (let row = 0; row < column.length; row++) if (isNull(column, row)) yield row
}
