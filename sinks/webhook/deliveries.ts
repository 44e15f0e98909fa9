/**
 * The log of deliveries: what came of each attempt, as append rows. They go with the commit that tells
 * what became of the events, into the topic `<sink>.deliveries` (core/task/names.ts).
 */
import type { Batch } from '../../core/record/batch.ts'
import { optional, RecordTable, required } from '../../core/record/records.ts'

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

const table = new RecordTable<DeliveryRow>(
  [
    required('at', 'timestamptz', ({ atMs }) => atMs * 1000),
    required('topic', 'text', ({ topic }) => topic),
    required('offset', 'int64', ({ offset }) => offset),
    required('webhook_id', 'text', ({ id }) => id),
    required('endpoint', 'text', ({ endpoint }) => endpoint),
    required('attempt', 'int32', ({ attempt }) => attempt),
    optional('status', 'int32', ({ status }) => status),
    required('ms', 'int32', ({ ms }) => ms),
    required('outcome', 'text', ({ outcome }) => outcome),
    optional('error', 'text', ({ error }) => error),
    required('bytes', 'int32', ({ bytes }) => bytes),
  ],
  ({ atMs }) => atMs * 1000,
)

export function deliveryBatch(rows: readonly DeliveryRow[]): Batch {
  return table.batch(rows)
}
