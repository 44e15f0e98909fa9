/**
 * Work that goes on beside the loop that pulls the stream: reads of chunks, looks at tables, waits. It
 * never rejects by itself; what went wrong for good is thrown in the loop, which also waits for its end.
 */
import { SluiceError } from '../../errors/error.ts'
import { backoffMs, type Backoff } from '../backoff.ts'
import type { Context } from '../context.ts'
import { SnapshotTableChanged } from './reader.ts'

const backoff: Backoff = { baseMs: 100, maxMs: 10_000 }

export class Background implements AsyncDisposable {
  readonly #ctx: Pick<Context, 'clock' | 'random' | 'logger' | 'report'>
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #running = new Set<Promise<void>>()
  readonly #wake = (): void => this.ring()
  #failure: { readonly error: unknown } | null = null
  #rung = false
  #listener: (() => void) | null = null

  constructor(ctx: Pick<Context, 'clock' | 'random' | 'logger' | 'report'>, signal: AbortSignal) {
    this.#ctx = ctx
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
    this.#signal.addEventListener('abort', this.#wake, { once: true })
  }

  /** Says that something has happened that the loop has to look at. */
  ring(): void {
    this.#rung = true
    this.#listener?.()
  }

  /** Returns once something has happened since the last return. Throws what went wrong, or the signal's reason. */
  async wait(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#listener = resolve
      })
      this.#listener = null
    }
    this.#rung = false
    this.check()
  }

  /** Throws what went wrong, or the signal's reason. */
  check(): void {
    this.#signal.throwIfAborted()
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Begins `work`; the loop is rung for when it ends. */
  run(work: (signal: AbortSignal) => Promise<void>): void {
    const task = work(this.#signal)
      .catch((error: unknown) => {
        if (!this.#signal.aborted) this.#failure ??= { error }
      })
      .then(() => {
        this.#running.delete(task)
        this.ring()
      })
    this.#running.add(task)
  }

  /** Tries until it succeeds or fails for another reason than one that passes by itself. */
  async retried<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        signal.throwIfAborted()
        const passes = error instanceof SluiceError && error.fault === 'transient'
        if (!passes || error instanceof SnapshotTableChanged) throw error
        this.#ctx.logger.warn('reading a table beside the stream is tried again', {
          what,
          code: error.code,
          reason: error.message,
          attempt,
        })
        this.#ctx.report({ state: 'snapshotting', detail: `${what}: ${error.message}` })
        await this.pause(attempt, signal)
      }
    }
  }

  /** Waits before attempt number `attempt` + 1. */
  async pause(attempt: number, signal: AbortSignal): Promise<void> {
    await this.#ctx.clock.sleep(backoffMs(attempt, backoff, this.#ctx.random), signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#signal.removeEventListener('abort', this.#wake)
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}
