/**
 * The Lua that writes features: read what is there, decide, write, as one step that nothing comes
 * between. It is made for each view, with the names of its fields in it, since arguments are what a call
 * costs most. One call takes several entities; in a cluster all of one slot.
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
 */
import { featureField } from '../layout/murmur3.ts'
import type { RenamedFeature } from '../target.ts'
import type { FeatureView } from '../view.ts'

/**
 * How single fields can be made to expire: HSETEX (Redis 8.0, Valkey 9.0), HPEXPIREAT (Redis 7.4), or not
 * at all: then the key expires with the last of its views, and sweep.ts takes the fields away before that.
 */
export type FieldExpiry = 'hsetex' | 'hpexpireat' | 'none'

/** Our own field of a view's entity. */
export function markField(stored: string): Uint8Array {
  return featureField(stored, '_sluice')
}

/** Lua 5.1 gives a function 250 registers: more values than this go in further calls of the same script. */
const pairsMax = 60

export function writeScript(view: FeatureView, expiry: FieldExpiry): string {
  const names = namesOf(view)
  return `${head(names)}
${timeFunctions}
${putFunction(view, names, expiry)}
${emptyFunction(view, names, expiry)}
${judgeFunction(view, expiry)}
local written=0
local at=0
for k=1,#KEYS do
  local key=KEYS[k]
  local T,O=A[at+1],A[at+2]
  local n=num(O)
${view.order === 'time' ? plainByTime : plainByLog}
    at=at+${stride(view)}
  else
    written=written+judge(key,T,O,at,t,m)
    at=at+(byte(O,1)==45 and ${stride(view) - view.features.length} or ${stride(view)})
  end
end
return written`
}

/**
 * Whether the row that comes may take the place of the one that is there, neither with a deletion.
 * One that Feast itself wrote has no mark, and only a time.
 */
const plainByTime = `
  local there=call('HMGET',key,TS,MARK)
  local t,m=there[1],there[2]
  local was=m and num(m)
  if n and (was or not m) then
    if not t or notOlder(t,T,was,n) then put(key,T,O,at,t) written=written+1 end`

/**
 * The mark alone decides over nearly all rows, and one field costs half of what two cost: that there is a
 * time, `t` only says then.
 */
const plainByLog = `
  local m=call('HGET',key,MARK)
  local was=m and num(m)
  local t=n and was or call('HGET',key,TS)
  if n and (was or not m) then
    if was and n>=was or not was and (not t or notOlder(t,T)) then put(key,T,O,at,t) written=written+1 end`

/** Takes the view's row away where it lies before ARGV[1], an offset, and tombstones before it. */
export function truncateScript(view: FeatureView): string {
  const names = namesOf(view)
  return `${head(names)}
local m=call('HGET',KEYS[1],MARK)
if not m then return 0 end
local n,d=match(m,'^(%S+) ?(%d*)')
local newest=num(n) or num(d)
if newest>=num(A[1]) then return 0 end
${removal(names)}
call('HDEL',KEYS[1],MARK)
return 1`
}

/** Removes the values of features that the view has no more. */
export function forgetScript({ stored }: FeatureView, features: readonly string[]): string {
  return features
    .map((name) => `redis.call('HDEL',KEYS[1],${literal(featureField(stored, name))})`)
    .join('\n')
}

/** Moves the value of a feature to its new name, unless there is one already; it expires as before. */
export function renameScript(
  { stored, ttlMs }: FeatureView,
  { from, to }: RenamedFeature,
  expiry: FieldExpiry,
): string {
  const expires = ttlMs !== null && expiry !== 'none'
  return `local call,key=redis.call,KEYS[1]
local OLD,NEW=${literal(featureField(stored, from))},${literal(featureField(stored, to))}
local v=call('HGET',key,OLD)
if not v then return 0 end
${expires ? `local e=call('HPEXPIRETIME',key,'FIELDS',1,OLD)[1]` : ''}
local moved=call('HSETNX',key,NEW,v)
${expires ? `if moved==1 and e>0 then call('HPEXPIREAT',key,e,'FIELDS',1,NEW) end` : ''}
call('HDEL',key,OLD)
return moved`
}

/** For servers whose fields do not expire: takes away what expired before ARGV[1], ms since 1970. */
export function sweepScript(view: FeatureView): string {
  const names = namesOf(view)
  const ttl =
    view.ttlMs === null
      ? ''
      : `local t=call('HGET',KEYS[1],TS)
if t then
  local s,n=slowly(t)
  if s*1000+n/1000000+${view.ttlMs}<=now then
    ${removal(names)}
    call('HDEL',KEYS[1],MARK)
    return 1
  end
end`
  return `${head(names)}
${timeFunctions}
local now=num(A[1])
local m=call('HGET',KEYS[1],MARK)
local forgotten=m and match(m,'^%- %d+ (%d+)$')
if forgotten and not call('HGET',KEYS[1],TS) and num(forgotten)<=now then
  call('HDEL',KEYS[1],MARK)
  return 1
end
${ttl}
return 0`
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

/** Arguments of a row. */
function stride({ features, ttlMs }: FeatureView): number {
  return (ttlMs === null ? 2 : 3) + features.length
}

function head({ time, mark }: Names): string {
  return `local call,byte,num,match=redis.call,string.byte,tonumber,string.match
local A=ARGV
local TS,MARK=${time},${mark}`
}

/**
 * Compares Timestamps (layout/timestamp.ts). Nearly all have five bytes of seconds (1978 to 3058), of which
 * all but the last have their high bit set, so that they compare as their bytes do, the last one first.
 * Behind the same seconds a longer text has more nanoseconds. A loop reads what is left; ten bytes are a
 * negative number, whose complement a double holds exactly and whose 64 bits it does not.
 */
const timeFunctions = `
local function slowly(t)
  local s,n,i=0,0,1
  while i<=#t do
    local tag,v,c,f,count=byte(t,i),0,0,1,0
    repeat
      i=i+1
      count=count+1
      local b=byte(t,i)
      if not b then error('a time that is no Timestamp') end
      local low=b%128
      v=v+low*f
      if count<10 then c=c+(127-low)*f end
      f=f*128
    until b<128
    i=i+1
    if count==10 then v=-c-1 end
    if tag==8 then s=v elseif tag==16 then n=v end
  end
  return s,n
end
local function before(t,T)
  if t==T then return false,true end
  local a,b,c,d,e,f=byte(t,1,6)
  local i,j,k,l,m,o=byte(T,1,6)
  if f and o and a==8 and i==8 and f<128 and o<128 and b>127 and j>127
    and c>127 and k>127 and d>127 and l>127 and e>127 and m>127 then
    if f~=o then return o<f,false end
    if e~=m then return m<e,false end
    if d~=l then return l<d,false end
    if c~=k then return k<c,false end
    if b~=j then return j<b,false end
    if #t~=#T then return #T<#t,false end
  end
  local s,n=slowly(t)
  local S,N=slowly(T)
  return S<s or (S==s and N<n), S==s and N==n
end
local function notOlder(t,T,was,n)
  local older,same=before(t,T)
  if older then return false end
  return not same or not was or n>=was
end`

function putFunction(view: FeatureView, { features }: Names, expiry: FieldExpiry): string {
  const first = view.ttlMs === null ? 3 : 4
  const pairs = ['TS,T', 'MARK,O', ...features.map((name, i) => `${name},A[at+${first + i}]`)]
  return `local function put(key,T,O,at,t)
${writePairs(view, pairs, expiry, 'A[at+3]')}
end`
}

/** Writes pairs into \`key\`, which expire at \`expires\` where the view has a TTL; \`t\`: its time before, if any. */
function writePairs(
  view: FeatureView,
  pairs: readonly string[],
  expiry: FieldExpiry,
  expires: string,
): string {
  const parts: string[][] = []
  for (let i = 0; i < pairs.length; i += pairsMax) parts.push(pairs.slice(i, i + pairsMax))
  const hset = parts.map((part) => `  call('HSET',key,${part.join(',')})`).join('\n')
  if (view.ttlMs === null) {
    // A key that holds only what expires has an expiry itself, which would take this row along.
    return expiry === 'none' ? `${hset}\n  if not t then call('PERSIST',key) end` : hset
  }
  switch (expiry) {
    case 'hsetex':
      return parts
        .map(
          (part) =>
            `  call('HSETEX',key,'PXAT',${expires},'FIELDS',${part.length},${part.join(',')})`,
        )
        .join('\n')
    case 'hpexpireat':
      return parts
        .map((part) => {
          const names = part.map((pair) => pair.slice(0, pair.indexOf(','))).join(',')
          return `  call('HSET',key,${part.join(',')})
  call('HPEXPIREAT',key,${expires},'FIELDS',${part.length},${names})`
        })
        .join('\n')
    case 'none':
      return `  local left=call('PTTL',key)
${hset}
  if left==-2 then call('PEXPIREAT',key,${expires}) elseif left>=0 then call('PEXPIREAT',key,${expires},'GT') end`
  }
}

/** What a deletion does: the features go and a tombstone stays, or they become null. */
function emptyFunction(view: FeatureView, names: Names, expiry: FieldExpiry): string {
  if (view.onDelete === 'null') {
    const pairs = ['TS,T', 'MARK,O', ...names.features.map((name) => `${name},''`)]
    return `local function empty(key,T,O,at,t)
  if t and before(t,T) then T=t end
${writePairs(view, pairs, expiry, 'A[at+3]')}
end`
  }
  const tombstone = {
    hsetex: `call('HSETEX',key,'PXAT',forgotten,'FIELDS',1,MARK,O)`,
    hpexpireat: `call('HSET',key,MARK,O)
  call('HPEXPIREAT',key,forgotten,'FIELDS',1,MARK)`,
    none: `call('HSET',key,MARK,O)
  if call('HLEN',key)==1 then call('PEXPIREAT',key,forgotten) end`,
  }[expiry]
  return `local function empty(key,T,O)
  local forgotten=match(O,'(%d+)$')
  ${removal(names, 'key')}
  ${tombstone}
end`
}

/** Removes the features and the time, and not the mark. */
function removal({ features }: Names, key = 'KEYS[1]'): string {
  const all = ['TS', ...features]
  const calls: string[] = []
  for (let i = 0; i < all.length; i += pairsMax * 2) {
    calls.push(`call('HDEL',${key},${all.slice(i, i + pairsMax * 2).join(',')})`)
  }
  return calls.join('\n')
}

/**
 * Where a deletion comes in, now or before: it takes away every row before it in the log, and of the
 * rows behind the last one the newest stays. Returns 1 where something was written.
 */
function judgeFunction(view: FeatureView, expiry: FieldExpiry): string {
  // In the order of the log a row that is there lies behind every deletion, and its offset says it all.
  const behind = view.order === 'time' ? `a..' '..(d>sd and dText or sdText)` : 'a'
  const newer = view.order === 'time' ? 'notOlder(t,T,so,n)' : 'n>=so'
  const keep =
    view.order === 'time'
      ? `if d>sd then ${setMark(view, expiry, `soText..' '..dText`)} return 1 end`
      : ''
  return `local function judge(key,T,O,at,t,m)
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
    put(key,T,${behind},at,t)
    return 1
  end
  if live then
    ${keep}
    return 0
  end
  if n or sd>=d then return 0 end
  empty(key,T,O,at,t)
  return 1
end`
}

/** Replaces the mark alone; its expiry stays that of the row. */
function setMark(view: FeatureView, expiry: FieldExpiry, mark: string): string {
  if (view.ttlMs === null || expiry === 'none') return `call('HSET',key,MARK,${mark})`
  if (expiry === 'hsetex') return `call('HSETEX',key,'KEEPTTL','FIELDS',1,MARK,${mark})`
  return `local e=call('HPEXPIRETIME',key,'FIELDS',1,MARK)[1]
      call('HSET',key,MARK,${mark})
      if e>0 then call('HPEXPIREAT',key,e,'FIELDS',1,MARK) end`
}
