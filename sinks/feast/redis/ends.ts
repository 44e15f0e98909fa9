/**
 * How far the store has come in each view's log (other-log.ts), in the Redis itself, one key a view:
 *
 *   `_sluice:{project}:{view}:end` = offset behind the newest live batch
 */
import type { RedisLink } from '../../../core/connector/redis.ts'
import { raiseKept } from '../../../core/connector/redis-offset.ts'
import type { ViewEnds } from '../target.ts'
import type { FeatureView } from '../view.ts'
import type { Floors } from './floors.ts'

export class RedisEnds implements ViewEnds {
  readonly #link: RedisLink
  readonly #floors: Floors

  constructor(link: RedisLink, floors: Floors) {
    this.#link = link
    this.#floors = floors
  }

  async read(view: FeatureView, signal: AbortSignal): Promise<number> {
    await this.#link.ready(signal)
    const found = await this.#link.settled(this.#link.client.get(keyOf(view)), signal)
    await this.#floors.load(view, signal)
    return Math.max(Number(found ?? 0), this.#floors.of(view))
  }

  async raise(view: FeatureView, end: number, signal: AbortSignal): Promise<void> {
    await this.#link.ready(signal)
    await raiseKept(this.#link, keyOf(view), end, signal)
  }

  describe(view: FeatureView): { readonly store: string; readonly emptying: string } {
    const marks = `"${keyOf(view)}" "${this.#floors.keyOf(view)}"`
    return {
      store: `Redis at ${this.#link.where}`,
      emptying: `empty the Redis (FLUSHDB); where it has other things too, remove the keys of project ${view.project}, then DEL ${marks}.`,
    }
  }
}

function keyOf({ project, stored }: FeatureView): string {
  return `_sluice:${project}:${stored}:end`
}
