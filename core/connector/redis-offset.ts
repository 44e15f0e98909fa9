/**
 * An offset of the log in a key of its own, which only grows: how far a Redis has come (a log that was begun anew
 * counts from 0 again, and is told by an end that lies before the one that is kept), where its rows were truncated.
 *
 *   KEYS = where it is kept     ARGV = offset
 *
 * Not lowered by a process that was taken for dead and wakes up. Deletions and truncates, which make room, are not
 * to fail for it when memory is full.
 */
import type { RedisLink } from './redis.ts'
import { redisScript } from './redis-calls.ts'

export const raiseOffset = redisScript(`#!lua flags=allow-oom
local m=redis.call('GET',KEYS[1])
if not m or tonumber(m)<tonumber(ARGV[1]) then redis.call('SET',KEYS[1],ARGV[1]) end
return 1`)

/** The script's one call, for whoever has no others to send it with. Throws as `RedisLink.settled`. */
export async function raiseKept(
  link: RedisLink,
  key: string,
  offset: number,
  signal: AbortSignal,
): Promise<void> {
  await link.settled(link.client.eval(raiseOffset.text, 1, key, offset), signal)
}
