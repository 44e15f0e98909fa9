/**
 * Lines of a stream that comes in pieces cut anywhere, each held in memory within a bound of bytes.
 *
 *   line end = CR LF | LF | CR        CR alone only where `bareCr` is set (server-sent events)
 */
import { SluiceError } from '../../core/errors/error.ts'
import { Pieces } from './pieces.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d

export class LineReader {
  readonly #name: string
  readonly #bytesMax: number
  readonly #bareCr: boolean
  readonly #held = new Pieces()
  /** The last piece ended in CR: an LF that comes next belongs to it. */
  #afterCr = false

  /** `name`: of the topic, for messages. */
  constructor(name: string, bytesMax: number, bareCr: boolean) {
    this.#name = name
    this.#bytesMax = bytesMax
    this.#bareCr = bareCr
  }

  /** Calls `each` with every line that has its end, without it. The bytes are good until it returns. */
  push(piece: Buffer, each: (line: Buffer) => void): void {
    let from = 0
    if (this.#afterCr && piece.length > 0) {
      if (piece[0] === lineFeed) from = 1
      this.#afterCr = false
    }
    for (let at = from; at < piece.length; at++) {
      const byte = piece[at]!
      if (byte !== lineFeed && (byte !== carriageReturn || !this.#bareCr)) continue
      this.#hold(piece.subarray(from, at))
      each(this.#held.take())
      if (byte === carriageReturn) {
        if (at + 1 === piece.length) this.#afterCr = true
        else if (piece[at + 1] === lineFeed) at++
      }
      from = at + 1
    }
    // A copy: the memory of the piece may be used again, or be much more than is left of it.
    this.#hold(Buffer.from(piece.subarray(from)))
  }

  /** What came after the last line end. */
  rest(): Buffer {
    return this.#held.take()
  }

  #hold(part: Buffer): void {
    if (this.#held.bytes + part.length > this.#bytesMax) {
      const message = `${this.#name}: a line of the stream has more than ${this.#bytesMax} bytes`
      throw new SluiceError('http.poll.too_large', { message })
    }
    this.#held.push(part)
  }
}
