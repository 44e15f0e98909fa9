/**
 * Templates of what a poll asks: its address, its headers and its body.
 *
 *   template = *( literal | '{{' name '}}' )          blanks around the name are allowed
 *   name     = 'since' | 'cursor' | 'page' | 'offset' | 'size'
 *            | 'now' | 'now.date' | 'now.unix' | 'now.unix_ms'
 *
 * `now` is when the run of pages began, so that all its pages ask the same. In an address values are
 * percent-encoded (RFC 3986 §2.1); a parameter of the query that is nothing but a value that is not there
 * (the cursor of the first page) is left out. In a body of JSON they are escaped in quotes, and outside of
 * them are a number, a text with its quotes, or null.
 */
import { insideText } from '../../core/connector/inside-text.ts'
import { didYouMean } from '../../core/connector/nearest.ts'

export const templateNames = [
  'since',
  'cursor',
  'page',
  'offset',
  'size',
  'now',
  'now.date',
  'now.unix',
  'now.unix_ms',
] as const
export type TemplateName = (typeof templateNames)[number]

/** Values as texts; null or absent = there is none. */
export type TemplateValues = Readonly<Partial<Record<TemplateName, string | null>>>

const place = /\{\{\s*([^{}]*?)\s*\}\}/g

/** What is wrong with the template, or null. */
export function templateMistake(text: string): string | null {
  for (const [whole, name = ''] of text.matchAll(place)) {
    if (templateNames.some((known) => known === name)) continue
    const hint = didYouMean(name, templateNames) ?? `there are ${templateNames.join(', ')}`
    return `${whole} is no value of a poll; ${hint}`
  }
  return null
}

export function templateUses(text: string, name: TemplateName): boolean {
  return [...text.matchAll(place)].some(([, found]) => found === name)
}

/** For headers: values as they are; one that is not there is empty. */
export function fillText(text: string, values: TemplateValues): string {
  return text.replace(place, (_, name: TemplateName) => values[name] ?? '')
}

/** For forms, and for the parts of an address. */
export function fillEncoded(text: string, values: TemplateValues): string {
  return text.replace(place, (_, name: TemplateName) => encodeURIComponent(values[name] ?? ''))
}

/** The address, with further parameters behind those of its own. */
export function fillUrl(
  template: string,
  values: TemplateValues,
  parameters: Readonly<Record<string, string | null>>,
): URL {
  const bare = template.split('#', 1)[0]!
  const mark = bare.indexOf('?')
  const path = fillEncoded(mark < 0 ? bare : bare.slice(0, mark), values)
  const query = mark < 0 ? [] : bare.slice(mark + 1).split('&')
  const filled = query
    .filter((parameter) => parameter !== '' && !isMissing(parameter, values))
    .map((parameter) => fillEncoded(parameter, values))
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null) filled.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  }
  return new URL(filled.length === 0 ? path : `${path}?${filled.join('&')}`)
}

/** Whether a parameter is only a value, which is not there. */
function isMissing(parameter: string, values: TemplateValues): boolean {
  const [, name] = /^[^=]*=\{\{\s*([^{}]*?)\s*\}\}$/.exec(parameter) ?? []
  return name !== undefined && (values[name as TemplateName] ?? null) === null
}

/** A body: JSON where it begins as such, else a form. */
export function fillBody(template: string, values: TemplateValues): string {
  return isJson(template) ? fillJson(template, values) : fillEncoded(template, values)
}

export function bodyType(template: string): string {
  return isJson(template) ? 'application/json' : 'application/x-www-form-urlencoded'
}

function isJson(template: string): boolean {
  return /^\s*[{[]/.test(template) && !/^\s*\{\{/.test(template)
}

function fillJson(template: string, values: TemplateValues): string {
  let quoted = false
  let at = 0
  let text = ''
  for (const match of template.matchAll(place)) {
    const literal = template.slice(at, match.index)
    quoted = insideText(literal, quoted)
    const value = values[match[1] as TemplateName] ?? null
    text += literal + (quoted ? JSON.stringify(value ?? '').slice(1, -1) : jsonOf(value))
    at = match.index + match[0].length
  }
  return text + template.slice(at)
}

/** Digits are a number, of any length. */
function jsonOf(value: string | null): string {
  return value !== null && /^-?(?:0|[1-9]\d*)$/.test(value) ? value : JSON.stringify(value)
}
