/**
 * TRANSACTION_PAYLOAD (binlog_transaction_compression): the events of a transaction, packed together.
 *
 *   payload = { packed field, packed length, content } packed 0, events
 *   field   = 1 bytes of the packed events · 2 compression: 0 zstd, 255 none · 3 bytes unpacked
 *   events  = as everywhere, without checksums; their places in the file mean nothing
 *
 * A small one is unpacked at once. A large one (a transaction may be larger than the memory) is unpacked
 * piece by piece while its events are decoded; nobody holds the whole.
 *
 * mysql-server 9.7, libs/mysql/binlog/event/control_events.h (Transaction_payload_event).
 */
import { createZstdDecompress, zstdDecompressSync, type ZstdDecompress } from 'node:zlib'
import { headerBytes, lengthOf } from './event-header.ts'
import { EventType, PackedReader, protocolError } from './events.ts'

/** Unpacked at once up to here. */
const atOnceBytesMax = 4 << 20
/** Unpacked by the piece. */
const pieceBytes = 1 << 20
/** No event is longer: max_allowed_packet's own bound. */
const eventBytesMax = 1 << 30

const type = EventType.transactionPayload
const fieldEnd = 0
const fieldSize = 1
const fieldCompression = 2
const fieldUnpackedSize = 3
const compressionNone = 255

export class Payload {
  /** Unpacked bytes; the next event begins at `at`. */
  bytes: Uint8Array
  at: number
  #end: number
  #pieces: AsyncIterator<Uint8Array> | null = null
  #stream: ZstdDecompress | null = null
  /** Of what is yet to be unpacked. */
  #left = 0

  /** source[start, end) from the post-header on; it has to stay as it is until the last event was taken. */
  constructor(source: Uint8Array, start: number, end: number) {
    const reader = new PackedReader(source, start, end, type)
    let size = -1
    let compression = -1
    let unpacked = -1
    for (let field = reader.packed(); field !== fieldEnd; field = reader.packed()) {
      const length = reader.packed()
      const content = new PackedReader(source, reader.skip(length), reader.at, type)
      if (field === fieldSize) size = content.packed()
      else if (field === fieldCompression) compression = content.packed()
      else if (field === fieldUnpackedSize) unpacked = content.packed()
    }
    const packed = source.subarray(reader.at, end)
    if (packed.length !== size) throw protocolError('has another length than it says', type)
    this.bytes = packed
    this.at = 0
    this.#end = packed.length
    if (compression === compressionNone) return
    if (compression !== 0) throw protocolError(`is compressed by method ${compression}`, type)
    if (unpacked < 0) throw protocolError('does not say its length', type)
    if (unpacked <= atOnceBytesMax) this.#unpack(packed, unpacked)
    else this.#open(packed, unpacked)
  }

  #unpack(packed: Uint8Array, length: number): void {
    try {
      this.bytes = zstdDecompressSync(packed, { maxOutputLength: Math.max(1, length) })
    } catch (cause) {
      throw protocolError('does not unpack', type, cause)
    }
    this.#end = this.bytes.length
    if (this.#end !== length) throw protocolError('unpacks to another length', type)
  }

  #open(packed: Uint8Array, length: number): void {
    this.#stream = createZstdDecompress({ chunkSize: pieceBytes })
    // It fails while nobody waits for a piece, too; `more` then throws what it failed with.
    this.#stream.on('error', () => {})
    this.#pieces = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
    this.#stream.end(packed)
    this.#left = length
    this.bytes = new Uint8Array(0)
    this.#end = 0
  }

  /** Bytes held. */
  get byteLength(): number {
    return this.bytes.length
  }

  get isDone(): boolean {
    return this.at === this.#end && this.#left === 0
  }

  /** The end of the next event; −1 when `more` has to be awaited first. */
  eventEnd(): number {
    const has = this.#end - this.at
    const length = has < headerBytes ? headerBytes : lengthOf(this.bytes, this.at)
    if (length > eventBytesMax || length < headerBytes) {
      throw protocolError('has an event of no valid length', type)
    }
    if (length <= has) return this.at + length
    if (length - has > this.#left) throw protocolError('ends within an event', type)
    return -1
  }

  /** Unpacks more; at least what the next event needs. */
  async more(signal: AbortSignal): Promise<void> {
    const pieces: Uint8Array[] = [this.bytes.subarray(this.at, this.#end)]
    let has = pieces[0]!.length
    const needed =
      has < headerBytes ? headerBytes : Math.max(headerBytes, lengthOf(this.bytes, this.at))
    const stop = (): void => void this.#stream?.destroy()
    signal.addEventListener('abort', stop, { once: true })
    try {
      while (has < needed && this.#left > 0) {
        const piece = await this.#piece(signal)
        pieces.push(piece)
        has += piece.length
      }
    } finally {
      signal.removeEventListener('abort', stop)
    }
    this.bytes = Buffer.concat(pieces)
    this.at = 0
    this.#end = this.bytes.length
  }

  async #piece(signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    let next: IteratorResult<Uint8Array>
    try {
      next = await this.#pieces!.next()
    } catch (cause) {
      signal.throwIfAborted()
      throw protocolError('does not unpack', type, cause)
    }
    signal.throwIfAborted()
    if (next.done === true || next.value.length > this.#left) {
      this.#stream?.destroy()
      throw protocolError('unpacks to another length', type)
    }
    this.#left -= next.value.length
    return next.value
  }
}
