/** definitions.py: the sink's views in the words of Feast's Python SDK (0.67). */
import type { FeatureView } from '../view.ts'
import type { FeastType, ScalarName } from '../types.ts'
import type { EntityType } from '../layout/entity-key.ts'
import { pythonName, pythonText } from './python.ts'

/** Names in `feast.types`. */
const types: Readonly<Record<ScalarName, string>> = {
  bytes: 'Bytes',
  string: 'String',
  int32: 'Int32',
  int64: 'Int64',
  double: 'Float64',
  float: 'Float32',
  bool: 'Bool',
  unix_timestamp: 'UnixTimestamp',
  json: 'Json',
  uuid: 'Uuid',
  decimal: 'Decimal',
}
/** By this variable the offline log is found where it is mounted elsewhere. */
export const offlineVariable = 'SLUICE_OFFLINE_LOG'

export interface DefinitionOptions {
  /** Who wrote the file: `sink feats of pipeline shop`. */
  readonly origin: string
  /** Null where there is none. */
  readonly offline: OfflinePlace | null
  /** Name of the push source of a view; null where nothing is pushed. */
  readonly pushSource: ((view: FeatureView) => string) | null
}

export interface OfflinePlace {
  /** A folder, or `s3://bucket/prefix`. */
  readonly path: string
  /** Of an S3 store other than AWS. */
  readonly endpoint: string | null
  readonly folderOf: (view: FeatureView) => string
}

export function definitionsFile(views: readonly FeatureView[], options: DefinitionOptions): string {
  const entities = new Entities()
  const body = views.map((view) => viewText(view, entities, options))
  const classes = [
    'Entity',
    'FeatureView',
    'Field',
    ...(options.offline !== null || options.pushSource !== null ? ['FileSource'] : []),
    ...(options.pushSource === null ? [] : ['PushSource']),
    'ValueType',
  ]
  const parts = [
    `# What ${options.origin} writes, as Feast reads it. Made by \`sluice features export\`: it is`,
    '# written anew the next time, so keep definitions of your own in other files.',
    ...(options.offline === null ? [] : ['import os']),
    'from datetime import timedelta',
    '',
    `from feast import ${classes.join(', ')}`,
    `from feast.types import ${usedTypes(views).join(', ')}`,
    ...(options.offline === null ? [] : ['', ...placeLines(options.offline)]),
    '',
    ...entities.lines,
    ...body.flat(),
  ]
  return `${parts.join('\n').trimEnd()}\n`
}

function placeLines({ path }: OfflinePlace): string[] {
  return [
    `# The offline log: Parquet by view and day. Set ${offlineVariable} where it is mounted elsewhere.`,
    `OFFLINE_LOG = os.environ.get("${offlineVariable}", ${pythonText(path)})`,
  ]
}

function viewText(view: FeatureView, entities: Entities, options: DefinitionOptions): string[] {
  const variable = pythonName(`${view.stored}_view`)
  const source = sourceLines(view, options)
  const fields = [
    ...view.entities.map(({ name, type }) => fieldText(name, types[type])),
    ...view.features.map(({ name, type }) => fieldText(name, typeText(type))),
  ]
  return [
    ...source.lines,
    `${variable} = FeatureView(`,
    `    name=${pythonText(view.stored)},`,
    `    entities=[${view.entities.map(({ name, type }) => entities.variableOf(name, type)).join(', ')}],`,
    `    ttl=${ttlText(view.ttlMs)},`,
    '    schema=[',
    ...fields.map((field) => `        ${field},`),
    '    ],',
    ...(source.variable === null ? [] : [`    source=${source.variable},`]),
    `    tags={"topic": ${pythonText(view.topic)}},`,
    ')',
    '',
  ]
}

function sourceLines(
  view: FeatureView,
  { offline, pushSource }: DefinitionOptions,
): { readonly lines: readonly string[]; readonly variable: string | null } {
  if (offline === null && pushSource === null) return { lines: [], variable: null }
  const log = pythonName(`${view.stored}_log`)
  // A push source has to have a batch source; without an offline log it is one that Feast writes itself.
  const path =
    offline === null
      ? pythonText(`data/${view.stored}.parquet`)
      : `OFFLINE_LOG + ${pythonText(`/${offline.folderOf(view)}`)}`
  const lines = [
    `${log} = FileSource(`,
    `    name=${pythonText(`${view.stored}_log`)},`,
    `    path=${path},`,
    '    timestamp_field="event_timestamp",',
    ...(offline === null ? [] : ['    created_timestamp_column="created_timestamp",']),
    ...(offline?.endpoint == null
      ? []
      : [`    s3_endpoint_override=${pythonText(offline.endpoint)},`]),
    ')',
  ]
  if (pushSource === null) return { lines, variable: log }
  const push = pythonName(`${view.stored}_push`)
  const name = pythonText(pushSource(view))
  return {
    lines: [...lines, `${push} = PushSource(name=${name}, batch_source=${log})`],
    variable: push,
  }
}

function fieldText(name: string, type: string): string {
  return `Field(name=${pythonText(name)}, dtype=${type})`
}

function typeText(type: FeastType): string {
  return type.kind === 'list' ? `Array(${typeText(type.element)})` : types[type.name]
}

function ttlText(ttlMs: number | null): string {
  // Feast's word for "for ever".
  if (ttlMs === null) return 'timedelta(0)'
  return ttlMs % 1000 === 0
    ? `timedelta(seconds=${ttlMs / 1000})`
    : `timedelta(milliseconds=${ttlMs})`
}

function usedTypes(views: readonly FeatureView[]): string[] {
  const used = new Set<string>()
  const use = (type: FeastType): void => {
    if (type.kind === 'scalar') used.add(types[type.name])
    else {
      used.add('Array')
      use(type.element)
    }
  }
  for (const { entities, features } of views) {
    for (const { type } of entities) used.add(types[type])
    for (const { type } of features) use(type)
  }
  return [...used].sort()
}

/** Each is defined once; one that has two types in two views is two entities with one join key. */
class Entities {
  readonly #known = new Map<string, EntityType>()
  readonly lines: string[] = []

  variableOf(joinKey: string, type: EntityType): string {
    const first = this.#known.get(joinKey)
    const name = first === undefined || first === type ? joinKey : `${joinKey}_${type}`
    const variable = pythonName(`${name}_entity`)
    if (this.#known.get(name) === type) return variable
    this.#known.set(name, type)
    this.lines.push(
      `${variable} = Entity(`,
      `    name=${pythonText(name)},`,
      `    join_keys=[${pythonText(joinKey)}],`,
      `    value_type=ValueType.${type.toUpperCase()},`,
      ')',
      '',
    )
    return variable
  }
}
