/**
 * Which of Feast's value types a column becomes, and which it may become instead (`types` in the
 * pipeline file). Only those that hold every value of the column, or most of them: a row with a value
 * that does not fit is refused (screen.ts), never rounded.
 */
import type { LogicalType } from '../../core/record/types.ts'
import type { EntityType } from './layout/entity-key.ts'

/** Feast's value types without the collections (feast 0.67, protos/feast/types/Value.proto). */
export const scalarNames = [
  'bytes',
  'string',
  'int32',
  'int64',
  'double',
  'float',
  'bool',
  'unix_timestamp',
  'json',
  'uuid',
  'decimal',
] as const
export type ScalarName = (typeof scalarNames)[number]

export type FeastType =
  | { readonly kind: 'scalar'; readonly name: ScalarName }
  /** Of scalars: STRING_LIST and its like. Of lists: VALUE_LIST. */
  | { readonly kind: 'list'; readonly element: FeastType }

/** `INT64`, `STRING_LIST`, `VALUE_LIST`: the name in Feast's `ValueType`. */
export function feastTypeName(type: FeastType): string {
  if (type.kind === 'scalar') return type.name.toUpperCase()
  return type.element.kind === 'list' ? 'VALUE_LIST' : `${type.element.name.toUpperCase()}_LIST`
}

/** For each kind of column what it may become; the first is what it becomes where nothing else is said. */
const choices: Readonly<Record<Exclude<LogicalType['kind'], 'list'>, readonly ScalarName[]>> = {
  bool: ['bool'],
  int16: ['int32', 'int64', 'float', 'double', 'string'],
  int32: ['int32', 'int64', 'double', 'string'],
  int64: ['int64', 'string', 'decimal'],
  // 0 to 2^63 − 1 of it; `decimal` and `string` hold all.
  uint64: ['int64', 'string', 'decimal'],
  float32: ['float', 'double'],
  float64: ['double'],
  decimal: ['decimal', 'string'],
  text: ['string'],
  json: ['json', 'string'],
  bytes: ['bytes'],
  uuid: ['uuid', 'string'],
  date: ['unix_timestamp', 'string'],
  time: ['string', 'int64'],
  timestamp: ['unix_timestamp', 'int64', 'string'],
  timestamptz: ['unix_timestamp', 'int64', 'string'],
  interval: ['string'],
  other: ['string'],
}

const entityTypes: readonly ScalarName[] = ['bytes', 'string', 'int32', 'int64', 'unix_timestamp']

/** What a column may be as a feature, the default first. A list's are those of its elements. */
export function featureChoices(type: LogicalType): readonly ScalarName[] {
  return type.kind === 'list' ? featureChoices(type.element) : choices[type.kind]
}

/** What a column may be as an entity, the default first; empty for those that Feast refuses. */
export function entityChoices(type: LogicalType): readonly EntityType[] {
  if (type.kind === 'list') return []
  const all: readonly ScalarName[] = [...choices[type.kind], ...stringToo(type)]
  const fitting = all.filter((name) => entityTypes.includes(name))
  return [...new Set(fitting)] as readonly ScalarName[] as readonly EntityType[]
}

/** Floating-point numbers are no identities; everything else has an exact text. */
function stringToo(type: LogicalType): readonly ScalarName[] {
  return ['float32', 'float64', 'bool', 'bytes'].includes(type.kind) ? [] : ['string']
}

/** `scalar`, in as many lists as the column has. */
export function feastTypeOf(type: LogicalType, scalar: ScalarName): FeastType {
  return type.kind === 'list'
    ? { kind: 'list', element: feastTypeOf(type.element, scalar) }
    : { kind: 'scalar', name: scalar }
}

/**
 * Whether the user has to choose: Feast's UNIX_TIMESTAMP counts whole seconds, and the column µs, so
 * that the default would refuse nearly every row.
 */
export function mustChoose(type: LogicalType): boolean {
  if (type.kind === 'list') return mustChoose(type.element)
  return type.kind === 'timestamp' || type.kind === 'timestamptz'
}
