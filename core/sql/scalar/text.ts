/**
 * Text functions. Values are JavaScript strings; positions and lengths count code points, as
 * PostgreSQL's in a UTF-8 database; order is by bytes (COLLATE "C"). Case mapping is ASCII and the
 * simple Unicode mapping of one character to one, which is what the builtin C.UTF-8 locale does.
 */
import { createHash } from 'node:crypto'
import { SluiceError } from '../../errors/error.ts'
import { outOfRange } from './integer.ts'

/**
 * Order of UTF-8 bytes. UTF-16 units sort the same except that surrogates (code points from U+10000)
 * come before U+E000..U+FFFF there and after them in UTF-8.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const xs = x >= 0xd800 && x <= 0xdfff
    const ys = y >= 0xd800 && y <= 0xdfff
    if (xs !== ys) return xs ? 1 : -1
    return x < y ? -1 : 1
  }
  return a.length - b.length < 0 ? -1 : 1
}

function isBmp(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdfff) return false
  }
  return true
}

/** Characters as PostgreSQL counts them: code points, which is what an iterator over a string gives. */
export function codePoints(text: string): string[] {
  return Array.from(text)
}

export function textLength(text: string): number {
  if (isBmp(text)) return text.length
  let points = 0
  for (const _ of text) points++
  return points
}

export function concat(a: string, b: string): string {
  return a + b
}
/** One code point at a time: PostgreSQL never turns one character into two, as 'ß' into 'SS'. */
export function upper(text: string): string {
  return mapCase(text, text.toUpperCase(), (point) => point.toUpperCase())
}
export function lower(text: string): string {
  return mapCase(text, text.toLowerCase(), (point) => point.toLowerCase())
}
const ascii = /^[ -~\t\n\r]*$/
function mapCase(text: string, quick: string, map: (point: string) => string): string {
  if (ascii.test(text)) return quick
  let out = ''
  for (const point of text) {
    const mapped = map(point)
    out += textLength(mapped) === 1 ? mapped : point
  }
  return out
}

/** substring(text from start for length); start counts from 1 and may lie before the text. */
export function substringFor(text: string, start: number, length: number): string {
  if (length < 0)
    throw new SluiceError('sql.invalid_value', { message: 'Negative substring length not allowed' })
  const from = Math.max(0, start - 1)
  const to = Math.max(from, start - 1 + length)
  return isBmp(text) ? text.slice(from, to) : codePoints(text).slice(from, to).join('')
}
export function substringFrom(text: string, start: number): string {
  const from = Math.max(0, start - 1)
  return isBmp(text) ? text.slice(from) : codePoints(text).slice(from).join('')
}
/** Negative counts leave out that many at the other end. */
export function left(text: string, count: number): string {
  if (isBmp(text)) return text.slice(0, count)
  return codePoints(text).slice(0, count).join('')
}
export function right(text: string, count: number): string {
  const points = isBmp(text) ? null : codePoints(text)
  const length = points === null ? text.length : points.length
  const from = count >= 0 ? Math.max(0, length - count) : Math.min(length, -count)
  return points === null ? text.slice(from) : points.slice(from).join('')
}
export function reverse(text: string): string {
  return codePoints(text).reverse().join('')
}

export function btrim(text: string, characters: string): string {
  return rtrim(ltrim(text, characters), characters)
}
export function ltrim(text: string, characters: string): string {
  const set = new Set(characters)
  const points = codePoints(text)
  let from = 0
  while (from < points.length && set.has(points[from]!)) from++
  return from === 0 ? text : points.slice(from).join('')
}
export function rtrim(text: string, characters: string): string {
  const set = new Set(characters)
  const points = codePoints(text)
  let to = points.length
  while (to > 0 && set.has(points[to - 1]!)) to--
  return to === points.length ? text : points.slice(0, to).join('')
}

export function replace(text: string, from: string, to: string): string {
  return from === '' ? text : text.replaceAll(from, () => to)
}
/** Counts from 1; 0 when absent. */
export function position(text: string, part: string): number {
  const at = text.indexOf(part)
  return at < 0 ? 0 : textLength(text.slice(0, at)) + 1
}
export function startsWith(text: string, prefix: string): boolean {
  return text.startsWith(prefix)
}
export function splitPart(text: string, delimiter: string, field: number): string {
  if (field === 0)
    throw new SluiceError('sql.invalid_value', { message: 'Field position must not be zero' })
  const parts = delimiter === '' ? [text] : text === '' ? [] : text.split(delimiter)
  return parts[field > 0 ? field - 1 : parts.length + field] ?? ''
}

/** A result of more than 1 GB is an error in PostgreSQL; here far earlier, before memory is gone. */
const padMax = 10_000_000
export function lpad(text: string, length: number, fill: string): string {
  const points = codePoints(text)
  if (length <= points.length) return points.slice(0, Math.max(0, length)).join('')
  return padding(length - points.length, fill) + text
}
export function rpad(text: string, length: number, fill: string): string {
  const points = codePoints(text)
  if (length <= points.length) return points.slice(0, Math.max(0, length)).join('')
  return text + padding(length - points.length, fill)
}
function padding(length: number, fill: string): string {
  if (length > padMax) throw outOfRange('requested length')
  const points = codePoints(fill)
  if (points.length === 0) return ''
  const whole = fill.repeat(Math.floor(length / points.length))
  return whole + points.slice(0, length % points.length).join('')
}
export function repeat(text: string, count: number): string {
  if (count * text.length > padMax) throw outOfRange('requested length')
  return text.repeat(Math.max(0, count))
}

export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
export function chr(code: number): string {
  if (code <= 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
    throw outOfRange('requested character')
  return String.fromCodePoint(code)
}
export function ascii_(text: string): number {
  return text.codePointAt(0) ?? 0
}
export function initcap(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[\p{L}\p{N}]+/gu, (word) => word.charAt(0).toUpperCase() + word.slice(1))
}

/** Nulls are left out; a null separator gives null, which the caller has ruled out. */
export function concatWs(separator: string, ...parts: readonly (string | null)[]): string {
  return parts.filter((part) => part !== null).join(separator)
}

/** Text as varchar(n): an explicit cast cuts. */
export function truncateText(text: string, length: number): string {
  return left(text, length)
}

const trueTexts = /^\s*(?:t|tr|tru|true|y|ye|yes|on|1)\s*$/i
const falseTexts = /^\s*(?:f|fa|fal|fals|false|n|no|of|off|0)\s*$/i
export function boolFromText(text: string): boolean {
  if (trueTexts.test(text)) return true
  if (falseTexts.test(text)) return false
  throw new SluiceError('sql.invalid_value', { message: 'Invalid input syntax for type boolean' })
}
export function boolText(value: boolean): string {
  return value ? 'true' : 'false'
}

const uuidDigits = /^[\da-f]{32}$/
/** Hyphens may stand after any group of four digits, braces around; uuid_in. */
export function uuidFromText(text: string): string {
  const digits = text
    .toLowerCase()
    .replace(/^\{(.*)\}$/, '$1')
    .replaceAll(/(?<=^(?:[\da-f]{4}-?)+)-/g, '')
  if (!uuidDigits.test(digits))
    throw new SluiceError('sql.invalid_value', { message: 'Invalid input syntax for type uuid' })
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`
}
