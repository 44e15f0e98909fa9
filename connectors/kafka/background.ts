/** Background: work that nobody waits for. The first failure ends the source; disposal waits for all of it. */
export class Background implements AsyncDisposable {
  readonly #running = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  readonly #onEnd: (error: unknown) => void

  constructor(onEnd: (error: unknown) => void) {
    this.#onEnd = onEnd
  }

  /** `work` ends when its signal is aborted; what it throws then is nobody's. */
  run(work: (signal: AbortSignal) => Promise<void>): void {
    const { signal } = this.#stop
    if (signal.aborted) return
    const running = work(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#onEnd(error)
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}
