/**
 * One statement and the rows of its result set, at the speed of the socket: the driver would make
 * objects of every row.
 *
 *   answer = OK | ERR | columns { definition } EOF { row } ( EOF | ERR )      a packet each
 *
 * ERR begins with 0xff. EOF begins with 0xfe and is short; a row that begins so holds a value of 16 MiB
 * or more. The driver never agrees to leave the first EOF out (CLIENT_DEPRECATE_EOF). MySQL source
 * documentation, "Text Resultset".
 */
import type { Clock } from '../../../core/connector/context.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Session } from '../connection.ts'
import type { ServerError } from '../errors.ts'
import { errorMarker, errorPacket, type PacketHandler } from '../binlog/packets.ts'
import { RawCommand } from '../binlog/raw-command.ts'

const queryCommand = 0x03
const okMarker = 0x00
const eofMarker = 0xfe
const localInfileMarker = 0xfb
const fullPacketBytes = 0xff_ffff

/** Takes rows, each on the spot: `source` holds other bytes after it returns. */
export interface RowSink {
  row(source: Uint8Array, start: number, end: number): void
}

/**
 * Runs `sql` and hands every row to `sink`; yields after each read of the socket, so that the caller
 * can take what was gathered. Not pulling it pauses the server. The session must be idle, and is idle
 * again when this ends by itself or with the server's error; ended early, or by any other error, it is
 * cut. Throws the server's or the socket's error, the signal's reason, or what `sink` throws.
 */
export async function* resultRows(
  session: Session,
  sql: string,
  sink: RowSink,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<void> {
  signal.throwIfAborted()
  const command = await RawCommand.send(session, queryPayload(session, sql), clock)
  const { socket } = command
  const answer = new Answer(sink)
  const packets = command.reader(answer)
  const stop = (): void => socket.fail(signal.reason as Error)
  signal.addEventListener('abort', stop, { once: true })
  try {
    while (!answer.ended) {
      signal.throwIfAborted()
      const chunk = socket.take()
      if (chunk === null) {
        await socket.wait()
        continue
      }
      packets.give(chunk)
      packets.run()
      yield
    }
  } finally {
    signal.removeEventListener('abort', stop)
    if (answer.ended) command.release()
    else {
      socket.destroy()
      session.destroy()
    }
  }
  if (answer.error !== null) throw answer.error
}

/** Both sides have agreed on query attributes (MySQL 8.0.23): a statement then says how many it has. */
const queryAttributesFlag = 0x0800_0000
const noAttributes = [0, 1]

/** What the driver does not declare. */
interface Capabilities {
  readonly config: { readonly clientFlags: number }
  readonly serverCapabilityFlags: number
}

function queryPayload({ connection }: Session, sql: string): Uint8Array {
  const { config, serverCapabilityFlags } = connection as unknown as Capabilities
  const hasAttributes = (config.clientFlags & serverCapabilityFlags & queryAttributesFlag) !== 0
  return Buffer.concat([
    Buffer.from([queryCommand, ...(hasAttributes ? noAttributes : [])]),
    Buffer.from(sql),
  ])
}

/** Where in the answer the next packet is. Hot. */
export class Answer implements PacketHandler {
  readonly waiting = false
  ended = false
  error: ServerError | null = null
  readonly #sink: RowSink
  /** Definitions still to come; −1 = the first packet of the answer is. */
  #definitions = -1
  /** The EOF between definitions and rows comes next. */
  #afterDefinitions = false

  constructor(sink: RowSink) {
    this.#sink = sink
  }

  packet(source: Uint8Array, start: number, end: number): void {
    if (this.ended) throw malformed('a packet after the end of a result set')
    if (start === end) throw malformed('an empty packet in a result set')
    const first = source[start]!
    if (first === errorMarker) {
      this.error = errorPacket(source, start, end)
      this.ended = true
    } else if (this.#definitions !== 0) {
      this.#head(source, start, end)
    } else if (this.#afterDefinitions) {
      if (!isEof(first, end - start)) throw malformed('a row among column definitions')
      this.#afterDefinitions = false
    } else if (isEof(first, end - start)) {
      this.ended = true
    } else {
      this.#sink.row(source, start, end)
    }
  }

  #head(source: Uint8Array, start: number, end: number): void {
    if (this.#definitions > 0) {
      this.#definitions--
      this.#afterDefinitions = this.#definitions === 0
      return
    }
    const first = source[start]!
    if (first === okMarker) {
      this.ended = true
      return
    }
    // A table has 4,096 columns at most: one byte, or 0xfc and two.
    if (first === 0xfc && end - start === 3) {
      this.#definitions = source[start + 1]! | (source[start + 2]! << 8)
    } else if (first < localInfileMarker && end - start === 1) {
      this.#definitions = first
    } else {
      throw malformed('an answer that is no result set')
    }
    if (this.#definitions === 0) throw malformed('a result set without columns')
  }
}

function isEof(first: number, bytes: number): boolean {
  return first === eofMarker && bytes < fullPacketBytes
}

function malformed(what: string): SluiceError {
  return new SluiceError('source.mysql.protocol', { message: `The server sent ${what}.` })
}
