/**
 * Waiting for the first of several things, each with its own end.
 *
 * `Promise.race` leaves a reaction behind in every promise that did not win. A task waits thousands of
 * times beside the same promises (its end, a quiet input), so that each wait would cost about a kilobyte
 * until the process stops. Here each promise is asked once, and a wait that is over is forgotten.
 */
import type { Clock } from '../connector/context.ts'

type Outcome = { readonly failed: false } | { readonly failed: true; readonly reason: unknown }

interface Watched {
  outcome: Outcome | null
  readonly waiting: Set<(outcome: Outcome) => void>
}

/** Without a reason, each wait would make an error with its stack. */
const isWaited = new Error('the wait is over')
const watched = new WeakMap<Promise<unknown>, Watched>()
const ends = new WeakMap<AbortSignal, Promise<void>>()

/** Settles as the first of the promises does, without its value. */
export async function firstOf(promises: readonly Promise<unknown>[]): Promise<void> {
  const all = promises.map(watch)
  await new Promise<void>((resolve, reject) => {
    const settle = (outcome: Outcome): void => {
      for (const one of all) one.waiting.delete(settle)
      if (outcome.failed) reject(outcome.reason as Error)
      else resolve()
    }
    for (const one of all) {
      if (one.outcome !== null) return settle(one.outcome)
      one.waiting.add(settle)
    }
  })
}

/** Whether a promise is settled by now. A rejection is thrown. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const one = watch(promise)
  // One that was settled before it was asked says so in the next microtask.
  await Promise.resolve()
  if (one.outcome?.failed === true) throw one.outcome.reason
  return one.outcome !== null
}

/** Resolves with true when `ms` have passed first, with false when one of `events` did; a rejection wins. */
export async function timeoutOr(
  clock: Clock,
  ms: number | null,
  events: readonly Promise<unknown>[],
): Promise<boolean> {
  if (ms === null) {
    await firstOf(events)
    return false
  }
  const timer = new AbortController()
  let isOver = false
  const time = clock.sleep(ms, timer.signal).then(
    () => {
      isOver = true
    },
    () => {},
  )
  try {
    await firstOf([...events, time])
    return isOver
  } finally {
    timer.abort(isWaited)
  }
}

/** Resolves (never rejects) when the signal is aborted. The same promise each time. */
export function aborted(signal: AbortSignal): Promise<void> {
  const known = ends.get(signal)
  if (known !== undefined) return known
  const end = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  ends.set(signal, end)
  return end
}

function watch(promise: Promise<unknown>): Watched {
  const known = watched.get(promise)
  if (known !== undefined) return known
  const made: Watched = { outcome: null, waiting: new Set() }
  const settle = (outcome: Outcome): void => {
    made.outcome = outcome
    for (const waiting of made.waiting) waiting(outcome)
  }
  promise.then(
    () => settle({ failed: false }),
    (reason: unknown) => settle({ failed: true, reason }),
  )
  watched.set(promise, made)
  return made
}
