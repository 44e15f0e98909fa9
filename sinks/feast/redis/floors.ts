/**
 * Floors: the offset below which rows of a view are void, because the topic was truncated there. A replay
 * may bring such rows again; they must not come back. Kept in the Redis itself, one key a view:
 *
 *   `_sluice:{project}:{view}:truncated` = offset
 *
 * Rows at the cursor are never below it.
 */
import type { RedisLink } from '../../../core/connector/redis.ts'
import { raiseKept } from '../../../core/connector/redis-offset.ts'
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

  /** Asks the store, which may have been emptied. */
  async load(view: FeatureView, signal: AbortSignal): Promise<void> {
    const found = await this.#link.settled(this.#link.client.get(this.keyOf(view)), signal)
    this.#floors.set(view.stored, Number(found ?? 0))
  }

  async raise(view: FeatureView, offset: number, signal: AbortSignal): Promise<void> {
    await raiseKept(this.#link, this.keyOf(view), offset, signal)
    this.#floors.set(view.stored, Math.max(offset, this.of(view)))
  }

  /** The key of Redis that it has. */
  keyOf(view: FeatureView): string {
    return `_sluice:${this.#project}:${view.stored}:truncated`
  }
}
