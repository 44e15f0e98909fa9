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
import type { SinkResync } from '../../core/connector/resync.ts'
import { makeSchema, type Schema } from '../../core/record/schema.ts'
import { insertInPieces, type Poisoned } from './bisect.ts'
import { cleanedUp, planRound, Rounds } from './cleanup.ts'
import { ClickHouseServer } from './client.ts'
import { marksOf } from './comment.ts'
import type { ClickHouseConfig } from './config.ts'
import { encodeNative } from './encode.ts'
import { evolveTable } from './evolve.ts'
import { qualified, quoteIdentifier } from './identifiers.ts'
import { readLists } from './lists.ts'
import { orderColumn, planTable, type TablePlan } from './plan.ts'
import { rowsPresent } from './present.ts'
import { sidePlan, TableResync } from './resync.ts'
import type { Evolution } from './run-ddl.ts'
import { refusedProblem, screen } from './screen.ts'
import { isAsPlanned } from './shape.ts'
import { askServers, checkShared, holdsWideTimes, type ServerFacts } from './servers.ts'
import { TableNames } from './tables.ts'
import { truncateTable, type TruncatePoint } from './truncate.ts'

/** The attempt from which an insert that the server has no memory for goes in halves. */
const halvedFrom = 3

interface TopicState {
  readonly plan: TablePlan
  /** Whether this process has looked at what the table holds. */
  looked: boolean
  /** Tombstones up to this version may be gone. */
  gone: number
  /** When tombstones are looked for again; ms since 1970. */
  cleanupMs: number
  /** See isAsPlanned. */
  asIs: boolean
}

interface Insertion {
  /** Those of the batch that are written. */
  readonly rows: Int32Array
  /** 1 for those that the table has; null where that need not be known. */
  readonly present: Uint8Array | null
  readonly asIs: boolean
}

export class ClickHouseSink implements Sink {
  readonly resync: SinkResync
  readonly #config: ClickHouseConfig
  readonly #ctx: Context
  readonly #server: ClickHouseServer
  readonly #names: TableNames
  readonly #topics = new Map<string, TopicState>()
  /** What the servers are, once all of them have answered. */
  #facts: ServerFacts | null = null
  readonly #rounds = new Rounds()

  constructor(config: ClickHouseConfig, ctx: Context) {
    this.#config = config
    this.#ctx = ctx
    this.#server = new ClickHouseServer(config)
    this.#names = new TableNames(config.tables)
    this.resync = new TableResync({
      planOf: (topic, schema, signal) => this.#planOf(topic, schema, signal),
      evolution: (signal) => this.#evolution(signal),
      endCleanup: (topic, signal) => this.#rounds.end(topic, signal),
    })
  }

  async evolve(topic: string, step: SchemaStep, signal: AbortSignal): Promise<void> {
    const plan = await this.#planOf(topic, step.to, signal)
    const evolution = this.#evolution(signal)
    const table = await evolveTable(plan, step, evolution)
    const before = this.#topics.get(topic)
    // Once a process: a server that is down since then is what the others are for.
    if (before === undefined) await checkShared(this.#server, plan.table, table, signal)
    this.#topics.set(topic, {
      plan,
      looked: before?.looked ?? false,
      gone: Math.max(before?.gone ?? 0, marksOf(table.comment).gone),
      cleanupMs: before?.cleanupMs ?? this.#ctx.clock.nowMs(),
      asIs: isAsPlanned(plan, table),
    })
  }

  async write(given: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const state = this.#topics.get(given.topic)
    try {
      return await this.#write(state, given, signal)
    } catch (error) {
      const altered = error instanceof SluiceError && error.code === 'sink.clickhouse.table_shape'
      if (!altered || state === undefined) throw error
      // What a schema needs is looked at once; here somebody altered the table since. Throws where
      // that cannot be mended.
      const step = { from: null, to: state.plan.schema, agreed: [] }
      const table = await evolveTable(state.plan, step, this.#evolution(signal))
      state.asIs = isAsPlanned(state.plan, table)
      // Pieces of it may be there.
      return this.#write(state, { ...given, attempt: given.attempt + 1 }, signal)
    }
  }

  async #write(
    state: TopicState | undefined,
    given: SinkBatch,
    signal: AbortSignal,
  ): Promise<SinkResult> {
    if (state === undefined || state.plan.schema.id !== given.batch.schema.id) {
      throw new SluiceError('internal.bug', {
        message: `Batch ${given.id} of ${given.topic} came before its schema.`,
      })
    }
    const beside = given.origin === 'resync'
    const plan = beside ? sidePlan(state.plan) : state.plan
    const { batch: readable, unreadable } = readLists(plan, given.batch)
    const batch = { ...given, batch: readable }
    const screened = screen(plan, batch.batch, unreadable)
    const { refused } = screened
    const { rows, late } = this.#inTime(state, batch, screened.rows)
    const maybeThere = mayBeThere(state, batch)
    const present = maybeThere ? await rowsPresent(this.#server, plan, batch, signal) : null
    if (isLive(batch)) state.looked = true
    const poisoned = await this.#insert(
      plan,
      batch,
      {
        rows,
        present: plan.mode === 'append' ? present : null,
        // The table beside it may have been made like one of a user's own.
        asIs: state.asIs && !beside,
      },
      signal,
    )
    failpoint('sink.clickhouse.after_insert')
    if (isLive(batch)) await this.#cleanUp(state, signal)
    const rejected = [
      ...refused.map((row) => refusedProblem(plan, row, batch)),
      ...late.map((row) => poisonedProblem(row, cleanedUp(plan, state.gone), batch.attempt)),
      ...poisoned.map(({ row, error }) => poisonedProblem(rows[row]!, error, batch.attempt)),
    ]
    return { rejected: rejected.sort((a, b) => a.row - b.row) }
  }

  async truncate(topic: string, at: TruncatePoint, signal: AbortSignal): Promise<void> {
    const wait = this.#config.replicated !== false
    const table = { name: this.#names.tableOf(topic), wait }
    await truncateTable(this.#server, table, at, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rounds[Symbol.asyncDispose]()
    await this.#server[Symbol.asyncDispose]()
  }

  #evolution(signal: AbortSignal): Evolution {
    return { server: this.#server, config: this.#config, ctx: this.#ctx, signal }
  }

  /** Of the schema given, or of the one that the topic has. */
  async #planOf(topic: string, schema: Schema | null, signal: AbortSignal): Promise<TablePlan> {
    const known = this.#topics.get(topic)?.plan
    if (known !== undefined && (schema === null || schema.id === known.schema.id)) return known
    const wideTimes = holdsWideTimes(await this.#askServers(signal))
    const table = this.#names.tableOf(topic)
    const config = { ...this.#config, wideTimes }
    if (schema !== null) return planTable(topic, table, schema, config)
    // Its name and its cluster are all that is asked for.
    const nothing = makeSchema([], [], 'append')
    return planTable(topic, table, nothing, { ...config, mode: 'append', order_by: {} })
  }

  async #askServers(signal: AbortSignal): Promise<ServerFacts> {
    if (this.#facts !== null) return this.#facts
    const facts = await askServers(this.#server, signal)
    if (facts.complete) this.#facts = facts
    return facts
  }

  /** Of rows that are sent once more: those that could live again although they were deleted. */
  #inTime(
    { plan, gone }: TopicState,
    { batch, offset, origin = 'live' }: SinkBatch,
    rows: Int32Array,
  ): { readonly rows: Int32Array; readonly late: readonly number[] } {
    const again = origin === 'retry' || origin === 'replay'
    if (!again || plan.mode !== 'upsert' || offset + orderColumn('upsert').base > gone) {
      return { rows, late: [] }
    }
    const isLate = (row: number): boolean =>
      batch.weights[row]! > 0 && offset + row + orderColumn('upsert').base <= gone
    return { rows: rows.filter((row) => !isLate(row)), late: Array.from(rows.filter(isLate)) }
  }

  /** Begins a round where one is due. No row of the topic is under way meanwhile; see cleanup.ts. */
  async #cleanUp(state: TopicState, signal: AbortSignal): Promise<void> {
    const { cleanup } = this.#config
    const { plan } = state
    const nowMs = this.#ctx.clock.nowMs()
    if (cleanup === undefined || plan.mode !== 'upsert' || nowMs < state.cleanupMs) return
    if (this.#rounds.has(plan.topic)) return
    state.cleanupMs = nowMs + cleanup.every
    const round = await planRound(plan, cleanup, this.#evolution(signal))
    if (round === null) return
    state.gone = Math.max(state.gone, round.version)
    this.#rounds.begin(round, (ends) => this.#evolution(ends))
  }

  #insert(
    plan: TablePlan,
    { id, topic, batch, offset, attempt }: SinkBatch,
    { rows, present, asIs }: Insertion,
    signal: AbortSignal,
  ): Promise<readonly Poisoned[]> {
    const table = qualified(this.#server.database, plan.table)
    // The times tell apart two logs that count the same ids: one that was deleted and begun anew
    // would find its first batches remembered, and the server would drop them.
    const token = `sluice:${this.#ctx.pipeline}.${this.#ctx.name}:${topic}:${id}:${batch.timesUs[0]}-${batch.timesUs.at(-1)}`
    const columns = [...plan.columns, ...plan.service]
      .map(({ name }) => quoteIdentifier(name))
      .join(', ')
    const json = plan.columns.some(({ type }) => type.storage.kind === 'json')
    return insertInPieces({
      rows: rows.length,
      present: (from, to) =>
        present === null ? 'none' : presence(present, rows.subarray(from, to)),
      // Memory may be short for a moment; what fails three times is too much at once.
      tooLarge: ({ code }) => code === 'sink.clickhouse.memory' && attempt >= halvedFrom,
      insert: async (from, to) => {
        const whole = from === 0 && to === rows.length
        const bytes = encodeNative(plan, batch, rows.subarray(from, to), offset)
        const piece = {
          bytes,
          columns,
          json,
          asIs,
          token: whole ? token : `${token}/${from}-${to}`,
        }
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
