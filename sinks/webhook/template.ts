/**
 * Templates over the row, for the address, the headers and the body.
 *
 *   template    = ( literal | '{{' | '{' name '}' )*     '{{' is a brace of the text
 *   name        = column | '@' value
 *   column      = letter-or-'_' ( letter | digit | '_' | '$' | '-' )*
 *   value       = 'id' | 'type' | 'topic' | 'op' | 'offset' | 'timestamp'          of the event
 *               | 'data' | 'previous' | 'key' | 'event'                            JSON, bodies only
 *
 * Any other brace is text, so that JSON is written as it is. A value that is not there (NULL, or not
 * known of a row that was deleted) sets the event aside: an address with a hole in it is another one.
 */
import { insideText } from '../../core/connector/inside-text.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import { jsonColumn, type JsonColumn, type JsonOptions } from '../../core/record/json.ts'
import type { Schema } from '../../core/record/schema.ts'
import type { ChangeEvent } from './events.ts'

export type Part = string | { readonly name: string; readonly quoted: boolean }

/** Literals and names in turn. `quoted` is for JSON: whether the place is inside of a text. */
export interface Template {
  readonly parts: readonly Part[]
  /** Columns that it needs. */
  readonly columns: readonly string[]
}

const textValues: ReadonlySet<string> = new Set([
  '@id',
  '@type',
  '@topic',
  '@op',
  '@offset',
  '@timestamp',
])
const jsonValues: ReadonlySet<string> = new Set(['@data', '@previous', '@key', '@event'])

const token = /\{\{|\{(@?[\p{L}_][\p{L}\p{N}_$-]*)\}/gu

/** `problem` completes "the template of the body …". */
export type Parsed =
  | { readonly template: Template; readonly problem: null }
  | { readonly template: null; readonly problem: string }

export function parseTemplate(text: string, json: boolean): Parsed {
  const parts: Part[] = []
  const columns = new Set<string>()
  let literal = ''
  let at = 0
  let quoted = false
  const add = (more: string): void => {
    if (json) quoted = insideText(more, quoted)
    literal += more
  }
  for (const match of text.matchAll(token)) {
    add(text.slice(at, match.index))
    at = match.index + match[0].length
    const name = match[1]
    if (name === undefined) {
      add('{')
      continue
    }
    if (name.startsWith('@') && !textValues.has(name) && !(json && jsonValues.has(name))) {
      const known = json ? [...textValues, ...jsonValues] : [...textValues]
      const hint = didYouMean(name, known) ?? `there are ${known.join(', ')}`
      return { template: null, problem: `has {${name}}, which is no value of an event; ${hint}` }
    }
    if (!name.startsWith('@')) columns.add(name)
    if (literal !== '') parts.push(literal)
    parts.push({ name, quoted })
    literal = ''
  }
  add(text.slice(at))
  if (literal !== '') parts.push(literal)
  return { template: { parts, columns: [...columns] }, problem: null }
}

/** With something in every place, to see whether the whole can be read. */
export function sampleOf({ parts }: Template, json: boolean): string {
  return parts
    .map((part) => (typeof part === 'string' ? part : json && !part.quoted ? '0' : 'x'))
    .join('')
}

/** A row cannot be sent; the message names the column and never the value. */
export class Unfillable extends Error {}

/** What a template can be filled with. */
export interface EventValues {
  readonly id: (event: ChangeEvent) => string
  readonly timestamp: (event: ChangeEvent) => string
  readonly topic: string
  readonly offset: number
  /** JSON texts. */
  readonly data: (event: ChangeEvent) => string
  readonly previous: (event: ChangeEvent) => string
  readonly key: (event: ChangeEvent) => string
  readonly event: (event: ChangeEvent) => string
}

/** How a value becomes part of the whole: the name is for messages. */
export type Escape = (value: string, name: string) => string

/** The filled template of an event. Throws Unfillable. */
export type Filler = (event: ChangeEvent) => string

/** For texts: addresses and headers. */
export function textFiller(
  template: Template,
  batch: Batch,
  values: EventValues,
  escape: Escape,
): Filler {
  const pieces = template.parts.map((part) => {
    if (typeof part === 'string') return () => part
    const read = valueOf(part.name, batch, values)
    return (event: ChangeEvent) => {
      const value = plain(read(event))
      if (value === null) throw new Unfillable(`{${part.name}} is NULL or not known`)
      return escape(value, part.name)
    }
  })
  return joined(pieces)
}

/** For JSON: a value with its quotes, or inside of a text without. */
export function jsonFiller(template: Template, batch: Batch, values: EventValues): Filler {
  const pieces = template.parts.map((part) => {
    if (typeof part === 'string') return () => part
    const read = valueOf(part.name, batch, values)
    if (!part.quoted) return (event: ChangeEvent) => read(event) ?? 'null'
    return (event: ChangeEvent) => {
      const value = plain(read(event))
      if (value === null) throw new Unfillable(`{${part.name}} is NULL or not known`)
      return JSON.stringify(value).slice(1, -1)
    }
  })
  return joined(pieces)
}

function joined(pieces: readonly Filler[]): Filler {
  const [only] = pieces
  if (only !== undefined && pieces.length === 1) return only
  return (event) => {
    let text = ''
    for (const piece of pieces) text += piece(event)
    return text
  }
}

/** The value as JSON; null where it is not known. */
function valueOf(
  name: string,
  batch: Batch,
  values: EventValues,
): (event: ChangeEvent) => string | null {
  switch (name) {
    case '@id':
      return (event) => JSON.stringify(values.id(event))
    case '@type':
      return ({ kind }) => JSON.stringify(`${values.topic}.${kind}`)
    case '@topic':
      return () => JSON.stringify(values.topic)
    case '@op':
      return ({ kind }) => `"${kind}"`
    case '@offset':
      return ({ row }) => String(values.offset + row)
    case '@timestamp':
      return (event) => `"${values.timestamp(event)}"`
    case '@data':
      return values.data
    case '@previous':
      return values.previous
    case '@key':
      return values.key
    case '@event':
      return values.event
    default:
      return columnOf(name, batch)
  }
}

/** Numbers as their digits, whatever `json` says of them: `auto` would quote large ones, which `plain` undoes. */
const exact: JsonOptions = { int64: 'auto', decimal: 'string' }

function columnOf(name: string, { schema, columns }: Batch): (event: ChangeEvent) => string | null {
  const index = schema.fields.findIndex((field) => field.name === name)
  const read: JsonColumn = jsonColumn(schema.fields[index]!.type, columns[index]!, exact)
  // Of a row that went only its key is sure, but where the topic keeps old rows.
  const known =
    schema.changelog !== 'upsert' || schema.key.length === 0 || schema.key.includes(index)
  return ({ kind, row }) => (kind === 'delete' && !known ? null : read(row))
}

/** A JSON value as a text of its own; null for null. */
function plain(json: string | null): string | null {
  if (json === null || json === 'null') return null
  return json.startsWith('"') ? (JSON.parse(json) as string) : json
}

/** Throws `sink.webhook.unknown_column` when the rows lack a column of the templates. */
export function checkColumns(topic: string, schema: Schema, columns: readonly string[]): void {
  const names = schema.fields.map(({ name }) => name)
  for (const column of columns) {
    if (names.includes(column)) continue
    const hint = didYouMean(column, names) ?? `it has ${names.join(', ')}`
    throw new SluiceError('sink.webhook.unknown_column', {
      message: `${topic} has no column {${column}}; ${hint}`,
    })
  }
}
