/**
 * MurmurHash3, the 32-bit x86 variant with seed 0 (Austin Appleby, public domain, smhasher
 * MurmurHash3.cpp). Feast names the fields of a Redis hash by it: the four bytes of the hash of
 * `{view}:{feature}`, least significant first (feast 0.67, online_stores/helpers.py, `_mmh3`).
 */
const encoder = new TextEncoder()

/** The hash as an unsigned 32-bit number. */
export function murmur3(bytes: Uint8Array): number {
  const { length } = bytes
  const tail = length & ~3
  let hash = 0
  for (let at = 0; at < tail; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hash ^= mixed(word)
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64
  }
  let rest = 0
  for (let at = length - 1; at >= tail; at--) rest = (rest << 8) | bytes[at]!
  hash ^= mixed(rest) ^ length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function mixed(word: number): number {
  const spread = Math.imul(word, 0xcc9e2d51)
  return Math.imul((spread << 15) | (spread >>> 17), 0x1b873593)
}

/** The name of a feature's field in a Redis hash: four bytes. `view` with its version, as Feast names it. */
export function featureField(view: string, feature: string): Uint8Array {
  const field = new Uint8Array(4)
  new DataView(field.buffer).setUint32(0, murmur3(encoder.encode(`${view}:${feature}`)), true)
  return field
}
