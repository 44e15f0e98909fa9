/**
 * The server as a source of its binlog: registers as a replica, says where to begin and how often to
 * give a sign of life, and asks for the events; their bytes are read off the connection's socket.
 *
 *   registerSlave = Int8 0x15, Int32 server id, text host, text user, text password, Int16 port,
 *                   Int32 rank, Int32 source id                            text = Int8 length, bytes
 *   dump          = Int8 0x12, Int32 offset, Int16 flags, Int32 server id, file
 *   dumpGtid      = Int8 0x1e, Int16 flags, Int32 server id, Int32 length, file, Int64 offset,
 *                   Int32 length, GTID set in binary
 *   answer        = { 0x00, event | ERR | EOF }
 *
 * MySQL source documentation, COM_REGISTER_SLAVE, COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID (9.7); MariaDB
 * Knowledge Base, "5-Slave Registration" and sql/sql_repl.cc (11.8): MariaDB takes its GTIDs as the
 * user variable @slave_connect_state and has no command for them.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../../core/connector/context.ts'
import type { LazySocket } from '../../../core/connector/lazy-socket.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { connect, nameOf, type Session, type Target } from '../connection.ts'
import { GtidSet } from './gtid-set.ts'
import { errorMarker, errorPacket, type PacketHandler, type Packets } from './packets.ts'
import type { StreamPlace } from '../place.ts'
import { RawCommand } from './raw-command.ts'
import { textLiteral } from '../schema/table-pattern.ts'

export interface DumpOptions {
  readonly target: Target
  /** Where to begin. With GTIDs any server that has them will do, without only the one of these files. */
  readonly from: StreamPlace
  /** The id of a replica, different from all others of the server. */
  readonly serverId: number
  /** How often the server gives a sign of life when it has no events. */
  readonly heartbeatMs: number
  readonly clock: Clock
}

const registerSlave = 0x15
const dump = 0x12
const dumpGtid = 0x1e
/** MySQL since 8.0.26: heartbeats with a place beyond 4 GiB; servers before pass over it, MariaDB means something else. */
const heartbeatsV2 = 0x02
/** The first event of every file, after its magic. */
export const firstOffset = 4
/** What a dump without GTIDs can name: its offset has four bytes. */
const offsetMax = 0xffff_ffff
/** MariaDB 10's GTID events; below it the server would translate them for old replicas. */
const mariadbCapability = 4
const hostName = 'sluice'
/** How long the end of a dump may take at the server. */
const endTimeoutMs = 1000

export class BinlogDump implements AsyncDisposable {
  /** Whose binlog it is: server_uuid, or MariaDB's server_id. */
  readonly served: string
  readonly #options: DumpOptions
  readonly #signal: AbortSignal
  readonly #session: Session
  /** The server's number of the session. */
  readonly #thread: string
  readonly #command: RawCommand

  private constructor(
    { served, thread }: Served,
    [options, signal]: [DumpOptions, AbortSignal],
    session: Session,
    command: RawCommand,
  ) {
    this.served = served
    this.#options = options
    this.#signal = signal
    this.#session = session
    this.#thread = thread
    this.#command = command
  }

  /** Connects and asks; the answer, be it an error, comes with the first bytes. Aborted: the connection is cut. */
  static async open(options: DumpOptions, signal: AbortSignal): Promise<BinlogDump> {
    // Until events are asked for nobody promises signs of life.
    const late = new AbortController()
    const opened = new AbortController()
    const limitMs = options.target.timeoutMs * 2
    const watching = options.clock.sleep(limitMs, opened.signal).then(
      () => late.abort(openedTooLate(options.target, limitMs)),
      () => {},
    )
    try {
      return await BinlogDump.#open(options, AbortSignal.any([signal, late.signal]))
    } finally {
      opened.abort()
      await watching
    }
  }

  static async #open(options: DumpOptions, signal: AbortSignal): Promise<BinlogDump> {
    const { target, from, clock } = options
    const session = await connect(target, signal)
    try {
      const server = await serverOf(session, from)
      if (from.gtids === null && from.server !== '' && server.served !== from.server) {
        throw new SluiceError('source.mysql.other_server', {
          message: `${nameOf(target)} is not the server whose binlog was read so far.`,
        })
      }
      await session.query(replicaSettings(options))
      await register(session, options.serverId, clock)
      const command = await RawCommand.send(session, dumpCommand(options), clock)
      return new BinlogDump(server, [options, signal], session, command)
    } catch (error) {
      session.destroy()
      signal.throwIfAborted()
      throw error
    }
  }

  get socket(): LazySocket {
    return this.#command.socket
  }

  /** What makes packets of the socket's bytes: 0x00 and an event each, or the end. */
  reader(handler: PacketHandler): Packets {
    return this.#command.reader(handler)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#command.socket.destroy()
    this.#session.destroy()
    await this.#session[Symbol.asyncDispose]()
    if (this.#signal.aborted || !this.#command.socket.lost) await this.#endThread()
  }

  /**
   * A server notices a closed connection only when it writes to it: until the next sign of life the
   * thread would hold its binlog against PURGE and be listed as a replica. Best effort: whatever is in
   * the way of it, the thread ends by itself then.
   */
  async #endThread(): Promise<void> {
    const { target, from } = this.#options
    try {
      await using session = await connect(target, AbortSignal.timeout(endTimeoutMs))
      // The number may be somebody else's by now, on a server that was started again or on another one.
      if ((await serverOf(session, from)).served !== this.served) return
      const threads = await session.query(
        `SELECT ID AS id FROM information_schema.PROCESSLIST
          WHERE ID = ${this.#thread} AND COMMAND LIKE 'Binlog Dump%'`,
      )
      if (threads.length > 0) await session.query(`KILL CONNECTION ${this.#thread}`)
    } catch {
      // See above.
    }
  }
}

function openedTooLate(target: Target, limitMs: number): SluiceError {
  return new SluiceError('source.mysql.silent', {
    message: `${nameOf(target)} did not answer within ${Math.round(limitMs / 1000)} s.`,
  })
}

interface Served {
  readonly served: string
  readonly thread: string
}

/** Checks the flavour too: a server rewrites GTIDs for a replica of the other one. */
async function serverOf(session: Session, from: StreamPlace): Promise<Served> {
  const rows = await session.query(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_id', 'server_uuid', 'version')`,
  )
  const values = new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]))
  const flavour = /mariadb/i.test(values.get('version') ?? '') ? 'mariadb' : 'mysql'
  if (flavour !== from.flavour) {
    throw new SluiceError('source.mysql.other_server', {
      message: `The server is a ${flavour} server; the one read so far was a ${from.flavour} server.`,
    })
  }
  const [own] = await session.query('SELECT CONNECTION_ID() AS id')
  return {
    served: values.get(flavour === 'mysql' ? 'server_uuid' : 'server_id') ?? '',
    thread: String(own?.['id']),
  }
}

/**
 * What the sender looks up in its session. Checksums as in the files: one that is asked for differently
 * is taken off or put on by the server. In strict mode a place that the binlog does not hold is an
 * error, also where later transactions of that domain would be there.
 */
function replicaSettings({ from, serverId, heartbeatMs }: DumpOptions): string {
  const nanoseconds = heartbeatMs * 1_000_000
  const settings = [
    `@master_heartbeat_period = ${nanoseconds}`,
    `@source_heartbeat_period = ${nanoseconds}`,
    '@master_binlog_checksum = @@global.binlog_checksum',
    '@source_binlog_checksum = @@global.binlog_checksum',
  ]
  if (from.flavour === 'mysql') {
    // By its uuid the server finds a dead session of the same replica, which it ends.
    const uuid = uuidOf(serverId)
    settings.push(`@slave_uuid = '${uuid}'`, `@replica_uuid = '${uuid}'`)
  } else {
    settings.push(`@mariadb_slave_capability = ${mariadbCapability}`)
    if (from.gtids !== null) {
      settings.push(
        `@slave_connect_state = ${textLiteral(from.gtids)}`,
        '@slave_gtid_strict_mode = 1',
        '@slave_gtid_ignore_duplicates = 0',
      )
    }
  }
  return `SET ${settings.join(', ')}`
}

/** The same id has the same uuid, so that both are taken or free together. */
function uuidOf(serverId: number): string {
  const hex = createHash('sha256').update(`sluice replica ${serverId}`).digest('hex')
  return [8, 4, 4, 4, 12].reduce<readonly [string, number]>(
    ([text, at], length) => [
      `${text}${text === '' ? '' : '-'}${hex.slice(at, at + length)}`,
      at + length,
    ],
    ['', 0],
  )[0]
}

/** So that SHOW REPLICAS lists us. */
async function register(session: Session, serverId: number, clock: Clock): Promise<void> {
  const host = Buffer.from(hostName)
  const bytes = Buffer.alloc(5 + 1 + host.length + 1 + 1 + 2 + 4 + 4)
  bytes[0] = registerSlave
  bytes.writeUInt32LE(serverId, 1)
  bytes[5] = host.length
  host.copy(bytes, 6)
  const command = await RawCommand.send(session, bytes, clock)
  const answer = new OneAnswer()
  const packets = command.reader(answer)
  while (!answer.waiting) {
    const chunk = command.socket.take()
    if (chunk === null) await command.socket.wait()
    else {
      packets.give(chunk)
      packets.run()
    }
  }
  command.release()
}

class OneAnswer implements PacketHandler {
  waiting = false

  packet(source: Uint8Array, start: number, end: number): void {
    if (source[start] === errorMarker) throw errorPacket(source, start, end)
    this.waiting = true
  }
}

function dumpCommand({ from, serverId }: DumpOptions): Uint8Array {
  const flags = from.flavour === 'mysql' ? heartbeatsV2 : 0
  if (from.gtids !== null && from.flavour === 'mysql') {
    return gtidDump(GtidSet.parse(from.gtids).encode(), flags, serverId)
  }
  // MariaDB finds the file by @slave_connect_state.
  const file = Buffer.from(from.gtids === null ? from.file : '')
  const bytes = Buffer.alloc(11 + file.length)
  bytes[0] = dump
  // Where four bytes cannot name the place, the file is read from its start: the decoder passes over
  // the transactions before `from`, and only a file with one of more than 3 GiB gets so long.
  const offset = from.gtids !== null || from.offset > offsetMax ? firstOffset : from.offset
  bytes.writeUInt32LE(offset, 1)
  bytes.writeUInt16LE(flags, 5)
  bytes.writeUInt32LE(serverId, 7)
  file.copy(bytes, 11)
  return bytes
}

function gtidDump(gtids: Uint8Array, flags: number, serverId: number): Uint8Array {
  const bytes = Buffer.alloc(23 + gtids.length)
  bytes[0] = dumpGtid
  bytes.writeUInt16LE(flags, 1)
  bytes.writeUInt32LE(serverId, 3)
  bytes.writeUInt32LE(0, 7)
  bytes.writeBigUInt64LE(BigInt(firstOffset), 11)
  bytes.writeUInt32LE(gtids.length, 19)
  bytes.set(gtids, 23)
  return bytes
}
