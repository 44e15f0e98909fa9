/**
 * A broker's answers, each read straight into memory of its own, which is used again. Node allocates 64 KiB for every
 * read, and the library would join those into one more copy: garbage outside the heap of twice what was fetched, and
 * each 10 MB more than at the last collection make V8 mark the whole heap (measured: fetching took five times as
 * much processor time).
 *
 *   answer = length int32 (of all that follows), bytes
 */
import { tlsWanted } from './tls-sniffer.ts'

const lengthBytes = 4
/** Heads of answers arrive here, and small ones as a whole. */
const landingBytes = 16 * 1024
/** Above what `fetch.max_bytes` may be; an HTTP server's answer, taken for a length, is 1.2 GB. */
const answerBytesMax = 2 ** 30 + 2 ** 27
/** Smaller memory is not worth keeping, and larger in steps of this, so that the next answer fits too. */
const stepBytes = 256 * 1024
/** One being decoded and one on its way is what a loop has; each takes half of `fetch.max_bytes` at most. */
const freeMax = 2

export interface AnswerReaderOptions {
  /** Whether the connection is not encrypted: then TLS that answers is told by its first bytes. */
  readonly isPlain: boolean
  /** A whole answer, length and all, in memory that nobody else uses. */
  readonly take: (answer: Buffer) => void
  /** The other side is no broker; nothing more is read. */
  readonly refuse: (error: Error) => void
}

export class AnswerReader {
  readonly #options: AnswerReaderOptions
  readonly #landing = Buffer.allocUnsafeSlow(landingBytes)
  #landed = 0
  /** The answer whose head has landed. */
  #answer: Buffer | null = null
  #filled = 0
  #isFirst = true
  /** Memory of answers that were read. */
  readonly #free: Transferable[] = []

  constructor(options: AnswerReaderOptions) {
    this.#options = options
  }

  /** As a socket's `onread` wants it; bytes go where `buffer` said last. */
  get onread(): { readonly buffer: () => Uint8Array; readonly callback: (bytes: number) => true } {
    return {
      buffer: () => this.#answer?.subarray(this.#filled) ?? this.#landing.subarray(this.#landed),
      callback: (bytes) => {
        if (this.#answer === null) this.#land(bytes)
        else this.#fill(this.#answer, bytes)
        return true
      },
    }
  }

  /** Nobody looks at the answer any more whose memory this is: views of it are empty from now on. */
  reuse(memory: ArrayBuffer): void {
    const own = memory as Transferable
    if (own.byteLength < stepBytes || this.#free.length >= freeMax) own.transfer(0)
    else this.#free.push(own.transfer())
  }

  #memoryFor(bytes: number): Buffer | null {
    if (bytes < lengthBytes || bytes > answerBytesMax) return null
    const isLarge = bytes >= stepBytes / 2
    const fits = this.#free.findIndex(({ byteLength }) => byteLength >= bytes)
    if (isLarge && fits >= 0) {
      return Buffer.from(this.#free.splice(fits, 1)[0]!, 0, bytes)
    }
    // All that is kept is too small: answers have grown.
    if (isLarge) this.#free.shift()?.transfer(0)
    try {
      // Never of Buffer's pool, which others use too.
      const room = isLarge ? Math.ceil(bytes / stepBytes) * stepBytes : bytes
      return Buffer.allocUnsafeSlow(room).subarray(0, bytes)
    } catch {
      // There is no memory for it.
      return null
    }
  }

  #fill(answer: Buffer, bytes: number): void {
    this.#filled += bytes
    if (this.#filled < answer.length) return
    this.#answer = null
    this.#options.take(answer)
  }

  #land(bytes: number): void {
    const landing = this.#landing
    const end = this.#landed + bytes
    let at = 0
    this.#landed = 0
    const error =
      this.#isFirst && this.#options.isPlain ? tlsWanted(landing.subarray(0, end)) : null
    if (error !== null) return this.#options.refuse(error)
    while (end - at >= lengthBytes) {
      this.#isFirst = false
      const answer = this.#memoryFor(lengthBytes + landing.readInt32BE(at))
      if (answer === null) return this.#options.refuse(new Error('this is no answer of a broker'))
      const there = landing.copy(answer, 0, at, end)
      at += there
      if (there < answer.length) {
        this.#answer = answer
        this.#filled = there
      } else this.#options.take(answer)
    }
    landing.copyWithin(0, at, end)
    this.#landed = end - at
  }
}

/** ES2024, which Node has had since 21. */
type Transferable = ArrayBuffer & { transfer(bytes?: number): Transferable }
