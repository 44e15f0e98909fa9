/**
 * A command whose answer is read as bytes and not by the driver: the change stream and the rows of the
 * first copy. The driver opens and authenticates the connection and queues the command like its own; when
 * its turn comes, the socket's bytes come here until `release`.
 *
 * Not for the time that the driver's packets take (measured: 300,000 small events cost 21–57 ms of
 * processor here and 27–64 ms through them), but because a reader in the middle of a chunk has to stand
 * still while a table is asked about, an unread rest has to be bounded, and its compressed
 * connections unpack ahead of whoever reads.
 */
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../core/connector/context.ts'
import { LazySocket } from '../../../core/connector/lazy-socket.ts'
import type { Session } from '../connection.ts'
import { commandPacket, packetReader, type PacketHandler, type Packets } from './packets.ts'

/** What the driver does not declare. */
interface DriverConnection {
  /** With TLS the one that is encrypted. */
  readonly stream: Duplex
  readonly config: { readonly compress: boolean | number }
  addCommand(command: DriverCommand): void
  /** Without a packet: asks the command at work whether it is done, and begins the next. */
  handlePacket(): void
}
interface DriverCommand {
  /** True = done. First called without a packet, when it is this command's turn. */
  execute(packet: unknown, connection: DriverConnection): boolean
  /** The connection is lost. */
  onResult(error: Error): void
}
type Listener = (chunk: Uint8Array) => void

export class RawCommand {
  readonly socket: LazySocket
  readonly #connection: DriverConnection
  readonly #listeners: readonly Listener[]
  readonly #done: () => void

  private constructor(connection: DriverConnection, clock: Clock, done: () => void) {
    const { stream } = connection
    this.#connection = connection
    this.#done = done
    this.#listeners = stream.listeners('data') as Listener[]
    stream.removeAllListeners('data')
    this.socket = new LazySocket(stream, clock)
  }

  /** Sends the command (its byte and arguments) once those before it are answered. Rejects with the driver's error. */
  static send(session: Session, payload: Uint8Array, clock: Clock): Promise<RawCommand> {
    const connection = session.connection as unknown as DriverConnection
    return new Promise((resolve, reject) => {
      let done = false
      let raw: RawCommand | null = null
      connection.addCommand({
        execute: () => {
          if (raw === null) {
            raw = new RawCommand(connection, clock, () => (done = true))
            connection.stream.write(commandPacket(payload, isCompressed(connection)))
            resolve(raw)
          }
          return done
        },
        onResult: (error) => {
          raw?.socket.fail(error)
          reject(error)
        },
      })
    })
  }

  /** What makes payloads of the socket's bytes. */
  reader(handler: PacketHandler): Packets {
    return packetReader(handler, isCompressed(this.#connection))
  }

  /** The answer was read to its end: the connection is the driver's again. */
  release(): void {
    const { stream } = this.#connection
    this.socket.release()
    for (const listener of this.#listeners) stream.on('data', listener)
    stream.resume()
    this.#done()
    this.#connection.handlePacket()
  }
}

function isCompressed(connection: DriverConnection): boolean {
  return Boolean(connection.config.compress)
}
