/**
 * Rows as texts for the tests of the SQL engine: each value is the text PostgreSQL prints, or null.
 * Batches are built from them through the same builders the decoders use, and read back with textAt,
 * so that the engine's own text functions are not their own judge.
 */
import { builderFor, type AnyBuilder } from '../../core/record/builder.ts'
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import type { Schema } from '../../core/record/schema.ts'
import { isScaledDecimal, type LogicalType } from '../../core/record/types.ts'
import { textAt } from '../../core/record/value.ts'
import { dateFromText, timeFromText, timestamptzFromText } from '../../core/sql/scalar/time-text.ts'
import { intervalFromText } from '../../core/sql/scalar/interval.ts'
import { appendValue } from '../../core/sql/operators/columns.ts'

export type Row = readonly (string | null)[]

export interface Change {
  readonly row: Row
  readonly weight: 1 | -1
  readonly op?: number
  readonly timeUs?: number
}

export function batchOf(schema: Schema, changes: readonly Change[]): Batch {
  const columns = schema.fields.map((field, i) => {
    const builder = builderFor(field.type)
    for (const { row } of changes) appendText(builder, field.type, row[i] ?? null)
    return builder.finish()
  })
  return makeBatch(
    schema,
    columns,
    Int32Array.from(changes, (change) => change.weight),
    Uint8Array.from(changes, (change) => change.op ?? (change.weight > 0 ? Op.insert : Op.delete)),
    Float64Array.from(changes, (change) => change.timeUs ?? 1_700_000_000_000_000),
  )
}

function appendText(builder: AnyBuilder, type: LogicalType, text: string | null): void {
  if (text === null) return builder.appendNull()
  switch (type.kind) {
    case 'bool':
      return appendValue(builder, type, text === 't' || text === 'true')
    case 'int16':
    case 'int32':
    case 'float32':
    case 'float64':
      return appendValue(builder, type, Number(text))
    case 'int64':
    case 'uint64':
      return appendValue(builder, type, BigInt(text))
    case 'date':
      return appendValue(builder, type, dateFromText(text))
    case 'timestamp':
    case 'timestamptz':
      return appendValue(builder, type, timestamptzFromText(text))
    case 'time':
      return appendValue(builder, type, timeFromText(text))
    case 'interval':
      return appendValue(builder, type, intervalFromText(text))
    case 'decimal': {
      const bytes = Buffer.from(text)
      const target = builder as { appendText?: unknown; append?: unknown }
      const append = (isScaledDecimal(type) ? target.appendText : target.append) as (
        this: unknown,
        bytes: Uint8Array,
        start: number,
        end: number,
      ) => void
      return append.call(builder, bytes, 0, bytes.length)
    }
    default:
      return appendValue(builder, type, text)
  }
}

export function rowsOf(batch: Batch): readonly { row: Row; weight: number; op: number }[] {
  return Array.from({ length: batch.rows }, (_, i) => ({
    row: batch.columns.map((column, c) => textAt(batch.schema.fields[c]!.type, column, i)),
    weight: batch.weights[i]!,
    op: batch.ops[i]!,
  }))
}

/** What the batches add up to, as PostgreSQL would hold it after them. Fails on a fold no sink could do. */
export class Folded {
  readonly #schema: Schema
  readonly #rows = new Map<string, { row: Row; count: number }>()
  constructor(schema: Schema) {
    this.#schema = schema
  }
  apply(batch: Batch): void {
    for (const { row, weight } of rowsOf(batch)) {
      if (this.#schema.changelog === 'upsert') this.#upsert(row, weight)
      else this.#count(row, weight)
    }
  }
  #upsert(row: Row, weight: number): void {
    const key = JSON.stringify(this.#schema.key.map((index) => row[index]))
    if (weight > 0) this.#rows.set(key, { row, count: 1 })
    else if (!this.#rows.delete(key))
      throw new Error(`a key was taken away that was not there: ${key}`)
  }
  #count(row: Row, weight: number): void {
    const key = JSON.stringify(row)
    const count = (this.#rows.get(key)?.count ?? 0) + weight
    if (count < 0) throw new Error(`a row was taken back that was not there: ${key}`)
    if (count === 0) this.#rows.delete(key)
    else this.#rows.set(key, { row, count })
  }
  rows(): Row[] {
    return [...this.#rows.values()].flatMap(({ row, count }) => Array<Row>(count).fill(row))
  }
}
