/**
 * How the row memory keeps a row: the values of some fields of its schema, in a layout that it names.
 * A layout is kept once a topic and schema, so that a row carries no names and still says which
 * columns it has after the schema has moved on.
 *
 *   row = layout:varint slot*          one slot a field of the layout (core/record/value-bytes.ts)
 */
import type { Batch } from '../record/batch.ts'
import type { Column } from '../record/column.ts'
import type { Schema } from '../record/schema.ts'
import type { LogicalType } from '../record/types.ts'
import { columnOfValues, SlotReader } from '../record/value-bytes-reader.ts'
import type { ValueWriter } from '../record/value-bytes.ts'

/**
 * Which columns of a topic are kept: those of no fixed size, which alone Postgres leaves out (TOAST),
 * or every one that is not part of the key (MySQL's MINIMAL images).
 */
export type Kept = 'large' | 'all'

export interface LayoutField {
  readonly name: string
  readonly type: LogicalType
  /** The field was dropped since: its slots are read over. */
  readonly dropped?: boolean
}

export interface RowLayout {
  readonly id: number
  readonly fields: readonly LayoutField[]
}

export function covers(has: Kept | null, need: Kept): boolean {
  return has === 'all' || has === need
}

/** Indexes of the fields that are kept. */
export function keptFields(schema: Schema, kept: Kept): number[] {
  const fields: number[] = []
  for (const [index, { type }] of schema.fields.entries()) {
    if (schema.key.includes(index)) continue
    if (kept === 'all' || isLarge(type)) fields.push(index)
  }
  return fields
}

/** Of no fixed size. */
export function isLarge({ kind }: LogicalType): boolean {
  return ['text', 'bytes', 'json', 'other', 'list', 'decimal'].includes(kind)
}

/** Where the values of one row that a change left out are. */
export interface RowSource {
  /** null: these rows do not have the field. */
  field(name: string): { readonly type: LogicalType; readonly column: Column } | null
}

const fieldIndexes = new WeakMap<Schema, Map<string, number>>()

/** The rows of a batch as a source. */
export class BatchRows implements RowSource {
  readonly #batch: Batch
  constructor(batch: Batch) {
    this.#batch = batch
  }
  field(name: string): { readonly type: LogicalType; readonly column: Column } | null {
    const { schema, columns } = this.#batch
    let indexes = fieldIndexes.get(schema)
    if (indexes === undefined) {
      indexes = new Map(schema.fields.map((field, index) => [field.name, index]))
      fieldIndexes.set(schema, indexes)
    }
    const index = indexes.get(name)
    return index === undefined
      ? null
      : { type: schema.fields[index]!.type, column: columns[index]! }
  }
}

/** Rows of one layout, as they came from the row memory. */
export class LayoutRows implements RowSource {
  readonly #layout: RowLayout
  readonly #rows: Uint8Array[] = []
  #starts: Int32Array[] | null = null
  #ends: Int32Array[] = []
  readonly #columns = new Map<string, Column>()

  constructor(layout: RowLayout) {
    this.#layout = layout
  }

  /** Returns the row's index here. All are added before the first field is asked for. */
  add(row: Uint8Array): number {
    return this.#rows.push(row) - 1
  }

  field(name: string): { readonly type: LogicalType; readonly column: Column } | null {
    const { fields } = this.#layout
    const index = fields.findIndex((field) => field.name === name && field.dropped !== true)
    if (index < 0) return null
    const { type } = fields[index]!
    let column = this.#columns.get(name)
    if (column === undefined) {
      const starts = this.#places()
      const places = { bytes: this.#rows, starts: starts[index]!, ends: this.#ends[index]! }
      column = columnOfValues(type, places)
      this.#columns.set(name, column)
    }
    return { type, column }
  }

  #places(): Int32Array[] {
    if (this.#starts !== null) return this.#starts
    const { fields } = this.#layout
    const starts = fields.map(() => new Int32Array(this.#rows.length))
    const ends = fields.map(() => new Int32Array(this.#rows.length))
    for (const [row, bytes] of this.#rows.entries()) {
      const reader = new SlotReader(bytes)
      reader.varint()
      for (let i = 0; i < fields.length; i++) {
        reader.next()
        starts[i]![row] = reader.start
        ends[i]![row] = reader.end
      }
    }
    this.#ends = ends
    return (this.#starts = starts)
  }
}

/** Which layout a row has. */
export function layoutIdOf(row: Uint8Array): number {
  return new SlotReader(row).varint()
}

export interface BatchLayout {
  readonly layout: RowLayout
  /** Index in the batch of each of the layout's fields. */
  readonly columns: readonly number[]
}

/** Writes one row of a batch. */
export function writeRow(
  writer: ValueWriter,
  { layout, columns }: BatchLayout,
  batch: Batch,
  row: number,
): void {
  writer.varint(layout.id)
  const { fields } = batch.schema
  for (const index of columns) writer.slot(fields[index]!.type, batch.columns[index]!, row)
}
