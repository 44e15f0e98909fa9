/**
 * A form as a JSON object, for the one reader of fields there is. Everything in a form is text; what the
 * columns want tells how it is meant.
 *
 *   form = pair *( '&' pair )    pair = name [ '=' value ]    '+' is a blank, %XX a byte of UTF-8
 *
 *   column  value
 *   bool    true, on, 1 / false, off, 0
 *   list    all values of the name, also where it comes once
 *   json    the value where it is JSON, else a text
 *   text    the value
 *   others  the value; null where it is empty
 *
 * Of a name that comes twice and is no list, the last counts, as in JSON. A form that is nothing but `payload`,
 * with a JSON object in it, is that object, unless there is a column of this name: GitHub's webhooks are so
 * where nothing else was chosen, and Slack's interactions always.
 */
import { isUtf8 } from 'node:buffer'
import type { Field } from '../../core/record/schema.ts'

const booleans: Readonly<Record<string, string>> = {
  true: 'true',
  on: 'true',
  1: 'true',
  false: 'false',
  off: 'false',
  0: 'false',
}

/**
 * The pairs of a form or a query; null where they are in another encoding than UTF-8, whose letters would become
 * U+FFFD without a word. A percent sign that encodes nothing stands for itself.
 */
export function pairsOf(text: string): URLSearchParams | null {
  try {
    if (text.includes('%')) decodeURIComponent(text.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '%25'))
    return new URLSearchParams(text)
  } catch {
    return null
  }
}

/** null: it is not UTF-8. */
export function formToJson(body: Buffer, fields: readonly Field[]): Buffer | null {
  const form = isUtf8(body) ? pairsOf(body.toString()) : null
  if (form === null) return null
  const payload = form.get('payload')
  const isPayload = form.size === 1 && payload?.trimStart().startsWith('{') === true
  if (isPayload && !fields.some(({ name }) => name === 'payload')) return Buffer.from(payload)
  const members: string[] = []
  for (const { name, type } of fields) {
    const value = form.getAll(name).at(-1)
    if (value === undefined) continue
    const text =
      type.kind === 'list'
        ? JSON.stringify(form.getAll(name))
        : type.kind === 'bool' && Object.hasOwn(booleans, value)
          ? booleans[value]!
          : type.kind === 'json' && isJson(value)
            ? value
            : value === '' && type.kind !== 'text'
              ? 'null'
              : JSON.stringify(value)
    members.push(`${JSON.stringify(name)}:${text}`)
  }
  return Buffer.from(`{${members.join(',')}}`)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
