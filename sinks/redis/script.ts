/**
 * The Lua that writes rows: look which row is there, decide, write, as one step. A row wins over those of
 * lower offsets; a deletion too, and is remembered beside the key for a while (key.ts, tombstoneKey).
 *
 *   KEYS = key · tombstone
 *   ARGV of a row         = offset · ttl in ms or '' · ( field · value )*        hash
 *                         = offset · ttl in ms or '' · json                      json
 *   ARGV of a deletion    = offset · how long it is remembered in ms
 *   ARGV of a truncate    = offset: takes away what is older
 *
 * The offset of what is there is the hash's field `_sluice`, or the last member `"_sluice"` of the JSON.
 */
import type { RedisConfig } from './config.ts'

export const markName = '_sluice'

type Format = RedisConfig['format']

const there: Readonly<Record<Format, string>> = {
  hash: `local m=redis.call('HGET',KEYS[1],'${markName}')`,
  json: `local v=redis.call('GET',KEYS[1])
local m=v and string.match(v,'"${markName}":(%d+)}$')`,
}

const decide = `local n=tonumber(ARGV[1])
if not m then m=redis.call('GET',KEYS[2]) end
if m and tonumber(m)>n then return 0 end`

const put: Readonly<Record<Format, string>> = {
  // DEL first: a column that is null now was none before.
  hash: `redis.call('DEL',KEYS[1])
redis.call('HSET',KEYS[1],'${markName}',ARGV[1],unpack(ARGV,3,math.min(#ARGV,3002)))
for i=3003,#ARGV,3000 do redis.call('HSET',KEYS[1],unpack(ARGV,i,math.min(#ARGV,i+2999))) end
if ARGV[2]~='' then redis.call('PEXPIRE',KEYS[1],ARGV[2]) end`,
  json: `if ARGV[2]~='' then redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[2])
else redis.call('SET',KEYS[1],ARGV[3]) end`,
}

/**
 * With this first line a script is refused as a whole when memory is full. Without it, one that has begun
 * with a DEL could write on, beyond `maxmemory` (redis 7.0, script.c, scriptPrepareForRun).
 */
const denyFull = '#!lua'
/** Taking rows away makes room. */
const allowFull = '#!lua flags=allow-oom'

export function writeScript(format: Format): string {
  return `${denyFull}
${there[format]}
${decide}
${put[format]}
return 1`
}

export function deleteScript(format: Format): string {
  return `${allowFull}
${there[format]}
${decide}
redis.call('DEL',KEYS[1])
redis.call('SET',KEYS[2],ARGV[1],'PX',ARGV[2])
return 1`
}

export function truncateScript(format: Format): string {
  return `${allowFull}
if redis.call('TYPE',KEYS[1]).ok~='${format === 'hash' ? 'hash' : 'string'}' then return 0 end
${there[format]}
if not m or tonumber(m)>=tonumber(ARGV[1]) then return 0 end
redis.call('DEL',KEYS[1])
return 1`
}
