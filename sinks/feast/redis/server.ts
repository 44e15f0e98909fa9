/** What kind of server it is: what it can do, and what is wrong with it (the preflight). */
import type { Redis } from 'ioredis'
import type { Problem } from '../../../core/connector/problem.ts'
import type { RedisLink } from '../../../core/connector/redis.ts'
import { codes, type Code } from '../../../core/errors/codes.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { FieldExpiry } from './script.ts'

/** Oldest servers supported: PEXPIREAT … GT and EVALSHA's error replies are as of these. */
const oldest = { redis: [7, 0], valkey: [7, 2] } as const

/** What all masters can do: the least of them in a cluster that is being upgraded. */
export async function fieldExpiryOf(link: RedisLink, signal: AbortSignal): Promise<FieldExpiry> {
  let least: FieldExpiry = 'hsetex'
  for (const master of link.masters) {
    const asked = master.call('COMMAND', 'INFO', 'HSETEX', 'HPEXPIREAT') as Promise<unknown[]>
    const [hsetex, hpexpireat] = await link.settled(asked, signal)
    if (hpexpireat === null) return 'none'
    if (hsetex === null) least = 'hpexpireat'
  }
  return least
}

/** Never throws for what the user can cure; throws when aborted. */
export async function checkRedis(
  link: RedisLink,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  try {
    await link.ready(signal)
    const problems: Problem[] = []
    for (const master of link.masters) problems.push(...(await checkServer(link, master, signal)))
    return problems
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return [{ code: error.code, severity: 'error', message: error.message, remedy: error.remedy }]
  }
}

async function checkServer(
  link: RedisLink,
  server: Redis,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  const where = `${server.options.host ?? ''}:${server.options.port ?? ''}`
  const info = new Map<string, string>()
  for (const line of (await link.settled(server.info(), signal)).split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) info.set(line.slice(0, colon), line.slice(colon + 1))
  }
  const problems: Problem[] = []
  const add = (code: Code, severity: Problem['severity'], message: string): void => {
    problems.push({ code, severity, message: `${where}: ${message}`, remedy: codes[code].remedy })
  }
  const kind = info.get('server_name') === 'valkey' ? 'valkey' : 'redis'
  const version = info.get(`${kind}_version`) ?? ''
  if (!atLeast(version, oldest[kind])) {
    add('redis.version', 'error', `${kind} ${version} is older than ${oldest[kind].join('.')}.`)
  }
  if (info.get('cluster_enabled') === '1' && !link.isCluster) {
    add('redis.cluster', 'error', 'the server is a node of a cluster.')
  }
  if (info.get('role') === 'slave') {
    add('redis.read_only', 'warning', 'the server is a replica and takes no writes now.')
  }
  const policy = info.get('maxmemory_policy') ?? ''
  if (policy.startsWith('allkeys') && info.get('maxmemory') !== '0') {
    add('redis.evicts', 'warning', `maxmemory-policy is ${policy}: any feature may go at any time.`)
  }
  if (info.get('aof_enabled') === '0' && info.get('connected_slaves') === '0') {
    add('redis.no_persistence', 'warning', 'appendonly is off, and there is no replica.')
  }
  return problems
}

function atLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}
