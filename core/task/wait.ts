/** Waiting for the first of several things, each with its own end. */
import type { Clock } from '../connector/context.ts'

/** Resolves with true when `ms` have passed first, with false when one of `events` did; a rejection wins. */
export async function timeoutOr(
  clock: Clock,
  ms: number | null,
  events: readonly Promise<unknown>[],
): Promise<boolean> {
  const timer = new AbortController()
  const waits: Promise<boolean>[] = events.map((event) => event.then(() => false))
  if (ms !== null) {
    waits.push(
      clock.sleep(ms, timer.signal).then(
        () => true,
        () => false,
      ),
    )
  }
  return Promise.race(waits).finally(() => timer.abort())
}

/** Resolves (never rejects) when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
