/**
 * LIKE patterns, compiled once each: % any characters, _ one character, and an escape character that
 * takes the next one literally. The pattern must match the whole text; newlines are characters.
 */
import { SluiceError } from '../../errors/error.ts'
import { lower, textLength } from './text.ts'

const cacheMax = 1024
const compiled = new Map<string, RegExp>()

function patternFor(pattern: string, escape: string): RegExp {
  const key = `${escape}\u0000${pattern}`
  const known = compiled.get(key)
  if (known !== undefined) return known
  if (compiled.size >= cacheMax) compiled.clear()
  const regex = new RegExp(`^${source(pattern, escape)}$`, 'su')
  compiled.set(key, regex)
  return regex
}

function source(pattern: string, escape: string): string {
  let out = ''
  let escaped = false
  for (const point of pattern) {
    if (escaped) {
      out += literal(point)
      escaped = false
    } else if (point === escape) escaped = true
    else if (point === '%') out += '.*?'
    else if (point === '_') out += '.'
    else out += literal(point)
  }
  if (escaped)
    throw new SluiceError('sql.invalid_value', {
      message: 'LIKE pattern must not end with escape character',
    })
  return out
}

function literal(point: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(point) ? `\\${point}` : point
}

/** `escape` is one character, or empty for none. */
export function like(text: string, pattern: string, escape: string): boolean {
  checkEscape(escape)
  return patternFor(pattern, escape).test(text)
}
export function ilike(text: string, pattern: string, escape: string): boolean {
  checkEscape(escape)
  return patternFor(lower(pattern), escape).test(lower(text))
}

function checkEscape(escape: string): void {
  if (escape.length > 1 && textLength(escape) > 1)
    throw new SluiceError('sql.invalid_value', {
      message: 'Invalid escape string: it must be empty or one character',
    })
}
