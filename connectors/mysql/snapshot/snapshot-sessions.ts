/**
 * The sessions on which tables are read: opened when one is wanted and none is idle, kept for the next
 * read. How many are open at a time is decided by who reads. A session whose statement was given up is
 * cut, and its statement ended on the server, which would notice the cut only at its next row.
 */
import type { Session } from '../connection.ts'

const idleMax = 4
/** Ending a statement of ours is a courtesy; it keeps nobody waiting for long. */
const killTimeoutMs = 3000

export type Connect = (signal: AbortSignal) => Promise<Session>

export class SnapshotSessions implements AsyncDisposable {
  readonly #connect: Connect
  readonly #stop = new AbortController()
  readonly #idle: Session[] = []
  readonly #ending = new Set<Promise<void>>()

  constructor(connect: Connect) {
    this.#connect = connect
  }

  /** An idle session, outside any transaction. Rejects with the driver's error or the signal's reason. */
  async take(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted()
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    // The session outlives this call, so the caller's signal must not end it later.
    const opening = new AbortController()
    const stop = (): void => opening.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      const session = await this.#connect(AbortSignal.any([this.#stop.signal, opening.signal]))
      // A metadata lock that is not to be had is an error that says so, not a wait without an end.
      await session.query(`SET SESSION lock_wait_timeout = ${lockWaitSeconds}`)
      return session
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** The session is outside any transaction and may be used again. */
  give(session: Session): void {
    if (this.#idle.length < idleMax && !this.#stop.signal.aborted) this.#idle.push(session)
    else this.#end(session[Symbol.asyncDispose]())
  }

  /** The session is of no more use; a statement of it may still run. */
  discard(session: Session): void {
    session.destroy()
    if (!this.#stop.signal.aborted) this.#end(this.#kill(session.connection.threadId))
  }

  async #kill(thread: number): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(killTimeoutMs)])
      await using session = await this.#connect(signal)
      await session.query(`KILL ${thread}`)
    } catch {
      // It is gone already, or the server is: nothing runs any more, or nothing can be done.
    }
  }

  #end(ending: PromiseLike<void>): void {
    const ended = Promise.resolve(ending).finally(() => this.#ending.delete(ended))
    this.#ending.add(ended)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ending)
    await Promise.all(this.#idle.splice(0).map((session) => session[Symbol.asyncDispose]()))
    this.#stop.abort()
  }
}

export const lockWaitSeconds = 10
