/** The reason why a sleep is given up: made once, since an abort without one makes an error with its stack. */
const awake = new Error('no longer waited for')

/**
 * Wake-ups within this process: a reader that waits for the next commit of a chain need not poll
 * when its writer is here. Only a hint: correctness rests on the reader's own GET.
 */
export class WakeUps {
  readonly #newest = new Map<string, number>()
  readonly #versions = new Map<string, number>()
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Changes at each commit of the chain; take it before looking, give it to `wait` after. */
  version(chain: string): number {
    return this.#versions.get(chain) ?? 0
  }

  /** The newest commit that a writer in this process made; null when none did. Another process may have gone on. */
  newest(chain: string): number | null {
    return this.#newest.get(chain) ?? null
  }

  /** Commit `seq` of the chain is in the store. */
  notify(chain: string, seq: number): void {
    this.#newest.set(chain, seq)
    this.#versions.set(chain, this.version(chain) + 1)
    const waiting = this.#waiting.get(chain)
    this.#waiting.delete(chain)
    for (const wake of waiting ?? []) wake()
  }

  /**
   * Resolves when the version is another than `seen`, or after `sleeping` has, whichever is first.
   * `sleeping` gets a signal that is aborted once it is no longer needed; its rejection is passed on
   * only when `signal` is aborted.
   */
  async wait(
    chain: string,
    seen: number,
    sleeping: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    if (this.version(chain) !== seen) return
    const over = new AbortController()
    const waiting = this.#waiting.get(chain) ?? new Set()
    this.#waiting.set(chain, waiting)
    let wake = (): void => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
      waiting.add(wake)
    })
    const slept = sleeping(AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
      if (!over.signal.aborted) throw error
    })
    try {
      await Promise.race([woken, slept])
    } finally {
      waiting.delete(wake)
      if (waiting.size === 0 && this.#waiting.get(chain) === waiting) this.#waiting.delete(chain)
      over.abort(awake)
      await slept.catch(() => {})
    }
  }
}
