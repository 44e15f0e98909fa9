/**
 * Endpoints: one for each address that rows lead to, made when the first event for it comes. Those not
 * used for longest are forgotten beyond a bound; what is forgotten of one that fails is found out again.
 */
import type { Route } from './address-template.ts'
import { Endpoint, type Outbound } from './endpoint.ts'

/** Each takes about 2 KB. */
const endpointsMax = 20_000

export class Endpoints {
  readonly #out: Outbound
  /** The one used last is the last. */
  readonly #all = new Map<string, Endpoint>()

  constructor(out: Outbound) {
    this.#out = out
  }

  of(route: Route): Endpoint {
    const known = this.#all.get(route.name)
    if (known !== undefined) {
      // Of a few endpoints none is ever forgotten, so that their order does not matter.
      if (this.#all.size < endpointsMax / 2) return known
      this.#all.delete(route.name)
      this.#all.set(route.name, known)
      return known
    }
    if (this.#all.size >= endpointsMax) this.#forget()
    const endpoint = new Endpoint(route, this.#out)
    this.#all.set(route.name, endpoint)
    return endpoint
  }

  readyMs(name: string, under: number): number {
    return this.#all.get(name)?.readyMs(under) ?? (under === 0 ? 0 : 1000)
  }

  get disabled(): number {
    let count = 0
    for (const endpoint of this.#all.values()) if (endpoint.isDisabled) count++
    return count
  }

  /** One that nothing is under way to; of those the least used. */
  #forget(): void {
    for (const [name, endpoint] of this.#all) {
      if (!endpoint.isIdle) continue
      this.#all.delete(name)
      return
    }
  }
}
