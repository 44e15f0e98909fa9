/**
 * Window: calls under way, bounded in bytes. A caller adds calls and waits for room; the first failure, an
 * abort, or no answer at all for too long ends it.
 */
import type { RedisLink } from '../../../core/connector/redis.ts'

/** Enough for neither side to wait for the other. */
const bytesMax = 1024 * 1024

export class Window implements Disposable {
  readonly #signal: AbortSignal
  readonly #careFor: (error: Error) => boolean
  readonly #patience: NodeJS.Timeout
  readonly #stop = (): void => this.#fail(this.#signal.reason as Error)
  #bytes = 0
  #failure: Error | null = null
  #wake: () => void = () => {}
  /** Indexes of calls that failed for a reason of their own. */
  readonly again: number[] = []

  /** `careFor`: whether a failed call is kept in `again` instead of ending it all. */
  constructor(link: RedisLink, careFor: (error: Error) => boolean, signal: AbortSignal) {
    this.#careFor = careFor
    this.#signal = signal
    signal.addEventListener('abort', this.#stop, { once: true })
    this.#patience = setTimeout(() => {
      this.#fail(link.timedOut())
      link.drop()
    }, link.timeoutMs)
    if (signal.aborted) this.#stop()
  }

  /** A call that was sent. */
  add(index: number, bytes: number, answer: Promise<unknown>): void {
    this.#bytes += bytes
    answer.then(
      () => this.#answered(bytes),
      (error: Error) => {
        if (this.#careFor(error)) this.again.push(index)
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
  async empty(): Promise<void> {
    await this.#below(1)
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
