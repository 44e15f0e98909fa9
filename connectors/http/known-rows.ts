/**
 * KnownRows: which of the rows that an answer lists are new or have changed, and which are gone.
 *
 * What was written before is in the log, in the topic itself, and is read back from there at the start: what
 * is believed to be known is exactly what is in a commit. With a key a row is its key and the hash of its
 * values; without one (rows are only added) it is its values, and rows that are alike are counted.
 *
 * Whoever asks by `since` only has to know the rows that may come again: those not older than its border.
 */
import { hash } from 'node:crypto'
import type { Batch } from '../../core/record/batch.ts'
import { makeBatch, Op } from '../../core/record/batch.ts'
import type { Schema } from '../../core/record/schema.ts'
import { builderFor } from '../../core/record/builder.ts'
import { ValueWriter } from '../../core/record/value-bytes.ts'
import { columnOfValues, SlotReader } from '../../core/record/value-bytes-reader.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { isGreater, type SinceOrder, type SinceValue } from './since.ts'

export interface KnownOptions {
  /** For messages. */
  readonly name: string
  readonly schema: Schema
  /** Fields that are no values of the row: when it was asked for, headers of the answer. */
  readonly beside: ReadonlySet<string>
  readonly since: { readonly field: string; readonly order: SinceOrder } | null
  readonly keysMax: number
  /**
   * Whether the rows that were not seen for longest may be forgotten when there are too many: where all
   * that comes of it is that a row is written again. Otherwise too many are an error.
   */
  readonly mayForget: boolean
}

interface Known {
  /** Hash of the values. */
  values: string
  /** Run in which it was last seen. */
  run: number
  /** Runs in a row that lacked it. */
  missing: number
  /** Without a key: how often it is there, and how often this run has brought it. */
  count: number
  brought: number
  since: SinceValue | null
  writtenMs: number
}

const hashLength = 16

export class KnownRows {
  readonly #options: KnownOptions
  readonly #rows = new Map<string, Known>()
  /**
   * Kept from one row to the next: all before it are gone or were touched and stand at the end. One that begins
   * anew would pass over the places of all that are gone, which is the square of their number.
   */
  #oldest = this.#rows.keys()
  readonly #writer = new ValueWriter()
  readonly #valueFields: readonly number[]
  readonly #sinceField: number
  #run = 0
  #sizeBefore = 0

  constructor(options: KnownOptions) {
    this.#options = options
    const { fields } = options.schema
    this.#valueFields = fields.flatMap(({ name }, at) => (options.beside.has(name) ? [] : [at]))
    this.#sinceField = fields.findIndex(({ name }) => name === options.since?.field)
  }

  /** Rows that were known when the run began. */
  get sizeBefore(): number {
    return this.#sizeBefore
  }

  /** Rows of the log, oldest first: what they say is known. Those before the border need not be. */
  load(batch: Batch, border: SinceValue | null, writtenMs: number): void {
    const view = this.#viewOf(batch)
    // Of rows without this key nothing can be known.
    if (view === null) return
    for (let row = 0; row < batch.rows; row++) {
      const since = this.#sinceOf(view, row)
      if (border !== null && since !== null && isGreater(border, since)) continue
      const values = this.#valuesOf(view, row)
      const key = this.#keyOf(view, row, values)
      if (batch.weights[row]! < 0) this.#rows.delete(key)
      else this.#know(key, values, since, writtenMs)
    }
  }

  /** A run of pages begins, or goes on after it was broken off. */
  begin(): void {
    this.#run++
    this.#sizeBefore = this.#rows.size
    for (const known of this.#rows.values()) known.brought = 0
  }

  /**
   * Rows of the batch that are new or have changed, in its order; from now on they are known. Throws
   * `http.poll.too_many_keys`.
   */
  admit(batch: Batch, nowMs: number): Int32Array {
    const rows = new Int32Array(batch.rows)
    let count = 0
    for (let row = 0; row < batch.rows; row++) {
      const values = this.#valuesOf(batch, row)
      const key = this.#keyOf(batch, row, values)
      const known = this.#rows.get(key)
      if (known !== undefined && this.#isKnown(known, values)) {
        this.#touch(key, known)
        continue
      }
      this.#know(key, values, this.#sinceOf(batch, row), nowMs)
      rows[count++] = row
    }
    return rows.slice(0, count)
  }

  /** The greatest value of `since` in the batch that is not beyond `max`; null = none has one. */
  greatest(batch: Batch, max: SinceValue | null): SinceValue | null {
    let greatest: SinceValue | null = null
    for (let row = 0; row < batch.rows; row++) {
      const value = this.#sinceOf(batch, row)
      if (value === null || (max !== null && isGreater(value, max))) continue
      if (greatest === null || isGreater(value, greatest)) greatest = value
    }
    return greatest
  }

  /** Forgets rows that are older than the border (those without a value may always come); returns when the oldest of the others was written. */
  forget(border: SinceValue): number | null {
    let oldestMs: number | null = null
    for (const [key, { since, writtenMs }] of this.#rows) {
      if (since !== null && isGreater(border, since)) this.#rows.delete(key)
      else oldestMs = Math.min(oldestMs ?? writtenMs, writtenMs)
    }
    return oldestMs
  }

  /** After a whole listing: how many rows it lacked. */
  lacked(): number {
    let lacked = 0
    for (const { run } of this.#rows.values()) if (run !== this.#run) lacked++
    return lacked
  }

  /** After a whole listing: keys of the rows that so many listings in a row have lacked, with this one. */
  missing(runs: number): readonly string[] {
    const keys: string[] = []
    for (const [key, known] of this.#rows) {
      if (known.run !== this.#run && ++known.missing >= runs) keys.push(key)
    }
    return keys
  }

  /** A batch that deletes these rows; they are not known any more. */
  deletes(keys: readonly string[], timeUs: number): Batch {
    const { schema } = this.#options
    const bytes = keys.map((key) => Buffer.from(key, 'latin1'))
    const readers = bytes.map((key) => new SlotReader(key))
    const columns = new Map(
      schema.key.map((field) => {
        const starts = new Int32Array(keys.length)
        const ends = new Int32Array(keys.length)
        for (const [row, reader] of readers.entries()) {
          reader.next()
          starts[row] = reader.start
          ends[row] = reader.end
        }
        const { type } = schema.fields[field]!
        return [field, columnOfValues(type, { bytes, starts, ends })]
      }),
    )
    for (const key of keys) this.#rows.delete(key)
    return makeBatch(
      schema,
      schema.fields.map(({ type }, at) => columns.get(at) ?? nulls(type, keys.length)),
      new Int32Array(keys.length).fill(-1),
      new Uint8Array(keys.length).fill(Op.delete),
      new Float64Array(keys.length).fill(timeUs),
    )
  }

  #isKnown(known: Known, values: string): boolean {
    known.run = this.#run
    known.missing = 0
    if (this.#options.schema.key.length > 0) return known.values === values
    return ++known.brought <= known.count
  }

  #know(key: string, values: string, since: SinceValue | null, writtenMs: number): void {
    const known = this.#rows.get(key)
    if (known !== undefined) {
      known.values = values
      known.since = since
      known.writtenMs = writtenMs
      known.count++
      return this.#touch(key, known)
    }
    if (this.#rows.size >= this.#options.keysMax && !this.#forgetOldest()) {
      const message = `${this.#options.name}: there are more than ${this.#options.keysMax} rows`
      throw new SluiceError('http.poll.too_many_keys', { message })
    }
    const [run, missing, count, brought] = [this.#run, 0, 1, 1]
    this.#rows.set(key, { values, since, writtenMs, run, missing, count, brought })
  }

  /** The order of the map is that of being seen. */
  #touch(key: string, known: Known): void {
    if (!this.#options.mayForget) return
    this.#rows.delete(key)
    this.#rows.set(key, known)
  }

  #forgetOldest(): boolean {
    if (!this.#options.mayForget) return false
    let next = this.#oldest.next()
    if (next.done === true) {
      this.#oldest = this.#rows.keys()
      next = this.#oldest.next()
    }
    return next.done !== true && this.#rows.delete(next.value)
  }

  #keyOf({ schema, columns }: Batch, row: number, values: string): string {
    const { key, fields } = schema
    if (key.length === 0) return values
    this.#writer.rewind()
    for (const field of key) this.#writer.slot(fields[field]!.type, columns[field]!, row)
    return Buffer.from(this.#writer.since(0)).toString('latin1')
  }

  #valuesOf({ schema, columns }: Batch, row: number): string {
    this.#writer.rewind()
    for (const field of this.#valueFields) {
      this.#writer.slot(schema.fields[field]!.type, columns[field]!, row)
    }
    return hash('sha256', this.#writer.since(0), 'buffer').toString('latin1', 0, hashLength)
  }

  #sinceOf({ columns }: Batch, row: number): SinceValue | null {
    const { since } = this.#options
    return since === null ? null : since.order.at(columns[this.#sinceField]!, row)
  }

  /** A batch of an older schema with the fields of this one; null where it has another key. */
  #viewOf(batch: Batch): Batch | null {
    const { schema } = this.#options
    if (batch.schema.id === schema.id) return batch
    const place = (at: number): number => {
      const { name, type } = schema.fields[at]!
      return batch.schema.fields.findIndex(
        (field) => field.name === name && JSON.stringify(field.type) === JSON.stringify(type),
      )
    }
    const places = schema.fields.map((_, at) => place(at))
    if (schema.key.some((field) => places[field] === -1)) return null
    const columns = places.map((from, at) =>
      from < 0 ? nulls(schema.fields[at]!.type, batch.rows) : batch.columns[from]!,
    )
    return makeBatch(schema, columns, batch.weights, batch.ops, batch.timesUs)
  }
}

function nulls(type: Schema['fields'][number]['type'], rows: number): Batch['columns'][number] {
  const builder = builderFor(type)
  for (let i = 0; i < rows; i++) builder.appendNull()
  return builder.finish()
}
