/**
 * Bounded retries with full jitter: attempt i waits a random part of base × 2^i, at most a cap. Full
 * jitter because many tasks that were refused together would otherwise come back together.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { SluiceError } from '../errors/error.ts'

export interface Pacing {
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

export const realPacing: Pacing = {
  random: Math.random,
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  },
}

export interface RetryBounds {
  readonly attemptsMax: number
  readonly baseMs: number
  readonly capMs: number
}

/** Runs `attempt` until it succeeds, fails for good (not `transient`), or the attempts are used up. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  bounds: RetryBounds,
  pacing: Pacing,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      const again = error instanceof SluiceError && error.fault === 'transient'
      if (!again || tries >= bounds.attemptsMax) throw error
      const backoffMs = pacing.random() * Math.min(bounds.capMs, bounds.baseMs * 2 ** (tries - 1))
      await pacing.sleep(Math.max(backoffMs, error.retryAfterMs ?? 0), signal)
    }
  }
}
