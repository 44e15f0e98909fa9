/**
 * Station 1, read: the change stream of a slot, driven by pulling (core/connector/pull-changes.ts).
 * Status updates go on while nobody pulls. Whoever called reopens it after an error.
 */
import type { ClientConfig } from 'pg'
import type { Context } from '../../core/connector/context.ts'
import { pullChanges } from '../../core/connector/pull-changes.ts'
import type { Position, SourceBatch } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { TableInfo, TypeCatalog } from './catalog.ts'
import type { CommitLog } from './commit-log.ts'
import { connect } from './connection.ts'
import { Decoder } from './decode.ts'
import { postgresError } from './errors.ts'
import { Relations } from './relations.ts'
import { ReplicationConnection } from './replication.ts'
import { FrameReader, type FrameHandler } from './replication-frames.ts'
import type { RowFilter } from './row-filter.ts'

export interface StreamOptions {
  readonly client: ClientConfig
  readonly slot: string
  readonly publication: string
  /** The tables to follow, as the catalog has them now; others in the publication are passed over. */
  readonly tables: readonly TableInfo[]
  readonly types: TypeCatalog
  /** What committed before it is known already. */
  readonly after: bigint
  /** What committed before it is durable; `after` when absent. */
  readonly acknowledged?: bigint
  /** The position to commit together with everything before an LSN. Called with rising LSNs. */
  readonly positionAt: (lsn: bigint) => Position
  readonly filter: RowFilter | null
  readonly commits?: CommitLog | null
  /** Large transactions before their commit, where the server can; true when absent. */
  readonly streaming?: boolean
  readonly ctx: Pick<Context, 'clock' | 'logger'>
}

/**
 * The changes after `options.after`, until `signal` aborts (which rejects with its reason) or the
 * stream breaks (a SluiceError). Connects at the first pull. To be read once.
 */
export function streamChanges(options: StreamOptions, signal: AbortSignal): ChangeStream {
  return new ChangeStream(options, signal)
}

export class ChangeStream implements AsyncIterable<SourceBatch> {
  readonly #options: StreamOptions
  readonly #signal: AbortSignal
  #connection: ReplicationConnection | null = null

  constructor(options: StreamOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  /** Everything before `lsn` is durable; the server may forget it. Nothing happens while not connected. */
  acknowledge(lsn: bigint): void {
    this.#connection?.acknowledge(lsn)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SourceBatch, void, undefined> {
    const signal = this.#signal
    const { slot, ctx } = this.#options
    try {
      await using connection = await ReplicationConnection.open(
        { ...this.#options, streaming: this.#options.streaming ?? true, clock: ctx.clock },
        signal,
      )
      this.#connection = connection
      try {
        yield* this.#batches(connection)
      } finally {
        this.#connection = null
      }
    } catch (error) {
      signal.throwIfAborted()
      throw postgresError(error, `read from replication slot ${slot}`)
    }
  }

  #batches(connection: ReplicationConnection): AsyncIterable<SourceBatch> {
    const { tables, types, publication, ctx } = this.#options
    const relations = new Relations(tables, types, publication)
    const lost = (table: string): void =>
      ctx.logger.warn('a table followed so far has another name now and is passed over', { table })
    const decoder = new Decoder({ ...this.#options, relations, lost })
    return pullChanges(
      {
        socket: connection.socket,
        reader: new FrameReader(new StreamHandler(decoder, connection)),
        decoder,
        goOn: () => this.#lookUp(relations, decoder),
        clock: ctx.clock,
      },
      this.#signal,
    )
  }

  /** Asks the server about a table that is not as it was, on a connection of its own. */
  async #lookUp(relations: Relations, decoder: Decoder): Promise<void> {
    if (decoder.lookup === null) {
      throw new SluiceError('internal.bug', { message: 'The decoder waits for nothing.' })
    }
    const client = await connect(this.#options.client, this.#signal)
    try {
      await relations.load(client, decoder.lookup)
    } finally {
      await client.end()
    }
    decoder.resume()
  }
}

const errorResponse = 0x45
const copyBothResponse = 0x57
const noticeResponse = 0x4e
const parameterStatus = 0x53
/** SQLSTATE. */
const notInPrerequisiteState = '55000'

/** Where frames go: rows to the decoder, requests to the connection, errors to the caller. */
class StreamHandler implements FrameHandler {
  readonly #decoder: Decoder
  readonly #connection: ReplicationConnection
  #lastWalEnd = 0n

  constructor(decoder: Decoder, connection: ReplicationConnection) {
    this.#decoder = decoder
    this.#connection = connection
  }

  get waiting(): boolean {
    return this.#decoder.lookup !== null
  }

  message(source: Uint8Array, start: number, end: number, sentUs: number): void {
    this.#lastWalEnd = 0n
    this.#decoder.message(source, start, end, sentUs)
  }

  keepalive(walEnd: bigint, replyNow: boolean): void {
    this.#decoder.keepalive(walEnd)
    if (replyNow) this.#connection.answer(walEnd === this.#lastWalEnd)
    this.#lastWalEnd = walEnd
  }

  other(type: number, body: Uint8Array): void {
    if (type === copyBothResponse || type === parameterStatus) return
    if (type === errorResponse) throw serverError(body)
    if (type === noticeResponse) return refuseMissingPublication(serverError(body))
    throw new SluiceError('source.postgres.server_restarting', {
      message: 'The server ended the replication stream.',
    })
  }
}

/**
 * From PostgreSQL 18 on a publication that does not exist at this place in the WAL is only warned
 * about (pgoutput.c, LoadPublications), and the rows it would have published are passed over: before
 * 18 that is an error, and here it stays one.
 */
function refuseMissingPublication(notice: Error & { readonly code: string }): void {
  if (notice.code !== notInPrerequisiteState) return
  throw new SluiceError('source.postgres.publication_missing', {
    message: `The server passed changes over: ${notice.message}.`,
  })
}

/** ErrorResponse, NoticeResponse = { Byte1 field, String } 0; C = SQLSTATE, M = message (protocol-error-fields). */
function serverError(body: Uint8Array): Error & { readonly code: string } {
  const fields = Buffer.from(body).toString('utf8').split('\0')
  const field = (name: string): string =>
    fields.find((text) => text.startsWith(name))?.slice(1) ?? ''
  return Object.assign(new Error(field('M')), { code: field('C') })
}
