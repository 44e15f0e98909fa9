/**
 * How one schema of a topic is written into its table: the mode, the columns and, because they are
 * the same for every batch, the heads of the Native columns as bytes.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { Schema } from '../../core/record/schema.ts'
import type { ClickHouseConfig, ReplicationConfig } from './config.ts'
import { oldRowsExpression } from './old-rows.ts'
import {
  columnType,
  mayBeNullable,
  timestampTypeName,
  type ColumnType,
  type Storage,
} from './types.ts'

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
  /** How the tables that are created are replicated; null = not. */
  readonly replication: ReplicationConfig | null
  /** Whether the server's Date32 and DateTime64 hold the years 1 to 9999, and not 1900 to 2299. */
  readonly wideTimes: boolean
}

export interface PlanOptions extends ClickHouseConfig {
  /** As `TablePlan.wideTimes`; false when absent. */
  readonly wideTimes?: boolean
}

export interface PlannedColumn {
  readonly name: string
  readonly type: ColumnType
  /** In the sorting key of an upsert table: a −1 row carries it, and nothing else. */
  readonly isKey: boolean
  /** Whether the column takes a row whose value is NULL. */
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
  config: PlanOptions,
): TablePlan {
  const mode = config.mode ?? (schema.key.length > 0 ? 'upsert' : 'append')
  if (mode === 'upsert' && schema.key.length === 0) {
    throw new SluiceError('sink.clickhouse.no_key', {
      message: `Topic ${topic} has no key, which mode: upsert needs.`,
    })
  }
  const orderBy = sortingColumns(topic, mode, schema, config)
  const low = Object.hasOwn(config.low_cardinality, topic) ? config.low_cardinality[topic]! : []
  const columns = schema.fields.map((field, index): PlannedColumn => {
    if (field.name.startsWith(servicePrefix)) {
      throw new SluiceError('sink.clickhouse.column_name', {
        message: `Topic ${topic} has a column ${JSON.stringify(field.name)}.`,
      })
    }
    const type = columnType(field, config, low.includes(field.name))
    return {
      name: field.name,
      type,
      isKey: schema.key.includes(index) || (mode === 'upsert' && orderBy.includes(field.name)),
      nullable: field.nullable && takesNull(type.storage, config),
      head: nativeHead(field.name, type.wire),
      comment: type.name === 'Int64' && field.type.kind === 'time' ? timeComment : null,
      oldRows: oldRowsExpression(field, type),
    }
  })
  const service = serviceColumns(mode)
  const wideTimes = config.wideTimes ?? false
  const replication = config.replicated === false ? null : config.replicated
  return { topic, table, mode, schema, columns, service, orderBy, wideTimes, replication }
}

const timeComment = 'microseconds since midnight'

/** Of a column without a NULL of its own, whether the user wants its empty value instead. */
function takesNull(storage: Storage, { nullable, arrays }: ClickHouseConfig): boolean {
  if (mayBeNullable(storage) || nullable === 'default') return true
  return storage.kind === 'array' && arrays === 'array_or_empty'
}

/**
 * Without one of the key's columns, rows of different keys would replace each other. A sorting column
 * beside the key has to be in every tombstone, or it would stand next to other rows than the one it
 * deletes, which then lives on: only a retract topic's −1 rows carry it, and only a column that is
 * never NULL does so for ever (one that the source drops would be NULL from then on).
 */
function sortingColumns(
  topic: string,
  mode: Mode,
  schema: Schema,
  config: ClickHouseConfig,
): readonly string[] {
  const key = schema.key.map((index) => schema.fields[index]!.name)
  const wanted = Object.hasOwn(config.order_by, topic) ? config.order_by[topic]! : null
  if (wanted === null) return mode === 'upsert' ? key : ['_sluice_offset']
  const list = wanted.join(', ')
  const missing = wanted.find((name) => !schema.fields.some((field) => field.name === name))
  if (missing !== undefined) {
    throw new SluiceError('sink.clickhouse.order_by', {
      message: `order_by of topic ${topic} names ${JSON.stringify(missing)}, which it does not have.`,
    })
  }
  if (mode === 'append') return [...wanted, '_sluice_offset']
  if (new Set(wanted).size < wanted.length || !key.every((name) => wanted.includes(name))) {
    throw new SluiceError('sink.clickhouse.order_by', {
      message: `order_by of topic ${topic} is (${list}), its key is (${key.join(', ')}).`,
    })
  }
  const beside = wanted.filter((name) => !key.includes(name))
  if (beside.length > 0 && schema.changelog !== 'retract') {
    throw new SluiceError('sink.clickhouse.order_by', {
      message: `order_by of topic ${topic} has ${beside.join(', ')} beside the key (${key.join(', ')}), and a deletion carries the key alone: it would not find its row.`,
      remedy: cureOfOrder(topic),
    })
  }
  const open = beside.find((name) => schema.fields.find((field) => field.name === name)!.nullable)
  if (open !== undefined) {
    throw new SluiceError('sink.clickhouse.order_by', {
      message: `order_by of topic ${topic} has ${JSON.stringify(open)} beside the key, which may be NULL or is gone at the source.`,
      remedy: `Take it out of order_by, or declare the column NOT NULL at the source.`,
    })
  }
  return wanted
}

/** `shop.public.orders` is the table public.orders of source shop; a topic without a dot is a query's. */
function cureOfOrder(topic: string): string {
  const names = topic.split('.').slice(1)
  if (names.length === 0) return 'Take them out of order_by, or GROUP BY them too.'
  const table = names.map((name) => `"${name.replaceAll('"', '""')}"`).join('.')
  return (
    `Take them out of order_by. Or have whole old rows sent: in PostgreSQL, ALTER TABLE ${table} REPLICA IDENTITY FULL ` +
    '(MySQL: binlog_row_image = FULL), then have the table copied again into a new topic or log, since the rows in the log so far lack them.'
  )
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
