/**
 * JSON as bytes: where its values end, and whether they are any. Hot: no allocation but on failure.
 * Whatever is passed over is checked as fully as what is read, so a document is refused as a whole or
 * not at all.
 *
 *   value  = object | array | string | number | 'true' | 'false' | 'null'         RFC 8259
 *   string = '"' *( any UTF-8 (RFC 3629) but '"', '\' and U+0000–U+001F | escape ) '"'
 *   escape = '\' ( '"' | '\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u' 4 hex digits )
 *   number = [ '-' ] ( '0' | digit1-9 *digit ) [ '.' 1*digit ] [ ( 'e' | 'E' ) [ '+' | '-' ] 1*digit ]
 *
 * Positions are indexes into `bytes`; `end` is where the document ends. A function that fails says so
 * by `failed`, and `jsonProblem` tells what was wrong at which byte.
 */

export const quote = 0x22
export const comma = 0x2c
export const minus = 0x2d
export const point = 0x2e
export const zero = 0x30
export const colon = 0x3a
export const openBracket = 0x5b
export const backslash = 0x5c
export const closeBracket = 0x5d
export const letterN = 0x6e
export const openBrace = 0x7b
export const closeBrace = 0x7d

/** No position: positions after the first byte of a value are greater than 0. */
export const failed = 0
/** Deeper nesting is refused: readers of the columns would need as much stack. */
export const jsonDepthMax = 256

let problem = ''
let problemAt = 0

/** What was wrong where the last call failed: `a string is not closed at byte 17`. `start`: of the document. */
export function jsonProblem(start: number): string {
  return `${problem} at byte ${problemAt - start}`
}

/** Keeps what is wrong; for readers of JSON that build on this file. */
export function fail(what: string, at: number): typeof failed {
  problem = what
  problemAt = at
  return failed
}

let viewed: Uint8Array = new Uint8Array(0)
let viewOf: DataView = new DataView(viewed.buffer)

/** The same bytes four at a time, at any place; made once for many values of one memory. */
export function look(bytes: Uint8Array): DataView {
  if (bytes !== viewed) {
    viewed = bytes
    viewOf = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  return viewOf
}

export function skipBlanks(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at]!
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break
    at++
  }
  return at
}

/**
 * The closing quote of the string whose text begins at `at`; negative (−position) where it has
 * escapes.
 */
export function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  const view = bytes === viewed ? viewOf : look(bytes)
  for (const last = end - 4; at <= last; at += 4) {
    if (!areFourPlain(view.getInt32(at, true))) break
  }
  while (at < end && isPlain[bytes[at]!] === 1) at++
  return at < end && bytes[at] === quote ? at : stringEndSlow(bytes, at, end)
}

/**
 * Whether four bytes are ASCII and stand for themselves in a string. With bit 1 turned around, a quote comes to stand
 * behind the control characters, where 0x22 was: one comparison finds them all (as in simdjson's has_json_escapable).
 * A byte of a word is less than n where subtracting n sets its high bit, be it by borrowing from the byte above (H. S.
 * Warren, Hacker's Delight, 6-1): that one may be taken for one that is less too, but only where one is.
 */
export function areFourPlain(word: number): boolean {
  const controlsAndQuotes = (word ^ 0x0202_0202) - 0x2121_2121
  const backslashes = (word ^ 0x5c5c_5c5c) - 0x0101_0101
  return ((controlsAndQuotes | backslashes | word) & 0x8080_8080) === 0
}

/** 1 = stands for itself in a string, and is ASCII: one look instead of four comparisons. */
export const isPlain = new Uint8Array(256).fill(1, 0x20, 0x80)
isPlain[quote] = 0
isPlain[backslash] = 0

function stringEndSlow(bytes: Uint8Array, at: number, end: number): number {
  let escapes = false
  while (at < end) {
    const byte = bytes[at]!
    if (byte === quote) return escapes ? -at : at
    if (byte < 0x20) return fail('a control character in a string', at)
    if (byte === backslash) {
      escapes = true
      const length = escapeLength(bytes, at, end)
      if (length === 0) return fail('an unknown escape in a string', at)
      at += length
    } else if (byte >= 0x80) {
      const length = sequenceLength(bytes, at, end)
      if (length === 0) return fail('bytes that are not UTF-8', at)
      at += length
    } else at++
  }
  return fail('a string is not closed', end)
}

/** Bytes of the escape at `at`; 0 = it is none. */
function escapeLength(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return 0
  switch (bytes[at + 1]!) {
    case quote:
    case backslash:
    case 0x2f: // '/'
    case 0x62: // 'b'
    case 0x66: // 'f'
    case 0x6e: // 'n'
    case 0x72: // 'r'
    case 0x74: // 't'
      return 2
    case 0x75: // 'u'
      return at + 6 <= end && hexUnit(bytes, at + 2) >= 0 ? 6 : 0
    default:
      return 0
  }
}

/** The UTF-16 unit of four hex digits, which are within the document; −1 = they are none. */
export function hexUnit(bytes: Uint8Array, at: number): number {
  let unit = 0
  for (let i = at; i < at + 4; i++) {
    const digit = hexDigit(bytes[i]!)
    if (digit < 0) return -1
    unit = unit * 16 + digit
  }
  return unit
}

export function hexDigit(byte: number): number {
  const digit = byte - zero
  if (digit >= 0 && digit <= 9) return digit
  const letter = (byte | 0x20) - 0x61
  return letter >= 0 && letter <= 5 ? letter + 10 : -1
}

/** Bytes of the UTF-8 sequence at `at`, whose first is not ASCII; 0 = it is none (RFC 3629 §4). */
export function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!
  if (first < 0xc2 || first > 0xf4) return 0
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  if (at + length > end) return 0
  const second = bytes[at + 1]!
  // No overlong forms, no surrogates, nothing above U+10FFFF.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  for (let i = at + 2; i < at + length; i++) if ((bytes[i]! & 0xc0) !== 0x80) return 0
  return length
}

/** Where the number that begins at `at` ends. */
export function numberEnd(bytes: Uint8Array, at: number, end: number): number {
  const start = at
  if (at < end && bytes[at] === minus) at++
  let from = at
  at = digitsEnd(bytes, at, end)
  if (at === from) return fail('expected a value', start)
  if (bytes[from] === zero && at > from + 1) return fail('a number with a leading zero', start)
  if (at < end && bytes[at] === point) {
    from = at + 1
    at = digitsEnd(bytes, from, end)
    if (at === from) return fail('a number without digits after its point', start)
  }
  if (at < end && (bytes[at]! | 0x20) === 0x65) {
    at++
    if (at < end && (bytes[at] === 0x2b || bytes[at] === minus)) at++
    from = at
    at = digitsEnd(bytes, from, end)
    if (at === from) return fail('a number without digits in its exponent', start)
  }
  return at
}

function digitsEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at]! >= zero && bytes[at]! <= 0x39) at++
  return at
}

/** Where the literal that begins with this letter at `at` ends. */
export function literalEnd(bytes: Uint8Array, at: number, end: number): number {
  const word = bytes[at] === 0x74 ? trueBytes : bytes[at] === 0x66 ? falseBytes : nullBytes
  if (at + word.length > end) return fail('expected a value', at)
  for (let i = 0; i < word.length; i++) {
    if (bytes[at + i] !== word[i]) return fail('expected a value', at)
  }
  return at + word.length
}
const trueBytes = Uint8Array.of(0x74, 0x72, 0x75, 0x65)
const falseBytes = Uint8Array.of(0x66, 0x61, 0x6c, 0x73, 0x65)
const nullBytes = Uint8Array.of(0x6e, 0x75, 0x6c, 0x6c)

/** 1 = the container at that depth is an object. */
const kinds = new Uint8Array(jsonDepthMax)

/** Where the value that begins at `at` ends; blanks before it are the caller's. */
export function valueEnd(bytes: Uint8Array, at: number, end: number): number {
  let depth = 0
  for (;;) {
    const byte = at < end ? bytes[at]! : 0
    if (byte === openBrace || byte === openBracket) {
      const isObject = byte === openBrace
      at = skipBlanks(bytes, at + 1, end)
      if (at < end && bytes[at] === (isObject ? closeBrace : closeBracket)) at++
      else {
        if (depth === jsonDepthMax) return fail('nesting too deep', at)
        kinds[depth++] = isObject ? 1 : 0
        if (isObject) {
          at = nameEnd(bytes, at, end)
          if (at === failed) return failed
        }
        continue
      }
    } else {
      at = scalarEnd(bytes, at, end)
      if (at === failed) return failed
    }
    // The value has ended, and with it maybe those around it.
    for (;;) {
      if (depth === 0) return at
      at = skipBlanks(bytes, at, end)
      const isObject = kinds[depth - 1] === 1
      const next = at < end ? bytes[at]! : 0
      if (next === comma) {
        at = skipBlanks(bytes, at + 1, end)
        if (isObject) {
          at = nameEnd(bytes, at, end)
          if (at === failed) return failed
        }
        break
      }
      if (next !== (isObject ? closeBrace : closeBracket)) {
        return fail(isObject ? 'expected "," or "}"' : 'expected "," or "]"', at)
      }
      depth--
      at++
    }
  }
}

/** Where a string, number or literal ends. */
export function scalarEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return fail('expected a value', at)
  const byte = bytes[at]!
  if (byte === quote) {
    const close = stringEnd(bytes, at + 1, end)
    return close === failed ? failed : (close < 0 ? -close : close) + 1
  }
  if (byte === 0x74 || byte === 0x66 || byte === letterN) return literalEnd(bytes, at, end)
  return numberEnd(bytes, at, end)
}

/** Where the value after the name at `at` begins: past the name, its colon and blanks. */
function nameEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || bytes[at] !== quote) return fail('expected a name in quotes', at)
  const close = stringEnd(bytes, at + 1, end)
  if (close === failed) return failed
  return valueStart(bytes, (close < 0 ? -close : close) + 1, end)
}

/** Where the value begins whose name's closing quote is just before `at`. */
export function valueStart(bytes: Uint8Array, at: number, end: number): number {
  at = skipBlanks(bytes, at, end)
  if (at >= end || bytes[at] !== colon) return fail('expected ":"', at)
  return skipBlanks(bytes, at + 1, end)
}

/** Whether nothing but blanks follows; the problem is kept where something does. */
export function endsHere(bytes: Uint8Array, at: number, end: number): boolean {
  const last = skipBlanks(bytes, at, end)
  if (last === end) return true
  const isValue = bytes[last] === openBrace || bytes[last] === openBracket
  fail(
    isValue
      ? 'a second value, where one may be (several are NDJSON),'
      : 'more after the end of the value',
    last,
  )
  return false
}
