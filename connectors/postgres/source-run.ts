/**
 * One start of the source, up to the moment where the stream takes over: preflight, publication, slot
 * and whatever has yet to be copied.
 */
import type { Client, ClientConfig } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import { nothingCopied as noneBeside } from '../../core/connector/snapshot/progress.ts'
import type { Problem } from '../../core/connector/problem.ts'
import type { SourceBatch } from '../../core/connector/source.ts'
import { codes } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { emptyBatch } from '../../core/record/batch-ops.ts'
import { askedAtFirst, planBeside, type BesidePlan } from './beside-plan.ts'
import { loadTables, topicName, topicSchema, TypeCatalog, type TableInfo } from './catalog.ts'
import type { PostgresConfig, SourceNames } from './config.ts'
import { end, holdSnapshot, type ExportedSnapshot } from './generation.ts'
import type { KeyCompare } from './key-compare.ts'
import { loadKeyOrder, orderNames } from './key-order.ts'
import { parseLsn } from './lsn.ts'
import { formatPosition, type PgPosition } from './position.ts'
import { preflightProblems } from './preflight.ts'
import { loadFacts, type Facts } from './preflight-facts.ts'
import { openTransactionsEnded, planPublication } from './publication.ts'
import { createSlot, dropSlot, oldTransactions, slotFree } from './slot.ts'
import { compareOf, copyTables, tablesToCopy } from './snapshot.ts'
import { SnapshotFilter } from './snapshot-filter.ts'
import { nothingCopied, withoutRows } from './snapshot-progress.ts'
import type { SnapshotProgress } from './snapshot-progress.ts'

export interface RunOptions {
  readonly source: PostgresConfig
  readonly names: SourceNames
  readonly config: ClientConfig
  readonly control: Client
  readonly ctx: Context
  readonly signal: AbortSignal
}

export class SourceRun implements AsyncDisposable {
  readonly types = new TypeCatalog()
  tables: readonly TableInfo[] = []
  /** How keys compare, by oid, of the tables that were read under more than one generation. */
  compares: ReadonlyMap<number, KeyCompare> = new Map()
  /** What is copied beside the stream. */
  plan: BesidePlan = { progress: noneBeside, tables: [], topics: new Set(), again: [] }
  readonly #options: RunOptions

  constructor(options: RunOptions) {
    this.#options = options
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#options.control)
  }

  /** Yields what has to be copied; returns where the stream goes on from. */
  async *begin(place: PgPosition | null): AsyncGenerator<SourceBatch, PgPosition> {
    const { control, names, ctx, signal, source } = this.#options
    const facts = await loadFacts(control, { ...names, patterns: source.tables })
    this.#refuse(facts, place)
    await slotFree(control, names.slot, names.application, ctx.clock, signal)
    const added = await this.#publish(facts)
    this.tables = await loadTables(control, facts.tables, names.publication)
    await this.types.load(
      control,
      this.tables.flatMap((table) => table.columns.map((column) => column.typeOid)),
    )
    yield this.#announcement()
    if (place === null) return yield* this.#first(facts)
    const before = source.snapshot === 'never' ? place.snapshot : (place.snapshot ?? nothingCopied)
    this.plan = await planBeside(
      { ...place, snapshot: before },
      {
        tables: this.tables,
        added,
        asked: source.resnapshot,
        snapshot: source.snapshot,
        orderOf: (table) => loadKeyOrder(control, table),
      },
    )
    const snapshot = yield* this.#rest({ lsn: place.lsn, snapshot: before }, added)
    return { lsn: place.lsn, snapshot, beside: this.plan.progress }
  }

  /** Every topic with its schema, before the first copy brings them one after the other, or nothing at all. */
  #announcement(): SourceBatch {
    const changes = this.tables.map((table) => ({
      topic: topicName(table),
      batch: emptyBatch(topicSchema(table, this.types)),
    }))
    return { changes, transaction: null, end: null, position: null }
  }

  #refuse(facts: Facts, place: PgPosition | null): void {
    const { names, source, ctx } = this.#options
    const problems = preflightProblems(facts, {
      ...names,
      createPublication: source.create_publication,
      after: place?.lsn ?? null,
    })
    const errors = problems.filter((problem) => problem.severity === 'error')
    if (errors.length > 0) throw refusal(errors)
    for (const { code, message, remedy } of problems) ctx.logger.warn(message, { code, remedy })
  }

  /** Creates or completes the publication; returns the topics that it did not send until now. */
  async #publish(facts: Facts): Promise<ReadonlySet<string>> {
    const { control, names, ctx } = this.#options
    const plan = planPublication(facts, names.publication)
    for (const statement of plan.statements) {
      ctx.logger.info('changing the publication', { statement })
      await control.query(statement)
    }
    return new Set(plan.added.map((table) => topicName(table)))
  }

  /** Nothing was ever committed: a new slot, and all tables under its own snapshot. */
  async *#first(facts: Facts): AsyncGenerator<SourceBatch, PgPosition> {
    const { config, control, names, ctx, signal, source } = this.#options
    if (facts.slot !== null) {
      if (source.snapshot === 'never' && facts.slot.confirmedFlushLsn !== null) {
        return { lsn: parseLsn(facts.slot.confirmedFlushLsn), snapshot: null }
      }
      ctx.logger.warn('a slot of this name is left over from a start that committed nothing', {
        slot: names.slot,
      })
      await dropSlot(control, names.slot)
    }
    const slot = await createSlot(config, names.slot, control, ctx, signal)
    const lsn = parseLsn(slot.consistentPoint)
    try {
      const orderOf = (table: TableInfo) => loadKeyOrder(control, table)
      const progress = await askedAtFirst(this.tables, source.resnapshot, orderOf)
      this.plan = { ...this.plan, progress }
      if (source.snapshot === 'never') return { lsn, snapshot: null, beside: progress }
      const snapshot = yield* this.#copy(this.tables, { lsn, snapshot: nothingCopied }, slot)
      return { lsn, snapshot, beside: progress }
    } finally {
      await slot[Symbol.asyncDispose]()
    }
  }

  /** What an earlier start left uncopied, and tables that are new, under a snapshot of now. */
  async *#rest(
    { lsn, snapshot }: PgPosition,
    added: ReadonlySet<string>,
  ): AsyncGenerator<SourceBatch, SnapshotProgress | null> {
    const { control, ctx, signal, source } = this.#options
    if (snapshot === null) return null
    let progress = await this.#compareKeys(this.#voided(snapshot, added))
    const { topics } = this.plan
    for (;;) {
      const wanted = tablesToCopy(this.tables, progress).filter(
        (table) => !topics.has(topicName(table)),
      )
      const todo =
        source.snapshot === 'never'
          ? wanted.filter((table) => progress.tables[topicName(table)] !== undefined)
          : wanted
      if (todo.length === 0) return progress
      await openTransactionsEnded(control, ctx.clock, signal, async () => {
        const what = await oldTransactions(control)
        ctx.report({ state: 'starting', detail: `waiting for transactions to end: ${what}` })
      })
      progress = yield* this.#copy(todo, { lsn, snapshot: progress }, null)
      progress = await this.#compareKeys(progress)
    }
  }

  /**
   * Tables whose changes were not followed for a while, because the configuration or the publication
   * left them out: what their topics hold is void, and should they be followed again, they are copied anew.
   */
  #voided(before: SnapshotProgress, added: ReadonlySet<string>): SnapshotProgress {
    const followed = new Map(this.tables.map((table) => [topicName(table), table.oid]))
    let progress = before
    for (const topic of new Set([...Object.keys(before.done), ...Object.keys(before.tables)])) {
      const oid = before.tables[topic]?.oid ?? before.done[topic]!
      const isVoid = before.tables[topic]?.ranges.length === 0
      if (isVoid || (followed.has(topic) && !added.has(topic))) continue
      this.#options.ctx.logger.warn('a table is no longer followed, or was not for a while', {
        topic,
      })
      progress = withoutRows(progress, topic, { oid, key: [] })
    }
    for (const topic of this.plan.again) {
      const oid = followed.get(topic)
      if (oid !== undefined) progress = withoutRows(progress, topic, { oid, key: [] })
    }
    return progress
  }

  async *#copy(
    tables: readonly TableInfo[],
    { lsn, snapshot: progress }: { readonly lsn: bigint; readonly snapshot: SnapshotProgress },
    exported: ExportedSnapshot | null,
  ): AsyncGenerator<SourceBatch, SnapshotProgress> {
    const { config, control, names, ctx, signal } = this.#options
    const snapshot = await holdSnapshot(config, exported, signal)
    try {
      const publication = names.publication
      const positionAt = (state: SnapshotProgress) =>
        formatPosition({ lsn, snapshot: state, beside: this.plan.progress })
      const job = { config, control, types: this.types, publication, snapshot, positionAt }
      return yield* copyTables({ ...job, ctx, signal }, tables, progress)
    } finally {
      await snapshot[Symbol.asyncDispose]()
    }
  }

  /**
   * Makes ready to compare keys of tables read under several generations. Where that is not possible
   * any more (the key's index was changed since), the table is to be copied anew.
   */
  async #compareKeys(before: SnapshotProgress): Promise<SnapshotProgress> {
    const { control } = this.#options
    const compares = new Map<number, KeyCompare>()
    let progress = before
    for (const table of this.tables) {
      const topic = topicName(table)
      const copied = progress.tables[topic]
      const generations = new Set(copied?.ranges.map((range) => range.generation))
      if (copied === undefined || generations.size < 2 || copied.oid !== table.oid) continue
      const order = await loadKeyOrder(control, table)
      const sameKey = orderNames(order).join('\n') === copied.key.join('\n')
      if (sameKey) compares.set(table.oid, compareOf(topicSchema(table, this.types), order))
      else progress = withoutRows(progress, topic, copied)
    }
    this.compares = compares
    return progress
  }
}

/** All that is wrong in one error; its code, and so its fault, is that of the first that needs a person. */
function refusal(problems: readonly Problem[]): SluiceError {
  const first = problems.find(({ code }) => codes[code].fault === 'config') ?? problems[0]!
  return new SluiceError(first.code, {
    message: problems.map(({ message }) => message).join(' '),
    remedy: problems.map(({ remedy }) => remedy).join('\n'),
  })
}

/** The filter that the stream needs until it has passed the last generation; null when none. */
export function filterOf(run: SourceRun, progress: SnapshotProgress): SnapshotFilter | null {
  if (progress.generations.length === 0) return null
  return new SnapshotFilter(progress, run.compares)
}
