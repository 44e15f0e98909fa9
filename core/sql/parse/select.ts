/**
 * SELECT statements of libpg_query's tree into our syntax tree: one input per SELECT, subqueries,
 * CTEs, UNION. What the grammar allows beyond that is refused at its place.
 */
import { expression, expressions, unsupported } from './expression.ts'
import { child, flag, list, nodeOf, text, type Fields, type Source } from './pg-tree.ts'
import type { CteSyntax, FromSyntax, QuerySyntax, SelectSyntax, TargetSyntax } from './syntax.ts'
import type { Span } from './span.ts'

/** A SelectStmt's fields. */
export function query(source: Source, fields: Fields): QuerySyntax {
  refuseClauses(source, fields)
  const ctes = withClause(source, fields)
  const operation = text(fields, 'op')
  if (operation === 'SETOP_NONE') return select(source, fields, ctes)
  const span = source.whole
  if (operation !== 'SETOP_UNION') throw unsupported(span, 'INTERSECT and EXCEPT are not supported')
  return {
    kind: 'union',
    ctes,
    all: flag(fields, 'all'),
    left: query(source, fields['larg'] as Fields),
    right: query(source, fields['rarg'] as Fields),
    span,
  }
}

function refuseClauses(source: Source, fields: Fields): void {
  const at = (name: string): Span => {
    const [first] = list(fields, name)
    return first === undefined ? source.whole : spanOf(source, first.fields)
  }
  if (fields['sortClause'] !== undefined)
    throw unsupported(
      at('sortClause'),
      'ORDER BY is not supported: the result of a transform is a set of rows that keeps changing',
      'Remove ORDER BY; order the rows where they are read.',
    )
  if (fields['limitCount'] !== undefined || fields['limitOffset'] !== undefined)
    throw unsupported(source.whole, 'LIMIT and OFFSET are not supported')
  if (fields['windowClause'] !== undefined)
    throw unsupported(at('windowClause'), 'WINDOW is not supported')
  if (fields['lockingClause'] !== undefined)
    throw unsupported(source.whole, 'FOR UPDATE and its like have no meaning in a transform')
  if (fields['intoClause'] !== undefined)
    throw unsupported(
      source.whole,
      'SELECT INTO has no meaning in a transform: its name is the target',
    )
  if (fields['valuesLists'] !== undefined)
    throw unsupported(source.whole, 'VALUES is not supported: a transform reads a topic')
  if (flag(fields, 'groupDistinct'))
    throw unsupported(source.whole, 'GROUP BY DISTINCT is not supported', 'Remove DISTINCT.')
}

function spanOf(source: Source, fields: Fields): Span {
  if (typeof fields['location'] === 'number' && fields['location'] >= 0) return source.span(fields)
  const inner = child(fields, 'node') ?? child(fields, 'val')
  return inner === null ? source.whole : spanOf(source, inner.fields)
}

function withClause(source: Source, fields: Fields): readonly CteSyntax[] {
  const clause = fields['withClause'] as Fields | undefined
  if (clause === undefined) return []
  if (flag(clause, 'recursive'))
    throw unsupported(source.span(clause), 'WITH RECURSIVE is not supported')
  return list(clause, 'ctes').map(({ fields: cte }) => {
    const body = child(cte, 'ctequery')
    const span = source.span(cte)
    if (body?.tag !== 'SelectStmt') throw unsupported(span, 'Only SELECT is supported in WITH')
    return {
      name: text(cte, 'ctename'),
      columns: list(cte, 'aliascolnames').map((name) => text(name.fields, 'sval')),
      query: query(source, body.fields),
      span,
    }
  })
}

function select(source: Source, fields: Fields, ctes: readonly CteSyntax[]): SelectSyntax {
  const where = child(fields, 'whereClause')
  const having = child(fields, 'havingClause')
  const distinct = fields['distinctClause']
  if (Array.isArray(distinct) && distinct.some((item) => Object.keys(item as Fields).length > 0))
    throw unsupported(spanOf(source, nodeOf(distinct[0]).fields), 'DISTINCT ON is not supported')
  const targets = list(fields, 'targetList').map((node) => target(source, node.fields))
  return {
    kind: 'select',
    ctes,
    distinct: distinct !== undefined,
    targets,
    from: from(source, fields, targets[0]?.span ?? source.whole),
    where: where === null ? null : expression(source, where),
    groupBy: expressions(source, fields, 'groupClause'),
    having: having === null ? null : expression(source, having),
    span: targets[0]?.span ?? source.whole,
  }
}

function target(source: Source, fields: Fields): TargetSyntax {
  const value = child(fields, 'val')
  const span = source.span(fields)
  const alias = text(fields, 'name') === '' ? null : text(fields, 'name')
  if (value === null) throw unsupported(span, 'This item of the SELECT list is empty')
  const parts = value.tag === 'ColumnRef' ? list(value.fields, 'fields') : []
  if (parts.at(-1)?.tag !== 'A_Star')
    return { expr: expression(source, value), qualifier: null, alias, span }
  const qualifier = parts.length > 1 ? text(parts[parts.length - 2]!.fields, 'sval') : null
  return { expr: null, qualifier, alias: null, span }
}

function from(source: Source, fields: Fields, span: Span): FromSyntax {
  const items = list(fields, 'fromClause')
  const [item] = items
  if (item === undefined)
    throw unsupported(span, 'A SELECT without FROM is not supported: a transform reads a topic')
  if (items.length > 1) {
    const second = items[1]!
    throw unsupported(
      spanOf(source, second.fields),
      'Joins are not supported: FROM takes one input',
    )
  }
  const names = aliasOf(item.fields)
  switch (item.tag) {
    case 'RangeVar':
      return {
        kind: 'table',
        name: ['catalogname', 'schemaname', 'relname']
          .map((part) => text(item.fields, part))
          .filter((part) => part !== ''),
        ...names,
        span: tableSpan(source, item.fields),
      }
    case 'RangeSubselect': {
      const body = child(item.fields, 'subquery')
      if (flag(item.fields, 'lateral')) throw unsupported(span, 'LATERAL is not supported')
      if (body === null) throw unsupported(span, 'This subquery is empty')
      return { kind: 'subquery', query: query(source, body.fields), ...names, span }
    }
    case 'JoinExpr':
      throw unsupported(
        joinSpan(source, item.fields),
        'Joins are not supported: FROM takes one input',
      )
    case 'RangeFunction':
      throw unsupported(
        span,
        'Table functions are not supported',
        'For windows use GROUP BY TUMBLE(time, INTERVAL …).',
      )
    default:
      throw unsupported(span, `This kind of FROM is not supported (${item.tag})`)
  }
}

/** From the first part of a dotted name to its last. */
function tableSpan(source: Source, fields: Fields): Span {
  const first = source.span(fields)
  let at = source.tokens.findIndex((token) => token.start === first.start)
  while (source.tokens[at + 1]?.text === '.') at += 2
  return { start: first.start, end: source.tokens[at]?.end ?? first.end }
}

function joinSpan(source: Source, fields: Fields): Span {
  const right = child(fields, 'rarg')
  return right === null ? source.whole : spanOf(source, right.fields)
}

function aliasOf(fields: Fields): { alias: string | null; columns: readonly string[] } {
  const alias = fields['alias'] as Fields | undefined
  if (alias === undefined) return { alias: null, columns: [] }
  return {
    alias: text(alias, 'aliasname'),
    columns: list(alias, 'colnames').map((node) => text(node.fields, 'sval')),
  }
}
