/**
 * The statements that make and change a table: pure, text in and out. Every name goes through
 * identifiers.ts.
 */
import { tableComment } from './comment.ts'
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
export function createTable(
  database: string,
  plan: TablePlan,
  comment: string = tableComment(plan.topic),
): string {
  const columns = definitionsOf(plan).map(columnDefinition)
  if (plan.mode === 'upsert') {
    // Old parts hold only old versions, so the check for foreign rows after a start reads the newest.
    columns.push('INDEX `_sluice_version_range` `_sluice_version` TYPE minmax GRANULARITY 1')
  }
  return [
    `CREATE TABLE IF NOT EXISTS ${named(database, plan)} (`,
    columns.map((column) => `  ${column}`).join(',\n'),
    `) ENGINE = ${engineOf(plan)}`,
    `ORDER BY (${plan.orderBy.map(quoteIdentifier).join(', ')})`,
    `SETTINGS ${tableSettings(plan).join(', ')}`,
    `COMMENT ${quoteLiteral(comment)}`,
  ].join('\n')
}

/** `db`.`table`, on every server of the cluster where one is named. */
function named(database: string, plan: TablePlan, table: string = plan.table): string {
  return qualified(database, table) + onCluster(plan)
}

export function onCluster({ replication }: Pick<TablePlan, 'replication'>): string {
  const cluster = replication?.cluster
  return cluster === undefined ? '' : ` ON CLUSTER ${quoteIdentifier(cluster)}`
}

/** Path and name of a replica: macros of the server's, so that each replica finds its own. */
function engineOf({ mode, replication }: TablePlan): string {
  const merging = mode === 'upsert' ? 'ReplacingMergeTree' : 'MergeTree'
  const versions = mode === 'upsert' ? ['`_sluice_version`', '`_sluice_deleted`'] : []
  const path =
    replication?.path === undefined
      ? []
      : [quoteLiteral(replication.path), quoteLiteral(replication.replica)]
  const args = [...path, ...versions]
  const name = `${replication === null ? '' : 'Replicated'}${merging}`
  return args.length === 0 ? name : `${name}(${args.join(', ')})`
}

function tableSettings({ columns, orderBy, replication }: TablePlan): string[] {
  const nullableKey = columns.some(({ name, type }) => type.nullable && orderBy.includes(name))
  const settings =
    replication === null
      ? [`non_replicated_deduplication_window = ${deduplicationWindow}`]
      : [
          `replicated_deduplication_window = ${replication.deduplication_window}`,
          `replicated_deduplication_window_seconds = ${Math.ceil(replication.deduplication_time / 1000)}`,
        ]
  if (nullableKey) settings.push('allow_nullable_key = 1')
  return settings
}

export function alterTable(database: string, plan: TablePlan, changes: readonly Change[]): string {
  const actions = changes.map((change) =>
    change.kind === 'add'
      ? `ADD COLUMN IF NOT EXISTS ${addedColumn(change)}`
      : `MODIFY COLUMN ${quoteIdentifier(change.name)} ${change.type}`,
  )
  return `ALTER TABLE ${named(database, plan)} ${actions.join(', ')}`
}

export function renameColumn(database: string, plan: TablePlan, from: string, to: string): string {
  const names = `${quoteIdentifier(from)} TO ${quoteIdentifier(to)}`
  return `ALTER TABLE ${named(database, plan)} RENAME COLUMN IF EXISTS ${names}`
}

export function dropColumn(database: string, plan: TablePlan, column: string): string {
  return `ALTER TABLE ${named(database, plan)} DROP COLUMN IF EXISTS ${quoteIdentifier(column)}`
}

export function modifyColumn(
  database: string,
  plan: TablePlan,
  column: string,
  type: string,
): string {
  return `ALTER TABLE ${named(database, plan)} MODIFY COLUMN ${quoteIdentifier(column)} ${type}`
}

export function modifyComment(database: string, plan: TablePlan, comment: string): string {
  return `ALTER TABLE ${named(database, plan)} MODIFY COMMENT ${quoteLiteral(comment)}`
}

/** At once for whoever reads, on each server by itself. `rename`: where there is no table to change with. */
export function exchangeTables(
  database: string,
  plan: TablePlan,
  other: string,
  how: 'exchange' | 'rename' = 'exchange',
): string {
  const [first, second] = [qualified(database, plan.table), qualified(database, other)]
  return how === 'rename'
    ? `RENAME TABLE ${second} TO ${first}${onCluster(plan)}`
    : `EXCHANGE TABLES ${first} AND ${second}${onCluster(plan)}`
}

/** With the columns, engine, partitions and settings of another one. */
export function createTableAs(database: string, plan: TablePlan, other: string): string {
  return `CREATE TABLE ${named(database, plan)} AS ${qualified(database, other)}`
}

export function optimizeTable(database: string, plan: TablePlan): string {
  return `OPTIMIZE TABLE ${named(database, plan)} FINAL`
}

export function deleteTombstones(
  database: string,
  plan: TablePlan,
  version: number,
  beforeUs: number,
): string {
  return (
    `ALTER TABLE ${named(database, plan)} DELETE WHERE \`_sluice_deleted\` = 1 ` +
    `AND \`_sluice_version\` <= ${version} AND toUnixTimestamp64Micro(\`_sluice_ts\`) < ${beforeUs}`
  )
}

/** SYNC, so that the name and the replica's path are free when it returns. */
export function dropTable(database: string, plan: TablePlan, table: string): string {
  return `DROP TABLE IF EXISTS ${named(database, plan, table)} SYNC`
}

/** The rows as they are now, without Sluice's columns; columns that the source dropped stay in it. */
export function createLiveView(
  database: string,
  plan: TablePlan,
  columns: readonly string[],
): string {
  const shown = columns.filter((name) => !name.startsWith(servicePrefix)).map(quoteIdentifier)
  return (
    `CREATE OR REPLACE VIEW ${named(database, plan, liveView(plan.table))} AS ` +
    `SELECT ${shown.join(', ')} FROM ${qualified(database, plan.table)} FINAL ` +
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
