/** What the pipeline file says of a topic of change events. */
import type { EpochUnit, EpochUnits } from '../../../core/connector/format/epoch.ts'
import type { DecimalMode } from './readers.ts'

export type { EpochUnits }

export interface DebeziumSettings {
  /** auto: by the first byte of each record. */
  readonly encoding: 'auto' | 'json' | 'avro'
  /** Rows without an envelope, as ExtractNewRecordState leaves them. */
  readonly unwrapped: boolean
  /** full: the row before is whole, and taken away by its values. */
  readonly before: 'key' | 'full'
  /** Columns of which nothing or something else is said by the records. */
  readonly schema: Readonly<Record<string, string>>
  /** null: those of the records' keys. */
  readonly key: readonly string[] | null
  readonly epoch: EpochUnits | null
  readonly tombstones: 'delete' | 'ignore'
  readonly decimals: DecimalMode
  /** null: Debezium's own. */
  readonly placeholder: string | null
  /** Of unwrapped rows. */
  readonly opField: string
  readonly deletedField: string
}

export function plansUnit(units: EpochUnits | null, name: string): EpochUnit | null {
  if (units === null || typeof units === 'string') return units
  return units[name] ?? null
}
