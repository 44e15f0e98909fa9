/**
 * Station 1, read: the change stream of a server's binlog, driven by pulling
 * (core/connector/pull-changes.ts). Whoever called reopens it after an error, from the last position
 * committed.
 */
import type { Context } from '../../../core/connector/context.ts'
import { pullChanges } from '../../../core/connector/pull-changes.ts'
import { watchSilence } from '../../../core/connector/silence.ts'
import type { Position, SourceBatch } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { BinlogDump, firstOffset } from './binlog-dump.ts'
import { nameOf, type Target } from '../connection.ts'
import { Decoder } from './decode.ts'
import { mysqlError } from '../errors.ts'
import { errorMarker, errorPacket, type PacketHandler } from './packets.ts'
import { readFrom, type StreamPlace } from '../place.ts'
import { markTaken, replicaId } from './replica-ids.ts'
import type { TableDirectory } from '../schema/table-directory.ts'

export interface StreamOptions {
  readonly target: Target
  /** All transactions up to here are known already. */
  readonly from: StreamPlace
  /** Which tables are followed, and what they look like at each place of the stream. */
  readonly directory: TableDirectory
  /** The position to commit together with everything before a place. Called with places in order. */
  readonly positionAt: (place: StreamPlace) => Position
  /** The id of a replica; another one is drawn where it turns out to be taken, unless `serverIdFixed`. */
  readonly serverId: number
  readonly serverIdFixed?: boolean
  /** How often the server is to give a sign of life. */
  readonly heartbeatMs: number
  readonly ctx: Pick<Context, 'clock' | 'logger' | 'random'>
}

/** Of a GTID set in a message. */
const namedGtidsMax = 300

/**
 * The changes after `options.from`, until `signal` aborts (which rejects with its reason) or the stream
 * breaks (a SluiceError). Connects at the first pull. To be read once.
 */
export function streamChanges(options: StreamOptions, signal: AbortSignal): ChangeStream {
  return new ChangeStream(options, signal)
}

export class ChangeStream implements AsyncIterable<SourceBatch> {
  readonly #options: StreamOptions
  readonly #signal: AbortSignal
  #served: string | null = null
  #reading: Decoder | null = null

  constructor(options: StreamOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  /** Whose binlog is read (server_uuid, or MariaDB's server id); null before the first batch was asked for. */
  get served(): string | null {
    return this.#served
  }

  /** The end of the last transaction that was read, be it handed out or not. */
  get place(): StreamPlace {
    return this.#reading?.place ?? this.#options.from
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SourceBatch, void, undefined> {
    const signal = this.#signal
    const { serverId, serverIdFixed, target, from, ctx } = this.#options
    const id = serverIdFixed === true ? serverId : replicaId(serverId, ctx.random)
    const stop = new AbortController()
    try {
      await using dump = await BinlogDump.open(
        { ...this.#options, from: readFrom(from), serverId: id, clock: ctx.clock },
        signal,
      )
      this.#served = dump.served
      const watching = watchSilence(
        {
          socket: dump.socket,
          periodMs: this.#options.heartbeatMs,
          code: 'source.mysql.silent',
          clock: ctx.clock,
        },
        stop.signal,
      )
      try {
        yield* this.#batches(dump)
      } finally {
        stop.abort()
        await watching
      }
    } catch (thrown) {
      signal.throwIfAborted()
      const error = mysqlError(thrown, `read the binlog of ${nameOf(target)} ${afterWhat(from)}`)
      if (error.code === 'source.mysql.server_id_clash') {
        ctx.logger.warn('another replica of the server has the id of this one', { id })
        markTaken(id)
      }
      throw error
    }
  }

  #batches(dump: BinlogDump): AsyncIterable<SourceBatch> {
    const decoder = this.#decoder(dump)
    this.#reading = decoder
    return pullChanges(
      {
        socket: dump.socket,
        reader: dump.reader(new StreamHandler(decoder)),
        decoder,
        goOn: () => this.#goOn(decoder),
        clock: this.#options.ctx.clock,
      },
      this.#signal,
    )
  }

  #decoder({ served }: BinlogDump): Decoder {
    const { from } = this.#options
    // On another server the place is its GTIDs alone; the first event says in which file they end there.
    const place = served === from.server ? from : { ...from, file: '', offset: firstOffset }
    return new Decoder({
      ...this.#options,
      from: { ...place, server: served },
    })
  }

  /**
   * What the last event waits for: a table that is not as it was, about which the directory asks the
   * server on a connection of its own, or more of a large compressed transaction.
   */
  async #goOn(decoder: Decoder): Promise<void> {
    if (decoder.lookup !== null) {
      await this.#options.directory.load(decoder.lookup, this.#signal)
    } else await decoder.unpacking?.more(this.#signal)
    decoder.resume()
  }
}

/** Beside an error, since MariaDB does not say which transactions it misses. */
function afterWhat({ gtids, file, offset }: StreamPlace): string {
  if (gtids === null) return `from ${file}:${offset} on`
  const text = gtids === '' ? 'from its first transaction on' : `after ${gtids}`
  return text.length <= namedGtidsMax ? text : `${text.slice(0, namedGtidsMax)}…`
}

const eventMarker = 0x00

/** Where packets go: events to the decoder, errors to the caller. Hot. */
class StreamHandler implements PacketHandler {
  readonly #decoder: Decoder

  constructor(decoder: Decoder) {
    this.#decoder = decoder
  }

  get waiting(): boolean {
    return this.#decoder.standing
  }

  packet(source: Uint8Array, start: number, end: number): void {
    if (source[start] !== eventMarker) throw endOf(source, start, end)
    this.#decoder.event(source, start + 1, end)
  }
}

function endOf(source: Uint8Array, start: number, end: number): Error {
  if (source[start] === errorMarker) return errorPacket(source, start, end)
  return new SluiceError('source.mysql.server_restarting', {
    message: 'The server ended the change stream.',
  })
}
