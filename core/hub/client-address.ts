/**
 * Who calls: the address of the connection, or, behind proxies that are trusted, the first address in
 * X-Forwarded-For, read from its end, that is not one of theirs. What stands further left anybody may have
 * written.
 *
 *   X-Forwarded-For = address *( ',' address )       each proxy adds whom it was called by
 */
import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'

type Range = ReturnType<typeof ipaddr.parseCIDR>

/** A header longer than this is not read through: no chain of proxies is that long. */
const hopsMax = 32

export class ClientAddresses {
  readonly #trusted: readonly Range[]

  /** `trusted`: CIDRs, or single addresses. */
  constructor(trusted: readonly string[]) {
    this.#trusted = trusted.map(parseRange)
  }

  of(request: IncomingMessage): string {
    const address = plain(request.socket.remoteAddress ?? '')
    if (this.#trusted.length === 0 || !this.#isTrusted(address)) return address
    const header = request.headers['x-forwarded-for']
    const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
    let client = address
    for (const hop of hops.slice(-hopsMax).reverse()) {
      const said = plain(hop.trim())
      // What is no address was not added by a proxy: the last one known is whom we believe.
      if (!ipaddr.isValid(said)) return client
      client = said
      if (!this.#isTrusted(said)) return client
    }
    return client
  }

  #isTrusted(address: string): boolean {
    if (!ipaddr.isValid(address)) return false
    const ip = ipaddr.parse(address)
    return this.#trusted.some((range) => ip.kind() === range[0].kind() && ip.match(range))
  }
}

function parseRange(text: string): Range {
  if (text.includes('/')) return ipaddr.parseCIDR(text)
  const ip = ipaddr.parse(text)
  return [ip, ip.kind() === 'ipv4' ? 32 : 128]
}

/** Without a port or zone; IPv4 addresses as such, where a socket of both families shows them mapped (RFC 4291 §2.5.5.2). */
function plain(address: string): string {
  const bare = address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/%.*$/, '')
  const withoutPort = /^\d+\.\d+\.\d+\.\d+:\d+$/.test(bare) ? bare.replace(/:\d+$/, '') : bare
  return withoutPort.startsWith('::ffff:') && withoutPort.includes('.')
    ? withoutPort.slice('::ffff:'.length)
    : withoutPort
}
