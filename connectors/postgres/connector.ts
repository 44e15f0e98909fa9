/**
 * The PostgreSQL source: preflight, publication, slot, first copy, then the change stream; in this
 * order, and each start does again only what is missing. README.md tells the user's side of it,
 * docs/decisions/0003-postgres-snapshot.md why copy and stream join exactly.
 */
import type { Client, ClientConfig } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { nothingCopied } from '../../core/connector/snapshot/progress.ts'
import type { Position, Source, SourceBatch, SourceConnector } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { postgresConfig, sourceNames, type PostgresConfig, type SourceNames } from './config.ts'
import { CommitLog } from './commit-log.ts'
import { clientConfig, connect } from './connection.ts'
import { postgresError } from './errors.ts'
import { followBeside } from './follow-beside.ts'
import { end } from './generation.ts'
import { formatPosition, parsePosition, atOrAfter, type PgPosition } from './position.ts'
import { preflightProblems } from './preflight.ts'
import { loadFacts } from './preflight-facts.ts'
import { watchSlot } from './slot-watch.ts'
import { filterOf, SourceRun } from './source-run.ts'
import { CopyAgain, filterEnd } from './snapshot-filter.ts'
import { settled, withoutRows, type SnapshotProgress } from './snapshot-progress.ts'
import { ChangeStream, streamChanges } from './stream.ts'
import { parseTablePattern } from './table-pattern.ts'

export const postgres: SourceConnector<PostgresConfig> = {
  kind: 'postgres',
  config: postgresConfig,
  check,
  open: async (config, ctx) => new PostgresSource(config, ctx),
  atOrAfter,
  topics: ({ tables }) => tables.map(topicOf),
}

/** The topic or topics that an entry of `tables` makes; its own syntax was checked with the configuration. */
function topicOf(entry: string): string {
  const { schema, name } = parseTablePattern(entry)!
  return `${schema}.${name ?? '*'}`
}

/** Throws only when the server cannot be reached or asked. */
async function check(config: PostgresConfig, ctx: Context): Promise<readonly Problem[]> {
  const names = sourceNames(config, ctx)
  const stop = new AbortController()
  try {
    const client = await connect(clientConfig(config.url, names.application), stop.signal)
    try {
      const facts = await loadFacts(client, { ...names, patterns: config.tables })
      return preflightProblems(facts, {
        ...names,
        createPublication: config.create_publication,
        after: undefined,
      })
    } finally {
      await end(client)
    }
  } catch (error) {
    throw postgresError(error, `check source ${ctx.name}`)
  }
}

class PostgresSource implements Source {
  readonly #config: PostgresConfig
  readonly #ctx: Context
  readonly #names: SourceNames
  readonly #stop = new AbortController()
  #stream: ChangeStream | null = null
  /** The highest position known to be durable. */
  #durable = 0n
  #reader: AsyncGenerator<SourceBatch> | null = null

  constructor(config: PostgresConfig, ctx: Context) {
    this.#config = config
    this.#ctx = ctx
    this.#names = sourceNames(config, ctx)
  }

  read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    this.#reader = this.#read(after, AbortSignal.any([signal, this.#stop.signal]))
    return this.#reader
  }

  async ack(position: Position): Promise<void> {
    const { lsn } = parsePosition(position)
    if (lsn > this.#durable) this.#durable = lsn
    this.#stream?.acknowledge(lsn)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    // Runs what is left of the reader to its end, where its connections are closed.
    await this.#reader?.return(undefined).catch(() => {})
  }

  async *#read(after: Position | null, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    try {
      yield* this.#changes(after, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw postgresError(error, `read source ${this.#ctx.name}`)
    }
  }

  async *#changes(after: Position | null, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const config = clientConfig(this.#config.url, this.#names.application)
    let place = after === null ? null : parsePosition(after)
    if (place !== null) this.#durable = place.lsn
    for (;;) {
      const run = await this.#start(config, signal)
      try {
        place = yield* run.begin(place)
        if (this.#durable === 0n) this.#durable = place.lsn
      } finally {
        await run[Symbol.asyncDispose]()
      }
      place = yield* this.#follow(config, run, place, signal)
    }
  }

  async #start(config: ClientConfig, signal: AbortSignal): Promise<SourceRun> {
    this.#ctx.report({ state: 'starting' })
    const control: Client = await connect(config, signal)
    return new SourceRun({
      source: this.#config,
      names: this.#names,
      config,
      control,
      ctx: this.#ctx,
      signal,
    })
  }

  /**
   * The change stream, until it turns out that a table has to be copied anew (CopyAgain), or until the
   * tables that are copied beside it are in the log; returns where to go on from.
   */
  async *#follow(
    config: ClientConfig,
    run: SourceRun,
    place: PgPosition,
    signal: AbortSignal,
  ): AsyncGenerator<SourceBatch, PgPosition> {
    const { snapshot } = place
    const stop = new AbortController()
    const watching = watchSlot(
      {
        client: config,
        slot: this.#names.slot,
        heartbeatMs: this.#config.heartbeat,
        ctx: this.#ctx,
      },
      AbortSignal.any([stop.signal, signal]),
    )
    const open = new Set<string>()
    let reached = place
    try {
      this.#ctx.report({ state: 'running', detail: '' })
      for await (const batch of this.#batches(config, run, place, signal)) {
        yield batch
        note(open, batch)
        if (batch.position !== null) reached = parsePosition(batch.position)
      }
    } catch (error) {
      if (!(error instanceof CopyAgain) || snapshot === null) throw error
      this.#ctx.logger.warn(error.message, { tableOid: error.tableOid })
      for (const id of open) yield abortOf(id)
      return { ...reached, snapshot: copyAgain(snapshot, error.tableOid) }
    } finally {
      this.#stream = null
      stop.abort()
      await watching
    }
    return reached
  }

  /** Ends by itself only where tables were copied beside the stream, and are. */
  async *#batches(
    config: ClientConfig,
    run: SourceRun,
    { lsn, snapshot, beside = nothingCopied }: PgPosition,
    signal: AbortSignal,
  ): AsyncGenerator<SourceBatch, void, undefined> {
    const filter = snapshot === null ? null : filterOf(run, snapshot)
    const until = snapshot === null ? 0n : filterEnd(snapshot)
    const last = snapshot === null ? null : settled(snapshot)
    const isAlone = run.plan.tables.length === 0
    const positionAt = (at: bigint): Position => {
      const copied = at >= until ? last : snapshot
      return formatPosition({ lsn: at, snapshot: copied, ...(isAlone ? { beside } : {}) })
    }
    const commits = isAlone ? null : new CommitLog()
    const { publication } = this.#names
    const { tables, types, plan } = run
    const stream = (until: AbortSignal): ChangeStream => {
      const changes = streamChanges(
        {
          client: config,
          slot: this.#names.slot,
          publication,
          tables,
          types,
          after: lsn,
          acknowledged: this.#durable,
          positionAt,
          filter,
          commits,
          streaming: isAlone,
          ctx: this.#ctx,
        },
        until,
      )
      this.#stream = changes
      return changes
    }
    if (commits === null) {
      yield* stream(signal)
      throw new SluiceError('internal.bug', { message: 'The change stream ended by itself.' })
    }
    yield* followBeside(
      {
        stream,
        position: positionAt(lsn),
        commits,
        client: config,
        publication,
        types,
        plan,
        asked: this.#config.resnapshot,
        ctx: this.#ctx,
      },
      signal,
    )
  }
}

/** Keeps the ids of transactions of which parts were handed out, and not the end. */
function note(open: Set<string>, { transaction, end }: SourceBatch): void {
  if (transaction === null) return
  if (end === null) open.add(transaction.id)
  else if (end === 'commit' || transaction.part === '') open.delete(transaction.id)
}

function abortOf(id: string): SourceBatch {
  return { changes: [], transaction: { id, part: '' }, end: 'abort', position: null }
}

function copyAgain(progress: SnapshotProgress, tableOid: number): SnapshotProgress {
  const entry = Object.entries(progress.tables).find(([, table]) => table.oid === tableOid)
  return entry === undefined ? progress : withoutRows(progress, entry[0], entry[1])
}
