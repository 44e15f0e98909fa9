/**
 * Places of values inside a JSON document, for those who read only parts of it: the envelope of a change
 * event, the rows of a request's array, the lines of NDJSON. Hot: no allocation but where arrays grow.
 */
import {
  closeBrace,
  closeBracket,
  comma,
  endsHere,
  fail,
  failed,
  jsonProblem,
  openBrace,
  openBracket,
  quote,
  skipBlanks,
  stringEnd,
  valueEnd,
  valueStart,
} from './json-scan.ts'
import { unescaped, unescapedLength } from './json-unescape.ts'
import type { ReadFault } from './format.ts'

/** Of arrays that grew beyond it for once, smaller ones take the place. */
const placesKept = 65_536

/** Byte ranges, grown as needed and used again; parts of `Records` once there are enough. */
export class Ranges {
  count = 0
  starts = new Int32Array(64)
  ends = new Int32Array(64)

  /** Forgets what is there. Whoever counts from 0 again without it keeps the memory of the most there ever was. */
  clear(): void {
    this.count = 0
    if (this.starts.length <= placesKept) return
    this.starts = new Int32Array(64)
    this.ends = new Int32Array(64)
  }

  add(start: number, end: number): void {
    if (this.count === this.starts.length) {
      const starts = new Int32Array(this.count * 2)
      const ends = new Int32Array(this.count * 2)
      starts.set(this.starts)
      ends.set(this.ends)
      this.starts = starts
      this.ends = ends
    }
    this.starts[this.count] = start
    this.ends[this.count++] = end
  }
}

/**
 * Finds members of an object by name. Their values are ranges without blanks around; a name that the
 * object has not is at −1, one that it has twice at its last place, as JSON.parse takes it.
 */
export class JsonMembers {
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly #names: readonly Uint8Array[]

  constructor(names: readonly string[]) {
    const encoder = new TextEncoder()
    this.#names = names.map((name) => encoder.encode(name))
    this.starts = new Int32Array(names.length)
    this.ends = new Int32Array(names.length)
  }

  /** All of bytes[start, end) has to be one object; what is passed over is checked too. */
  find(bytes: Uint8Array, start: number, end: number): ReadFault | null {
    this.starts.fill(-1)
    this.ends.fill(-1)
    const at = this.#members(bytes, start, end)
    if (at !== failed && endsHere(bytes, at, end)) return null
    return notJson(start)
  }

  /** Whether the value of this name is there and not null. */
  has(name: number, bytes: Uint8Array): boolean {
    const start = this.starts[name]!
    return start >= 0 && bytes[start] !== 0x6e
  }

  #members(bytes: Uint8Array, start: number, end: number): number {
    let at = skipBlanks(bytes, start, end)
    if (at >= end || bytes[at] !== openBrace) return fail('expected an object', at)
    at = skipBlanks(bytes, at + 1, end)
    if (at < end && bytes[at] === closeBrace) return at + 1
    for (;;) {
      if (at >= end || bytes[at] !== quote) return fail('expected a name in quotes', at)
      const close = stringEnd(bytes, at + 1, end)
      if (close === failed) return failed
      const name = this.#nameOf(bytes, at + 1, close)
      at = valueStart(bytes, Math.abs(close) + 1, end)
      if (at === failed) return failed
      const valueAt = at
      at = valueEnd(bytes, at, end)
      if (at === failed) return failed
      if (name >= 0) {
        this.starts[name] = valueAt
        this.ends[name] = at
      }
      at = skipBlanks(bytes, at, end)
      if (at < end && bytes[at] === closeBrace) return at + 1
      if (at >= end || bytes[at] !== comma) return fail('expected "," or "}"', at)
      at = skipBlanks(bytes, at + 1, end)
    }
  }

  /** `close`: as `stringEnd` gives it. */
  #nameOf(bytes: Uint8Array, start: number, close: number): number {
    if (close < 0) {
      const text = unescaped(bytes, start, -close)
      return text === null ? -1 : this.#nameOf(text, 0, unescapedLength())
    }
    for (let i = 0; i < this.#names.length; i++) {
      if (sameBytes(this.#names[i]!, bytes, start, close)) return i
    }
    return -1
  }
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false
  return true
}

/** Adds the elements of the array that is all of bytes[start, end), without blanks around them. */
export function jsonElements(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Ranges,
): ReadFault | null {
  const at = elementsEnd(bytes, start, end, into)
  return at !== failed && endsHere(bytes, at, end) ? null : notJson(start)
}

function elementsEnd(bytes: Uint8Array, start: number, end: number, into: Ranges): number {
  let at = skipBlanks(bytes, start, end)
  if (at >= end || bytes[at] !== openBracket) return fail('expected an array', at)
  at = skipBlanks(bytes, at + 1, end)
  if (at < end && bytes[at] === closeBracket) return at + 1
  for (;;) {
    const from = at
    at = valueEnd(bytes, at, end)
    if (at === failed) return failed
    into.add(from, at)
    at = skipBlanks(bytes, at, end)
    if (at < end && bytes[at] === closeBracket) return at + 1
    if (at >= end || bytes[at] !== comma) return fail('expected "," or "]"', at)
    at = skipBlanks(bytes, at + 1, end)
  }
}

/**
 * Adds the lines of bytes[start, end) that are not blank (NDJSON, JSON Lines): they end in LF or CRLF,
 * the last one maybe in nothing. What is in them is not looked at.
 */
export function lines(bytes: Uint8Array, start: number, end: number, into: Ranges): void {
  // `indexOf` knows no end of its own, and would look through whatever lies behind.
  const part = bytes.subarray(start, end)
  for (let at = 0; at < part.length;) {
    const found = part.indexOf(0x0a, at)
    const lineEnd = found < 0 ? part.length : found
    const first = skipBlanks(part, at, lineEnd)
    let last = lineEnd
    while (last > first && isBlank(part[last - 1]!)) last--
    if (first < last) into.add(start + first, start + last)
    at = lineEnd + 1
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0d || byte === 0x09
}

function notJson(start: number): ReadFault {
  return { field: null, message: `not JSON: ${jsonProblem(start)}` }
}
