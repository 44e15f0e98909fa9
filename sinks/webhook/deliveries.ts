/**
 * The log of deliveries: what came of each attempt, as append rows. They go with the commit that tells
 * what became of the events, into the topic `<sink>.deliveries` (core/task/names.ts).
 */
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import { NumberBuilder } from '../../core/record/builder.ts'
import { BytesBuilder } from '../../core/record/bytes-builder.ts'
import { makeSchema } from '../../core/record/schema.ts'

export interface DeliveryRow {
  /** When the request was sent, in ms since 1970. */
  readonly atMs: number
  readonly topic: string
  readonly offset: number
  readonly id: string
  readonly endpoint: string
  /** 1 = the first that counts. */
  readonly attempt: number
  /** null when there was no answer. */
  readonly status: number | null
  readonly ms: number
  readonly outcome: 'delivered' | 'rejected' | 'retry' | 'stop'
  readonly error: string | null
  readonly bytes: number
}

const text = { kind: 'text' } as const
const int32 = { kind: 'int32' } as const

export const deliverySchema = makeSchema(
  [
    { name: 'at', type: { kind: 'timestamptz' }, nullable: false },
    { name: 'topic', type: text, nullable: false },
    { name: 'offset', type: { kind: 'int64' }, nullable: false },
    { name: 'webhook_id', type: text, nullable: false },
    { name: 'endpoint', type: text, nullable: false },
    { name: 'attempt', type: int32, nullable: false },
    { name: 'status', type: int32, nullable: true },
    { name: 'ms', type: int32, nullable: false },
    { name: 'outcome', type: text, nullable: false },
    { name: 'error', type: text, nullable: true },
    { name: 'bytes', type: int32, nullable: false },
  ],
  [],
  'append',
)

export function deliveryBatch(rows: readonly DeliveryRow[]): Batch {
  const numbers = (value: (row: DeliveryRow) => number | null): NumberBuilder => {
    const builder = new NumberBuilder()
    for (const row of rows) {
      const found = value(row)
      if (found === null) builder.appendNull()
      else builder.append(found)
    }
    return builder
  }
  const texts = (value: (row: DeliveryRow) => string | null): BytesBuilder => {
    const builder = new BytesBuilder()
    for (const row of rows) {
      const found = value(row)
      if (found === null) builder.appendNull()
      else builder.appendString(found)
    }
    return builder
  }
  const columns = [
    numbers(({ atMs }) => atMs * 1000),
    texts(({ topic }) => topic),
    numbers(({ offset }) => offset),
    texts(({ id }) => id),
    texts(({ endpoint }) => endpoint),
    numbers(({ attempt }) => attempt),
    numbers(({ status }) => status),
    numbers(({ ms }) => ms),
    texts(({ outcome }) => outcome),
    texts(({ error }) => error),
    numbers(({ bytes }) => bytes),
  ].map((builder) => builder.finish())
  return makeBatch(
    deliverySchema,
    columns,
    new Int32Array(rows.length).fill(1),
    new Uint8Array(rows.length).fill(Op.insert),
    Float64Array.from(rows, ({ atMs }) => atMs * 1000),
  )
}
