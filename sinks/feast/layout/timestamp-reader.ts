/** Event times (timestamp.ts) back to µs. */
const secondsTag = 0x08
const nanosTag = 0x10

/** µs since 1970; null: the bytes are no Timestamp. Nanoseconds beyond the µs are dropped. */
export function readTimestampUs(bytes: Uint8Array): bigint | null {
  let at = 0
  let seconds = 0n
  let nanos = 0n
  while (at < bytes.length) {
    const tag = bytes[at++]
    let value = 0n
    let shift = 0n
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 63n) return null
      value |= BigInt(byte & 0x7f) << shift
      shift += 7n
      if (byte < 0x80) break
    }
    if (tag === secondsTag) seconds = BigInt.asIntN(64, value)
    else if (tag === nanosTag) nanos = value
    else return null
  }
  return seconds * 1_000_000n + nanos / 1000n
}
