/**
 * A topic's table built anew beside the one in use (core/connector/resync.ts):
 *
 *   CREATE  <table>__resync     with the request's id in its comment
 *   INSERT  into it             the log's rows, as into the table itself
 *   EXCHANGE TABLES             at once for readers; views, and materialized views that read the table,
 *                               go by its name and follow (measured on 26.7.2)
 *   the view made anew          where the columns are others
 *   DROP    <table>__resync     by then the old table
 *
 * What was done is read from the tables: the comment goes with its table through the exchange, so a
 * crash between any two of these goes on at the right one.
 */
import type { ResyncPoint, SinkResync } from '../../core/connector/resync.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { failpoint } from '../../core/errors/failpoint.ts'
import { isOfOther, isSameText, marksOf, tableComment, withMark } from './comment.ts'
import { createTable, createTableAs, dropTable, exchangeTables, modifyComment } from './ddl.ts'
import { describeTable, type TableDescription } from './describe.ts'
import { evolveView, showOnly } from './live-view.ts'
import { servicePrefix, type TablePlan } from './plan.ts'
import { runDdl, type Evolution } from './run-ddl.ts'
import { changesFor } from './shape.ts'
import { truncateTable } from './truncate.ts'

export function sideTable(table: string): string {
  return `${table}__resync`
}

/** The plan of the table beside. */
export function sidePlan(plan: TablePlan): TablePlan {
  return { ...plan, table: sideTable(plan.table) }
}

interface Parts {
  /** The topic's plan in that schema. */
  readonly planOf: (
    topic: string,
    schema: ResyncPoint['schema'] | null,
    signal: AbortSignal,
  ) => Promise<TablePlan>
  readonly evolution: (signal: AbortSignal) => Evolution
  /** Resolves when no cleanup of the topic's table is under way. */
  readonly endCleanup: (topic: string, signal: AbortSignal) => Promise<void>
}

export class TableResync implements SinkResync {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async begin(
    topic: string,
    { id, schema }: ResyncPoint,
    signal: AbortSignal,
  ): Promise<'fresh' | 'going' | 'over'> {
    const plan = await this.#parts.planOf(topic, schema, signal)
    const evolution = this.#parts.evolution(signal)
    const { server, config } = evolution
    if (!config.create_tables) throw withoutDdl(plan)
    const table = await describeTable(server, plan.table, signal)
    if (table !== null && marksOf(table.comment).resync === id) return 'over'
    const side = sidePlan(plan)
    const beside = await describeTable(server, side.table, signal)
    const begun = beside !== null && marksOf(beside.comment).resync === id
    if (begun && fits(server.database, side, beside)) return 'going'
    if (beside !== null) await removeSide(plan, { table, beside }, evolution)
    await create(side, table, id, evolution)
    failpoint('sink.clickhouse.resync_created')
    return 'fresh'
  }

  async truncate(
    topic: string,
    at: { readonly id: string; readonly offset: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { table: name, replication } = sidePlan(await this.#parts.planOf(topic, null, signal))
    const table = { name, wait: replication !== null }
    await truncateTable(this.#parts.evolution(signal).server, table, at, signal)
  }

  async finish(topic: string, { id, schema }: ResyncPoint, signal: AbortSignal): Promise<void> {
    const plan = await this.#parts.planOf(topic, schema, signal)
    const evolution = this.#parts.evolution(signal)
    const { server, ctx } = evolution
    let table = await describeTable(server, plan.table, signal)
    if (table === null || marksOf(table.comment).resync !== id) {
      const beside = await describeTable(server, sideTable(plan.table), signal)
      if (beside === null || marksOf(beside.comment).resync !== id) {
        throw new SluiceError('sink.clickhouse.table_missing', {
          message: `Table ${sideTable(plan.table)}, which was being filled from the log, is gone.`,
          remedy: 'Ask for the resync again.',
        })
      }
      await this.#parts.endCleanup(topic, signal)
      await exchange(plan, { table, beside }, evolution)
      failpoint('sink.clickhouse.resync_exchanged')
      ctx.logger.info('table built anew', { table: plan.table, resync: id })
      table = beside
    }
    if (plan.mode === 'upsert') await evolveView(plan, table, evolution)
    failpoint('sink.clickhouse.resync_viewed')
    const old = await describeTable(server, sideTable(plan.table), signal)
    // What the table was before: the exchange put it there, whatever its comment says.
    if (old !== null) await dropSide(plan, evolution)
    failpoint('sink.clickhouse.resync_dropped')
  }

  async abandon(topic: string, signal: AbortSignal): Promise<void> {
    const plan = await this.#parts.planOf(topic, null, signal)
    const evolution = this.#parts.evolution(signal)
    const { server } = evolution
    const table = await describeTable(server, plan.table, signal)
    const beside = await describeTable(server, sideTable(plan.table), signal)
    if (beside !== null) await removeSide(plan, { table, beside }, evolution)
  }
}

interface Both {
  readonly table: TableDescription | null
  readonly beside: TableDescription
}

/** A table that Sluice made is made anew; of a user's own the engine, partitions and settings are kept. */
async function create(
  side: TablePlan,
  table: TableDescription | null,
  id: string,
  evolution: Evolution,
): Promise<void> {
  const { database } = evolution.server
  const comment = withMark(tableComment(side.topic), 'resync', id)
  const ours = table === null || table.comment.startsWith(tableComment(side.topic))
  if (!ours) {
    const like = createTableAs(database, side, side.table.slice(0, -sideTable('').length))
    await runDdl(evolution, side, `Create table ${side.table}`, like)
    const marked = withMark(table.comment, 'resync', id)
    await runDdl(evolution, side, `Mark table ${side.table}`, modifyComment(database, side, marked))
    return
  }
  const statement = createTable(database, side, comment)
  await runDdl(evolution, side, `Create table ${side.table}`, statement)
}

/** Whether rows of the plan go in as they are: the schema may have changed since it was made. */
function fits(database: string, side: TablePlan, beside: TableDescription): boolean {
  try {
    if (changesFor(database, side, beside).length > 0) return false
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'sink.clickhouse.table_shape') return false
    throw error
  }
  // A column that was renamed meanwhile would be there under both names.
  const ours = beside.comment.startsWith(tableComment(side.topic))
  const extra = beside.columns.filter(
    ({ name }) =>
      !name.startsWith(servicePrefix) && !side.columns.some((column) => column.name === name),
  )
  return !ours || extra.length === 0
}

async function exchange(
  plan: TablePlan,
  { table, beside }: Both,
  evolution: Evolution,
): Promise<void> {
  const { database } = evolution.server
  if (table === null) {
    const statement = exchangeTables(database, plan, sideTable(plan.table), 'rename')
    return runDdl(evolution, plan, `Rename table ${sideTable(plan.table)}`, statement)
  }
  // A view that names a column which is gone fails for whoever reads it: first without.
  const both = table.columns.filter(({ name }) => beside.columns.some((one) => one.name === name))
  if (plan.mode === 'upsert' && both.length < table.columns.length) {
    await showOnly(plan, both, evolution)
  }
  const statement = exchangeTables(database, plan, sideTable(plan.table))
  await runDdl(evolution, plan, `Exchange table ${plan.table}`, statement)
}

/** Only what was made here: a table of that name may be somebody's. */
async function removeSide(
  plan: TablePlan,
  { table, beside }: Both,
  evolution: Evolution,
): Promise<void> {
  const name = sideTable(plan.table)
  const written = beside.columns.some((column) => column.name.startsWith(servicePrefix))
  // A table that another topic was written to before goes on under that comment, and so does its copy.
  const copied = table !== null && isSameText(beside.comment, table.comment)
  if (!written || (!copied && isOfOther(plan.topic, beside.comment))) {
    throw new SluiceError('sink.clickhouse.table_name', {
      message: `${name} in ClickHouse was not made for this, so that ${plan.table} cannot be built anew under this name.`,
      remedy: `Rename ${name}.`,
    })
  }
  await dropSide(plan, evolution)
}

async function dropSide(plan: TablePlan, evolution: Evolution): Promise<void> {
  const name = sideTable(plan.table)
  const statement = dropTable(evolution.server.database, plan, name)
  await runDdl(evolution, plan, `Drop table ${name}`, statement)
}

/** One statement after the other by hand would not do: each step looks at what the one before has made. */
function withoutDdl({ topic, table }: TablePlan): SluiceError {
  return new SluiceError('sink.clickhouse.ddl_needed', {
    message: `Topic ${topic}: table ${table} is built anew by CREATE, EXCHANGE and DROP TABLE, and create_tables is false.`,
    remedy: 'Set create_tables: true and ask again.',
  })
}
