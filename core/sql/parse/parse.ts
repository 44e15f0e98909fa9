/**
 * The user's text into a syntax tree: tokens, then PostgreSQL's own grammar (libpg_query, compiled
 * to WebAssembly), then our tree. Needs no schema and no network, so that `validate` can run it.
 */
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query'
import { unsupported } from './expression.ts'
import { list, Source, type Fields } from './pg-tree.ts'
import { query } from './select.ts'
import { sqlError, type Span } from './span.ts'
import type { QuerySyntax } from './syntax.ts'
import { tokenize, type Token } from './tokens.ts'

/** A query that is well formed and uses only what the engine runs; names and types are unchecked. */
export interface ParsedQuery {
  readonly sql: string
  readonly query: QuerySyntax
}

/** Parses one SELECT. Throws `sql.syntax`, `sql.unsupported` or `sql.nondeterministic`, with a span. */
export async function parseQuery(sql: string): Promise<ParsedQuery> {
  await loadModule()
  const tokens = tokenize(sql)
  if (tokens.length === 0)
    throw sqlError('sql.syntax', { start: 0, end: sql.length }, 'The query is empty')
  const source = new Source(sql, tokens)
  const statements = list(parseTree(sql, tokens), 'statements')
  const [first] = statements
  if (first === undefined)
    throw sqlError('sql.syntax', source.whole, 'The query holds no statement')
  if (statements.length > 1)
    throw unsupported(
      source.whole,
      'Several statements are not supported: a transform is one SELECT',
    )
  if (first.tag !== 'SelectStmt')
    throw unsupported(source.spanAt(0), 'Only SELECT is supported: a transform is one query')
  return { sql, query: query(source, first.fields) }
}

/** The statements without their wrapping. */
function parseTree(sql: string, tokens: readonly Token[]): Fields {
  try {
    const tree = parseSync(sql) as unknown as Fields
    const statements = tree['stmts']
    return {
      statements: Array.isArray(statements)
        ? statements.map((statement) => (statement as Fields)['stmt'])
        : [],
    }
  } catch (error) {
    if (!hasSqlDetails(error)) throw error
    refuseStreamingClauses(tokens)
    const span = errorSpan(sql, tokens, error.sqlDetails?.cursorPosition ?? 0)
    throw sqlError('sql.syntax', span, sentence(error.message))
  }
}

/** PostgreSQL counts characters as code points; our offsets are UTF-16 units. */
function errorSpan(sql: string, tokens: readonly Token[], points: number): Span {
  let start = 0
  for (const point of sql) {
    if (points-- <= 0) break
    start += point.length
  }
  const token = tokens.find((candidate) => candidate.end > start) ?? tokens.at(-1)
  return token === undefined || start >= sql.length
    ? { start: Math.max(0, sql.length - 1), end: sql.length }
    : { start: token.start, end: token.end }
}

function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1)
}

/** Clauses of other streaming dialects, which would otherwise end in `syntax error at or near`. */
const streamingClauses: readonly (readonly [readonly string[], string, string])[] = [
  [['emit'], 'EMIT is not supported', 'Remove it: a transform always gives its changes at once.'],
  [['for', 'system_time'], 'FOR SYSTEM_TIME AS OF is not supported', 'Remove it.'],
  [
    ['table', '(', 'tumble'],
    'The table function TUMBLE is not supported',
    'Use GROUP BY TUMBLE(time, INTERVAL …).',
  ],
  [['qualify'], 'QUALIFY is not supported', 'Use a subquery and WHERE.'],
  [['match_recognize'], 'MATCH_RECOGNIZE is not supported', 'Rewrite the query without it.'],
]

function refuseStreamingClauses(tokens: readonly Token[]): void {
  for (const [words, what, remedy] of streamingClauses) {
    const at = tokens.findIndex(
      (token, i) =>
        token.kind === 'word' && words.every((word, place) => tokens[i + place]?.text === word),
    )
    if (at < 0) continue
    const last = tokens[at + words.length - 1]!
    throw unsupported({ start: tokens[at]!.start, end: last.end }, what, remedy)
  }
}
