/**
 * Pieces: bytes that come in pieces cut anywhere, until they are wanted as one. A sender decides how small the
 * pieces are, and a piece of one byte takes some two hundred in memory: small ones that follow one another are put
 * together as they come, a few hundred at a time, so that what is held is about what is counted. Each byte is
 * copied twice at most.
 */

/** Pieces that stand side by side before they become one. */
const looseMax = 256
/** Pieces of this size stay as they are. */
const largeBytes = 4096

const none = Buffer.alloc(0)

export class Pieces {
  #bytes = 0
  #pieces: Buffer[] = []
  /** Of the last pieces: small ones that were not put together yet. */
  #loose = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Keeps the piece itself: nobody may write into it. */
  push(piece: Buffer): void {
    if (piece.length === 0) return
    this.#bytes += piece.length
    const isLarge = piece.length >= largeBytes
    if (isLarge || this.#loose === looseMax) this.#join()
    this.#pieces.push(piece)
    if (!isLarge) this.#loose++
  }

  /** All of it as one; nothing is held afterwards. A piece that came alone is the piece itself. */
  take(): Buffer {
    const pieces = this.#pieces
    const whole = pieces.length > 1 ? Buffer.concat(pieces, this.#bytes) : (pieces[0] ?? none)
    this.clear()
    return whole
  }

  #join(): void {
    if (this.#loose > 1) this.#pieces.push(Buffer.concat(this.#pieces.splice(-this.#loose)))
    this.#loose = 0
  }

  clear(): void {
    this.#pieces = []
    this.#bytes = 0
    this.#loose = 0
  }
}
