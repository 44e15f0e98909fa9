/** Ranges of IP addresses, as lists of who is trusted or allowed name them. */
import ipaddr from 'ipaddr.js'
import { z } from 'zod'

type Range = ReturnType<typeof ipaddr.parseCIDR>

/** Schema of an address or a CIDR. */
export const ipRangeText = z
  .string()
  .refine(
    (text) => (text.includes('/') ? ipaddr.isValidCIDR(text) : ipaddr.isValid(text)),
    'expected an IP address or a range of them, such as 10.0.0.0/8 or 2001:db8::/32',
  )

export class IpRanges {
  readonly #ranges: readonly Range[]

  /** Texts that `ipRangeText` accepts. */
  constructor(texts: readonly string[]) {
    this.#ranges = texts.map(parseRange)
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** `address` as `plainAddress` gives it; what is no address is in no range. */
  has(address: string): boolean {
    if (this.#ranges.length === 0 || !ipaddr.isValid(address)) return false
    const ip = ipaddr.parse(address)
    return this.#ranges.some((range) => ip.kind() === range[0].kind() && ip.match(range))
  }
}

export function isAddress(text: string): boolean {
  return ipaddr.isValid(text)
}

/**
 * Without a port, brackets or a zone; IPv4 addresses as such, where a socket of both families shows them
 * mapped into IPv6 (RFC 4291 §2.5.5.2): lists of addresses name them that way.
 */
export function plainAddress(text: string): string {
  // What a socket of IPv4 says, which is most of what is asked here, is plain already.
  if (!text.includes(':')) return text
  const bare = text.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/%.*$/, '')
  const address = /^\d+\.\d+\.\d+\.\d+:\d+$/.test(bare) ? bare.replace(/:\d+$/, '') : bare
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

function parseRange(text: string): Range {
  if (text.includes('/')) return unmapped(ipaddr.parseCIDR(text))
  const ip = ipaddr.parse(text)
  return unmapped([ip, ip.kind() === 'ipv4' ? 32 : 128] as unknown as Range)
}

/** ::ffff:10.0.0.0/104 means 10.0.0.0/8. */
function unmapped(range: Range): Range {
  const [ip, bits] = range
  if (ip.kind() !== 'ipv6' || bits < 96) return range
  const v6 = ip as ReturnType<typeof ipaddr.IPv6.parse>
  return v6.isIPv4MappedAddress() ? ([v6.toIPv4Address(), bits - 96] as unknown as Range) : range
}
