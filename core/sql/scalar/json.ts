/**
 * -> ->> #> #>> on JSON text. The answer is cut out of the text and never re-printed, so that numbers
 * keep their digits. jsonb arrives in its canonical text, and a part of that is canonical too.
 *
 *   value = object | array | string | number | true | false | null      (RFC 8259)
 */
import { SluiceError } from '../../errors/error.ts'

const blanks = /[ \t\n\r]*/y
const scalar = /"(?:[^"\\]|\\[\s\S])*"|-?\d[\d.eE+-]*|true|false|null/y
const depthMax = 1000

/** The field's text; null when there is none or this is no object. The last of equal keys counts. */
export function jsonField(json: string, key: string): string | null {
  let at = skipBlanks(json, 0)
  if (json[at] !== '{') return null
  at = skipBlanks(json, at + 1)
  let found: string | null = null
  while (json[at] === '"') {
    const keyEnd = valueEnd(json, at, 0)
    const name = JSON.parse(json.slice(at, keyEnd)) as string
    const start = skipBlanks(json, skipBlanks(json, keyEnd) + 1)
    const end = valueEnd(json, start, 0)
    if (name === key) found = json.slice(start, end)
    at = skipBlanks(json, end)
    if (json[at] !== ',') break
    at = skipBlanks(json, at + 1)
  }
  return found
}

/** The element's text, from 0, or from the end when negative; null when there is none. */
export function jsonElement(json: string, index: number): string | null {
  let at = skipBlanks(json, 0)
  if (json[at] !== '[') return null
  const elements: string[] = []
  at = skipBlanks(json, at + 1)
  while (at < json.length && json[at] !== ']') {
    const end = valueEnd(json, at, 0)
    if (elements.length === index) return json.slice(at, end)
    elements.push(index < 0 ? json.slice(at, end) : '')
    at = skipBlanks(json, end)
    if (json[at] !== ',') break
    at = skipBlanks(json, at + 1)
  }
  return index < 0 ? (elements.at(index) ?? null) : null
}

/** What ->> gives: strings without their quotes, null for JSON's null, else the text as it is. */
export function jsonText(json: string | null): string | null {
  if (json === null) return null
  const trimmed = json.trim()
  if (trimmed === 'null') return null
  return trimmed.startsWith('"') ? (JSON.parse(trimmed) as string) : trimmed
}
export function jsonFieldText(json: string, key: string): string | null {
  return jsonText(jsonField(json, key))
}
export function jsonElementText(json: string, index: number): string | null {
  return jsonText(jsonElement(json, index))
}

/** A path as an array's text, `{a,0,b}`. */
export function jsonPath(json: string, path: string): string | null {
  let value: string | null = json
  for (const step of pathSteps(path)) {
    if (value === null) return null
    const isArray = value.trimStart().startsWith('[')
    if (isArray && !/^\s*[+-]?\d+\s*$/.test(step)) return null
    value = isArray ? jsonElement(value, Number(step)) : jsonField(value, step)
  }
  return value
}
export function jsonPathText(json: string, path: string): string | null {
  return jsonText(jsonPath(json, path))
}

function pathSteps(path: string): readonly string[] {
  const body = /^\s*\{([\s\S]*)\}\s*$/.exec(path)?.[1]
  if (body === undefined)
    throw new SluiceError('sql.invalid_value', {
      message: 'Malformed array literal in a JSON path',
    })
  if (body.trim() === '') return []
  const steps: string[] = []
  for (const match of body.matchAll(/\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^,]*))\s*(?:,|$)/g)) {
    if (match.index >= body.length && steps.length > 0 && !body.endsWith(',')) break
    steps.push(
      match[1] === undefined ? (match[2] ?? '').trim() : match[1].replaceAll(/\\([\s\S])/g, '$1'),
    )
  }
  return steps
}

function skipBlanks(json: string, at: number): number {
  blanks.lastIndex = at
  blanks.test(json)
  return blanks.lastIndex
}

/** The place after the value that starts at `at`. */
function valueEnd(json: string, at: number, depth: number): number {
  const first = json[at]
  if (first !== '{' && first !== '[') {
    scalar.lastIndex = at
    if (!scalar.test(json)) throw malformed()
    return scalar.lastIndex
  }
  if (depth > depthMax) throw malformed()
  const close = first === '{' ? '}' : ']'
  at = skipBlanks(json, at + 1)
  while (json[at] !== close) {
    if (at >= json.length) throw malformed()
    at = skipBlanks(json, valueEnd(json, at, depth + 1))
    if (json[at] === ':' || json[at] === ',') at = skipBlanks(json, at + 1)
    else if (json[at] !== close) throw malformed()
  }
  return at + 1
}

function malformed(): SluiceError {
  return new SluiceError('sql.invalid_value', { message: 'Invalid input syntax for type json' })
}

export function jsonFromText(text: string): string {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new SluiceError('sql.invalid_value', {
      message: 'Invalid input syntax for type json',
      cause,
    })
  }
  return text
}
