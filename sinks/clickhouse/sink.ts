/**
 * Delivers batches: screen, encode, one INSERT. What exactly-once rests on, by mode
 * (docs/decisions/0005-clickhouse-exactly-once.md):
 *
 *   upsert   a row's version is its offset + 1, so a batch sent again can only write what is there;
 *   append   the INSERT's token is made of the batch's id, which the table remembers, and before
 *            every insert that may be a repetition (one of rows that are sent once more always is)
 *            the table is asked which rows it holds.
 */
import type { Context } from '../../core/connector/context.ts'
import type {
  RowProblem,
  SchemaStep,
  Sink,
  SinkBatch,
  SinkResult,
} from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { failpoint } from '../../core/errors/failpoint.ts'
import { insertInPieces, type Poisoned } from './bisect.ts'
import { ClickHouseServer } from './client.ts'
import type { ClickHouseConfig } from './config.ts'
import { encodeNative } from './encode.ts'
import { evolveTable } from './evolve.ts'
import { qualified } from './identifiers.ts'
import { planTable, type TablePlan } from './plan.ts'
import { rowsPresent } from './present.ts'
import { refusedProblem, screen } from './screen.ts'
import { TableNames } from './tables.ts'
import { truncateTable, type TruncatePoint } from './truncate.ts'

interface TopicState {
  readonly plan: TablePlan
  /** Whether this process has looked at what the table holds. */
  looked: boolean
}

export class ClickHouseSink implements Sink {
  readonly #config: ClickHouseConfig
  readonly #ctx: Context
  readonly #server: ClickHouseServer
  readonly #names: TableNames
  readonly #topics = new Map<string, TopicState>()

  constructor(config: ClickHouseConfig, ctx: Context) {
    this.#config = config
    this.#ctx = ctx
    this.#server = new ClickHouseServer(config)
    this.#names = new TableNames(config.tables)
  }

  async evolve(topic: string, step: SchemaStep, signal: AbortSignal): Promise<void> {
    const plan = planTable(topic, this.#names.tableOf(topic), step.to, this.#config)
    await evolveTable(plan, step, {
      server: this.#server,
      config: this.#config,
      ctx: this.#ctx,
      signal,
    })
    this.#topics.set(topic, { plan, looked: this.#topics.get(topic)?.looked ?? false })
  }

  async write(batch: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const state = this.#topics.get(batch.topic)
    if (state === undefined || state.plan.schema.id !== batch.batch.schema.id) {
      throw new SluiceError('internal.bug', {
        message: `Batch ${batch.id} of ${batch.topic} came before its schema.`,
      })
    }
    const { plan } = state
    const { rows, refused } = screen(plan, batch.batch)
    const maybeThere = mayBeThere(state, batch)
    const present = maybeThere ? await rowsPresent(this.#server, plan, batch, signal) : null
    if (isLive(batch)) state.looked = true
    const poisoned = await this.#insert(
      plan,
      batch,
      { rows, present: plan.mode === 'append' ? present : null },
      signal,
    )
    failpoint('sink.clickhouse.after_insert')
    const rejected = [
      ...refused.map((row) => refusedProblem(plan, row, batch)),
      ...poisoned.map(({ row, error }) => poisonedProblem(rows[row]!, error, batch.attempt)),
    ]
    return { rejected: rejected.sort((a, b) => a.row - b.row) }
  }

  async truncate(topic: string, at: TruncatePoint, signal: AbortSignal): Promise<void> {
    await truncateTable(this.#server, this.#names.tableOf(topic), at, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }

  #insert(
    plan: TablePlan,
    { id, topic, batch, offset }: SinkBatch,
    { rows, present }: { readonly rows: Int32Array; readonly present: Uint8Array | null },
    signal: AbortSignal,
  ): Promise<readonly Poisoned[]> {
    const table = qualified(this.#server.database, plan.table)
    // The times tell apart two logs that count the same ids: one that was deleted and begun anew
    // would find its first batches remembered, and the server would drop them.
    const token = `sluice:${this.#ctx.pipeline}.${this.#ctx.name}:${topic}:${id}:${batch.timesUs[0]}-${batch.timesUs.at(-1)}`
    return insertInPieces({
      rows: rows.length,
      present: (from, to) =>
        present === null ? 'none' : presence(present, rows.subarray(from, to)),
      insert: async (from, to) => {
        const whole = from === 0 && to === rows.length
        const bytes = encodeNative(plan, batch, rows.subarray(from, to), offset)
        const piece = { bytes, token: whole ? token : `${token}/${from}-${to}` }
        await this.#server.insert(table, piece, signal)
      },
    })
  }
}

/** Rows at the cursor, not such as are sent once more. */
function isLive({ origin = 'live' }: SinkBatch): boolean {
  return origin === 'live'
}

/** Whether the table has to be asked which of the rows it holds. */
function mayBeThere({ plan, looked }: TopicState, batch: SinkBatch): boolean {
  // An old version of a row never wins over a newer one, so that upsert need not ask.
  if (!isLive(batch)) return plan.mode === 'append'
  return !looked || (plan.mode === 'append' && batch.attempt > 1)
}

function presence(present: Uint8Array, rows: Int32Array): 'all' | 'some' | 'none' {
  let count = 0
  for (let i = 0; i < rows.length; i++) count += present[rows[i]!]!
  return count === 0 ? 'none' : count === rows.length ? 'all' : 'some'
}

function poisonedProblem(row: number, error: SluiceError, attempts: number): RowProblem {
  return { row, code: error.code, message: error.message, attempts }
}
