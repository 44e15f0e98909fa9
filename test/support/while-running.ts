/** Loops of the hub that run beside what a test does, and are then stopped as a process is that is asked to. */
import assert from 'node:assert/strict'
import { isAbort } from '../../core/errors/error.ts'

/**
 * What `until` comes to. Fails at once where the loop ends before, by itself or with an error, and where it
 * does not end in order after its signal.
 */
export async function whileRunning<T>(
  run: (stop: AbortSignal) => Promise<unknown>,
  until: () => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const running = run(stop.signal)
  const early = running.then(() => assert.fail('it ended by itself'))
  try {
    const found = await Promise.race([until(), early])
    stop.abort()
    await running.catch((error: unknown) => {
      if (!isAbort(error)) throw error
    })
    return found
  } finally {
    stop.abort()
    await running.catch(() => {})
  }
}

/** Runs the loop until it is disposed of, which fails with the error of a loop that ended before. */
export function untilDisposed(run: (stop: AbortSignal) => Promise<unknown>): AsyncDisposable {
  const stop = new AbortController()
  const running = run(stop.signal)
  running.catch(() => {})
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
    },
  }
}
