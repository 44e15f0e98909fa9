/**
 * The statements of the Postgres store. Each decides for every entity by itself, atomically, under the
 * lock of its state row (state.ts), which all writers of the view take first and in the order of keys:
 * no two of them can wait for each other.
 */
import { escapeIdentifier, escapeLiteral } from 'pg'
import { stateFeature } from './state.ts'

export interface TableName {
  readonly schema: string
  readonly table: string
}

export function quoted({ schema, table }: TableName): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`
}

const state = escapeLiteral(stateFeature)
const newest = (value: string): string => `substring(${value} FROM 3 FOR 8)`
const deleted = (value: string): string => `substring(${value} FROM 11 FOR 8)`
const none = `'\\x0000000000000000'::bytea`
const head = `'\\x0a10'::bytea`

/** The last truncate of the view. */
function floorOf(table: string): string {
  return `COALESCE((SELECT ${deleted('m.value')} FROM ${table} m
    WHERE m.entity_key = ''::bytea AND m.feature_name = ${state}), ${none})`
}

export interface SetShape {
  readonly features: readonly string[]
  readonly order: 'time' | 'log'
  readonly hasNumbers: boolean
}

/** Features of one `setStatement`: functions in FROM can return 1664 columns (htup_details.h). */
export function featuresMax(hasNumbers: boolean): number {
  return Math.floor((1664 - 3) / (hasNumbers ? 3 : 2))
}

/**
 * Parameters: entity keys, event times, states, and for each feature values, texts and, where the table
 * has the column, numbers. One statement: it need not see rows of others that are older than its own,
 * since it overwrites them by ON CONFLICT, which looks at the newest.
 */
export function setStatement(name: TableName, { features, order, hasNumbers }: SetShape): string {
  const table = quoted(name)
  const numbers = hasNumbers ? ['value_num'] : []
  const perFeature = features.map((_, f) =>
    ['v', 't', ...(hasNumbers ? ['n'] : [])].map((c) => c + f),
  )
  const types = ['bytea[]', 'text[]', 'float8[]']
  const first = 4
  const width = 2 + numbers.length
  const arrays = perFeature.flatMap((columns, f) =>
    columns.map((_, c) => `$${first + f * width + c}::${types[c]}`),
  )
  const columns = ['entity_key', 'event_ts', 'state', ...perFeature.flat()].join(', ')
  const values = features.map(
    (feature, f) => `(${[escapeLiteral(feature), ...perFeature[f]!].join(', ')})`,
  )
  const stored = ['value', 'value_text', ...numbers]
  return `WITH i AS MATERIALIZED (
  SELECT * FROM unnest($1::bytea[], $2::timestamptz[], $3::bytea[], ${arrays.join(', ')}) AS a(${columns})
  WHERE ${newest('state')} > ${floorOf(table)}
), won AS (
  ${guardInsert(table, order)}
)
INSERT INTO ${table} AS f (entity_key, feature_name, ${stored.join(', ')}, event_ts, created_ts)
SELECT i.entity_key, x.feature_name, ${stored.map((column) => `x.${column}`).join(', ')}, i.event_ts, now()
FROM won JOIN i USING (entity_key)
CROSS JOIN LATERAL (VALUES ${values.join(', ')}) AS x(feature_name, ${stored.join(', ')})
WHERE ${newest('won.value')} = ${newest('i.state')}
ON CONFLICT (entity_key, feature_name) DO UPDATE SET ${[...stored, 'event_ts', 'created_ts']
    .map((column) => `${column} = EXCLUDED.${column}`)
    .join(', ')}`
}

/**
 * Features that Feast itself has written have no state: a row is not to be older than they are. Scalar
 * subqueries, which stay look-ups in the index: as EXISTS they could become a join with all of the table.
 */
function notOlderThanFeasts(table: string): string {
  return `(
    (SELECT true FROM ${table} g WHERE g.entity_key = i.entity_key AND g.feature_name = ${state})
    OR COALESCE((SELECT max(f.event_ts) FROM ${table} f WHERE f.entity_key = i.entity_key), '-infinity') <= i.event_ts)`
}

/** The compare-and-set: rows of `i` whose values are the newest win, and deletions are remembered. */
function guardInsert(table: string, order: 'time' | 'log'): string {
  const theirs = newest('EXCLUDED.value')
  const ours = newest('g.value')
  const gone = `GREATEST(${deleted('g.value')}, ${deleted('EXCLUDED.value')})`
  const newer =
    order === 'log'
      ? `${theirs} >= ${ours}`
      : `(EXCLUDED.event_ts, ${theirs}) >= (g.event_ts, ${ours})`
  const wins = `(${theirs} > ${gone} AND (${ours} <= ${gone} OR ${newer}))`
  return `INSERT INTO ${table} AS g (entity_key, feature_name, value, event_ts, created_ts)
  SELECT entity_key, ${state}, state, event_ts, now() FROM i WHERE ${notOlderThanFeasts(table)} ORDER BY entity_key
  ON CONFLICT (entity_key, feature_name) DO UPDATE SET
    value = ${head} || CASE WHEN ${wins} THEN ${theirs} ELSE ${ours} END || ${gone},
    event_ts = CASE WHEN ${wins} THEN EXCLUDED.event_ts ELSE g.event_ts END,
    created_ts = now()
  WHERE ${wins} OR ${deleted('EXCLUDED.value')} > ${deleted('g.value')}
  RETURNING g.entity_key, g.value`
}

/**
 * Parameters: entity keys, event times, states. Gives the keys that have nothing left. The features go
 * in a statement of their own: only one that begins after the lock is held sees the rows of those who
 * held it before.
 */
export function deleteGuardStatement(name: TableName): string {
  const table = quoted(name)
  const ours = newest('g.value')
  return `INSERT INTO ${table} AS g (entity_key, feature_name, value, event_ts, created_ts)
SELECT entity_key, ${state}, ${head} || ${none} || ${deleted('state')}, event_ts, now()
FROM unnest($1::bytea[], $2::timestamptz[], $3::bytea[]) AS a(entity_key, event_ts, state)
WHERE ${deleted('state')} > ${floorOf(table)}
ORDER BY entity_key
ON CONFLICT (entity_key, feature_name) DO UPDATE SET
  value = ${head} || ${ours} || ${deleted('EXCLUDED.value')},
  event_ts = CASE WHEN ${ours} > ${deleted('EXCLUDED.value')} THEN g.event_ts ELSE EXCLUDED.event_ts END,
  created_ts = now()
WHERE ${deleted('EXCLUDED.value')} > ${deleted('g.value')}
RETURNING g.entity_key, ${newest('g.value')} <= ${deleted('g.value')} AS is_gone`
}

/** Parameters: entity keys. */
export function removeFeaturesStatement(name: TableName): string {
  return `DELETE FROM ${quoted(name)} WHERE entity_key = ANY($1::bytea[]) AND feature_name <> ${state}`
}

/** Parameters: entity keys. An unset Value is no bytes. */
export function nullFeaturesStatement(name: TableName, hasNumbers: boolean): string {
  return `UPDATE ${quoted(name)} SET value = ''::bytea, value_text = NULL,${hasNumbers ? ' value_num = NULL,' : ''} created_ts = now()
WHERE entity_key = ANY($1::bytea[]) AND feature_name <> ${state}`
}

/** Parameters: the state of the truncate. From here on rows before it are refused. */
export function truncateGuardStatement(name: TableName): string {
  return `INSERT INTO ${quoted(name)} AS g (entity_key, feature_name, value, event_ts, created_ts)
VALUES (''::bytea, ${state}, $1::bytea, now(), now())
ON CONFLICT (entity_key, feature_name) DO UPDATE SET
  value = ${head} || ${newest('g.value')} || ${deleted('EXCLUDED.value')}, created_ts = now()
WHERE ${deleted('EXCLUDED.value')} > ${deleted('g.value')}`
}

/**
 * Parameters: a state whose newest row is the last one of a live batch that is written. The commit does
 * not wait for the disk: a server that crashes and forgets it has that of the batch before.
 */
export function raiseEndStatement(name: TableName): string {
  return `INSERT INTO ${quoted(name)} AS g (entity_key, feature_name, value, event_ts, created_ts)
SELECT ''::bytea, ${state}, $1::bytea, now(), now() FROM set_config('synchronous_commit', 'off', true)
ON CONFLICT (entity_key, feature_name) DO UPDATE SET
  value = ${head} || ${newest('EXCLUDED.value')} || ${deleted('g.value')}, created_ts = now()
WHERE ${newest('EXCLUDED.value')} > ${newest('g.value')}`
}

/** The state of the view as a whole, if it has one. */
export function viewStateStatement(name: TableName): string {
  return `SELECT value FROM ${quoted(name)} WHERE entity_key = ''::bytea AND feature_name = ${state}`
}

/** Parameters: the state of the truncate. Gives the keys that have nothing left, a part of them at a time. */
export function truncateStatement(name: TableName): string {
  const table = quoted(name)
  return `UPDATE ${table} AS g SET value = ${head} || ${newest('g.value')} || ${deleted('$1::bytea')}, created_ts = now()
WHERE g.feature_name = ${state} AND g.entity_key = ANY (ARRAY(
  SELECT entity_key FROM ${table} WHERE feature_name = ${state} AND entity_key <> ''::bytea
    AND ${deleted('value')} < ${deleted('$1::bytea')} ORDER BY entity_key LIMIT ${rowsAtOnce} FOR UPDATE))
RETURNING g.entity_key, ${newest('g.value')} <= ${deleted('g.value')} AS is_gone`
}

/** Parameters: a feature's name, the last key that was looked at. Gives the next keys that have the feature. */
export function keysOfFeatureStatement(name: TableName): string {
  return `SELECT entity_key FROM ${quoted(name)} WHERE feature_name = $1 AND entity_key > $2
ORDER BY entity_key LIMIT ${rowsAtOnce}`
}

/** Parameters: entity keys. As writers do, and in their order. */
export function lockStatement(name: TableName): string {
  return `SELECT FROM ${quoted(name)} WHERE entity_key = ANY($1::bytea[]) AND feature_name = ${state}
ORDER BY entity_key FOR UPDATE`
}

/** Parameters: entity keys, a feature's old name and its new one; where that is there already, it stays. */
export function renameStatement(name: TableName): string {
  const table = quoted(name)
  return `UPDATE ${table} AS f SET feature_name = $3 WHERE entity_key = ANY($1::bytea[]) AND feature_name = $2
AND NOT EXISTS (SELECT FROM ${table} n WHERE n.entity_key = f.entity_key AND n.feature_name = $3)`
}

/** Parameters: entity keys, a feature's name. */
export function removeFeatureStatement(name: TableName): string {
  return `DELETE FROM ${quoted(name)} WHERE entity_key = ANY($1::bytea[]) AND feature_name = $2`
}

/** Rows that a sweep, a truncate, a rename or a drop touches in one transaction. */
export const rowsAtOnce = 10_000

/**
 * Parameters: event time before which features have expired (null: never), time before which deletions
 * need not be remembered any more. Rows that somebody writes now are skipped: they are not expired then.
 */
export function sweepStatement(name: TableName): string {
  const table = quoted(name)
  return `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM ${table}
  WHERE entity_key <> ''::bytea AND CASE
    WHEN feature_name = ${state} AND ${newest('value')} <= ${deleted('value')} THEN created_ts < $2::timestamptz
    ELSE event_ts < $1::timestamptz END
  LIMIT ${rowsAtOnce} FOR UPDATE SKIP LOCKED))`
}
