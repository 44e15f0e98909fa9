/**
 * Several sources of steps as one: whoever has something first comes first. Each waits until its step was
 * taken and the next is asked for, so that at most one step of each is in memory.
 */
interface Waiting<T> {
  readonly item: T
  readonly taken: () => void
}

/** Ends all when one throws, which is thrown, and when nobody reads any more. None of them ends by itself. */
export async function* merged<T>(
  makers: readonly ((signal: AbortSignal) => AsyncIterable<T>)[],
  signal: AbortSignal,
): AsyncGenerator<T> {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const waiting: Waiting<T>[] = []
  let failed: { readonly error: unknown } | null = null
  let wake: (() => void) | null = null
  // Those whose step was taken go on when the reader comes back.
  let resume: (() => void)[] = []
  const pump = async (make: (signal: AbortSignal) => AsyncIterable<T>): Promise<void> => {
    try {
      for await (const item of make(both)) {
        if (both.aborted) return
        await new Promise<void>((taken) => {
          waiting.push({ item, taken })
          wake?.()
        })
        if (both.aborted) return
      }
    } catch (error) {
      failed ??= { error }
      wake?.()
    }
  }
  const onAbort = (): void => {
    // Each may just have brought something, and end without a word.
    failed ??= { error: signal.reason }
    wake?.()
  }
  signal.throwIfAborted()
  signal.addEventListener('abort', onAbort, { once: true })
  const pumps = makers.map(pump)
  try {
    for (;;) {
      for (const go of resume) go()
      resume = []
      if (waiting.length === 0 && failed === null)
        await new Promise<void>((woken) => (wake = woken))
      wake = null
      const next = waiting.shift()
      if (next !== undefined) {
        resume.push(next.taken)
        yield next.item
      } else if (failed !== null) throw (failed as { readonly error: unknown }).error
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    stop.abort()
    for (const go of resume) go()
    for (const { taken } of waiting) taken()
    await Promise.all(pumps)
  }
}
