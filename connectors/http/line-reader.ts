/**
 * Lines of a stream that comes in pieces cut anywhere, each held in memory within a bound of bytes.
 *
 *   line end = CR LF | LF | CR        CR alone only where `bareCr` is set (server-sent events)
 */
import { SluiceError } from '../../core/errors/error.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d

export class LineReader {
  readonly #name: string
  readonly #bytesMax: number
  readonly #bareCr: boolean
  #held: Buffer = Buffer.alloc(0)
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
      const part = piece.subarray(from, at)
      const line = this.#held.length === 0 ? part : Buffer.concat([this.#held, part])
      this.#held = Buffer.alloc(0)
      this.#check(line.length)
      each(line)
      if (byte === carriageReturn) {
        if (at + 1 === piece.length) this.#afterCr = true
        else if (piece[at + 1] === lineFeed) at++
      }
      from = at + 1
    }
    if (from >= piece.length) return
    this.#check(this.#held.length + piece.length - from)
    this.#held = Buffer.concat([this.#held, piece.subarray(from)])
  }

  /** What came after the last line end. */
  rest(): Buffer {
    const rest = this.#held
    this.#held = Buffer.alloc(0)
    return rest
  }

  #check(bytes: number): void {
    if (bytes <= this.#bytesMax) return
    const message = `${this.#name}: a line of the stream has more than ${this.#bytesMax} bytes`
    throw new SluiceError('http.poll.too_large', { message })
  }
}
