/**
 * FeatureView: what of a topic's rows goes where: entity columns, features with their Feast types, the
 * event time. Made when the topic's schema is known, and again when it changes; everything that Feast
 * would refuse is refused here, with the cure.
 */
import type { Field, Schema } from '../../core/record/schema.ts'
import { typeName, type LogicalType } from '../../core/record/types.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { storedName, type FeastConfig, type OnDelete, type ViewConfig } from './config.ts'
import { compareNames, type EntityColumn } from './layout/entity-key.ts'
import {
  entityChoices,
  feastTypeOf,
  featureChoices,
  mustChoose,
  type FeastType,
  type ScalarName,
} from './types.ts'

export interface FeatureView {
  /** As the pipeline file names it. */
  readonly name: string
  /** As the store names it: with its version, where it has one. */
  readonly stored: string
  readonly project: string
  readonly topic: string
  readonly schema: Schema
  /** In the order in which they stand in an entity key. */
  readonly entities: readonly EntityColumn[]
  readonly features: readonly FeatureColumn[]
  readonly eventTime: EventTimeColumn | null
  /**
   * Which of two rows of one entity is the newer. `time`: the one with the later event time, then the
   * one with the higher offset. `log`: the one with the higher offset; the times of commits only
   * nearly follow their order, and a first copy has the time at which it began.
   */
  readonly order: 'time' | 'log'
  readonly ttlMs: number | null
  readonly onDelete: OnDelete
}

export interface FeatureColumn {
  /** Feature and column. */
  readonly name: string
  /** Index of the field in the schema. */
  readonly index: number
  readonly logical: LogicalType
  readonly type: FeastType
}

export interface EventTimeColumn {
  readonly name: string
  readonly index: number
  readonly logical: LogicalType
}

/** Names that Feast's own columns have in a view's data frames. */
const reserved = new Set(['event_timestamp', 'created_timestamp'])

/** Throws `sink.feast.view` for what the pipeline file or the topic has to change. */
export function planView(
  config: FeastConfig,
  name: string,
  topic: string,
  schema: Schema,
): FeatureView {
  const view = config.views[name]!
  const onDelete = view.on_delete ?? config.on_delete
  const entities = entityColumns(name, view, schema)
  const eventTime = eventTimeColumn(name, view, schema)
  const features = featureColumns(name, view, schema)
  for (const column of Object.keys(view.types)) {
    const known = [...entities, ...features].some((used) => used.name === column)
    if (!known)
      throw wrong(name, `types names ${quoted(column)}, which is no entity and no feature`)
  }
  if (onDelete !== 'keep') mustTellDeletes(name, topic, schema, entities)
  return {
    name,
    stored: storedName(name, view.version),
    project: config.project,
    topic,
    schema,
    entities,
    features,
    eventTime,
    order: eventTime === null ? 'log' : 'time',
    ttlMs: view.ttl ?? null,
    onDelete,
  }
}

function entityColumns(view: string, config: ViewConfig, schema: Schema): EntityColumn[] {
  const names = config.entities ?? schema.key.map((index) => schema.fields[index]!.name)
  if (names.length === 0) {
    throw wrong(
      view,
      'has no entity: the topic has no key',
      `Name the join keys: views.${view}.entities: [user_id].`,
    )
  }
  return [...names].sort(compareNames).map((name) => {
    const { field, index } = fieldOf(view, schema, name)
    const choices = entityChoices(field.type)
    const chosen = config.types[name]
    const type = choices.find((choice) => chosen === undefined || choice === chosen)
    if (type !== undefined) return { name, index, logical: field.type, type }
    const what = chosen === undefined ? 'Feast takes no such entity' : `it cannot be ${chosen}`
    throw wrong(
      view,
      `entity ${quoted(name)} is ${typeName(field.type)}: ${what}`,
      choices.length === 0
        ? 'Entities are text, integers, bytes, dates or whole seconds: select the column as one of these in a transform.'
        : `Set views.${view}.types: { ${name}: ${choices.join(' | ')} }.`,
    )
  })
}

function featureColumns(view: string, config: ViewConfig, schema: Schema): FeatureColumn[] {
  const taken = new Set(config.entities ?? schema.key.map((index) => schema.fields[index]!.name))
  if (config.event_timestamp !== undefined) taken.add(config.event_timestamp)
  const names =
    config.features ?? schema.fields.map((field) => field.name).filter((field) => !taken.has(field))
  if (names.length === 0) throw wrong(view, 'has no feature: every column is an entity or a time')
  return names.map((name) => {
    const { field, index } = fieldOf(view, schema, name)
    if (/[:@]/.test(name) || reserved.has(name) || name.startsWith('_sluice_')) {
      throw wrong(
        view,
        `feature ${quoted(name)} has a name that Feast or Sluice keeps for itself`,
        `Rename the column under AS in a transform, or list the others under views.${view}.features.`,
      )
    }
    return { name, index, logical: field.type, type: featureType(view, field, config.types[name]) }
  })
}

function featureType(view: string, field: Field, chosen: ScalarName | undefined): FeastType {
  const choices = featureChoices(field.type)
  if (chosen === undefined && mustChoose(field.type)) {
    throw wrong(
      view,
      `feature ${quoted(field.name)} is ${typeName(field.type)}, which counts microseconds, and Feast's UNIX_TIMESTAMP whole seconds`,
      `Say how it is kept: views.${view}.types: { ${field.name}: int64 } (microseconds since 1970), string, or unix_timestamp (rows with a fraction of a second become dead letters). date_trunc('second', …) in a transform drops the fraction.`,
    )
  }
  const scalar = chosen ?? choices[0]!
  if (choices.includes(scalar)) return feastTypeOf(field.type, scalar)
  throw wrong(
    view,
    `feature ${quoted(field.name)} is ${typeName(field.type)} and cannot be ${scalar} without changing values`,
    `Set it to ${choices.join(' or ')}, or CAST the column in a transform.`,
  )
}

function eventTimeColumn(view: string, config: ViewConfig, schema: Schema): EventTimeColumn | null {
  if (config.event_timestamp === undefined) return null
  const { field, index } = fieldOf(view, schema, config.event_timestamp)
  if (!['timestamp', 'timestamptz', 'date'].includes(field.type.kind)) {
    throw wrong(
      view,
      `event_timestamp ${quoted(field.name)} is ${typeName(field.type)}, which is no time`,
      'Name a column of type timestamp, timestamptz or date.',
    )
  }
  return { name: field.name, index, logical: field.type }
}

/**
 * A deletion names a row of the topic. It says what becomes of an entity only where a row of the topic
 * is an entity; and an upsert topic tells only the key of the row that goes.
 */
function mustTellDeletes(
  view: string,
  topic: string,
  schema: Schema,
  entities: readonly EntityColumn[],
): void {
  if (schema.changelog === 'append') return
  const key = new Set(schema.key)
  const known = new Set(entities.map(({ index }) => index))
  const coversKey = key.size > 0 && [...key].every((index) => known.has(index))
  const toldByKey = schema.changelog === 'retract' || [...known].every((index) => key.has(index))
  if (coversKey && toldByKey) return
  const keyNames = schema.key.map((index) => schema.fields[index]!.name).join(', ')
  throw wrong(
    view,
    `a row deleted from ${topic} (key: ${keyNames === '' ? 'none' : keyNames}) does not tell what its entity (${entities.map(({ name }) => name).join(', ')}) has left`,
    `Make one row an entity with a transform (GROUP BY the entity), or set views.${view}.on_delete: keep.`,
  )
}

function fieldOf(view: string, schema: Schema, name: string): { field: Field; index: number } {
  const index = schema.fields.findIndex((field) => field.name === name)
  const field = schema.fields[index]
  if (field !== undefined) return { field, index }
  const columns = schema.fields.map((known) => known.name).join(', ')
  throw wrong(view, `the topic has no column ${quoted(name)}`, `Its columns are: ${columns}.`)
}

function quoted(name: string): string {
  return JSON.stringify(name)
}

function wrong(view: string, what: string, remedy?: string): SluiceError {
  const message = `View ${view}: ${what}.`
  return new SluiceError('sink.feast.view', {
    message,
    ...(remedy === undefined ? {} : { remedy }),
  })
}
