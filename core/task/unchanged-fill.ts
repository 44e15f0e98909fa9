/**
 * Fills the unchanged slots of a batch, column by column, with the values that `Origins` found for
 * their rows; where the source sent an edit, with what it makes of that value. A filled column has the
 * encodings of its type, as a decoder would have built it.
 */
import type { RowsChange, ValueEdit } from '../connector/source.ts'
import { SluiceError } from '../errors/error.ts'
import { makeBatch, type Batch } from '../record/batch.ts'
import { bitAt } from '../record/bitmap.ts'
import { BytesBuilder } from '../record/bytes-builder.ts'
import type { Column } from '../record/column.ts'
import { sameType, type LogicalType } from '../record/types.ts'
import { convertValue } from '../record/value-convert.ts'
import { exactBytesAt, gatherColumn } from '../record/value-copy.ts'
import type { RowSource } from './row-layout.ts'

/** Per row of a batch: where the row was before. */
export interface Origins {
  /** The first is the batch itself. */
  readonly sources: readonly RowSource[]
  /** Index into `sources`; −1: no such row is known. */
  readonly from: Int32Array
  readonly rows: Int32Array
}

/** The change's batch with every slot filled. Throws `task.unchanged_not_found`. */
export function fillUnchanged(topic: string, change: RowsChange, origins: Origins): Batch {
  const { batch, unchanged } = change
  if (unchanged === undefined) return batch
  const columns = batch.columns.map((column, field) =>
    unchanged[field] == null ? column : new FieldFill(topic, change, field).fill(origins),
  )
  return makeBatch(batch.schema, columns, batch.weights, batch.ops, batch.timesUs)
}

class FieldFill {
  readonly #topic: string
  readonly #change: RowsChange
  readonly #field: number
  readonly #name: string
  readonly #type: LogicalType
  readonly #marks: Uint8Array
  /** Where the values come from: the batch's own column, those of other rows, and what is made here. */
  readonly #columns: Column[]
  /** Index in `#columns` by index in the origins' sources. */
  readonly #known = new Map<number, number>()
  /** Types of `#columns` that are not the field's. */
  readonly #foreign = new Map<number, LogicalType>()
  readonly #from: Int32Array
  readonly #rows: Int32Array
  /** Results of edits, made into the column at `#edited` in the end. */
  readonly #edits: (Uint8Array | null)[] = []
  #edited = -1

  constructor(topic: string, change: RowsChange, field: number) {
    this.#topic = topic
    this.#change = change
    this.#field = field
    const { name, type } = change.batch.schema.fields[field]!
    this.#name = name
    this.#type = type
    this.#marks = change.unchanged![field]!
    this.#columns = [change.batch.columns[field]!]
    this.#known.set(0, 0)
    this.#from = new Int32Array(change.batch.rows)
    this.#rows = new Int32Array(change.batch.rows)
  }

  fill(origins: Origins): Column {
    const { batch, edits } = this.#change
    const edited = edits?.[this.#field] ?? null
    for (let row = 0; row < batch.rows; row++) {
      if (batch.weights[row]! < 0 || !bitAt(this.#marks, row)) this.#rows[row] = row
      else {
        this.#locate(origins, row)
        const edit = edited?.get(row)
        if (edit !== undefined) this.#edit(row, edit)
      }
    }
    if (this.#edited >= 0) this.#columns[this.#edited] = this.#editedColumn()
    return gatherColumn(this.#type, this.#columns, this.#from, this.#rows)
  }

  #locate({ sources, from, rows }: Origins, row: number): void {
    const source = from[row]!
    const at = rows[row]!
    if (source === 0) {
      // An earlier row of this batch, whose own slot may have been filled from elsewhere.
      this.#from[row] = this.#from[at]!
      this.#rows[row] = this.#rows[at]!
      return
    }
    if (source < 0) throw this.#notFound('no earlier row of its key is in the log')
    let index = this.#known.get(source)
    if (index === undefined) {
      index = this.#add(sources[source]!)
      this.#known.set(source, index)
    }
    if (index < 0) return this.#fromDefault(row)
    const foreign = this.#foreign.get(index)
    this.#from[row] = index
    this.#rows[row] = at
    if (foreign === undefined) return
    const converted = convertValue(foreign, this.#columns[index]!, at, this.#type)
    if (converted === null) throw this.#notFound('its type has changed since its value was sent')
    this.#from[row] = this.#columns.push(converted) - 1
    this.#rows[row] = 0
  }

  /** The source's column of this field; −1 where it has none. */
  #add(source: RowSource): number {
    const found = source.field(this.#name)
    if (found === null) return -1
    const index = this.#columns.push(found.column) - 1
    if (!sameType(found.type, this.#type)) this.#foreign.set(index, found.type)
    return index
  }

  #fromDefault(row: number): void {
    const value = this.#change.defaults?.[this.#field] ?? null
    if (value === null) throw this.#notFound('the column is newer than the rows in the log')
    // One column for all rows: its index is kept where no source has its own.
    let index = this.#known.get(-1)
    if (index === undefined) {
      index = this.#columns.push(value) - 1
      this.#known.set(-1, index)
    }
    this.#from[row] = index
    this.#rows[row] = 0
  }

  #edit(row: number, edit: ValueEdit): void {
    let value: Uint8Array | null
    try {
      value = edit(this.#bytesOf(row))
    } catch (cause) {
      if (!(cause instanceof SluiceError)) throw cause
      // What is wrong the source knows, and only here it is known where.
      const { code, fault, remedy } = cause
      const message = `${this.#topic}, column ${this.#name}: ${cause.message}`
      throw new SluiceError(code, { message, fault, remedy, cause })
    }
    if (this.#edited < 0) this.#edited = this.#columns.push(this.#columns[0]!) - 1
    this.#from[row] = this.#edited
    this.#rows[row] = this.#edits.push(value) - 1
  }

  #bytesOf(row: number): Uint8Array | null {
    const from = this.#from[row]!
    const at = this.#rows[row]!
    if (from === this.#edited) return this.#edits[at]!
    return exactBytesAt(this.#type, this.#columns[from]!, at)
  }

  /** Edits make texts and bytes; sources give them for no other type. */
  #editedColumn(): Column {
    const builder = new BytesBuilder()
    for (const value of this.#edits) {
      if (value === null) builder.appendNull()
      else builder.append(value, 0, value.length)
    }
    return builder.finish()
  }

  #notFound(why: string): SluiceError {
    return new SluiceError('task.unchanged_not_found', {
      message: `${this.#topic}: an update left out ${this.#name} as unchanged, and ${why}`,
    })
  }
}
