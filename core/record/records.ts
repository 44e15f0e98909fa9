/**
 * Tables of what Sluice tells of itself (dead letters, decisions, deliveries): a few plain records →
 * append rows. Each column says how it is read from a record, so that schema and rows cannot disagree.
 * Not for rows on their way from a source to a sink: those never are objects.
 */
import { makeBatch, Op, type Batch } from './batch.ts'
import { builderFor, type AnyBuilder } from './builder.ts'
import { BytesBuilder } from './bytes-builder.ts'
import type { Column } from './column.ts'
import { makeSchema, type Schema } from './schema.ts'
import type { SimpleKind } from './types.ts'

type Value = string | number | Uint8Array | null

/** Numbers as the type counts them: `timestamptz` in microseconds since 1970. */
export interface RecordColumn<R> {
  readonly name: string
  readonly kind: SimpleKind
  readonly nullable: boolean
  readonly value: (record: R) => Value
}

/** A column that every record has a value for. */
export function required<R>(
  name: string,
  kind: SimpleKind,
  value: RecordColumn<R>['value'],
): RecordColumn<R> {
  return { name, kind, nullable: false, value }
}

/** A column that may be NULL. */
export function optional<R>(
  name: string,
  kind: SimpleKind,
  value: RecordColumn<R>['value'],
): RecordColumn<R> {
  return { name, kind, nullable: true, value }
}

export class RecordTable<R> {
  readonly schema: Schema
  readonly #columns: readonly RecordColumn<R>[]
  readonly #timeUs: (record: R) => number

  /** `timeUs`: the time of a record's row, µs since 1970. */
  constructor(columns: readonly RecordColumn<R>[], timeUs: (record: R) => number) {
    this.#columns = columns
    this.#timeUs = timeUs
    const fields = columns.map(({ name, kind, nullable }) => ({ name, type: { kind }, nullable }))
    this.schema = makeSchema(fields, [], 'append')
  }

  /** One row a record, inserted. */
  batch(records: readonly R[]): Batch {
    const count = records.length
    return makeBatch(
      this.schema,
      this.#columns.map((column) => build(column, records)),
      new Int32Array(count).fill(1),
      new Uint8Array(count).fill(Op.insert),
      Float64Array.from(records, this.#timeUs),
    )
  }
}

function build<R>({ kind, value }: RecordColumn<R>, records: readonly R[]): Column {
  const builder = builderFor({ kind })
  for (const record of records) append(builder, value(record))
  return builder.finish()
}

function append(builder: AnyBuilder, value: Value): void {
  if (value === null) builder.appendNull()
  else if (builder instanceof BytesBuilder) {
    if (typeof value === 'string') builder.appendString(value)
    else if (typeof value !== 'number') builder.append(value, 0, value.length)
  } else if ('append' in builder) builder.append(Number(value))
}
