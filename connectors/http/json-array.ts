/**
 * Where the elements of a JSON array stand, looked for no closer than needed: what is inside of them is
 * read, and checked, by the topic's format anyway, and to check it twice costs a third of the first time.
 *
 *   array = '[' [ element *( ',' element ) ] ']'       blanks around each
 *
 * An element ends where its brackets are closed, whichever they are, or before a comma or bracket. Of what
 * is no JSON the places are wrong, but each byte is in an element or checked here: where all elements are
 * JSON, so is the array.
 */
import type { Ranges } from '../../core/connector/format/json-ranges.ts'

const quote = 0x22
const comma = 0x2c
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
/** `[` and `{`, `]` and `}` are one bit apart from each other. */
const caseBit = 0x20
const opens = 0x7b
const closes = 0x7d

/** Adds the elements of the array that is all of bytes[start, end). Returns what is wrong, or null. */
export function arrayElements(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Ranges,
): string | null {
  let at = blanksEnd(bytes, start, end)
  if (bytes[at] !== openBracket || at >= end) return 'not an array'
  at = blanksEnd(bytes, at + 1, end)
  if (at < end && bytes[at] === closeBracket) return closing(bytes, at, start, end)
  for (;;) {
    const last = elementEnd(bytes, at, end)
    if (last === at) return `not JSON: expected a value at byte ${at - start}`
    into.add(at, last)
    at = blanksEnd(bytes, last, end)
    if (at >= end) return `not JSON: an array is not closed at byte ${at - start}`
    if (bytes[at] === closeBracket) return closing(bytes, at, start, end)
    if (bytes[at] !== comma) return `not JSON: expected "," or "]" at byte ${at - start}`
    at = blanksEnd(bytes, at + 1, end)
  }
}

function closing(bytes: Uint8Array, at: number, start: number, end: number): string | null {
  const last = blanksEnd(bytes, at + 1, end)
  return last === end ? null : `not JSON: expected nothing more at byte ${last - start}`
}

function blanksEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
  }
  return at
}

function elementEnd(bytes: Uint8Array, from: number, end: number): number {
  let depth = 0
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    if (byte === quote) {
      at = stringEnd(bytes, at + 1, end)
      if (depth === 0) return Math.min(at + 1, end)
    } else if ((byte | caseBit) === opens) depth++
    else if ((byte | caseBit) === closes) {
      // One that nothing opened ends the array.
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (byte === comma || byte <= 0x20)) return at
  }
  return end
}

/** The closing quote, or `end`. */
function stringEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte === quote) return at
    if (byte === backslash) at++
  }
  return end
}
