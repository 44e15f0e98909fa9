/**
 * Tokens of a query with their character offsets: enough of PostgreSQL's lexical rules to find where
 * a node ends (its tree only says where one begins) and to recognise streaming clauses that its
 * grammar does not have, so that they are named in an error instead of `syntax error at or near`.
 *
 *   token = word | "quoted" | 'string' | E'string' | $tag$string$tag$ | number | operator | punctuation
 *
 * Lexical rules: PostgreSQL 18, "4.1. Lexical Structure".
 */
import type { Span } from './span.ts'

export interface Token extends Span {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol'
  /** Words in lower case; everything else as written. */
  readonly text: string
}

const blank = /(?:\s+|--[^\n]*)+/y
const word = /[\p{L}_][\p{L}\p{N}_$]*/uy
const quoted = /(?:[uU]&)?"(?:[^"]|"")*"/y
const escapedString = /[eE]'(?:[^'\\]|''|\\[\s\S])*'/y
const plainString = /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'/y
const dollarString = /\$((?:[\p{L}_][\p{L}\p{N}_]*)?)\$[\s\S]*?\$\1\$/uy
const number =
  /(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)/y
const symbol = /::|:=|=>|[-+*/<>=~!@#%^&|`?]+|[\s\S]/y

/** All tokens in order. Never fails: what is not a token becomes a symbol, and the parser says why. */
export function tokenize(sql: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < sql.length) {
    const skipped = blankEnd(sql, at)
    if (skipped > at) {
      at = skipped
      continue
    }
    const token = tokenAt(sql, at)
    tokens.push(token)
    at = token.end
  }
  return tokens
}

function blankEnd(sql: string, at: number): number {
  if (sql.startsWith('/*', at)) return commentEnd(sql, at)
  return matchEnd(blank, sql, at) ?? at
}

/** Comments nest in PostgreSQL, which no regular expression can follow. */
function commentEnd(sql: string, start: number): number {
  let depth = 0
  for (let at = start; at < sql.length; at++) {
    if (sql.startsWith('/*', at)) {
      depth++
      at++
    } else if (sql.startsWith('*/', at)) {
      depth--
      at++
      if (depth === 0) return at + 1
    }
  }
  return sql.length
}

function tokenAt(sql: string, start: number): Token {
  for (const [kind, pattern] of patterns) {
    const end = matchEnd(pattern, sql, start)
    if (end === null) continue
    const text = sql.slice(start, end)
    return { kind, text: kind === 'word' ? text.toLowerCase() : text, start, end }
  }
  return { kind: 'symbol', text: sql.charAt(start), start, end: start + 1 }
}

const patterns: readonly (readonly [Token['kind'], RegExp])[] = [
  ['string', escapedString],
  ['string', plainString],
  ['string', dollarString],
  ['quoted', quoted],
  ['word', word],
  ['number', number],
  ['symbol', symbol],
]

function matchEnd(pattern: RegExp, sql: string, at: number): number | null {
  pattern.lastIndex = at
  return pattern.test(sql) ? pattern.lastIndex : null
}
