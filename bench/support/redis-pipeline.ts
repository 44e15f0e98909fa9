/** Redis as fast as it goes: bytes made beforehand over a bare socket, with a bound on what is under way. */
import type { Socket } from 'node:net'

const windowBytes = 1024 * 1024

export interface Piece {
  readonly bytes: Buffer
  readonly replies: number
}

/** A pipelined client that counts replies and looks at nothing but errors. */
export class BareClient {
  readonly #socket: Socket
  #owed = 0
  #bytes = 0
  readonly #sizes: { replies: number; bytes: number }[] = []
  #error: Error | null = null
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#read(chunk))
  }

  async send(pieces: readonly Piece[]): Promise<void> {
    for (const { bytes, replies } of pieces) {
      this.#sizes.push({ replies, bytes: bytes.length })
      this.#owed += replies
      this.#bytes += bytes.length
      this.#socket.write(bytes)
      while (this.#bytes > windowBytes && this.#error === null) await this.#woken()
    }
    while (this.#owed > 0 && this.#error === null) await this.#woken()
    if (this.#error !== null) throw this.#error
  }

  #read(chunk: Buffer): void {
    if (chunk[0] === 0x2d || chunk.includes('\n-'))
      this.#error = new Error(chunk.toString('latin1', 0, 200))
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) {
      this.#owed--
      const first = this.#sizes[0]!
      if (--first.replies === 0) this.#bytes -= this.#sizes.shift()!.bytes
    }
    this.#wake()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

/** One command as Redis reads it (RESP2). */
export function respOf(words: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)]
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word) : word
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}
