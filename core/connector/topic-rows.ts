/**
 * The rows gathered for one topic of a change stream: the connector's decoder a field, and weight,
 * operation and time a row. Hot: one `endRow` a row. Builders are kept from batch to batch.
 */
import { makeBatch } from '../record/batch.ts'
import { bitmapBytes, setBit } from '../record/bitmap.ts'
import { makeSchema, type Schema } from '../record/schema.ts'
import type { ColumnBuilder } from '../record/validity.ts'
import { changeOf } from './change-rows.ts'
import type { RowsChange, ValueEdit } from './source.ts'

/** What reads the values of one field; how, its connector knows. */
export interface FieldDecoder {
  readonly builder: ColumnBuilder
}

/**
 * A topic's schema as the stream knows it. Nullability comes from the catalog of today, rows from
 * the past: a null in a column that is NOT NULL by now makes the field nullable from then on.
 */
export class TopicSchema {
  readonly topic: string
  #schema: Schema
  constructor(topic: string, schema: Schema) {
    this.topic = topic
    this.#schema = schema
  }
  get schema(): Schema {
    return this.#schema
  }
  /** Makes the fields with a non-zero mark nullable. */
  admitNulls(marks: Uint8Array): void {
    const { fields, key, changelog } = this.#schema
    if (!fields.some((field, i) => marks[i] !== 0 && !field.nullable)) return
    this.#schema = makeSchema(
      fields.map((field, i) => (marks[i] === 0 ? field : { ...field, nullable: true })),
      key,
      changelog,
    )
  }
}

export class TopicRows<Decoder extends FieldDecoder> {
  readonly topic: TopicSchema
  /** One a field. */
  readonly decoders: readonly Decoder[]
  rows = 0
  /** Row at which the open transaction begins, and which transaction that is. */
  transactionStart = 0
  transaction = -1

  #weights = new Int32Array(256)
  #ops = new Uint8Array(256)
  #timesUs = new Float64Array(256)
  /** Per field: a row that appears has null here. */
  readonly #nulls: Uint8Array
  #unchanged: (Uint8Array | null)[] | null = null
  #edits: (Map<number, ValueEdit> | null)[] | null = null
  #previous: Int32Array | null = null

  constructor(topic: TopicSchema, decoders: readonly Decoder[]) {
    this.topic = topic
    this.decoders = decoders
    this.#nulls = new Uint8Array(this.decoders.length)
  }

  /** Ends the row whose values were appended to every decoder. */
  endRow(weight: number, op: number, timeUs: number): void {
    const row = this.rows
    if (row === this.#weights.length) this.#grow()
    this.#weights[row] = weight
    this.#ops[row] = op
    this.#timesUs[row] = timeUs
    this.rows = row + 1
  }

  /** The row being appended has null in this field. */
  markNull(field: number): void {
    this.#nulls[field] = 1
  }

  /** The source did not send this field of the row being appended, because it did not change. */
  markUnchanged(field: number): void {
    this.#unchanged ??= this.decoders.map(() => null)
    let bits = this.#unchanged[field] ?? null
    const needed = bitmapBytes(this.#weights.length + 1)
    if (bits === null || bits.length < needed) {
      const grown = new Uint8Array(needed)
      if (bits !== null) grown.set(bits)
      bits = grown
      this.#unchanged[field] = bits
    }
    setBit(bits, this.rows)
  }

  /** What makes this field of the row being appended from the one before; the field is marked unchanged too. */
  markEdit(field: number, edit: ValueEdit): void {
    this.#edits ??= this.decoders.map(() => null)
    const edits = this.#edits[field] ?? new Map<number, ValueEdit>()
    edits.set(this.rows, edit)
    this.#edits[field] = edits
  }

  /** The row being appended follows its old key's row, which `endRow` ended just before. */
  markPrevious(): void {
    if (this.#previous === null || this.#previous.length <= this.rows) {
      const grown = new Int32Array(this.#weights.length + 1).fill(-1)
      if (this.#previous !== null) grown.set(this.#previous)
      this.#previous = grown
    }
    this.#previous[this.rows] = this.rows - 1
  }

  /** The rows as one change, and starts anew. */
  finish(): RowsChange {
    const { rows } = this
    const columns = this.decoders.map((decoder) => decoder.builder.finish())
    this.topic.admitNulls(this.#nulls)
    const batch = makeBatch(
      this.topic.schema,
      columns,
      this.#weights.slice(0, rows),
      this.#ops.slice(0, rows),
      this.#timesUs.slice(0, rows),
    )
    const change = changeOf(this.topic.topic, batch, {
      unchanged: this.#unchanged?.map((bits) => resized(bits, rows)) ?? null,
      edits: this.#edits,
      previous: this.#previous === null ? null : padded(this.#previous, rows),
    })
    this.rows = 0
    this.transaction = -1
    this.transactionStart = 0
    this.#nulls.fill(0)
    this.#unchanged = null
    this.#edits = null
    this.#previous = null
    return change
  }

  #grow(): void {
    const capacity = this.#weights.length * 2
    const weights = new Int32Array(capacity)
    const ops = new Uint8Array(capacity)
    const timesUs = new Float64Array(capacity)
    weights.set(this.#weights)
    ops.set(this.#ops)
    timesUs.set(this.#timesUs)
    this.#weights = weights
    this.#ops = ops
    this.#timesUs = timesUs
  }
}

/** A bitmap of exactly `rows` rows; null when no bit is set. */
function resized(bits: Uint8Array | null, rows: number): Uint8Array | null {
  if (bits === null) return null
  const out = new Uint8Array(bitmapBytes(rows))
  out.set(bits.subarray(0, Math.min(out.length, bits.length)))
  return out.some((byte) => byte !== 0) ? out : null
}

function padded(previous: Int32Array, rows: number): Int32Array {
  const out = new Int32Array(rows).fill(-1)
  out.set(previous.subarray(0, Math.min(rows, previous.length)))
  return out
}
