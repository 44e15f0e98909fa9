/** Names in FROM: which topics a query reads, and which topic a name means. */
import { sqlError, type Span } from '../parse/span.ts'
import type { ParsedQuery } from '../parse/parse.ts'
import type { QuerySyntax } from '../parse/syntax.ts'
import { suggestions } from './names.ts'

export interface TableName {
  /** The dotted name's parts. */
  readonly name: readonly string[]
  readonly span: Span
}

/** Names in FROM that are not CTEs, in the order of the query; one that stands twice comes twice. */
export function tablesOf(parsed: ParsedQuery): readonly TableName[] {
  return tablesIn(parsed.query, new Set())
}

function tablesIn(query: QuerySyntax, outer: ReadonlySet<string>): readonly TableName[] {
  const known = new Set(outer)
  const tables: TableName[] = []
  for (const cte of query.ctes) {
    tables.push(...tablesIn(cte.query, known))
    known.add(cte.name)
  }
  if (query.kind === 'union')
    return [...tables, ...tablesIn(query.left, known), ...tablesIn(query.right, known)]
  const { from } = query
  if (from.kind === 'subquery') return [...tables, ...tablesIn(from.query, known)]
  const isCte = from.name.length === 1 && known.has(from.name[0]!)
  return isCte ? tables : [...tables, { name: from.name, span: from.span }]
}

/**
 * The topic a name means: the topic of exactly this name, else the only one that ends with it.
 * Throws `sql.unknown_table` or `sql.ambiguous_table`.
 */
export function resolveTopic(
  name: readonly string[],
  topics: readonly string[],
  span: Span | null = null,
): string {
  const dotted = name.join('.')
  if (topics.includes(dotted)) return dotted
  const candidates = topics.filter((topic) => topic.endsWith(`.${dotted}`))
  if (candidates.length === 1) return candidates[0]!
  if (candidates.length > 1)
    throw sqlError('sql.ambiguous_table', span, `"${dotted}" could be any of several topics`, {
      remedy: `Write one of ${candidates.map((topic) => `"${topic}"`).join(', ')}.`,
    })
  throw sqlError('sql.unknown_table', span, `There is no topic "${dotted}"`, {
    remedy: unknownRemedy(dotted, name.length, topics),
  })
}

function unknownRemedy(dotted: string, parts: number, topics: readonly string[]): string {
  const tails = topics.map((topic) => topic.split('.').slice(-parts).join('.'))
  const near = suggestions(dotted, [...new Set(tails)])
  if (near.length > 0) return `Did you mean ${near.map((topic) => `"${topic}"`).join(', ')}?`
  if (topics.length === 0) return 'No source of this pipeline has topics yet.'
  const more = topics.length > 20 ? ` and ${topics.length - 20} more` : ''
  return `The topics are ${topics.slice(0, 20).join(', ')}${more}.`
}
