/**
 * The Lua that writes features: read what is there, decide, write, as one step that nothing comes
 * between. It is made for each view, with the names of its fields in it, since arguments are what a call
 * costs most. One call takes several entities; in a cluster all of one slot. (One argument for all of a call,
 * taken apart with `struct`, costs the server no less, and it waits longer for each call.)
 *
 *   KEYS = Redis keys, one an entity
 *   ARGV = per entity:  time · mark [ · expires ] · value*        a row
 *                       time · mark [ · expires ]                 a deletion
 *   time    = `_ts:{view}`, a protobuf Timestamp
 *   mark    = offset                                 a row
 *           | offset ' ' deleted                     a row behind a deletion at that offset
 *           | '- ' deleted ' ' forgotten             a deletion; a tombstone until that time (ms)
 *   expires = ms since 1970; only where the view has a TTL
 *   value*  = one for each feature, in their order
 *
 * What is there of an entity is `_ts:{view}`, the features, and one field of our own with the mark. An
 * unmodified Feast asks for the fields it knows by name and never sees it. Its name is the hash of
 * `{view}:_sluice`, as short as those of features: the name is kept again for every entity.
 *
 * By event time nearly every row is decided by `_ts` alone: reading two fields costs twice as much as one.
 * So `_ts` itself says where the mark has to be read too, because it tells of a deletion: `10 00`, nanos of 0,
 * stand in front of the Timestamp then. Every reader of protobuf takes that for the same time, since the last
 * of two values of a field counts, and no writer writes a 0 (protobuf encoding, "Last One Wins").
 */
import { featureField } from '../layout/murmur3.ts'
import type { RenamedFeature } from '../target.ts'
import type { FeatureView } from '../view.ts'
import { timeFunctions } from './script-time.ts'

/**
 * How single fields can be made to expire: HSETEX (Redis 8.0, Valkey 9.0), HPEXPIREAT (Redis 7.4), or not
 * at all: then the key expires with the last of its views, and sweep.ts takes the fields away before that.
 */
export type FieldExpiry = 'hsetex' | 'hpexpireat' | 'none'

/** `persist`: `none`, and keys may have an expiry from a TTL that the view had (had-ttl.ts). */
type WriteExpiry = FieldExpiry | 'persist'

/** Our own field of a view's entity. */
export function markField(stored: string): Uint8Array {
  return featureField(stored, '_sluice')
}

/** In front of the time of what lies behind a deletion: nanos, 0. */
export const behindDeletion = Uint8Array.of(0x10, 0)

/** Lua 5.1 gives a function 250 registers: more values than this go in further calls of the same script. */
const pairsMax = 60

export function writeScript(
  view: FeatureView,
  fieldExpiry: FieldExpiry,
  { hadTtl }: { readonly hadTtl: boolean },
): string {
  const expiry = view.ttlMs === null && fieldExpiry === 'none' && hadTtl ? 'persist' : fieldExpiry
  const names = namesOf(view)
  const byTime = view.order === 'time'
  return `${head(names)}
${timeFunctions}
${putFunction(view, names, expiry)}
${emptyFunction(view, names, expiry)}
${judgeFunction(view, expiry)}
${byTime ? decideFunction : ''}
local written,at=0,0
for k=1,#KEYS do
  local key=KEYS[k]
  local T,O,E=A[at+1],A[at+2],${view.ttlMs === null ? 'nil' : 'A[at+3]'}
${byTime ? eachByTime : eachByLog}
  at=at+(byte(O)==45 and ${headArguments(view)} or ${headArguments(view) + view.features.length})
end
return written`
}

/** Arguments of an entity before its values. */
function headArguments({ ttlMs }: FeatureView): number {
  return ttlMs === null ? 2 : 3
}

/** Whether the row that comes may take the place of the one that is there: its time says it, or `decide`. */
const eachByTime = `
  local t=call('HGET',key,TS)
  local older,same=false,true
  if t and byte(t)==8 and not find(O,' ',1,true) then older,same=before(t,T) end
  if same then written=written+decide(key,T,O,E,at,t)
  elseif not older then put(key,T,O,E,at,t) written=written+1 end`

/**
 * With the mark: for an entity that is not there, one whose row is of the same time, and where a deletion comes
 * in. A row that Feast itself wrote has no mark, and only a time.
 */
const decideFunction = `local function decide(key,T,O,E,at,t)
  local m=call('HGET',key,MARK)
  if t and sub(t,1,2)==BEHIND then t=sub(t,3) end
  local n,was=num(O),m and num(m)
  if not n or m and not was then return judge(key,T,O,E,at,t,m) end
  if t and not notOlder(t,T,was,n) then return 0 end
  put(key,T,O,E,at,t)
  return 1
end`

/** The mark alone decides over nearly all rows: that there is a time, \`t\` only says then. */
const eachByLog = `
  local m=call('HGET',key,MARK)
  local n,was=num(O),m and num(m)
  local t=n and was or call('HGET',key,TS)
  if n and (was or not m) then
    if was and n>=was or not was and (not t or notOlder(t,T)) then
      put(key,T,O,E,at,t)
      written=written+1
    end
  else
    written=written+judge(key,T,O,E,at,t,m)
  end`

/** The scripts that follow do the same with each of their keys. */
function withEachKey(body: string): string {
  return `local function one(key)
${body}
end
for k=1,#KEYS do one(KEYS[k]) end
return #KEYS`
}

/** Takes the view's row away where it lies before ARGV[1], an offset, and tombstones before it. */
export function truncateScript(view: FeatureView): string {
  const names = namesOf(view)
  return `${head(names)}
local floor=num(A[1])
${withEachKey(`local m=call('HGET',key,MARK)
if not m then return end
local n,d=match(m,'^(%S+) ?(%d*)')
local newest=num(n) or num(d)
if newest>=floor then return end
${removal(names)}
call('HDEL',key,MARK)`)}`
}

/** Removes the values of features that the view has no more. */
export function forgetScript({ stored }: FeatureView, features: readonly string[]): string {
  const removed = features.map((name) => {
    return `redis.call('HDEL',key,${literal(featureField(stored, name))})`
  })
  return withEachKey(removed.join('\n'))
}

/** Moves the value of a feature to its new name, unless there is one already; it expires as before. */
export function renameScript(
  { stored, ttlMs }: FeatureView,
  { from, to }: RenamedFeature,
  expiry: FieldExpiry,
): string {
  const expires = ttlMs !== null && expiry !== 'none'
  return `local call=redis.call
local OLD,NEW=${literal(featureField(stored, from))},${literal(featureField(stored, to))}
${withEachKey(`local v=call('HGET',key,OLD)
if not v then return end
${expires ? `local e=call('HPEXPIRETIME',key,'FIELDS',1,OLD)[1]` : ''}
local moved=call('HSETNX',key,NEW,v)
${expires ? `if moved==1 and e>0 then call('HPEXPIREAT',key,e,'FIELDS',1,NEW) end` : ''}
call('HDEL',key,OLD)`)}`
}

/** For servers whose fields do not expire: takes away what expired before ARGV[1], ms since 1970. */
export function sweepScript(view: FeatureView): string {
  const names = namesOf(view)
  const ttl =
    view.ttlMs === null
      ? ''
      : `local t=call('HGET',key,TS)
if t then
  local s,n=slowly(t)
  if s*1000+n/1000000+${view.ttlMs}<=now then
    ${removal(names)}
    call('HDEL',key,MARK)
  end
end`
  return `${head(names)}
${timeFunctions}
local now=num(A[1])
${withEachKey(`local m=call('HGET',key,MARK)
local forgotten=m and match(m,'^%- %d+ (%d+)$')
if forgotten and not call('HGET',key,TS) and num(forgotten)<=now then
  call('HDEL',key,MARK)
  return
end
${ttl}`)}`
}

interface Names {
  readonly time: string
  readonly mark: string
  readonly features: readonly string[]
}

function namesOf({ stored, features }: FeatureView): Names {
  return {
    time: literal(Buffer.from(`_ts:${stored}`)),
    mark: literal(markField(stored)),
    features: features.map(({ name }) => literal(featureField(stored, name))),
  }
}

/** Any bytes as a Lua string. */
function literal(bytes: Uint8Array): string {
  return `"${Array.from(bytes, (byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`
}

function head({ time, mark }: Names): string {
  return `local call,num=redis.call,tonumber
local byte,sub,find,match=string.byte,string.sub,string.find,string.match
local A=ARGV
local TS,MARK,BEHIND=${time},${mark},${literal(behindDeletion)}`
}

function putFunction(view: FeatureView, { features }: Names, expiry: WriteExpiry): string {
  const first = headArguments(view) + 1
  const values = features.map((name, i) => ({ name, value: `A[at+${first + i}]` }))
  const pairs = [{ name: 'TS', value: 'T' }, { name: 'MARK', value: 'O' }, ...values]
  return `local function put(key,T,O,E,at,t)
${writePairs(view, pairs, expiry)}
end`
}

interface Pair {
  readonly name: string
  readonly value: string
}

/** Writes pairs into \`key\`, which expire at \`E\` where the view has a TTL; \`t\`: its time before, if any. */
function writePairs(view: FeatureView, pairs: readonly Pair[], expiry: WriteExpiry): string {
  const parts: Pair[][] = []
  for (let i = 0; i < pairs.length; i += pairsMax) parts.push(pairs.slice(i, i + pairsMax))
  const write = (verb: (part: readonly Pair[]) => string): string =>
    parts.map((part) => `  ${verb(part)}`).join('\n')
  const hset = write((part) => `call('HSET',key,${flat(part)})`)
  if (view.ttlMs === null) {
    // A key that holds only what expires has an expiry itself, which would take this row along.
    if (expiry === 'none') return `${hset}\n  if not t then call('PERSIST',key) end`
    return expiry === 'persist' ? `${hset}\n  call('PERSIST',key)` : hset
  }
  switch (expiry) {
    case 'hsetex':
      return write((part) => `call('HSETEX',key,'PXAT',E,'FIELDS',${part.length},${flat(part)})`)
    case 'hpexpireat':
      return write((part) => {
        const fields = part.map(({ name }) => name).join(',')
        return `call('HSET',key,${flat(part)})
  call('HPEXPIREAT',key,E,'FIELDS',${part.length},${fields})`
      })
    case 'none':
    case 'persist':
      return `  local left=call('PTTL',key)
${hset}
  if left==-2 then call('PEXPIREAT',key,E) elseif left>=0 then call('PEXPIREAT',key,E,'GT') end`
  }
}

function flat(part: readonly Pair[]): string {
  return part.map(({ name, value }) => `${name},${value}`).join(',')
}

/** What a deletion does: the features go and a tombstone stays, or they become null. */
function emptyFunction(view: FeatureView, names: Names, expiry: WriteExpiry): string {
  if (view.onDelete === 'null') {
    const nulls = names.features.map((name) => ({ name, value: `''` }))
    const own = [
      { name: 'TS', value: timeBehind(view) },
      { name: 'MARK', value: 'O' },
    ]
    const pairs = [...own, ...nulls]
    return `local function empty(key,T,O,E,t)
  if t and before(t,T) then T=t end
${writePairs(view, pairs, expiry)}
end`
  }
  const onKey = `call('HSET',key,MARK,O)
  if call('HLEN',key)==1 then call('PEXPIREAT',key,forgotten) end`
  const tombstone = {
    hsetex: `call('HSETEX',key,'PXAT',forgotten,'FIELDS',1,MARK,O)`,
    hpexpireat: `call('HSET',key,MARK,O)
  call('HPEXPIREAT',key,forgotten,'FIELDS',1,MARK)`,
    none: onKey,
    persist: onKey,
  }[expiry]
  return `local function empty(key,T,O,E,t)
  local forgotten=match(O,'(%d+)$')
  ${removal(names)}
  ${tombstone}
end`
}

/** The time of a row behind a deletion, and of a deletion: by the log, the mark is read at once. */
function timeBehind({ order }: FeatureView): string {
  return order === 'time' ? 'BEHIND..T' : 'T'
}

/** Removes the features and the time, and not the mark. */
function removal({ features }: Names): string {
  const all = ['TS', ...features]
  const calls: string[] = []
  for (let i = 0; i < all.length; i += pairsMax * 2) {
    calls.push(`call('HDEL',key,${all.slice(i, i + pairsMax * 2).join(',')})`)
  }
  return calls.join('\n')
}

/**
 * Where a deletion comes in, now or before: it takes away every row before it in the log, and of the
 * rows behind the last one the newest stays. Returns 1 where something was written.
 */
function judgeFunction(view: FeatureView, expiry: WriteExpiry): string {
  // In the order of the log a row that is there lies behind every deletion, and its offset says it all.
  const behind = view.order === 'time' ? `a..' '..(d>sd and dText or sdText)` : 'a'
  const newer = view.order === 'time' ? 'notOlder(t,T,so,n)' : 'n>=so'
  const keep = view.order === 'time' ? `if d>sd then ${setMark(view, expiry)} return 1 end` : ''
  return `local function judge(key,T,O,E,at,t,m)
  local a,dText=match(O,'^(%S+) ?(%d*)')
  local n,d=num(a),num(dText) or -1
  local soText,sdText
  local so,sd
  if m then
    soText,sdText=match(m,'^(%S+) ?(%d*)')
    so=num(soText)
    sd=num(sdText) or -1
  else
    so=t and -1
    sd=-1
  end
  local D=d>sd and d or sd
  local live=t and so and so>D
  local new=n and n>D
  if new and (not live or ${newer}) then
    put(key,${timeBehind(view)},${behind},E,at,t)
    return 1
  end
  if live then
    ${keep}
    return 0
  end
  if n or sd>=d then return 0 end
  empty(key,T,O,E,t)
  return 1
end`
}

/** Notes in the row that is there that a deletion lies before it; it expires as before. */
function setMark(view: FeatureView, expiry: WriteExpiry): string {
  const fields = "TS,BEHIND..t,MARK,soText..' '..dText"
  if (view.ttlMs === null || expiry === 'none') return `call('HSET',key,${fields})`
  if (expiry === 'hsetex') return `call('HSETEX',key,'KEEPTTL','FIELDS',2,${fields})`
  return `local e=call('HPEXPIRETIME',key,'FIELDS',1,MARK)[1]
      call('HSET',key,${fields})
      if e>0 then call('HPEXPIREAT',key,e,'FIELDS',2,TS,MARK) end`
}
