/** UTF-8 of records: checked before it is called text. No view, no string, no allocation a value. */
import type { BytesBuilder } from '../../core/record/bytes-builder.ts'

/** Appends bytes[start, end) if they are UTF-8; otherwise returns false and appends nothing. */
export function appendText(
  builder: BytesBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (builder.appendAscii(bytes, start, end)) return true
  if (!isUtf8(bytes, start, end)) return false
  builder.append(bytes, start, end)
  return true
}

/**
 * Well-formed UTF-8 (Unicode 16 table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 *   00..7F | C2..DF tail | E0 A0..BF tail | E1..EC,EE..EF tail tail | ED 80..9F tail
 *   | F0 90..BF tail tail | F1..F3 tail tail tail | F4 80..8F tail tail        tail = 80..BF
 */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const lead = bytes[at++]!
    if (lead < 0x80) continue
    if (lead < 0xc2 || lead > 0xf4) return false
    const tails = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3
    if (at + tails > end) return false
    const second = bytes[at]!
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (second < low || second > high) return false
    for (let tail = 1; tail < tails; tail++) {
      if ((bytes[at + tail]! & 0xc0) !== 0x80) return false
    }
    at += tails
  }
  return true
}
