/**
 * Backoff: how long to wait before the next attempt, with full jitter.
 *
 * The wait is drawn evenly from [0, ceiling), where the ceiling doubles with each attempt. Spreading
 * over the whole interval, rather than a little around its end, is what keeps many clients that
 * failed together from coming back together (Brooker, "Exponential Backoff And Jitter", AWS 2015).
 */
export interface Backoff {
  /** Ceiling after the first failed attempt. */
  readonly baseMs: number
  /** The ceiling never grows beyond this. */
  readonly maxMs: number
}

/**
 * Whole milliseconds to wait after failed attempt number `attempt` (1 = the first).
 * `random` is uniform in [0, 1). Pure.
 */
export function backoffMs(attempt: number, backoff: Backoff, random: () => number): number {
  return Math.floor(random() * ceilingMs(attempt, backoff))
}

/** The largest wait after failed attempt number `attempt`: min(maxMs, baseMs × 2^(attempt − 1)). */
export function ceilingMs(attempt: number, { baseMs, maxMs }: Backoff): number {
  // 2^1023 is finite and 2^1024 is not: 0 × Infinity would be NaN for a base of 0.
  return Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(attempt, 1) - 1, 1023))
}
