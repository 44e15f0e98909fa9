/**
 * How far a Redis has come in a log, in a key of its own: a log that was begun anew counts from 0 again,
 * and is told by an end that lies before the one that is kept.
 *
 *   KEYS = where the end is kept     ARGV = offset behind the newest live batch
 *
 * Not lowered by a process that was taken for dead and wakes up. A batch of deletions, which makes room,
 * is not to fail for it when memory is full.
 */
import { redisScript } from './redis-calls.ts'

export const raiseEnd = redisScript(`#!lua flags=allow-oom
local m=redis.call('GET',KEYS[1])
if not m or tonumber(m)<tonumber(ARGV[1]) then redis.call('SET',KEYS[1],ARGV[1]) end
return 1`)
