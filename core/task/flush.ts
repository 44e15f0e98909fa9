import type { FlushPolicy } from './context.ts'

/**
 * When the next commit is due. After a pause the first rows go at once; under load commits start
 * `intervalMs` apart; a slow store (each PUT costs money and time) stretches the interval to twice
 * its own latency.
 */
export class FlushTimer {
  readonly #policy: FlushPolicy
  #lastStartMs = -Infinity
  #latencyMs = 0

  constructor(policy: FlushPolicy) {
    this.#policy = policy
  }

  /** Milliseconds from `nowMs` until a commit of `bytes` ready bytes is due; 0 = now. */
  dueInMs(nowMs: number, bytes: number): number {
    if (bytes >= this.#policy.bytesMax) return 0
    const { intervalMs, intervalMsMax } = this.#policy
    const stretched = this.#latencyMs > intervalMs ? this.#latencyMs * 2 : intervalMs
    const sinceMs = nowMs - this.#lastStartMs
    // Rows must not wait for a clock that was set back to come to where it was.
    return sinceMs < 0 ? 0 : Math.max(0, Math.min(stretched, intervalMsMax) - sinceMs)
  }

  started(nowMs: number): void {
    this.#lastStartMs = nowMs
  }

  /** Follows the store's latency, quickly up and slowly down. */
  finished(nowMs: number): void {
    const latencyMs = Math.max(0, nowMs - this.#lastStartMs)
    this.#latencyMs =
      latencyMs > this.#latencyMs ? latencyMs : this.#latencyMs * 0.8 + latencyMs * 0.2
  }
}
