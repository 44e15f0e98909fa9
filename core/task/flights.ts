/**
 * Flights: deliveries of one topic that are under way, oldest first. They may end in any order, but the
 * cursor moves only over those at the front, so that what a commit calls done has nothing open before it.
 */
import type { Batching } from '../connector/sink.ts'
import type { DeadLetter } from './dead-letters.ts'
import type { DeliveryPlan, TopicState } from './delivery-log.ts'
import type { Delivery } from './topic-feed.ts'

export interface Planned {
  readonly delivery: Delivery
  readonly plan: DeliveryPlan
  /** A commit at or before the one that holds its first row. */
  readonly seq: number
}

export interface Landed {
  readonly delivery: Delivery
  /** The rows that the sink refused. */
  readonly letters: readonly DeadLetter[]
}

interface Flight extends Planned {
  /** Settles when the sink has taken it; rejects when the task has to end. */
  over: Promise<void>
  /** null while it is under way. */
  letters: readonly DeadLetter[] | null
}

/** Bytes of all flights of a topic together, as a multiple of one batch's. */
const aheadBytesFactor = 2

export class Flights {
  readonly #limits: Batching
  readonly #flights: Flight[] = []

  constructor(limits: Batching) {
    this.#limits = limits
  }

  get count(): number {
    return this.#flights.length
  }

  get bytes(): number {
    return this.#flights.reduce((sum, { delivery }) => sum + bytesOf(delivery), 0)
  }

  /** The oldest one; undefined when none is under way. */
  get oldest(): Planned | undefined {
    return this.#flights[0]
  }

  /** Whether the oldest one is over. */
  get landed(): boolean {
    return this.#flights[0] !== undefined && this.#flights[0].letters !== null
  }

  /** Whether one more may go beside them. */
  get hasRoom(): boolean {
    const { ahead = 0, bytesMax } = this.#limits
    if (this.#flights.length === 0) return true
    return this.#flights.length <= ahead && this.bytes < bytesMax * aheadBytesFactor
  }

  /** Ends of those still under way: one that is over, behind an older one, would end every wait at once. */
  get ends(): readonly Promise<void>[] {
    return this.#flights.filter(({ letters }) => letters === null).map(({ over }) => over)
  }

  /** Schema of the newest one; null for a truncate, undefined when there is none. */
  get newestSchema(): string | null | undefined {
    const newest = this.#flights.at(-1)
    return newest && schemaOf(newest.delivery)
  }

  /** As a topic's state keeps them, with one more behind them. */
  plans(next?: DeliveryPlan): Pick<TopicState, 'plan' | 'ahead'> {
    const known = this.#flights.map((flight) => flight.plan)
    const [plan, ...ahead] = next === undefined ? known : [...known, next]
    return ahead.length === 0 ? { plan: plan ?? null } : { plan: plan ?? null, ahead }
  }

  add(planned: Planned, sending: Promise<readonly DeadLetter[]>): void {
    const flight: Flight = { ...planned, letters: null, over: Promise.resolve() }
    flight.over = sending.then((letters) => {
      flight.letters = letters
    })
    this.#flights.push(flight)
  }

  /** Takes those at the front that are over. */
  takeLanded(): readonly Landed[] {
    const landed: Landed[] = []
    for (let first = this.#flights[0]; first !== undefined; first = this.#flights[0]) {
      const { delivery, letters } = first
      if (letters === null) break
      this.#flights.shift()
      landed.push({ delivery, letters })
    }
    return landed
  }

  /** Nobody waits for them any more: that they fail is no news. */
  abandon(): void {
    for (const { over } of this.#flights) over.catch(() => {})
  }
}

export function bytesOf(delivery: Delivery): number {
  return delivery.kind === 'rows' ? delivery.batch.byteLength : 0
}

/** null for a truncate, beside which nothing else is sent. */
export function schemaOf(delivery: Delivery): string | null {
  return delivery.kind === 'rows' ? delivery.batch.schema.id : null
}
