/**
 * The first copy of tables, under one database snapshot: each table by one COPY in the order of its
 * key, with a position at every batch, so that a crash costs the batch at hand. A table without a key
 * is read as it lies and starts over after a crash, with a truncate of its topic first.
 */
import type { Client, ClientConfig } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import type { Position, SourceBatch } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { makeBatch, Op, type Batch } from '../../core/record/batch.ts'
import type { Schema } from '../../core/record/schema.ts'
import { loadTables, topicName, topicSchema, type TableInfo, type TypeCatalog } from './catalog.ts'
import { connect } from './connection.ts'
import { CopyParser } from './copy-parser.ts'
import { copyOut } from './copy.ts'
import { end, type HeldSnapshot } from './generation.ts'
import { keyCompare, type KeyCompare } from './key-compare.ts'
import { afterKeySql, loadKeyOrder, orderNames, orderSql, type KeyOrder } from './key-order.ts'
import {
  isComplete,
  withGeneration,
  withoutRows,
  withRange,
  type SnapshotProgress,
} from './snapshot-progress.ts'
import { quoteIdent, quoteTable } from './table-pattern.ts'
import { valueDecoder } from './values.ts'

/** A batch is cut at the first read of the socket past this size. */
const batchBytes = 2 << 20

export interface CopyJob {
  readonly config: ClientConfig
  /** For catalog queries; always as of now. */
  readonly control: Client
  readonly types: TypeCatalog
  readonly publication: string
  readonly snapshot: HeldSnapshot
  readonly positionAt: (progress: SnapshotProgress) => Position
  readonly ctx: Pick<Context, 'logger' | 'report'>
  readonly signal: AbortSignal
}

/** A table with all that is needed to read it, as it is while the reader's lock holds. */
interface LockedTable {
  readonly topic: string
  readonly table: TableInfo
  readonly schema: Schema
  /** Empty = read as it lies. */
  readonly order: KeyOrder
  /** WHERE of the publication's row filter, or null. */
  readonly rowFilter: string | null
}

/** The tables of the progress that have to be read to their end, or once more. */
export function tablesToCopy(
  tables: readonly TableInfo[],
  progress: SnapshotProgress,
): readonly TableInfo[] {
  return tables.filter((table) => {
    const topic = topicName(table)
    const copying = progress.tables[topic]
    if (copying !== undefined) return copying.oid !== table.oid || !isComplete(copying)
    return progress.done[topic] !== table.oid
  })
}

/** Copies `tables` under the job's snapshot; returns the progress with all of them complete. */
export async function* copyTables(
  job: CopyJob,
  tables: readonly TableInfo[],
  before: SnapshotProgress,
): AsyncGenerator<SourceBatch, SnapshotProgress> {
  const { progress, index } = withGeneration(before, job.snapshot.generation)
  const reader = await connect(job.config, job.signal)
  try {
    let state = progress
    for (const table of tables) {
      const locked = await lockTable(job, reader, table)
      state = yield* copyTable(job, reader, locked, { progress: state, generation: index })
      await reader.query('COMMIT')
    }
    return state
  } finally {
    await end(reader)
  }
}

/**
 * Begins the table's transaction: the snapshot, a lock that keeps the table's shape, then the
 * catalog as of now. TRUNCATE and rewrites (ALTER TABLE … TYPE, CLUSTER) take effect for older
 * snapshots too, under which the table then looks empty; had one come between the snapshot and the
 * lock, the copy would miss every row, so that is looked for.
 */
async function lockTable(job: CopyJob, reader: Client, known: TableInfo): Promise<LockedTable> {
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await reader.query(`SET TRANSACTION SNAPSHOT '${job.snapshot.name}'`)
  try {
    await reader.query(`LOCK TABLE ${fromSql(known)} IN ACCESS SHARE MODE`)
  } catch (error) {
    if ((error as { code?: string }).code === '42P01') throw tableChanged(known, error)
    throw error
  }
  const [table] = await loadTables(job.control, [known], job.publication)
  if (table === undefined || table.oid !== known.oid) throw tableChanged(known)
  const files = table.kind === 'table' ? [table.oid] : table.partitions
  const { rows } = await reader.query<{ unchanged: string }>(
    `SELECT count(*) AS unchanged FROM pg_class c
      WHERE c.oid = ANY ($1::oid[]) AND c.relfilenode = pg_relation_filenode(c.oid)`,
    [files],
  )
  if (Number(rows[0]!.unchanged) !== files.length) throw tableChanged(known)
  await job.types.load(
    job.control,
    table.columns.map((column) => column.typeOid),
  )
  const schema = topicSchema(table, job.types)
  const order = await loadKeyOrder(job.control, table)
  await reader.query(planSettings(order))
  return {
    topic: topicName(table),
    table,
    schema,
    order,
    rowFilter: await rowFilterOf(job, table),
  }
}

/**
 * Where the key's index gives the order, a sort would only hold all rows back, and spill them. Where a
 * sort cannot be had without, memory for it saves passes over what it spills; and as `enable_sort`
 * works by an absurd price, the compiler of expensive plans is told to stay away.
 */
function planSettings(order: KeyOrder): string {
  return order.every(({ native }) => native)
    ? 'SET LOCAL jit = off; SET LOCAL enable_sort = off'
    : "SET LOCAL jit = off; SET LOCAL work_mem = '64MB'"
}

function tableChanged(table: TableInfo, cause?: unknown): SluiceError {
  return new SluiceError('source.postgres.table_changed', {
    message: `Table ${quoteTable(table)} was truncated, rewritten or dropped while its first copy was beginning.`,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** How keys of this table compare. */
export function compareOf(schema: Schema, order: KeyOrder): KeyCompare {
  return keyCompare(
    order.map(({ index, typeName, native }) => ({
      type: schema.fields[index]!.type,
      typeName,
      native,
    })),
  )
}

/** The publication's row filter (PostgreSQL 15): the stream leaves those rows out, so must the copy. */
export async function rowFilterOf(
  job: Pick<CopyJob, 'control' | 'publication'>,
  table: TableInfo,
): Promise<string | null> {
  const { rows } = await job.control.query<{ filter: string | null }>(
    `SELECT to_jsonb(p) ->> 'rowfilter' AS filter FROM pg_publication_tables p
      WHERE p.pubname = $1 AND p.schemaname = $2 AND p.tablename = $3`,
    [job.publication, table.schema, table.name],
  )
  return rows[0]?.filter ?? null
}

interface CopyState {
  readonly progress: SnapshotProgress
  readonly generation: number
}

async function* copyTable(
  job: CopyJob,
  reader: Client,
  locked: LockedTable,
  { progress, generation }: CopyState,
): AsyncGenerator<SourceBatch, SnapshotProgress> {
  const { topic, table, schema, order } = locked
  const identity = { oid: table.oid, key: orderNames(order) }
  let state = progress
  const after = resumeKey(state, topic, identity)
  if (after === null && isKnown(state, topic)) {
    job.ctx.logger.warn('the table is copied anew', { topic, rowsEstimate: table.rowsEstimate })
    state = withoutRows(state, topic, identity)
    yield batchOf([{ topic, truncate: true }], job.positionAt(state))
  }
  const parser = new CopyParser(schema.fields.map((field) => valueDecoder(field.type)))
  const finish = (): Batch => snapshotBatch(schema, parser, job.snapshot.timeUs)
  const keyFields = order.map((column) => column.index)
  let rows = 0
  const feed = (source: Uint8Array, from: number, to: number): void => parser.feed(source, from, to)
  for await (const _ of copyOut(reader, copySql(locked, after), feed, job.signal)) {
    if (parser.rows === 0 || parser.byteLength < batchBytes) continue
    const upTo = parser.textsOf(keyFields)
    rows += parser.rows
    state = withRange(state, topic, identity, { generation, upTo })
    yield batchOf([{ topic, batch: finish() }], job.positionAt(state))
    job.ctx.report({ state: 'snapshotting', detail: detailOf(topic, rows, table.rowsEstimate) })
  }
  parser.finish()
  rows += parser.rows
  state = withRange(state, topic, identity, { generation, upTo: null })
  yield batchOf([{ topic, batch: finish() }], job.positionAt(state))
  job.ctx.logger.info('the table is copied', { topic, rows, resumed: after !== null })
  return state
}

/** The key after which to go on; null = from the beginning. */
function resumeKey(
  progress: SnapshotProgress,
  topic: string,
  identity: { readonly oid: number; readonly key: readonly string[] },
): readonly string[] | null {
  const copying = progress.tables[topic]
  const upTo = copying?.ranges.at(-1)?.upTo ?? null
  if (copying === undefined || upTo === null || upTo.length === 0) return null
  const sameKey = JSON.stringify(copying.key) === JSON.stringify(identity.key)
  return copying.oid === identity.oid && sameKey ? upTo : null
}

/** Whether the topic may hold rows, which a copy from the beginning would double. */
function isKnown(progress: SnapshotProgress, topic: string): boolean {
  return progress.tables[topic] !== undefined || progress.done[topic] !== undefined
}

function copySql(
  { table, order, rowFilter }: LockedTable,
  after: readonly string[] | null,
): string {
  const where = after === null ? [] : [afterKeySql(order, after)]
  const orderBy = order.length === 0 ? '' : ` ORDER BY ${orderSql(order)}`
  return `COPY (${selectSql(table, rowFilter, where)}${orderBy}) TO STDOUT`
}

/** The table's rows, every published column, that the publication sends and `where` admits. */
export function selectSql(
  table: TableInfo,
  rowFilter: string | null,
  where: readonly string[],
): string {
  const columns = table.columns.map((column) => quoteIdent(column.name)).join(', ')
  const conditions = rowFilter === null ? where : [`(${rowFilter})`, ...where]
  return `SELECT ${columns} FROM ${fromSql(table)}${conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`}`
}

/** Children of plain inheritance are tables of their own; partitions are not. */
export function fromSql(table: TableInfo): string {
  return `${table.kind === 'table' ? 'ONLY ' : ''}${quoteTable(table)}`
}

export function snapshotBatch(schema: Schema, parser: CopyParser, timeUs: number): Batch {
  const { rows } = parser
  const weights = new Int32Array(rows).fill(1)
  const ops = new Uint8Array(rows).fill(Op.snapshot)
  const times = new Float64Array(rows).fill(timeUs)
  return makeBatch(schema, parser.take(), weights, ops, times)
}

function batchOf(changes: SourceBatch['changes'], position: Position): SourceBatch {
  return { changes, transaction: null, end: null, position }
}

function detailOf(topic: string, rows: number, estimate: number): string {
  const done = rows.toLocaleString('en')
  return estimate > 0
    ? `${topic}: ${done} of about ${estimate.toLocaleString('en')} rows`
    : `${topic}: ${done} rows`
}
