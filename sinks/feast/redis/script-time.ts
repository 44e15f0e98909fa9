/**
 * Lua that compares Timestamps (layout/timestamp.ts).
 *
 *   before(t,T)          gives whether T is the older, and whether they are the same
 *   notOlder(t,T,was,n)  whether T may come behind t; of the same time by their offsets, `was` of t if known
 *
 * Nearly all have five bytes of seconds (1978 to 3058), of which all but the last have their high bit set, so
 * that they compare as their bytes do, the last one first. Behind the same seconds a longer text has more
 * nanoseconds. A loop reads what is left; ten bytes are a negative number, whose complement a double holds
 * exactly and whose 64 bits it does not.
 */
export const timeFunctions = `
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
