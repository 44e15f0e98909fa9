/**
 * The bytes of a replication connection → messages. A message that lies in one chunk whole is read
 * where it is; one that straddles chunks is gathered in a buffer of its own first. Hot.
 *
 *   backend  = Byte1 type, Int32 length (itself included), body
 *   copyData = 'd' length, ( xLogData | keepalive )
 *   xLogData = 'w' Int64 start of the WAL, Int64 end of it, Int64 time sent, message
 *   keepalive = 'k' Int64 end of the WAL, Int64 time sent, Int8 1 = reply at once
 *
 * PostgreSQL documentation, protocol-message-formats and protocol-replication (18).
 */
import { SluiceError } from '../../core/errors/error.ts'
import { bigintAt, int32At, MessageType, timeUsAt } from './pgoutput.ts'

const copyData = 0x64
const xLogData = 0x77
const keepalive = 0x6b
const headerBytes = 5
const xLogHeaderBytes = 25
const keepaliveBytes = 18
/** A value takes at most 1 GB, an old row and a new one come in one message; anything larger is no length. */
const messageBytesMax = 0x7ffffff0

/** A buffer that grew beyond this for one message is not kept. */
const keptBytesMax = 4 << 20

/** What the frames are for. `source` is only valid during the call. */
export interface FrameHandler {
  /** One message of the output plugin. */
  message(source: Uint8Array, start: number, end: number, sentUs: number): void
  keepalive(walEnd: bigint, replyNow: boolean): void
  /** Any message that is not CopyData: its type byte and body. */
  other(type: number, body: Uint8Array): void
  /** Whether messages may go on; when not, `run` returns with the rest unread. */
  readonly waiting: boolean
}

export class FrameReader {
  readonly #handler: FrameHandler
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  /** A message that began in an earlier chunk: its first `#heldBytes` bytes. */
  #held: Uint8Array = new Uint8Array(1 << 16)
  #heldBytes = 0

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /** Takes the next bytes; `run` must have returned true before. They must not change until it does again. */
  give(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#at = 0
  }

  /** Reads messages until the chunk is used up (true) or the handler waits (false). */
  run(): boolean {
    while (!this.#handler.waiting) {
      if (this.#heldBytes > 0) {
        if (!this.#fillHeld()) return true
        const end = this.#heldBytes
        const held = this.#held
        this.#heldBytes = 0
        this.#frame(held, 0, end)
        if (held.length > keptBytesMax) this.#held = new Uint8Array(1 << 16)
        continue
      }
      const chunk = this.#chunk
      const left = chunk.length - this.#at
      if (left === 0) return true
      const end = left < headerBytes ? Infinity : this.#at + frameBytes(chunk, this.#at)
      if (end > chunk.length) {
        this.#hold(left)
        continue
      }
      const start = this.#at
      this.#at = end
      this.#frame(chunk, start, end)
    }
    return false
  }

  /** Moves bytes to the held message until it is whole (true) or the chunk is used up. */
  #fillHeld(): boolean {
    if (this.#heldBytes < headerBytes) {
      this.#hold(Math.min(headerBytes - this.#heldBytes, this.#chunk.length - this.#at))
      if (this.#heldBytes < headerBytes) return false
    }
    const wanted = frameBytes(this.#held, 0) - this.#heldBytes
    this.#hold(Math.min(wanted, this.#chunk.length - this.#at))
    return this.#heldBytes === frameBytes(this.#held, 0)
  }

  #hold(bytes: number): void {
    const end = this.#heldBytes + bytes
    if (end > this.#held.length) {
      // Grows with what arrives, not with what the length promises.
      const grown = new Uint8Array(Math.max(end, this.#held.length * 2))
      grown.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = grown
    }
    this.#held.set(this.#chunk.subarray(this.#at, this.#at + bytes), this.#heldBytes)
    this.#heldBytes = end
    this.#at += bytes
  }

  /** One message with its header, source[start, end). */
  #frame(source: Uint8Array, start: number, end: number): void {
    if (source[start] !== copyData) {
      return this.#handler.other(source[start]!, source.slice(start + headerBytes, end))
    }
    const at = start + headerBytes
    if (source[at] === xLogData && end - at > xLogHeaderBytes) {
      const message = at + xLogHeaderBytes
      const sentUs = source[message] === MessageType.streamStart ? timeUsAt(source, at + 17) : 0
      this.#handler.message(source, message, end, sentUs)
    } else if (source[at] === keepalive && end - at === keepaliveBytes) {
      this.#handler.keepalive(bigintAt(source, at + 1), source[at + 17] === 1)
    } else throw frameError('CopyData of an unknown kind', source[at] ?? 0)
  }
}

/** Bytes of the whole message that begins at `at`. */
function frameBytes(source: Uint8Array, at: number): number {
  const length = int32At(source, at + 1)
  if (length < 4 || length > messageBytesMax)
    throw frameError('a message of no length', source[at]!)
  return length + 1
}

function frameError(what: string, type: number): SluiceError {
  return new SluiceError('source.postgres.protocol', {
    message: `The server sent ${what} (type byte 0x${type.toString(16)}).`,
  })
}
