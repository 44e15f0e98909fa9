/**
 * Columns of the offline log of a view: `{entity…, event_timestamp, created_timestamp, feature…}`,
 * as a Feast FileSource reads them, and two of our own that Feast does not look at.
 *
 *   event_timestamp     when the values were true; TIMESTAMP(µs, UTC)
 *   created_timestamp   when the source committed the row; Feast breaks ties by it
 *   _sluice_offset      the row's place in its topic: breaks ties that are left, tells repeats
 *   _sluice_deleted     the entity's values went: its features are null from event_timestamp on
 */
import { createHash } from 'node:crypto'
import type { SchemaElement } from 'hyparquet'
import type { LogicalType } from '../../../core/record/types.ts'
import type { FeastType } from '../types.ts'
import { parquetType, schemaElements, timestampType, type ParquetField } from './parquet-types.ts'

export const eventTimestamp = 'event_timestamp'
export const createdTimestamp = 'created_timestamp'
export const offsetColumn = '_sluice_offset'
export const deletedColumn = '_sluice_deleted'
/** How the folders are called: readers make a column of it. */
const dateColumn = 'event_date'
/** Names that no entity and no feature can have. */
export const ownColumns: readonly string[] = [
  eventTimestamp,
  createdTimestamp,
  offsetColumn,
  deletedColumn,
  dateColumn,
]

export interface OfflineColumn {
  readonly name: string
  /** Index of the field in the topic's schema. */
  readonly index: number
  readonly logical: LogicalType
  readonly type: FeastType
}

/** What the log needs to know of a view. */
export interface OfflineView {
  readonly name: string
  readonly topic: string
  readonly entities: readonly OfflineColumn[]
  readonly features: readonly OfflineColumn[]
}

export interface OfflineLayout {
  readonly view: OfflineView
  readonly fields: readonly ParquetField[]
  readonly elements: readonly SchemaElement[]
  /** Hash of names and types: files of one id can be put together. */
  readonly schemaId: string
}

export function offlineLayout(view: OfflineView): OfflineLayout {
  const bare = (physical: 'int64' | 'bool') => ({ physical, annotation: {} })
  const fields: ParquetField[] = [
    ...view.entities.map((column) => fieldOf(column, true)),
    { name: eventTimestamp, type: timestampType, required: true },
    { name: createdTimestamp, type: timestampType, required: true },
    ...view.features.map((column) => fieldOf(column, false)),
    { name: offsetColumn, type: bare('int64'), required: true },
    { name: deletedColumn, type: bare('bool'), required: true },
  ]
  const elements = schemaElements(fields)
  const content = JSON.stringify(elements)
  const schemaId = createHash('sha256').update(content).digest('hex').slice(0, 16)
  return { view, fields, elements, schemaId }
}

function fieldOf({ name, logical, type }: OfflineColumn, required: boolean): ParquetField {
  return { name, type: parquetType(logical, type), required }
}
