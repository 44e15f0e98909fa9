/**
 * How one schema of a topic is written into its table: the mode, the columns and, because they are
 * the same for every batch, the heads of the Native columns as bytes.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { Schema } from '../../core/record/schema.ts'
import type { ClickHouseConfig } from './config.ts'
import { oldRowsExpression } from './old-rows.ts'
import { columnType, timestampTypeName, type ColumnType } from './types.ts'

export type Mode = 'upsert' | 'append'

export interface TablePlan {
  readonly topic: string
  readonly table: string
  readonly mode: Mode
  readonly schema: Schema
  /** One per field of the schema. */
  readonly columns: readonly PlannedColumn[]
  /** Sluice's own columns, after the others. */
  readonly service: readonly ServiceColumn[]
  /** Sorting columns of a table that is created. */
  readonly orderBy: readonly string[]
}

export interface PlannedColumn {
  readonly name: string
  readonly type: ColumnType
  readonly isKey: boolean
  /** Whether NULL may stand in the source's rows. */
  readonly nullable: boolean
  /** Name and type as they stand in a Native block. */
  readonly head: Uint8Array
  /** What the type alone does not tell a reader of the table. */
  readonly comment: string | null
  /** Expression of what rows have that are older than the column; null = its type's default. */
  readonly oldRows: string | null
}

export interface ServiceColumn {
  readonly name: ServiceName
  readonly type: string
  readonly head: Uint8Array
}

export type ServiceName =
  | '_sluice_version'
  | '_sluice_deleted'
  | '_sluice_offset'
  | '_sluice_op'
  | '_sluice_weight'
  | '_sluice_ts'

/** Names that Sluice keeps for itself in every table. */
export const servicePrefix = '_sluice_'

/** The numbers are those of `Op` in core/record/batch.ts, so that the column is copied as it is. */
export const opTypeName =
  "Enum8('insert' = 0, 'update' = 1, 'delete' = 2, 'snapshot' = 3, 'truncate' = 4)"

/** The column of the topic's offset: a version counts from 1, an offset from 0. */
export function orderColumn(mode: Mode): { readonly name: ServiceName; readonly base: 0 | 1 } {
  return mode === 'upsert'
    ? { name: '_sluice_version', base: 1 }
    : { name: '_sluice_offset', base: 0 }
}

export function planTable(
  topic: string,
  table: string,
  schema: Schema,
  config: ClickHouseConfig,
): TablePlan {
  const mode = config.mode ?? (schema.key.length > 0 ? 'upsert' : 'append')
  if (mode === 'upsert' && schema.key.length === 0) {
    throw new SluiceError('sink.clickhouse.no_key', {
      message: `Topic ${topic} has no key, which mode: upsert needs.`,
    })
  }
  const columns = schema.fields.map((field, index) => {
    if (field.name.startsWith(servicePrefix)) {
      throw new SluiceError('sink.clickhouse.column_name', {
        message: `Topic ${topic} has a column ${JSON.stringify(field.name)}.`,
      })
    }
    const type = columnType(field, config)
    const head = nativeHead(field.name, type.name)
    return {
      name: field.name,
      type,
      isKey: schema.key.includes(index),
      nullable: field.nullable,
      head,
      comment: field.type.kind === 'time' ? 'microseconds since midnight' : null,
      oldRows: oldRowsExpression(field, type),
    }
  })
  const orderBy = sortingColumns(topic, mode, schema, config)
  return { topic, table, mode, schema, columns, service: serviceColumns(mode), orderBy }
}

/**
 * A tombstone carries the key only, so a sorting column beside the key would put it next to other
 * rows than the one it deletes, which then lives on; without one of the key's columns, rows of
 * different keys would replace each other.
 */
function sortingColumns(
  topic: string,
  mode: Mode,
  schema: Schema,
  config: ClickHouseConfig,
): readonly string[] {
  const key = schema.key.map((index) => schema.fields[index]!.name)
  const wanted = Object.hasOwn(config.order_by, topic) ? config.order_by[topic] : undefined
  if (mode === 'upsert') {
    if (wanted === undefined) return key
    if (new Set(wanted).size === key.length && key.every((name) => wanted.includes(name))) {
      return wanted
    }
    throw new SluiceError('sink.clickhouse.order_by', {
      message: `order_by of topic ${topic} is (${wanted.join(', ')}), its key is (${key.join(', ')}).`,
    })
  }
  const missing = wanted?.find((name) => !schema.fields.some((field) => field.name === name))
  if (missing !== undefined) {
    throw new SluiceError('sink.clickhouse.order_by', {
      message: `order_by of topic ${topic} names ${JSON.stringify(missing)}, which it does not have.`,
    })
  }
  return [...(wanted ?? []), '_sluice_offset']
}

function serviceColumns(mode: Mode): readonly ServiceColumn[] {
  const upsert = [
    ['_sluice_version', 'UInt64'],
    ['_sluice_deleted', 'UInt8'],
    ['_sluice_ts', timestampTypeName],
  ] as const
  const append = [
    ['_sluice_offset', 'UInt64'],
    ['_sluice_op', opTypeName],
    ['_sluice_weight', 'Int8'],
    ['_sluice_ts', timestampTypeName],
  ] as const
  return (mode === 'upsert' ? upsert : append).map(([name, type]) => ({
    name,
    type,
    head: nativeHead(name, type),
  }))
}

/** `name type`, each a length (LEB128) and UTF-8. */
function nativeHead(name: string, type: string): Uint8Array {
  const bytes: number[] = []
  for (const text of [name, type]) {
    const encoded = new TextEncoder().encode(text)
    let length = encoded.length
    for (; length >= 0x80; length >>>= 7) bytes.push((length & 0x7f) | 0x80)
    bytes.push(length, ...encoded)
  }
  return Uint8Array.from(bytes)
}
