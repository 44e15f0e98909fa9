/**
 * Many calls on one RedisLink: so many bytes of them under way at a time, all answered before `inWindow`
 * returns. The first failure, an abort, or no answer at all for too long ends it.
 */
import type { RedisLink } from './redis.ts'
import { redisError } from './redis-errors.ts'

/** Enough for neither side to wait for the other. */
const bytesMax = 1024 * 1024

/** A call that failed by itself. */
export interface FailedCall<T> {
  readonly call: T
  readonly error: Error
}

export interface WindowOptions {
  /** Whether a call that failed so is given back, instead of ending it all. */
  readonly keeps: (error: Error) => boolean
  readonly signal: AbortSignal
}

/**
 * Waits for the link, and then for what `send` sends. Gives the calls that failed as `keeps` says; throws
 * for everything else, as `redisError` says it, and on abort.
 */
export async function inWindow<T>(
  link: RedisLink,
  options: WindowOptions,
  send: (window: RedisWindow<T>) => Promise<void>,
): Promise<readonly FailedCall<T>[]> {
  await link.ready(options.signal)
  using window = new RedisWindow<T>(link, options)
  try {
    await send(window)
    return await window.end()
  } catch (error) {
    options.signal.throwIfAborted()
    const failed = redisError(link.where, error)
    // The name may lead to the new master by now.
    if (failed.code === 'redis.read_only') link.drop()
    throw failed
  }
}

export class RedisWindow<T> implements Disposable {
  readonly #keeps: (error: Error) => boolean
  readonly #signal: AbortSignal
  readonly #patience: NodeJS.Timeout
  readonly #stop = (): void => this.#fail(this.#signal.reason as Error)
  readonly #failed: FailedCall<T>[] = []
  #bytes = 0
  #failure: Error | null = null
  #wake: () => void = () => {}

  constructor(link: RedisLink, { keeps, signal }: WindowOptions) {
    this.#keeps = keeps
    this.#signal = signal
    signal.addEventListener('abort', this.#stop, { once: true })
    this.#patience = setTimeout(() => {
      this.#fail(link.timedOut())
      link.drop()
    }, link.timeoutMs)
    if (signal.aborted) this.#stop()
  }

  /** A call that was sent. */
  add(call: T, bytes: number, answer: Promise<unknown>): void {
    this.#bytes += bytes
    answer.then(
      () => this.#answered(bytes),
      (error: Error) => {
        if (this.#keeps(error)) this.#failed.push({ call, error })
        else this.#fail(error)
        this.#answered(bytes)
      },
    )
  }

  /** Waits until there is room for more. Throws what ended it. */
  async room(): Promise<void> {
    await this.#below(bytesMax)
  }

  /** Waits until all are answered. Throws what ended it. */
  async end(): Promise<readonly FailedCall<T>[]> {
    await this.#below(1)
    return this.#failed
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#patience)
    this.#signal.removeEventListener('abort', this.#stop)
  }

  async #below(bytes: number): Promise<void> {
    while (this.#bytes >= bytes && this.#failure === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#failure !== null) throw this.#failure
  }

  #answered(bytes: number): void {
    this.#bytes -= bytes
    this.#patience.refresh()
    this.#wake()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#wake()
  }
}
