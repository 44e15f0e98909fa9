/**
 * The replication connection: opened through pg-logical-replication, whose own timer stays off
 * because it acknowledges what was received and not what is durable. Its plugin hook hands over the
 * connected client; from there on this file speaks the protocol: START_REPLICATION, status updates
 * whose three places are all the acknowledged one, and a watch over a silent server.
 *
 * PostgreSQL documentation, protocol-replication (18): "Standby status update", START_REPLICATION.
 */
import { Socket } from 'node:net'
import type { Client, ClientConfig } from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import { SluiceError } from '../../core/errors/error.ts'
import type { Clock } from '../../core/connector/context.ts'
import { LazySocket } from '../../core/connector/lazy-socket.ts'
import { ticksPerPeriod, watchSilence } from '../../core/connector/silence.ts'
import { formatLsn } from './lsn.ts'
import { sessionSettingsSql } from './session.ts'
import { quoteIdent } from './table-pattern.ts'

export interface ReplicationOptions {
  readonly client: ClientConfig
  readonly slot: string
  readonly publication: string
  /** Where the stream begins: at this LSN or where the slot was confirmed, whichever is later. */
  readonly after: bigint
  /** What may be acknowledged at once; `after` when absent. */
  readonly acknowledged?: bigint
  /** Whether large transactions are sent before they commit (protocol 2, PostgreSQL 14+). */
  readonly streaming: boolean
  readonly clock: Clock
}

/** Protocol 2 came with this version; older servers are spoken to in protocol 1. */
const streamingVersionMin = 140_000
/** The server's clock counts µs from 2000-01-01. */
const epochMs = 946_684_800_000
/** Of the watch over silence: after so many without a status update one is due. */
const statusTicks = ticksPerPeriod * 0.75
/** A server that asks so often in a row, and sends nothing else, waits to stop for what cannot come. */
const requestsInRowMax = 100

export class ReplicationConnection implements AsyncDisposable {
  readonly #socket: LazySocket
  readonly #write: (bytes: Uint8Array) => void
  readonly #service: LogicalReplicationService
  readonly #clock: Clock
  readonly #stop = new AbortController()
  readonly #watching: Promise<void>
  #acknowledged: bigint
  #ticksSinceStatus = 0
  #requestsInRow = 0

  private constructor(
    taken: Taken,
    service: LogicalReplicationService,
    options: ReplicationOptions,
  ) {
    this.#socket = taken.socket
    this.#write = taken.write
    this.#service = service
    this.#clock = options.clock
    this.#acknowledged = options.acknowledged ?? options.after
    this.#watching = this.#watch(taken.timeoutMs)
  }

  /** Connects and asks for the stream; the server's answer comes with the first bytes. */
  static async open(
    options: ReplicationOptions,
    signal: AbortSignal,
  ): Promise<ReplicationConnection> {
    signal.throwIfAborted()
    // A socket of our own can be cut while the driver is still connecting.
    const raw = new Socket()
    const abort = (): void => void raw.destroy()
    signal.addEventListener('abort', abort, { once: true })
    const service = new LogicalReplicationService(
      { ...options.client, stream: () => raw },
      { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: false } },
    )
    const hook = new TakeOver(options)
    // The service repeats here what also rejects `subscribe`, or ends the socket.
    service.on('error', (error) => hook.taken?.socket.fail(error))
    try {
      await service.subscribe(hook, options.slot, formatLsn(options.after))
      // The service takes a connection that was lost meanwhile for one that it ended itself, and says nothing.
      if (hook.taken === null) throw hook.failure
      return new ReplicationConnection(hook.taken, service, options)
    } catch (error) {
      raw.destroy()
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  get socket(): LazySocket {
    return this.#socket
  }

  /** Everything before `lsn` is durable; the server may forget it. Only forwards. */
  acknowledge(lsn: bigint): void {
    if (lsn <= this.#acknowledged) return
    this.#acknowledged = lsn
    this.#sendStatus(false)
  }

  /** The server asked for a status update, `idle` when nothing came since it last did. */
  answer(idle: boolean): void {
    this.#requestsInRow = idle ? this.#requestsInRow + 1 : 0
    if (this.#requestsInRow > requestsInRowMax) {
      // A server that shuts down waits until its standbys have flushed everything, asking without a
      // pause. What is not durable by then will be sent again after its restart.
      this.#socket.fail(
        new SluiceError('source.postgres.server_restarting', {
          message: 'The server waits for this connection to end before it stops.',
        }),
      )
    }
    this.#sendStatus(false)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#socket.destroy()
    await this.#watching
    await this.#service.destroy()
  }

  /**
   * CopyData of a standby status update:
   * 'r' Int64 written, Int64 flushed, Int64 applied, Int64 our clock, Int8 1 = answer at once
   */
  #sendStatus(answerNow: boolean): void {
    const bytes = Buffer.alloc(39)
    bytes[0] = 0x64
    bytes.writeInt32BE(38, 1)
    bytes[5] = 0x72
    bytes.writeBigUInt64BE(this.#acknowledged, 6)
    bytes.writeBigUInt64BE(this.#acknowledged, 14)
    bytes.writeBigUInt64BE(this.#acknowledged, 22)
    bytes.writeBigInt64BE(BigInt(this.#clock.nowMs() - epochMs) * 1000n, 30)
    bytes[38] = answerNow ? 1 : 0
    this.#ticksSinceStatus = 0
    this.#write(bytes)
  }

  /**
   * Says that we live at 75 % of the server's wal_sender_timeout, also while nobody takes what it
   * sends. The server asks at 50 %, so that an idle connection is never silent. Without a time-out it
   * may be silent for as long as it likes, and TCP's own keepalive finds a connection that is gone.
   */
  #watch(timeoutMs: number): Promise<void> {
    if (timeoutMs === 0) return Promise.resolve()
    const onTick = (ask: boolean): void => {
      this.#ticksSinceStatus++
      if (ask || this.#ticksSinceStatus >= statusTicks) this.#sendStatus(ask)
    }
    return watchSilence(
      {
        socket: this.#socket,
        periodMs: timeoutMs,
        code: 'source.postgres.silent',
        clock: this.#clock,
        onTick,
      },
      this.#stop.signal,
    )
  }
}

interface Taken {
  readonly socket: LazySocket
  readonly write: (bytes: Uint8Array) => void
  /** wal_sender_timeout; 0 = none. */
  readonly timeoutMs: number
}

/** What the driver keeps to itself: its connection, and the stream below (which TLS replaces). */
interface DriverConnection {
  readonly stream: import('node:stream').Duplex
  query(text: string): void
}

/** The library's plugin: where it would start the stream, the socket is taken over instead. */
class TakeOver {
  readonly name = 'pgoutput'
  readonly options: ReplicationOptions
  taken: Taken | null = null
  /** Why nothing was taken. */
  failure: unknown = null

  constructor(options: ReplicationOptions) {
    this.options = options
  }

  async start(client: Client, slot: string, lsn: string): Promise<void> {
    try {
      this.taken = await this.#take(client, slot, lsn)
    } catch (error) {
      this.failure = error
      throw error
    }
  }

  async #take(client: Client, slot: string, lsn: string): Promise<Taken> {
    await client.query(`${sessionSettingsSql}; SET statement_timeout = 0`)
    const { rows } = await client.query<{ version: number; timeout: number }>(
      `SELECT current_setting('server_version_num')::int AS version,
              (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS timeout`,
    )
    const { version, timeout } = rows[0]!
    const { connection } = client as unknown as { readonly connection: DriverConnection }
    const { stream } = connection
    // The driver's parser would make an object of every message.
    stream.removeAllListeners('data')
    const socket = new LazySocket(stream, this.options.clock)
    const write = (bytes: Uint8Array): void => {
      if (stream.writable) stream.write(bytes)
    }
    const options = this.#pluginOptions(version >= streamingVersionMin && this.options.streaming)
    connection.query(`START_REPLICATION SLOT ${quoteIdent(slot)} LOGICAL ${lsn} (${options})`)
    return { socket, write, timeoutMs: timeout }
  }

  /** Never called: no message reaches the library. */
  parse(): never {
    throw new SluiceError('internal.bug', { message: 'A message reached the replication library.' })
  }

  /** The publication's name is an identifier within a literal; replication commands know no E''. */
  #pluginOptions(streaming: boolean): string {
    const name = quoteIdent(this.options.publication).replaceAll("'", "''")
    return streaming
      ? `proto_version '2', publication_names '${name}', streaming 'on'`
      : `proto_version '1', publication_names '${name}'`
  }
}
