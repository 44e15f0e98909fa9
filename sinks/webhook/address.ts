/**
 * Which addresses a webhook may be sent to. A URL in a pipeline file may come from somebody else, and
 * a name that was harmless when it was checked may lead inside when it is used (DNS rebinding), so
 * the address itself is judged, at the moment of connecting:
 *
 *   1. a literal address in the URL, before connecting;
 *   2. every address that a name resolves to, inside the resolver that the socket uses;
 *   3. the address that the socket is in fact connected to, before a byte is sent.
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { buildConnector } from 'undici'
import { SluiceError } from '../../core/errors/error.ts'

type Ip = ReturnType<typeof ipaddr.parse>

/** Public by its number, yet inside: Azure's WireServer answers from it on every virtual machine. */
const insidePublicRanges = new Set(['168.63.129.16'])

/** IPv6 addresses that carry an IPv4 address in their last 32 bits, and reach it. */
const mapped = ipaddr.parseCIDR('::ffff:0:0/96') // RFC 4291 §2.5.5.2
const nat64 = ipaddr.parseCIDR('64:ff9b::/96') // RFC 6052 §2.1
/** Global unicast (RFC 4291 §2.4); everything else in IPv6 is local, special or unassigned. */
const globalUnicast = ipaddr.parseCIDR('2000::/3')

/**
 * Whether the address is out on the public network. Not so: loopback, private (RFC 1918, RFC 4193),
 * link-local and with it the clouds' metadata services, carrier-grade NAT (RFC 6598), multicast,
 * documentation and every other reserved range, tunnels (6to4, Teredo), and IPv6 forms of all these.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const ip = ipaddr.parse(address)
  if (ip.kind() === 'ipv4') return isPublicV4(ip)
  if (ip.match(mapped) || ip.match(nat64)) return isPublicV4(lastFour(ip))
  return ip.match(globalUnicast) && ip.range() === 'unicast'
}

function isPublicV4(ip: Ip): boolean {
  return ip.range() === 'unicast' && !insidePublicRanges.has(ip.toString())
}

function lastFour(ip: Ip): Ip {
  return ipaddr.fromByteArray(ip.toByteArray().slice(12))
}

/** Thrown through the socket; endpoint.ts finds it there and stops the topic. */
export function addressRefused(host: string, address: string): SluiceError {
  return new SluiceError('sink.webhook.address_refused', {
    message:
      host === address
        ? `the address ${address} is not on the public network`
        : `${host} leads to ${address}, which is not on the public network`,
  })
}

/** The resolver of `dns.lookup`, refusing a name as soon as one of its addresses is not public. */
export function guardedLookup(
  resolve: LookupFunction = dnsLookup as LookupFunction,
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found, family) => {
      if (error !== null) return callback(error, '', 0)
      const addresses: readonly LookupAddress[] =
        typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found
      const inside = addresses.find(({ address }) => !isPublicAddress(address))
      if (inside !== undefined) return callback(addressRefused(hostname, inside.address), '', 0)
      const [first] = addresses
      if (options.all === true) return callback(null, [...addresses])
      callback(null, first?.address ?? '', first?.family ?? 0)
    })
  }
}

/** A host as a URL writes it, without the brackets of an IPv6 literal. */
export function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

/** undici's connector with the three checks around it. */
export function guardedConnector(
  options: buildConnector.BuildOptions,
  resolve?: LookupFunction,
): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup: guardedLookup(resolve) })
  return (target, callback) => {
    const host = bareHost(target.hostname)
    if (isIP(host) !== 0 && !isPublicAddress(host)) {
      return callback(addressRefused(host, host), null)
    }
    connect(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null)
      const address = socket.remoteAddress ?? ''
      if (isPublicAddress(address)) return callback(null, socket)
      socket.destroy()
      callback(addressRefused(host, address), null)
    })
  }
}
