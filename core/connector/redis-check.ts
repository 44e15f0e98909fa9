/** What is wrong with the servers behind an address: the preflight of whoever writes to a Redis. */
import type { Redis } from 'ioredis'
import { codes, type Code } from '../errors/codes.ts'
import { SluiceError } from '../errors/error.ts'
import type { Problem } from './problem.ts'
import { whereOf, type RedisLink } from './redis.ts'
import { openRedis, type RedisKeys } from './redis-config.ts'

/** Oldest servers supported: PEXPIREAT … GT, flags of scripts and EVALSHA's error replies are as of these. */
const oldest = { redis: [7, 0], valkey: [7, 2] } as const

/** Never throws for what the user can cure; throws when aborted. Each wait ends by the time-out of the keys. */
export async function checkRedis(
  keys: RedisKeys,
  signal: AbortSignal = new AbortController().signal,
): Promise<readonly Problem[]> {
  try {
    await using link = openRedis(keys)
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
  const where = whereOf(server)
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
    add('redis.evicts', 'warning', `maxmemory-policy is ${policy}: any key may go at any time.`)
  }
  const replicas = Number(info.get('connected_slaves'))
  if (replicas < (link.replicas?.count ?? 0)) {
    add('redis.replicas', 'warning', `it has ${replicas} replicas now.`)
  }
  if (info.get('aof_enabled') === '0' && replicas === 0) {
    add('redis.no_persistence', 'warning', 'appendonly is off, and there is no replica.')
  }
  return problems
}

function atLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}
