/**
 * Floors: the offset below which rows of a view are void, because the topic was truncated there. A replay
 * may bring such rows again; they must not come back. Kept in the Redis itself, one key a view:
 *
 *   `_sluice:{project}:{view}:truncated` = offset
 *
 * Rows at the cursor are never below it, unless the log was begun anew: then it is out of date.
 */
import type { RedisLink } from '../../../core/connector/redis.ts'
import type { FeatureRows } from '../target.ts'
import type { FeatureView } from '../view.ts'

export class Floors {
  readonly #link: RedisLink
  readonly #project: string
  readonly #floors = new Map<string, number>()

  constructor(link: RedisLink, project: string) {
    this.#link = link
    this.#project = project
  }

  /** 0 where the topic was never truncated. */
  of(view: FeatureView): number {
    return this.#floors.get(view.stored) ?? 0
  }

  async load(view: FeatureView, signal: AbortSignal): Promise<void> {
    const found = await this.#link.settled(this.#link.client.get(this.#key(view)), signal)
    this.#floors.set(view.stored, Number(found ?? 0))
  }

  async raise(view: FeatureView, offset: number, signal: AbortSignal): Promise<void> {
    await this.#link.settled(this.#link.client.set(this.#key(view), offset), signal)
    this.#floors.set(view.stored, offset)
  }

  /** Forgets a floor that rows at the cursor lie below. */
  async meet({ view, again, offsets, count }: FeatureRows, signal: AbortSignal): Promise<void> {
    const floor = this.of(view)
    if (again === true || floor === 0) return
    let lowest = Infinity
    for (let i = 0; i < count; i++) lowest = Math.min(lowest, offsets[i]!)
    if (lowest >= floor) return
    await this.#link.settled(this.#link.client.del(this.#key(view)), signal)
    this.#floors.set(view.stored, 0)
  }

  #key(view: FeatureView): string {
    return `_sluice:${this.#project}:${view.stored}:truncated`
  }
}
