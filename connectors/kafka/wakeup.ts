/** Wakeup: one waits until others say that something changed. What was said while nobody waited is kept. */
import type { Clock } from '../../core/connector/context.ts'

export class Wakeup {
  readonly #clock: Clock
  #said = false
  #resolve: (() => void) | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    this.#said = true
    this.#resolve?.()
  }

  /** Resolves when it was woken since the last wait, after `timeoutMs`, or on abort. One waits at a time. */
  async wait(signal: AbortSignal, timeoutMs: number | null = null): Promise<void> {
    if (!this.#said && !signal.aborted) {
      const over = new AbortController()
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
        signal.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })
        if (timeoutMs === null) return
        this.#clock.sleep(timeoutMs, over.signal).then(resolve, () => {})
      })
      this.#resolve = null
      over.abort()
    }
    this.#said = false
  }
}
