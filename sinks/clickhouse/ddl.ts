/**
 * The statements that make and change a table: pure, text in and out. Every name goes through
 * identifiers.ts.
 */
import { qualified, quoteIdentifier, quoteLiteral } from './identifiers.ts'
import { servicePrefix, type TablePlan } from './plan.ts'
import { liveView } from './tables.ts'

/** Inserts whose tokens a table remembers; one task writes a table, so one would do. */
const deduplicationWindow = 1000

export interface ColumnDefinition {
  readonly name: string
  readonly type: string
  readonly comment: string | null
  /** Of a column that is added; see old-rows.ts. */
  readonly oldRows: string | null
}

/** Every column of the plan's table, Sluice's own last. */
export function definitionsOf(plan: TablePlan): ColumnDefinition[] {
  return [
    ...plan.columns.map(({ name, type, comment, oldRows }) => ({
      name,
      type: type.name,
      comment,
      oldRows,
    })),
    ...plan.service.map(({ name, type }) => ({ name, type, comment: null, oldRows: null })),
  ]
}

export interface Change extends ColumnDefinition {
  readonly kind: 'add' | 'modify'
}

/**
 *   upsert: ReplacingMergeTree(_sluice_version, _sluice_deleted): the highest version of a key wins,
 *           so that an old batch, sent again at any time, changes nothing.
 *   append: MergeTree, sorted by offset: what was inserted after a restart is a range of the index.
 */
export function createTable(database: string, plan: TablePlan): string {
  const columns = definitionsOf(plan).map(columnDefinition)
  if (plan.mode === 'upsert') {
    // Old parts hold only old versions, so the check for foreign rows after a start reads the newest.
    columns.push('INDEX `_sluice_version_range` `_sluice_version` TYPE minmax GRANULARITY 1')
  }
  const engine =
    plan.mode === 'upsert'
      ? 'ReplacingMergeTree(`_sluice_version`, `_sluice_deleted`)'
      : 'MergeTree'
  const nullableKey = plan.columns.some(
    ({ name, type }) => type.nullable && plan.orderBy.includes(name),
  )
  return [
    `CREATE TABLE IF NOT EXISTS ${qualified(database, plan.table)} (`,
    columns.map((column) => `  ${column}`).join(',\n'),
    `) ENGINE = ${engine}`,
    `ORDER BY (${plan.orderBy.map(quoteIdentifier).join(', ')})`,
    `SETTINGS non_replicated_deduplication_window = ${deduplicationWindow}` +
      (nullableKey ? ', allow_nullable_key = 1' : ''),
    `COMMENT ${quoteLiteral(`Written by Sluice from ${plan.topic}`)}`,
  ].join('\n')
}

export function alterTable(database: string, table: string, changes: readonly Change[]): string {
  const actions = changes.map((change) =>
    change.kind === 'add'
      ? `ADD COLUMN IF NOT EXISTS ${addedColumn(change)}`
      : `MODIFY COLUMN ${quoteIdentifier(change.name)} ${change.type}`,
  )
  return `ALTER TABLE ${qualified(database, table)} ${actions.join(', ')}`
}

export function renameColumn(database: string, table: string, from: string, to: string): string {
  const names = `${quoteIdentifier(from)} TO ${quoteIdentifier(to)}`
  return `ALTER TABLE ${qualified(database, table)} RENAME COLUMN IF EXISTS ${names}`
}

export function dropColumn(database: string, table: string, column: string): string {
  return `ALTER TABLE ${qualified(database, table)} DROP COLUMN IF EXISTS ${quoteIdentifier(column)}`
}

export function modifyColumn(
  database: string,
  table: string,
  column: string,
  type: string,
): string {
  return `ALTER TABLE ${qualified(database, table)} MODIFY COLUMN ${quoteIdentifier(column)} ${type}`
}

/** The rows as they are now, without Sluice's columns; columns that the source dropped stay in it. */
export function createLiveView(
  database: string,
  table: string,
  columns: readonly string[],
): string {
  const shown = columns.filter((name) => !name.startsWith(servicePrefix)).map(quoteIdentifier)
  return (
    `CREATE OR REPLACE VIEW ${qualified(database, liveView(table))} AS ` +
    `SELECT ${shown.join(', ')} FROM ${qualified(database, table)} FINAL ` +
    'WHERE `_sluice_deleted` = 0'
  )
}

/** `name type [COMMENT …]`. A table that is made has no rows older than its columns. */
function columnDefinition({ name, type, comment }: ColumnDefinition): string {
  return `${quoteIdentifier(name)} ${type}${commentClause(comment)}`
}

/** `name type [DEFAULT …] [COMMENT …]`. Rows that have the column bring it, so that the default is for the others. */
function addedColumn({ name, type, comment, oldRows }: ColumnDefinition): string {
  const value = oldRows === null ? '' : ` DEFAULT ${oldRows}`
  return `${quoteIdentifier(name)} ${type}${value}${commentClause(comment)}`
}

function commentClause(comment: string | null): string {
  return comment === null ? '' : ` COMMENT ${quoteLiteral(comment)}`
}
