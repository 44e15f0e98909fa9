/**
 * Where a Redis is, out of a URL.
 *
 *   url   = ( 'redis' | 'rediss' ) '://' [ [ user ] ':' password '@' ] host ( ',' host )* [ '/' database ]
 *   host  = name [ ':' port ]                         user and password percent-encoded; 6379 by default
 *
 * Several hosts are the nodes of a cluster or the sentinels of a master. WHATWG's URL knows only one.
 */
import { SluiceError } from '../errors/error.ts'
import type { Secret } from './secret.ts'

export interface RedisSettings {
  readonly url: Secret
  /** Whether it is a cluster; false when absent. */
  readonly cluster?: boolean
  /** Name of the master set; then the hosts are sentinels. */
  readonly sentinel?: string
  /** PEM of authorities to trust instead of the public ones. */
  readonly ca?: string
  /** Longest wait for a connection, and for an answer. */
  readonly timeoutMs: number
  /** For withReplicas (redis-replicas.ts). */
  readonly replicas?: ReplicasWanted
}

/** So many of every master, each time at most so long. */
export interface ReplicasWanted {
  readonly count: number
  readonly timeoutMs: number
}

export interface RedisAddress {
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly user: string | null
  readonly password: string | null
  readonly database: number
  readonly tls: boolean
  /** `host:port,host:port`, for messages. */
  readonly where: string
}

const form = /^(rediss?):\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/(\d{0,5}))?$/

/** Throws `redis.url`. Never says what the URL was: it may hold a password. */
export function redisAddress({ url, cluster, sentinel }: RedisSettings): RedisAddress {
  const address = parseRedisUrl(url)
  if (address.hosts.length > 1 && cluster !== true && sentinel === undefined) {
    throw invalid(
      'Several hosts need `cluster: true`, or `sentinel` with the name of the master set.',
    )
  }
  return address
}

function parseRedisUrl(url: Secret): RedisAddress {
  const parts = form.exec(url.reveal())
  if (parts === null) throw invalid('The address is no redis:// or rediss:// URL.')
  const [, scheme, login = '', list = '', database = ''] = parts
  const hosts = list.split(',').map(parseHost)
  const colon = login.indexOf(':')
  const user = decoded(colon < 0 ? login : login.slice(0, colon))
  const password = colon < 0 ? null : decoded(login.slice(colon + 1))
  return {
    hosts,
    user: user === '' ? null : user,
    password,
    database: Number(database),
    tls: scheme === 'rediss',
    where: hosts.map(({ host, port }) => `${host}:${port}`).join(','),
  }
}

function parseHost(text: string): { host: string; port: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text)
  const host = parts?.[1] ?? parts?.[2]
  const port = Number(parts?.[3] ?? 6379)
  if (host === undefined || port < 1 || port > 65_535) {
    throw invalid('A host of the address is not of the form name:port.')
  }
  return { host, port }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('User and password of the address must be percent-encoded.')
  }
}

function invalid(message: string): SluiceError {
  return new SluiceError('redis.url', { message })
}
