/**
 * Redis keys out of rows.
 *
 *   template = ( text | '{topic}' | '{key}' | '{' column '}' )*        `{{` and `}}` are single braces
 *
 * In what is put in, `%`, `{` and `}` are written as %25, %7B and %7D, where several fields follow each other
 * `:` as %3A, and in bytes that are no UTF-8 all that are not ASCII: two keys never become one, and the only
 * braces in a key are those of the template, which Redis clusters take for a hash tag. Values are the texts of
 * values.ts.
 */
import { isUtf8 } from 'node:buffer'
import type { Batch } from '../../core/record/batch.ts'
import { textColumns } from './values.ts'

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'topic' }
  | { readonly kind: 'key' }
  | { readonly kind: 'column'; readonly name: string }

export type KeyTemplate = readonly Part[]

/** What is wrong with the template, as text, where something is. */
export function parseTemplate(template: string): KeyTemplate | string {
  const parts: Part[] = []
  let text = ''
  for (const [token] of template.matchAll(/\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+/g)) {
    if (token === '{{' || token === '}}') text += token[0]
    else if (token === '{' || token === '}')
      return `"${token}" has no partner; write "${token}${token}" for the character`
    else if (token.startsWith('{')) {
      if (text !== '') parts.push({ kind: 'text', text })
      text = ''
      const name = token.slice(1, -1)
      if (name === '') return 'a name is missing in {}'
      parts.push(name === 'topic' || name === 'key' ? { kind: name } : { kind: 'column', name })
    } else text += token
  }
  if (text !== '') parts.push({ kind: 'text', text })
  if (!parts.some(({ kind }) => kind === 'key' || kind === 'column')) {
    return 'the key would be the same for all rows: add {key}'
  }
  if (parts[0]?.kind === 'key' || parts[0]?.kind === 'column') {
    return 'the key has to begin with something that tells these rows from others, such as {topic}'
  }
  return parts
}

/** Whether rows of different topics have different keys. */
export function tellsTopics(parts: KeyTemplate): boolean {
  return parts.some(({ kind }) => kind === 'topic')
}

/** Names in the template that are no field of the key. */
export function unknownColumns(parts: KeyTemplate, keyFields: readonly string[]): string[] {
  return parts.flatMap((part) =>
    part.kind === 'column' && !keyFields.includes(part.name) ? [part.name] : [],
  )
}

/** Whether the template names every field of the key. */
export function coversKey(parts: KeyTemplate, keyFields: readonly string[]): boolean {
  if (parts.some(({ kind }) => kind === 'key')) return true
  const named = new Set(parts.flatMap((part) => (part.kind === 'column' ? [part.name] : [])))
  return keyFields.every((name) => named.has(name))
}

/** Keys of the rows of a batch, one call a row; `offset` is that of the first. */
export function keyMaker(
  parts: KeyTemplate,
  topic: string,
  batch: Batch,
  offset: number,
): (row: number) => string {
  const { schema } = batch
  const texts = textColumns(batch, schema.key)
  const several = schema.key.length > 1
  const valueOf = (i: number, row: number): string => escaped(texts[i]!(row), several)
  const makers = parts.map((part): ((row: number) => string) => {
    switch (part.kind) {
      case 'text':
        return () => part.text
      case 'topic':
        return constant(escapedText(topic, true))
      case 'key':
        if (schema.key.length === 0) return (row) => String(offset + row)
        return (row) => schema.key.map((_, i) => valueOf(i, row)).join(':')
      case 'column': {
        const i = schema.key.findIndex((index) => schema.fields[index]!.name === part.name)
        return (row) => valueOf(i, row)
      }
    }
  })
  return (row) => {
    let key = ''
    for (const make of makers) key += make(row)
    return key
  }
}

function constant(text: string): () => string {
  return () => text
}

function escaped(bytes: Buffer, colons: boolean): string {
  if (isUtf8(bytes)) return escapedText(bytes.toString('utf8'), colons)
  return escapedText(bytes.toString('latin1'), colons).replace(/[\x80-\xff]/g, percent)
}

function escapedText(text: string, colons: boolean): string {
  return text.replace(colons ? /[%{}:]/g : /[%{}]/g, percent)
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
}

/** A pattern of SCAN that fits all keys of the topic: the text before the first value. */
export function scanPattern(parts: KeyTemplate, topic: string): string {
  let prefix = ''
  for (const part of parts) {
    if (part.kind === 'text') prefix += part.text
    else if (part.kind === 'topic') prefix += escapedText(topic, true)
    else break
  }
  return `${prefix.replace(/[\\*?[\]^-]/g, '\\$&')}*`
}

/**
 * The key beside `key` that remembers its deletion: in a cluster of the same slot, whose tag is what
 * stands between the first `{` and the next `}` of a key, or all of it.
 */
export function tombstoneKey(key: string): string {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? `${key}:_sluice` : `{${key}}:_sluice`
}
