/**
 * Writes that count only when replicas have them. Redis answers before it has sent a write on: a master that is
 * lost just then takes along what was answered, and the replica in its place never had it.
 *
 * WAIT says how many replicas have what this connection wrote to this server. It cannot tell of what was written
 * over a connection before it, or to a master before this one; where one of them changed on the way, nothing
 * is known, and the writes are made again.
 */
import type { Redis } from 'ioredis'
import { SluiceError } from '../errors/error.ts'
import { whereOf, type RedisLink } from './redis.ts'

/**
 * Does `work`, which writes over the link, and returns when as many replicas as the link is told to wait for, of
 * every master, have what it wrote. Throws `redis.replicas`; then the work is to be done again.
 */
export async function withReplicas<T>(
  link: RedisLink,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { replicas } = link
  if (replicas === null) return work()
  await link.ready(signal)
  const { masters, losses } = link
  const result = await work()
  // A server answers nothing else on the connection meanwhile: behind several of them calls would time out.
  await replicas.turn.acquire(signal)
  try {
    const asked = masters.map((master) => master.wait(replicas.count, replicas.timeoutMs))
    const have = await link.settled(Promise.all(asked), signal, replicas.timeoutMs)
    for (const [i, count] of have.entries()) {
      if (count >= replicas.count) continue
      throw notThere(
        `${whereOf(masters[i]!)}: ${count} of ${replicas.count} replicas had a batch after ${replicas.timeoutMs} ms`,
      )
    }
  } finally {
    replicas.turn.release()
  }
  if (link.losses !== losses || !sameServers(masters, link.masters)) {
    throw notThere(`${link.where}: a connection or its master changed while a batch was written`)
  }
  return result
}

function sameServers(before: readonly Redis[], now: readonly Redis[]): boolean {
  return before.length === now.length && before.every((one) => now.includes(one))
}

function notThere(what: string): SluiceError {
  return new SluiceError('redis.replicas', { message: `Redis at ${what}.` })
}
