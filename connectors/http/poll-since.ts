/** `since` of a topic: what is asked for, and from where on rows may come again. */
import type { Field } from '../../core/record/schema.ts'
import type { SinceConfig } from './poll-paging-config.ts'
import type { PollState } from './poll-state.ts'
import { isGreater, orderOf, restoredSince, type SinceOrder, type SinceValue } from './since.ts'

export class PollSince {
  readonly field: string
  readonly order: SinceOrder
  readonly #config: SinceConfig
  readonly #overlap: bigint

  constructor(config: SinceConfig, { name, type }: Field) {
    this.field = name
    // Other types do not get through the configuration.
    this.order = orderOf(type)!
    this.#config = config
    const { overlap = 0 } = config
    this.#overlap = typeof overlap === 'number' ? BigInt(overlap) : BigInt(overlap.ms) * 1000n
  }

  /** The parameter of the query for it; null = a template has it. */
  get parameter(): string | null {
    return this.#config.parameter ?? null
  }

  /** What a run that begins in this state asks for; null = nothing yet. */
  asked(state: PollState): string | null {
    const { start, format } = this.#config
    const from = this.border(state) ?? (start === undefined ? null : this.order.parse(start))
    return from === null ? null : this.order.write(from, format)
  }

  /** Rows that are not before it may come again; null = none was read yet. */
  border({ since }: PollState): SinceValue | null {
    const value = since === undefined ? null : restoredSince(this.order, since)
    if (value === null) return null
    const from = typeof value === 'bigint' ? value - this.#overlap : value
    return this.order.floor(from, this.#config.format)
  }

  /**
   * The greatest value that counts; null = any does. A time that is yet to come is that of one row: whoever asked
   * from there on, or from what is now, would not see rows that were written meanwhile. It comes again until its
   * time is there.
   */
  max(nowMs: number): SinceValue | null {
    if (!this.order.isTime) return null
    return BigInt(Math.floor(nowMs)) * 1000n + this.order.aheadUs
  }

  /** The greater one, as a state has it. */
  later(before: string | undefined, value: SinceValue | null): string | undefined {
    if (value === null) return before
    const known = before === undefined ? null : restoredSince(this.order, before)
    return known === null || isGreater(value, known) ? String(value) : before
  }
}
