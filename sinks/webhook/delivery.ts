/**
 * Delivery: what is known of one batch between its attempts. Kept while the batch is under way, so
 * that a batch that is tried again within this process does not send again what was answered. After
 * a restart it is not known, and those events are sent again with the ids they had.
 */
import type { RowProblem } from '../../core/connector/sink.ts'
import type { RowWait } from '../../core/connector/waiting.ts'
import type { DeliveryRow } from './deliveries.ts'

export class Delivery {
  readonly id: string
  /** All its events are settled. */
  isOver = false
  /** 1 where the row's event was answered, one way or the other. */
  readonly #settled: Uint8Array
  /** Requests sent, and those of them that count against the event. */
  readonly #attempts: Uint32Array
  readonly #charged: Uint32Array
  readonly #rejected: RowProblem[] = []
  readonly #waiting: RowWait[] = []
  /** What came of its attempts, for the log of deliveries. */
  readonly journal: DeliveryRow[] = []

  constructor(id: string, rows: number) {
    this.id = id
    this.#settled = new Uint8Array(rows)
    this.#attempts = new Uint32Array(rows)
    this.#charged = new Uint32Array(rows)
  }

  isSettled(row: number): boolean {
    return this.#settled[row] === 1
  }

  /** Counts one attempt; returns how many of them count against the event. */
  attempted(row: number, charged: boolean): number {
    this.#attempts[row]!++
    if (charged) this.#charged[row]!++
    return this.#charged[row]!
  }

  attempts(row: number): number {
    return this.#attempts[row]!
  }

  delivered(row: number): void {
    this.#settled[row] = 1
  }

  /** Sets the event aside; its old row, where it has one, goes with it. */
  rejected(problem: Omit<RowProblem, 'attempts'>, previous: number): void {
    const { row } = problem
    this.#settled[row] = 1
    const attempts = this.#attempts[row]!
    if (previous >= 0) this.#rejected.push({ ...problem, row: previous, attempts })
    this.#rejected.push({ ...problem, attempts })
  }

  /** The event is sent again later, its old row with it. */
  waits(wait: Omit<RowWait, 'attempts'>, previous: number): void {
    const { row } = wait
    this.#settled[row] = 1
    const attempts = this.#charged[row]!
    if (previous >= 0) this.#waiting.push({ ...wait, row: previous, attempts })
    this.#waiting.push({ ...wait, attempts })
  }

  waiting(): readonly RowWait[] {
    return this.#waiting
  }

  /** By row. */
  problems(): readonly RowProblem[] {
    return this.#rejected.toSorted((a, b) => a.row - b.row)
  }
}
