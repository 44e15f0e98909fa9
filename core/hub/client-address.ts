/**
 * Who calls: the address of the connection, or, behind proxies that are trusted, the first address in
 * X-Forwarded-For, read from its end, that is not one of theirs. What stands further left anybody may have
 * written.
 *
 *   X-Forwarded-For = address *( ',' address )       each proxy adds whom it was called by
 */
import type { IncomingMessage } from 'node:http'
import { IpRanges, isAddress, plainAddress } from '../connector/ip-range.ts'

/** No chain of proxies is longer; what stands before is not read. */
const hopsMax = 32

export class ClientAddresses {
  readonly #trusted: IpRanges

  /** `trusted`: CIDRs, or single addresses. */
  constructor(trusted: readonly string[]) {
    this.#trusted = new IpRanges(trusted)
  }

  of(request: Pick<IncomingMessage, 'headers' | 'socket'>): string {
    const address = plainAddress(request.socket.remoteAddress ?? '')
    if (!this.#trusted.has(address)) return address
    const header = request.headers['x-forwarded-for']
    const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
    let client = address
    for (const hop of hops.slice(-hopsMax).reverse()) {
      const said = plainAddress(hop.trim())
      // What is no address was not added by a proxy: the last one known is whom we believe.
      if (!isAddress(said)) return client
      client = said
      if (!this.#trusted.has(said)) return client
    }
    return client
  }
}
