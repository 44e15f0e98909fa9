/** Batches written by hand, row by row, for tests: values in, columns out. */
import {
  BoolBuilder,
  builderFor,
  Fixed16Builder,
  Int32Builder,
  NumberBuilder,
  type AnyBuilder,
} from '../../core/record/builder.ts'
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import { BytesBuilder } from '../../core/record/bytes-builder.ts'
import { DecimalBuilder } from '../../core/record/decimal-builder.ts'
import type { Schema } from '../../core/record/schema.ts'

/**
 * As the builders take them: decimals, uuids, intervals (32 hex digits) and texts as text, days and µs
 * as numbers, lists as arrays.
 */
export type Value = null | boolean | number | bigint | string | Uint8Array | readonly Value[]

export interface Row {
  /** 1 when absent. */
  readonly weight?: number
  /** Name of an `Op`; insert, or delete under −1, when absent. */
  readonly op?: keyof typeof Op
  readonly timeUs?: number
  /** By field name; null where absent. */
  readonly values: Readonly<Record<string, Value>>
}

/** 2026-01-01, one second a row, where a row says nothing else. */
export const firstTimeUs = 1_767_225_600_000_000

export function batchOf(schema: Schema, rows: readonly Row[]): Batch {
  const columns = schema.fields.map((field) => {
    const builder = builderFor(field.type)
    for (const row of rows) append(builder, row.values[field.name] ?? null)
    return builder.finish()
  })
  const weights = Int32Array.from(rows, (row) => row.weight ?? 1)
  const ops = Uint8Array.from(
    rows,
    (row) => Op[row.op ?? ((row.weight ?? 1) < 0 ? 'delete' : 'insert')],
  )
  const times = Float64Array.from(rows, (row, i) => row.timeUs ?? firstTimeUs + i * 1_000_000)
  return makeBatch(schema, columns, weights, ops, times)
}

function append(builder: AnyBuilder, value: Value): void {
  if (value === null) return builder.appendNull()
  if (builder instanceof BoolBuilder) return builder.append(value === true ? 1 : 0)
  if (builder instanceof Int32Builder) return builder.append(Number(value))
  if (builder instanceof NumberBuilder) {
    return typeof value === 'bigint' ? builder.appendBigInt(value) : builder.append(Number(value))
  }
  if (builder instanceof Fixed16Builder) {
    const at = builder.reserve()
    builder.bytes.set(Buffer.from(String(value).replaceAll('-', ''), 'hex'), at)
    return
  }
  if (builder instanceof DecimalBuilder) {
    const bytes = Buffer.from(String(value))
    return builder.appendText(bytes, 0, bytes.length)
  }
  if (builder instanceof BytesBuilder) {
    if (value instanceof Uint8Array) return builder.append(value, 0, value.length)
    return builder.appendString(String(value))
  }
  for (const element of value as readonly Value[]) append(builder.child as AnyBuilder, element)
  builder.endList()
}
