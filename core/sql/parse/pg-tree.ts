/**
 * Reading libpg_query's tree. It arrives as JSON in protobuf's style: `{ "Tag": { fields } }`, where
 * fields at their default value are absent. Locations are byte offsets into the UTF-8 text; `Source`
 * turns them into character offsets and spans.
 */
import type { Token } from './tokens.ts'
import type { Span } from './span.ts'

/** A node's fields. */
export type Fields = Readonly<Record<string, unknown>>
/** A node with its tag. */
export interface Node {
  readonly tag: string
  readonly fields: Fields
}

export function nodeOf(value: unknown): Node {
  const [entry] = Object.entries(value as Record<string, unknown>)
  return entry === undefined
    ? { tag: '', fields: {} }
    : { tag: entry[0], fields: entry[1] as Fields }
}

/** The node in that field, or null. */
export function child(fields: Fields, name: string): Node | null {
  const value = fields[name]
  return value === undefined ? null : nodeOf(value)
}

export function list(fields: Fields, name: string): readonly Node[] {
  const value = fields[name]
  return Array.isArray(value) ? value.map(nodeOf) : []
}

export function text(fields: Fields, name: string): string {
  const value = fields[name]
  return typeof value === 'string' ? value : ''
}

export function flag(fields: Fields, name: string): boolean {
  return fields[name] === true
}

/** The texts of a list of String nodes. */
export function names(fields: Fields, name: string): readonly string[] {
  return list(fields, name).map((node) => text(node.fields, 'sval'))
}

/** The query's text, its tokens, and the way from the parser's byte offsets to characters. */
export class Source {
  readonly text: string
  readonly tokens: readonly Token[]
  /** Character offset of each byte; null when the text is ASCII and the two are the same. */
  readonly #characters: Int32Array | null

  constructor(sql: string, tokens: readonly Token[]) {
    this.text = sql
    this.tokens = tokens
    this.#characters = characterOffsets(sql)
  }

  /** The whole statement. */
  get whole(): Span {
    return { start: 0, end: this.text.length }
  }

  /** The token at the node's location; for a call, up to its closing parenthesis. */
  span(fields: Fields, call = false): Span {
    const location = fields['location']
    return typeof location === 'number' && location >= 0 ? this.spanAt(location, call) : this.whole
  }

  spanAt(byteOffset: number, call = false): Span {
    const start = this.#characters === null ? byteOffset : (this.#characters[byteOffset] ?? 0)
    const index = this.tokens.findIndex((token) => token.end > start)
    const token = this.tokens[index]
    if (token === undefined) return { start, end: this.text.length }
    return { start, end: call ? this.#callEnd(index) : token.end }
  }

  #callEnd(index: number): number {
    let depth = 0
    for (let i = index; i < this.tokens.length; i++) {
      const token = this.tokens[i]!
      if (token.text === '(') depth++
      else if (token.text === ')' && --depth === 0) return token.end
      // A keyword such as CURRENT_DATE is a call without parentheses.
      if (depth === 0 && i > index + 2) break
    }
    return this.tokens[index]!.end
  }
}

function characterOffsets(sql: string): Int32Array | null {
  const bytes = Buffer.byteLength(sql)
  if (bytes === sql.length) return null
  const offsets = new Int32Array(bytes + 1)
  let byte = 0
  let character = 0
  for (const point of sql) {
    const length = Buffer.byteLength(point)
    offsets.fill(character, byte, byte + length)
    byte += length
    character += point.length
  }
  offsets[bytes] = character
  return offsets
}
