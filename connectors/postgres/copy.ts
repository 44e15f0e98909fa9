/**
 * COPY … TO STDOUT over a session of the driver, at the speed of the socket. The driver makes an event
 * and an object of every message, and the server sends a message per row; so for as long as the COPY
 * runs, this file reads the socket's bytes itself and gives the session back when the server is ready
 * for the next query.
 *
 *   message = type (1 byte) length (int32, counts itself) payload
 *   answer  = [ 'H' CopyOutResponse { 'd' CopyData } 'c' CopyDone 'C' CommandComplete ] [ 'E' ] 'Z' ReadyForQuery
 *             with 'N' notices and 'S' parameter reports anywhere
 *
 * PostgreSQL documentation 54.2.6 "COPY Operations" and 54.7 "Message Formats".
 */
import type { Socket } from 'node:net'
import type { Client } from 'pg'
import { SluiceError } from '../../core/errors/error.ts'

const copyData = 0x64
const errorResponse = 0x45
const readyForQuery = 0x5a
/** Anything but row data is short; a longer length means that the framing is lost. */
const otherBytesMax = 1 << 20
/** What one read gives at most; less means that the socket is empty now. */
const fullReadBytes = 65_536
const lazyPauseMs = 1
/** What may wait here while the reader is busy; the rest waits in the kernel and in the server. */
const waitingBytesMax = 512 * 1024

interface Wire {
  readonly stream: Socket
  query(text: string): void
}

/** An error of the server, in the driver's own form (`code` is the SQLSTATE). */
class ServerError extends Error {
  readonly code: string
  readonly severity: string
  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'unknown error')
    this.name = 'error'
    this.code = fields.get('C') ?? ''
    this.severity = fields.get('V') ?? fields.get('S') ?? ''
  }
}

/**
 * Runs `sql` and hands every piece of row data to `feed`, on the spot; yields after each read of the
 * socket, so that the caller can take what was gathered. Not pulling it pauses the server. The session
 * must be idle, and is idle again when this ends by itself; ended early, or by an error that is not the
 * server's, it is cut. Throws the server's error, the socket's, or the signal's reason.
 */
export async function* copyOut(
  client: Client,
  sql: string,
  feed: (source: Uint8Array, start: number, end: number) => void,
  signal: AbortSignal,
): AsyncGenerator<void> {
  signal.throwIfAborted()
  const wire = (client as unknown as { connection: Wire }).connection
  const socket = new BorrowedSocket(wire.stream)
  const frames = new Frames(feed)
  const stop = (): void => socket.fail(signal.reason as Error)
  signal.addEventListener('abort', stop, { once: true })
  try {
    wire.query(sql)
    while (!frames.ready) {
      const bytes = await socket.read()
      frames.feed(bytes)
      yield
    }
    if (frames.error !== null) throw frames.error
  } finally {
    signal.removeEventListener('abort', stop)
    socket.giveBack(frames.ready)
  }
}

/**
 * The socket's data events, taken from the driver and pulled one by one. After a read that came back
 * short it waits a millisecond: the server sends 8 KiB at a time, and a reader that takes each piece at
 * once makes both sides wake for it (measured: 280 ms of our CPU and 800 ms in all for 1M rows of 210
 * bytes, against 100 and 630 ms).
 */
class BorrowedSocket {
  readonly #socket: Socket
  readonly #drivers: ((bytes: Buffer) => void)[]
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #lazyTimer: NodeJS.Timeout | null = null
  #failure: Error | null = null
  #wake: (() => void) | null = null

  constructor(socket: Socket) {
    this.#socket = socket
    this.#drivers = socket.listeners('data') as ((bytes: Buffer) => void)[]
    for (const listener of this.#drivers) socket.off('data', listener)
    socket.on('data', this.#onData)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    if (socket.destroyed) this.#onClose()
  }

  /** The next bytes. Rejects with the reason when the connection is gone. */
  async read(): Promise<Buffer> {
    while (this.#waiting.length === 0) {
      if (this.#failure !== null) throw this.#failure
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const bytes = this.#waiting.shift()!
    this.#waitingBytes -= bytes.length
    if (this.#waitingBytes === 0 && this.#lazyTimer === null) this.#socket.resume()
    return bytes
  }

  fail(reason: Error): void {
    this.#failure ??= reason
    this.#wake?.()
  }

  giveBack(usable: boolean): void {
    const socket = this.#socket
    if (this.#lazyTimer !== null) clearTimeout(this.#lazyTimer)
    this.#lazyTimer = null
    socket.off('data', this.#onData)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    for (const listener of this.#drivers) socket.on('data', listener)
    if (usable && this.#waiting.length === 0) socket.resume()
    else socket.destroy()
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (bytes.length < fullReadBytes) {
      this.#socket.pause()
      this.#lazyTimer ??= setTimeout(this.#endPause, lazyPauseMs)
    } else if (this.#waitingBytes >= waitingBytesMax) this.#socket.pause()
    this.#wake?.()
  }
  readonly #endPause = (): void => {
    this.#lazyTimer = null
    if (this.#waitingBytes < waitingBytesMax) this.#socket.resume()
  }
  readonly #onError = (error: Error): void => this.fail(error)
  readonly #onClose = (): void => {
    this.fail(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }))
  }
}

/** Bytes in, row data out; whatever the borders of the reads are. */
class Frames {
  ready = false
  error: ServerError | null = null
  readonly #feed: (source: Uint8Array, start: number, end: number) => void
  /** Payload bytes still to come of the row data at hand. */
  #dataLeft = 0
  /** A message that is not row data, or the header of any, gathered until it is whole. */
  #part = Buffer.alloc(0)

  constructor(feed: (source: Uint8Array, start: number, end: number) => void) {
    this.#feed = feed
  }

  feed(bytes: Buffer): void {
    let at = 0
    const end = bytes.length
    while (at < end) {
      if (this.#dataLeft > 0) {
        const to = Math.min(end, at + this.#dataLeft)
        this.#dataLeft -= to - at
        this.#feed(bytes, at, to)
        at = to
      } else if (this.#part.length === 0 && end - at >= 5 && bytes[at] === copyData) {
        this.#dataLeft = payloadBytes(bytes, at)
        at += 5
      } else {
        at = this.#other(bytes, at)
      }
    }
  }

  /** Gathers a header, then, unless it is row data, its payload; returns how far `bytes` was used. */
  #other(bytes: Buffer, at: number): number {
    const part = this.#part
    const isHeader = part.length < 5
    const wanted = isHeader ? 5 : 5 + payloadBytes(part, 0)
    const to = Math.min(bytes.length, at + wanted - part.length)
    this.#part = Buffer.concat([part, bytes.subarray(at, to)])
    if (this.#part.length < wanted) return to
    const payload = payloadBytes(this.#part, 0)
    if (this.#part[0] === copyData) {
      this.#dataLeft = payload
      this.#part = Buffer.alloc(0)
    } else if (payload > otherBytesMax) {
      throw new SluiceError('source.postgres.protocol', {
        message: `A message of type ${this.#part[0]} and ${payload} bytes came in the middle of COPY data.`,
      })
    } else if (this.#part.length === 5 + payload) {
      this.#message(this.#part)
      this.#part = Buffer.alloc(0)
    }
    return to
  }

  #message(message: Buffer): void {
    if (message[0] === readyForQuery) this.ready = true
    if (message[0] !== errorResponse) return
    // Fields: type byte, text, NUL; a NUL alone ends them.
    const fields = new Map<string, string>()
    for (const field of message.toString('utf8', 5).split('\0')) {
      if (field !== '') fields.set(field[0]!, field.slice(1))
    }
    this.error ??= new ServerError(fields)
  }
}

function payloadBytes(header: Buffer, at: number): number {
  const length = header.readInt32BE(at + 1) - 4
  if (length < 0) {
    throw new SluiceError('source.postgres.protocol', {
      message: `A message of type ${header[at]} has the length ${length + 4}.`,
    })
  }
  return length
}
