/**
 * The source for MySQL and MariaDB: preflight, then the change stream with the copy of the tables woven
 * in; each start does again only what is missing. README.md tells the user's side of it,
 * docs/decisions/0007-snapshot-beside-stream.md why copy and stream join exactly.
 */
import type { Context } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { snapshotBeside, type SnapshotBeside } from '../../core/connector/snapshot/beside.ts'
import type { Position, Source, SourceBatch, SourceConnector } from '../../core/connector/source.ts'
import { askCatalog, unchanging } from './schema/catalog-ask.ts'
import { topicName } from './schema/catalog.ts'
import {
  mysqlConfig,
  onPurged,
  policiesOf,
  serverIdOf,
  topicOf,
  type MysqlConfig,
} from './config.ts'
import { connect, nameOf, targetOf, type Target } from './connection.ts'
import { Directory } from './schema/directory.ts'
import { mysqlError } from './errors.ts'
import type { StreamPlace } from './place.ts'
import { atOrAfter, formatPosition, parsePosition } from './position.ts'
import { loadFacts } from './preflight-facts.ts'
import { preflightProblems, productProblems } from './preflight.ts'
import { loadServerInfo } from './server-info.ts'
import { MysqlSnapshotReader } from './snapshot/snapshot-reader.ts'
import { announcement, begin, positionExtras, topicsToCopy, type Start } from './source-run.ts'
import { streamChanges, type ChangeStream } from './binlog/stream.ts'

export const mysql: SourceConnector<MysqlConfig> = {
  kind: 'mysql',
  config: mysqlConfig,
  check,
  open: async (config, ctx) => new MysqlSource(config, ctx),
  atOrAfter,
  topics: ({ tables }) => tables.map(topicOf),
}

/** Throws only when the server cannot be reached or asked. */
async function check(config: MysqlConfig, ctx: Context): Promise<readonly Problem[]> {
  const target = targetOf(config.url, config)
  const stop = new AbortController()
  try {
    await using session = await connect(target, stop.signal)
    const server = await loadServerInfo(session.query)
    const refused = productProblems(server)
    if (refused.length > 0) return refused
    const wanted = { server, config, after: null, known: [] }
    return preflightProblems(await unchanging(() => loadFacts(session.query, wanted)))
  } catch (error) {
    throw mysqlError(error, `check source ${ctx.name} at ${nameOf(target)}`)
  }
}

class MysqlSource implements Source {
  readonly #config: MysqlConfig
  readonly #ctx: Context
  readonly #stop = new AbortController()
  #reader: AsyncGenerator<SourceBatch> | null = null

  constructor(config: MysqlConfig, ctx: Context) {
    this.#config = config
    this.#ctx = ctx
  }

  read(after: Position | null, signal: AbortSignal): AsyncIterable<SourceBatch> {
    this.#reader = this.#read(after, AbortSignal.any([signal, this.#stop.signal]))
    return this.#reader
  }

  /** The server keeps its binlog for a time, not until somebody has read it: there is nothing to tell it. */
  async ack(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    // Runs what is left of the reader to its end, where its connections are closed.
    await this.#reader?.return(undefined).catch(() => {})
  }

  async *#read(after: Position | null, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const target = targetOf(this.#config.url, this.#config)
    try {
      this.#ctx.report({ state: 'starting' })
      const start = await this.#begin(target, after, signal)
      yield announcement(this.#config, start.tables)
      yield* this.#changes(target, start, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw mysqlError(error, `read source ${this.#ctx.name} from ${nameOf(target)}`)
    }
  }

  async #begin(target: Target, after: Position | null, signal: AbortSignal): Promise<Start> {
    await using session = await connect(target, signal)
    const position = after === null ? null : parsePosition(after)
    return await unchanging(() =>
      begin(session.query, this.#config, this.#ctx, { after: position, signal }),
    )
  }

  /** The stream with the copy woven in. */
  async *#changes(target: Target, start: Start, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const config = this.#config
    const directory = this.#directory(target, start)
    await using reader = this.#snapshotReader(target, start)
    const woven: SnapshotBeside = snapshotBeside(
      {
        stream: (until) =>
          watched({
            stream: this.#stream(target, start, directory, until),
            directory,
            announced: new Set(start.tables.map(topicName)),
            config,
            ctx: this.#ctx,
            signal: until,
            again: (topic) => woven.again(topic),
          }),
        reader,
        tables: topicsToCopy(config, start),
        asked: config.resnapshot,
        progress: start.progress,
        position: positionOf(start.place, start, directory),
        join: (position, snapshot) => formatPosition({ ...parsePosition(position), snapshot }),
        ctx: this.#ctx,
      },
      signal,
    )
    for (const topic of start.again) woven.again(topic)
    this.#ctx.report({ state: 'running', detail: '' })
    for await (const batch of woven) {
      yield { ...batch, changes: batch.changes.map((change) => directory.withDefaults(change)) }
    }
  }

  #directory(target: Target, start: Start): Directory {
    return new Directory({
      ...start,
      policies: policiesOf(this.#config),
      before: Object.keys(start.progress.tables),
      copies: this.#config.snapshot === 'initial',
      copiesLost: (topic) => onPurged(this.#config, topic) === 'resnapshot',
      ask: (table, signal) => askCatalog(target, start.info, table, signal),
      logger: this.#ctx.logger,
    })
  }

  #stream(target: Target, start: Start, directory: Directory, signal: AbortSignal): ChangeStream {
    const config = this.#config
    const stream = streamChanges(
      {
        target,
        from: start.place,
        directory,
        positionAt: (place) => positionOf(place, start, directory),
        serverId: serverIdOf(config, this.#ctx),
        serverIdFixed: config.server_id !== undefined,
        heartbeatMs: config.heartbeat,
        ctx: this.#ctx,
      },
      signal,
    )
    directory.place = () => stream.place
    return stream
  }

  #snapshotReader(target: Target, { info, followed }: Start): MysqlSnapshotReader {
    return new MysqlSnapshotReader({
      connect: (signal) => connect(target, signal),
      info,
      policies: policiesOf(this.#config),
      tableOf: (topic) => followed.nameOf(topic),
      placeOf: (position) => parsePosition(position).place,
      clock: this.#ctx.clock,
    })
  }
}

/** Of the stream alone: how far the copy is comes to it later. */
function positionOf(place: StreamPlace, { memory }: Start, { gone }: Directory): Position {
  return formatPosition({ place, snapshot: null, extras: { ...positionExtras(memory, gone) } })
}

/** What is done to the stream's batches on their way to the copy. */
interface Watched {
  readonly stream: ChangeStream
  readonly directory: Directory
  /** Topics whose schema was given. */
  readonly announced: Set<string>
  readonly config: MysqlConfig
  readonly ctx: Context
  readonly signal: AbortSignal
  readonly again: (topic: string) => void
}

/**
 * The stream's batches; before each, the copies that became necessary while it was decoded are asked
 * for, so that no position from then on says that those tables are in the log.
 */
async function* watched(options: Watched): AsyncGenerator<SourceBatch, void, undefined> {
  const { stream, directory, announced } = options
  for await (const batch of stream) {
    directory.checkLeftOut()
    for (const { topic, reason } of directory.wanted.take()) {
      if (announced.has(topic)) {
        options.ctx.logger.warn('a table is copied again', { topic, reason })
      } else {
        options.ctx.logger.info('a new table is followed', { topic })
        const table = await directory.tableNow(topic, options.signal)
        if (table !== null) yield announcement(options.config, [table])
        announced.add(topic)
      }
      options.again(topic)
    }
    yield batch
  }
}
