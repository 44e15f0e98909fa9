import type { Batching } from '../connector/sink.ts'

/** A batch of this many rows is worth an insert of its own (ClickHouse's advice is ≥ 1,000). */
const worthwhileRows = 1000
const pressureMsMax = 30_000

/**
 * The pause between two batches of a topic. When idle the first rows go at once; as volume grows the
 * pause doubles towards the sink's longest, so that inserts stay about one a second; a sink that
 * asks to slow down is given up to 30 s. A batch that is as full as the sink takes never waits; one that is only
 * as large as the memory allows does.
 */
export class Pace {
  readonly #batching: Batching
  #pauseMs: number
  #pressureMs = 0
  #lastSentMs = -Infinity

  constructor(batching: Batching) {
    this.#batching = batching
    this.#pauseMs = batching.pauseMsMin
  }

  /** When the next batch may be sent, in ms since 1970; a full one may go before. */
  dueMs(nowMs: number): number {
    // Rows must not wait for a clock that was set back to come to where it was; the pause begins anew, once.
    this.#lastSentMs = Math.min(this.#lastSentMs, nowMs)
    return this.#lastSentMs + Math.max(this.#pauseMs, this.#pressureMs)
  }

  sent(nowMs: number, rows: number): void {
    const { pauseMsMin, pauseMsMax } = this.#batching
    this.#lastSentMs = nowMs
    if (rows >= worthwhileRows) this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMsMax)
    else if (rows < worthwhileRows / 2) this.#pauseMs = Math.max(this.#pauseMs / 2, pauseMsMin)
    this.#pressureMs = this.#pressureMs < 1 ? 0 : this.#pressureMs / 2
  }

  /** The sink asked for time. */
  pressed(): void {
    this.#pressureMs = Math.min(Math.max(this.#pressureMs, this.#pauseMs, 250) * 2, pressureMsMax)
  }
}
