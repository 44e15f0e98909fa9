/** The reason why a sleep is given up: made once, since an abort without one makes an error with its stack. */
const awake = new Error('no longer waited for')

interface Look {
  readonly seq: number
  readonly atMs: number
  readonly by: object
}

/**
 * Wake-ups within this process: a reader that waits for the next commit of a chain need not poll
 * when its writer is here, and of many readers that wait for one commit a single one polls for all. Only
 * a hint: correctness rests on the reader's own GET.
 */
export class WakeUps {
  readonly #newest = new Map<string, number>()
  readonly #versions = new Map<string, number>()
  readonly #waiting = new Map<string, Set<() => void>>()
  /** Where a commit was looked for last in vain. */
  readonly #looks = new Map<string, Look>()

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
    this.#wake(chain)
  }

  /** The reader has looked for the commit, and it is not there yet. */
  missed(chain: string, seq: number, atMs: number, by: object): void {
    this.#looks.set(chain, { seq, atMs, by })
  }

  /** A reader has found the commit: where its writer did not say so, those are told who left the looking to it. */
  found(chain: string, seq: number): void {
    if (this.#looks.get(chain)?.seq !== seq) return
    this.#looks.delete(chain)
    if ((this.newest(chain) ?? 0) < seq) this.#wake(chain)
  }

  /** Whether another reader looks for that commit, and did so between the two times. */
  isLookedFor(
    chain: string,
    seq: number,
    { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number },
    by: object,
  ): boolean {
    const look = this.#looks.get(chain)
    if (look === undefined || look.seq !== seq || look.by === by) return false
    // A clock that was set back has put the last look of a reader that is gone into the future.
    return look.atMs >= sinceMs && look.atMs <= nowMs
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

  #wake(chain: string): void {
    this.#versions.set(chain, this.version(chain) + 1)
    const waiting = this.#waiting.get(chain)
    this.#waiting.delete(chain)
    for (const wake of waiting ?? []) wake()
  }
}
