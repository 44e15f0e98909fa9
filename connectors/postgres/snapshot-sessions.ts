/**
 * The sessions on which tables are read beside the stream: opened when one is wanted and none is idle,
 * kept for the next read. How many are open at a time is decided by who reads.
 */
import type { Client, ClientConfig } from 'pg'
import { connect, destroy } from './connection.ts'
import { end } from './generation.ts'

export class SnapshotSessions implements AsyncDisposable {
  readonly #config: ClientConfig
  readonly #stop = new AbortController()
  #idle: Client[] = []

  constructor(config: ClientConfig) {
    this.#config = config
  }

  /**
   * Runs `work` on a session that is outside any transaction, as it has to be again when `work` returns.
   * Where it throws, or `signal` aborts meanwhile, the session is cut. Throws what `work` or the driver
   * throws, or the signal's reason.
   */
  async with<T>(signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#idle.pop() ?? (await this.#open(signal))
    const stop = (): void => destroy(client)
    signal.addEventListener('abort', stop, { once: true })
    try {
      signal.throwIfAborted()
      const result = await work(client)
      this.#idle.push(client)
      return result
    } catch (error) {
      destroy(client)
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** A session outlives the read that it is opened for, and so that read's signal must not end it later. */
  async #open(signal: AbortSignal): Promise<Client> {
    const opening = new AbortController()
    const stop = (): void => opening.abort(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', stop, { once: true })
    try {
      return await connect(this.#config, AbortSignal.any([this.#stop.signal, opening.signal]))
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const idle = this.#idle
    this.#idle = []
    await Promise.all(idle.map(end))
    this.#stop.abort()
  }
}
