/**
 * Reading a change stream's socket lazily. Database servers send changes in small pieces; a reader that
 * takes each at once makes both sides wake for each (measured with Postgres: 130k rows/s against 260k
 * for a reader that waits 1 ms when there was little to read,
 * docs/decisions/0002-postgres-transport.md). So under load this one pauses for a millisecond after a
 * short read and lets the kernel gather; after a quiet moment it does not, and a lone commit is seen at
 * once. What is not taken is bounded.
 */
import type { Duplex } from 'node:stream'
import type { Clock } from './context.ts'
import { PooledSocket } from './pooled-socket.ts'

/** What one read gives at most; less means that the socket is empty now. */
const fullReadBytes = 65_536
/** Untaken bytes at which reading stops, and at which it goes on. */
const pauseBytes = 512 << 10
const resumeBytes = 384 << 10
const lazyPauseMs = 1
/** Two reads closer than this are load. */
const loadGapMs = 4

export class LazySocket {
  readonly #stream: Duplex
  readonly #clock: Clock
  readonly #onData = (chunk: Uint8Array): void => this.#take(chunk)
  readonly #onError = (error: Error): void => this.fail(error)
  readonly #onClose = (): void => this.fail(closedByServer())
  #chunks: Uint8Array[] = []
  /** What `take` gave last, if its memory is to be read into again. */
  #taken: Uint8Array | null = null
  #bytes = 0
  #full = false
  #reads = 0
  #lazyTimer: NodeJS.Timeout | null = null
  #lastReadMs = 0
  #failure: Error | null = null
  #wake: (() => void) | null = null

  /** Takes the stream over: no other reader of it may be left. */
  constructor(stream: Duplex, clock: Clock) {
    this.#stream = stream
    this.#clock = clock
    this.#lastReadMs = clock.nowMs()
    // What the stream has read already still comes as data.
    stream.on('data', this.#onData)
    if (stream instanceof PooledSocket) stream.divert(this.#onData)
    stream.on('error', this.#onError)
    stream.on('close', this.#onClose)
  }

  /**
   * The next bytes, which stay as they are until the next call; null when none are there now. Throws what
   * ended the connection, after the last bytes.
   */
  take(): Uint8Array | null {
    this.#giveBack()
    const chunk = this.#chunks.shift()
    if (chunk === undefined) {
      if (this.#failure !== null) throw this.#failure
      return null
    }
    this.#taken = chunk
    this.#bytes -= chunk.length
    if (this.#full && this.#bytes <= resumeBytes) {
      this.#full = false
      // What comes next comes under load.
      this.#lastReadMs = this.#clock.nowMs()
      this.#stream.resume()
    }
    return chunk
  }

  /** Resolves when `take` has something to say, when `busy` ends, or at `wake`. */
  async wait(): Promise<void> {
    if (this.#chunks.length > 0 || this.#failure !== null) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = null
  }

  wake(): void {
    this.#wake?.()
  }

  /** Whether more bytes are to be expected at once. */
  get busy(): boolean {
    return this.#lazyTimer !== null
  }

  /** Counts up whenever bytes come. */
  get reads(): number {
    return this.#reads
  }

  /** Whether nothing is read now because the bound is reached. */
  get full(): boolean {
    return this.#full
  }

  /** Makes `take` throw this once the bytes are taken. The first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error
    this.wake()
  }

  /** Whether the other side ended the connection, or it broke. */
  get lost(): boolean {
    return this.#stream.readableEnded || this.#stream.errored !== null
  }

  /** Gives the stream back, paused, to whoever had it before; nothing may be left to take. */
  release(): void {
    this.#giveBack()
    if (this.#stream instanceof PooledSocket) this.#stream.divert(null)
    this.#stream.off('data', this.#onData)
    this.#stream.off('error', this.#onError)
    this.#stream.off('close', this.#onClose)
    this.#stream.pause()
    if (this.#lazyTimer !== null) clearTimeout(this.#lazyTimer)
    this.#lazyTimer = null
  }

  /** Cuts the connection. */
  destroy(): void {
    if (this.#lazyTimer !== null) clearTimeout(this.#lazyTimer)
    this.#lazyTimer = null
    this.#chunks = []
    this.#stream.destroy()
    this.wake()
  }

  #giveBack(): void {
    if (this.#taken !== null && this.#stream instanceof PooledSocket) {
      this.#stream.reuse(this.#taken)
    }
    this.#taken = null
  }

  #take(chunk: Uint8Array): void {
    const nowMs = this.#clock.nowMs()
    this.#reads++
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes >= pauseBytes) {
      this.#full = true
      this.#stream.pause()
    } else if (chunk.length < fullReadBytes && nowMs - this.#lastReadMs <= loadGapMs) {
      this.#stream.pause()
      this.#lazyTimer ??= setTimeout(() => this.#endPause(), lazyPauseMs)
    }
    this.#lastReadMs = nowMs
    this.wake()
  }

  #endPause(): void {
    this.#lazyTimer = null
    if (!this.#full) this.#stream.resume()
    // Whoever waits for more learns that nothing came.
    this.wake()
  }
}

/** With Node's code for a connection that the other side ended, which every table of errors knows. */
function closedByServer(): Error {
  return Object.assign(new Error('The server closed the connection'), { code: 'ECONNRESET' })
}
