/**
 * Rows as bodies of POST /push: `{"push_source_name", "df": {column: [value…]}, "to"}`.
 *
 * The server makes a pandas column of each list. A column of integers in which one is null becomes one
 * of doubles there, and large integers are changed without a word; so the rows of a request have their
 * nulls in the same features, and a column has either values or nulls.
 *
 * Where all features that Feast knows of are null, it answers 200 and writes nothing (0.67,
 * `write_to_online_store`), and what was there before would stay. Which it knows of is its own affair: one that
 * was added here may be new to it. So null is sent as `[]`: to pandas that is a value, to Feast, in a column of
 * single values, null (`_convert_scalar_values_to_proto`).
 *
 * Feast's offline store casts the columns to those that it has, and is sent what it casts to the same value, by
 * itself: nulls as such, and UNIX_TIMESTAMPs as texts, since a number would be µs to it where online it is seconds.
 */
import type { TargetProblem } from '../target.ts'
import { FeatureOp, type FeatureRows } from '../target.ts'
import { isoTimestamp } from '../../../core/record/json.ts'
import { entityValues } from './entity-values.ts'
import { jsonOf } from './json-values.ts'
import type { FeastType } from '../types.ts'
import type { FeatureView } from '../view.ts'

export interface PushRequest {
  readonly body: string
  readonly rows: number
}

export interface PushShape {
  readonly source: string
  readonly to: 'online' | 'online_and_offline'
  /** ISO 8601. */
  readonly created: string
}

const rowsAtOnce = 2000
const charsAtOnce = 2 << 20
/** pandas reads times as nanoseconds in 64 bits: from 1677-09-21 to 2262-04-11. */
const secondsMin = -9_223_372_036
const secondsMax = 9_223_372_036

interface Group {
  /** One a column: entities, event time, features. */
  readonly columns: string[][]
  /** Of each feature, whether it has values, `1`, or nulls. */
  readonly nulls: string
  rows: number
  chars: number
}

/** The requests of a batch, and the rows that JSON or pandas would change. */
export function pushRequests(
  rows: FeatureRows,
  shape: PushShape,
): { readonly requests: readonly PushRequest[]; readonly refused: readonly TargetProblem[] } {
  const requests: PushRequest[] = []
  const refused: TargetProblem[] = []
  const groups = new Map<string, Group>()
  const width = rows.view.entities.length + 1 + rows.values.length
  for (let i = 0; i < rows.count; i++) {
    const row = rowValues(rows, i)
    if ('refused' in row) {
      refused.push({ row: rows.rows[i]!, code: 'sink.feast.push_value', message: row.refused })
      continue
    }
    const { values, nulls } = row
    const group = groups.get(nulls) ?? emptyGroup(width, nulls)
    groups.set(nulls, group)
    for (const [c, value] of values.entries()) {
      group.columns[c]!.push(value)
      group.chars += value.length + 1
    }
    group.rows++
    if (group.rows < rowsAtOnce && group.chars < charsAtOnce) continue
    requests.push(...requestsOf(rows, group, shape))
    groups.delete(nulls)
  }
  for (const group of groups.values()) requests.push(...requestsOf(rows, group, shape))
  return { requests, refused }
}

type RowValues =
  { readonly values: readonly string[]; readonly nulls: string } | { readonly refused: string }

function rowValues(rows: FeatureRows, i: number): RowValues {
  const { view, keys, keyOffsets, seconds, nanos } = rows
  const refuse = (what: string): RowValues => ({
    refused: `view ${view.name}: ${what} cannot be pushed without being changed`,
  })
  const second = seconds[i]!
  if (second < secondsMin || second > secondsMax) return refuse('the event time')
  const values: string[] = []
  for (const value of entityValues(keys, keyOffsets[i]!, keyOffsets[i + 1]!)) {
    if (value === null) return refuse('an entity')
    values.push(value)
  }
  const us = BigInt(second) * 1_000_000n + BigInt(Math.trunc(nanos[i]! / 1000))
  values.push(`"${isoTimestamp(us, 'Z')}"`)
  let nulls = ''
  const isDeleted = rows.ops[i] === FeatureOp.delete
  for (const [f, { data, offsets }] of rows.values.entries()) {
    const from = offsets[i]!
    const value = isDeleted ? 'null' : jsonOf(data, from, offsets[i + 1]!)
    if (value === null) return refuse(`feature ${view.features[f]!.name}`)
    nulls += value === 'null' ? '0' : '1'
    values.push(value)
  }
  if (nulls !== '' && !nulls.includes('1') && !view.features.some(takesEmpty)) {
    return refuse('a row without a value, in a view of lists and JSON alone,')
  }
  return { values, nulls }
}

/** Whether Feast takes an empty list for null there. */
function takesEmpty({ type }: FeatureView['features'][number]): boolean {
  return type.kind === 'scalar' && type.name !== 'json'
}

function emptyGroup(width: number, nulls: string): Group {
  return { columns: Array.from({ length: width }, () => []), nulls, rows: 0, chars: 0 }
}

function requestsOf(rows: FeatureRows, group: Group, shape: PushShape): readonly PushRequest[] {
  const { view } = rows
  const first = view.entities.length + 1
  const online = [...group.columns]
  const offline = [...group.columns]
  for (const [f, feature] of view.features.entries()) {
    const column = group.columns[first + f]!
    if (group.nulls[f] === '1' && isMoment(feature.type)) offline[first + f] = column.map(asTexts)
    if (group.nulls[f] === '0' && takesEmpty(feature)) online[first + f] = column.map(() => '[]')
  }
  const isSame = online.every((column, c) => column === offline[c])
  if (isSame || shape.to === 'online')
    return [requestOf(rows, { ...group, columns: online }, shape)]
  // Offline rows are appended: whatever fails before them does not append them once more with each attempt.
  return [
    requestOf(rows, { ...group, columns: online }, { ...shape, to: 'online' }),
    requestOf(rows, { ...group, columns: offline }, { ...shape, to: 'offline' }),
  ]
}

function isMoment(type: FeastType): boolean {
  return type.kind === 'list' ? isMoment(type.element) : type.name === 'unix_timestamp'
}

/** The seconds in a value, which may be a list of them, as ISO 8601. */
function asTexts(value: string): string {
  return value.replace(/-?\d+/g, (s) => `"${isoTimestamp(BigInt(s) * 1_000_000n, 'Z')}"`)
}

function requestOf(
  { view }: FeatureRows,
  group: Group,
  shape: Omit<PushShape, 'to'> & { readonly to: PushShape['to'] | 'offline' },
): PushRequest {
  const names = [
    ...view.entities.map(({ name }) => name),
    'event_timestamp',
    ...view.features.map(({ name }) => name),
  ]
  const created = Array.from({ length: group.rows }, () => `"${shape.created}"`)
  const columns = [
    ...names.map((name, c) => `${JSON.stringify(name)}:[${group.columns[c]!.join(',')}]`),
    `"created_timestamp":[${created.join(',')}]`,
  ]
  const body = `{"push_source_name":${JSON.stringify(shape.source)},"to":"${shape.to}","df":{${columns.join(',')}}}`
  return { body, rows: group.rows }
}
