/**
 * Expressions of libpg_query's tree into our syntax tree. Every construct that the engine does not
 * run is refused here, at its place, with the rewrite where there is one.
 */
import type { SluiceError } from '../../errors/error.ts'
import type { LikeSyntax, Literal, SyntaxExpr, TypeSyntax } from './syntax.ts'
import {
  child,
  flag,
  list,
  names,
  nodeOf,
  text,
  type Fields,
  type Node,
  type Source,
} from './pg-tree.ts'
import { sqlError, type Span } from './span.ts'

export function unsupported(span: Span | null, what: string, remedy?: string): SluiceError {
  return sqlError('sql.unsupported', span, what, remedy === undefined ? {} : { remedy })
}

/** An expression node. */
export function expression(source: Source, node: Node): SyntaxExpr {
  const { tag, fields } = node
  switch (tag) {
    case 'ColumnRef':
      return columnRef(source, fields)
    case 'A_Const':
      return { kind: 'literal', literal: literalOf(fields), span: source.span(fields) }
    case 'A_Expr':
      return operatorExpression(source, fields)
    case 'BoolExpr':
      return boolExpression(source, fields)
    case 'NullTest':
      return {
        kind: 'isNull',
        arg: required(source, fields, 'arg'),
        negated: text(fields, 'nulltesttype') === 'IS_NOT_NULL',
        span: source.span(fields),
      }
    case 'BooleanTest':
      return boolTest(source, fields)
    case 'CaseExpr':
      return caseExpression(source, fields)
    case 'FuncCall':
      return functionCall(source, fields)
    case 'CoalesceExpr':
      return call(source, fields, 'coalesce')
    case 'MinMaxExpr':
      return call(source, fields, text(fields, 'op') === 'IS_LEAST' ? 'least' : 'greatest')
    case 'TypeCast':
      return castExpression(source, fields)
    default:
      throw refusal(source, node)
  }
}

function required(source: Source, fields: Fields, name: string): SyntaxExpr {
  const node = child(fields, name)
  if (node === null) throw unsupported(source.span(fields), 'This expression is incomplete')
  return expression(source, node)
}

function columnRef(source: Source, fields: Fields): SyntaxExpr {
  const parts = list(fields, 'fields')
  const span = source.span(fields)
  if (parts.some((part) => part.tag === 'A_Star'))
    throw unsupported(span, '* stands for columns only in the SELECT list and in COUNT(*)')
  return { kind: 'column', path: parts.map((part) => text(part.fields, 'sval')), span }
}

/** Integers that fit 32 bits come as numbers, everything larger or with a point as exact text. */
export function literalOf(fields: Fields): Literal {
  if (flag(fields, 'isnull')) return { type: 'null' }
  if (fields['ival'] !== undefined) {
    const value = (fields['ival'] as Fields)['ival']
    return { type: 'integer', text: String(typeof value === 'number' ? value : 0) }
  }
  if (fields['fval'] !== undefined) {
    const value = text(fields['fval'] as Fields, 'fval').replaceAll('_', '')
    return { type: /^-?\d+$/.test(value) ? 'integer' : 'decimal', text: value }
  }
  if (fields['boolval'] !== undefined)
    return { type: 'bool', value: flag(fields['boolval'] as Fields, 'boolval') }
  if (fields['bsval'] !== undefined)
    return { type: 'string', text: text(fields['bsval'] as Fields, 'bsval') }
  return { type: 'string', text: text((fields['sval'] ?? {}) as Fields, 'sval') }
}

function operatorExpression(source: Source, fields: Fields): SyntaxExpr {
  const span = source.span(fields)
  const [operator = ''] = names(fields, 'name').slice(-1)
  const kind = text(fields, 'kind')
  switch (kind) {
    case 'AEXPR_OP': {
      const right = required(source, fields, 'rexpr')
      if (child(fields, 'lexpr') === null) return { kind: 'unary', operator, arg: right, span }
      return { kind: 'binary', operator, left: required(source, fields, 'lexpr'), right, span }
    }
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
      return {
        kind: 'distinct',
        negated: kind === 'AEXPR_NOT_DISTINCT',
        left: required(source, fields, 'lexpr'),
        right: required(source, fields, 'rexpr'),
        span,
      }
    case 'AEXPR_NULLIF':
      return {
        kind: 'call',
        name: 'nullif',
        args: [required(source, fields, 'lexpr'), required(source, fields, 'rexpr')],
        star: false,
        distinct: false,
        filter: null,
        span,
      }
    case 'AEXPR_IN':
      return {
        kind: 'in',
        arg: required(source, fields, 'lexpr'),
        list: listItems(source, fields, 'rexpr'),
        negated: operator === '<>',
        span,
      }
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return likeExpression(source, fields, operator, span)
    case 'AEXPR_SIMILAR':
      throw unsupported(span, 'SIMILAR TO is not supported', 'Use LIKE, or several LIKEs with OR.')
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      throw unsupported(
        span,
        'ANY and ALL over arrays are not supported',
        'Use IN (…) with the values.',
      )
    default:
      return between(source, fields, kind, span)
  }
}

function listItems(source: Source, fields: Fields, name: string): readonly SyntaxExpr[] {
  const node = child(fields, name)
  return node === null ? [] : list(node.fields, 'items').map((item) => expression(source, item))
}

/** BETWEEN is written out: PostgreSQL defines it as the two comparisons. */
function between(source: Source, fields: Fields, kind: string, span: Span): SyntaxExpr {
  const arg = required(source, fields, 'lexpr')
  const [low, high] = listItems(source, fields, 'rexpr')
  if (!kind.includes('BETWEEN') || low === undefined || high === undefined)
    throw unsupported(span, 'This operator is not supported')
  const range = (from: SyntaxExpr, to: SyntaxExpr): SyntaxExpr => ({
    kind: 'and',
    args: [
      { kind: 'binary', operator: '>=', left: arg, right: from, span },
      { kind: 'binary', operator: '<=', left: arg, right: to, span },
    ],
    span,
  })
  const inside: SyntaxExpr = kind.endsWith('_SYM')
    ? { kind: 'or', args: [range(low, high), range(high, low)], span }
    : range(low, high)
  return kind.includes('NOT_') ? { kind: 'not', arg: inside, span } : inside
}

function likeExpression(source: Source, fields: Fields, operator: string, span: Span): LikeSyntax {
  const pattern = required(source, fields, 'rexpr')
  const escaped = pattern.kind === 'call' && pattern.name === 'like_escape' ? pattern.args : null
  return {
    kind: 'like',
    arg: required(source, fields, 'lexpr'),
    pattern: escaped?.[0] ?? pattern,
    escape: escaped?.[1] ?? null,
    insensitive: operator.includes('*'),
    negated: operator.startsWith('!'),
    span,
  }
}

function boolExpression(source: Source, fields: Fields): SyntaxExpr {
  const args = list(fields, 'args').map((arg) => expression(source, arg))
  const span = source.span(fields)
  const [first] = args
  if (text(fields, 'boolop') === 'NOT_EXPR' && first !== undefined)
    return { kind: 'not', arg: first, span }
  return { kind: text(fields, 'boolop') === 'OR_EXPR' ? 'or' : 'and', args, span }
}

function boolTest(source: Source, fields: Fields): SyntaxExpr {
  const test = text(fields, 'booltesttype')
  return {
    kind: 'boolTest',
    value: test.endsWith('UNKNOWN') ? null : test.endsWith('TRUE'),
    negated: test.includes('NOT'),
    arg: required(source, fields, 'arg'),
    span: source.span(fields),
  }
}

function caseExpression(source: Source, fields: Fields): SyntaxExpr {
  const arg = child(fields, 'arg')
  const otherwise = child(fields, 'defresult')
  return {
    kind: 'case',
    arg: arg === null ? null : expression(source, arg),
    whens: list(fields, 'args').map((when) => ({
      when: required(source, when.fields, 'expr'),
      result: required(source, when.fields, 'result'),
    })),
    otherwise: otherwise === null ? null : expression(source, otherwise),
    span: source.span(fields),
  }
}

function functionCall(source: Source, fields: Fields): SyntaxExpr {
  const span = source.span(fields, true)
  const path = names(fields, 'funcname')
  const name = path.at(-1) ?? ''
  if (child(fields, 'over') !== null || fields['over'] !== undefined)
    throw unsupported(span, `${name}(…) OVER (…) is not supported`)
  if (list(fields, 'agg_order').length > 0)
    throw unsupported(span, `ORDER BY inside ${name}(…) is not supported`)
  if (flag(fields, 'func_variadic')) throw unsupported(span, 'VARIADIC arguments are not supported')
  const args = list(fields, 'args')
  if (args.some((arg) => arg.tag === 'NamedArgExpr'))
    throw unsupported(
      span,
      'Named arguments are not supported',
      'Write the arguments in their order.',
    )
  const filter = child(fields, 'agg_filter')
  return {
    kind: 'call',
    name,
    args: args.map((arg) => expression(source, arg)),
    star: flag(fields, 'agg_star'),
    distinct: flag(fields, 'agg_distinct'),
    filter: filter === null ? null : expression(source, filter),
    span,
  }
}

function call(source: Source, fields: Fields, name: string): SyntaxExpr {
  return {
    kind: 'call',
    name,
    args: list(fields, 'args').map((arg) => expression(source, arg)),
    star: false,
    distinct: false,
    filter: null,
    span: source.span(fields, true),
  }
}

function castExpression(source: Source, fields: Fields): SyntaxExpr {
  const type = typeSyntax(source, (fields['typeName'] ?? {}) as Fields)
  const at = fields['location']
  const span = typeof at === 'number' && at >= 0 ? source.span(fields) : type.span
  return { kind: 'cast', arg: required(source, fields, 'arg'), type, span }
}

/** A type's name with its modifiers: numeric(10,2), varchar(20), interval day. */
export function typeSyntax(source: Source, fields: Fields): TypeSyntax {
  const span = source.span(fields)
  if (list(fields, 'arrayBounds').length > 0)
    throw unsupported(span, 'Casts to array types are not supported')
  const modifiers = list(fields, 'typmods').map((node) => {
    const literal = node.tag === 'A_Const' ? literalOf(node.fields) : null
    if (literal?.type !== 'integer') throw unsupported(span, 'This type modifier is not a number')
    return Number(literal.text)
  })
  return { name: names(fields, 'names').at(-1) ?? '', modifiers, span }
}

function refusal(source: Source, { tag, fields }: Node): SluiceError {
  const span = source.span(fields)
  switch (tag) {
    case 'SQLValueFunction': {
      const name = text(fields, 'op').replace('SVFOP_', '').toLowerCase()
      return sqlError(
        'sql.nondeterministic',
        span,
        `${name} gives another answer each time, so that a row could not be taken back later`,
      )
    }
    case 'SubLink':
      return unsupported(
        span,
        'Subqueries inside expressions are not supported',
        'Use a subquery in FROM.',
      )
    case 'A_ArrayExpr':
      return unsupported(span, 'ARRAY[…] is not supported')
    case 'A_Indirection':
      return unsupported(
        span,
        'Subscripts and field selection are not supported',
        'Use -> for json.',
      )
    case 'RowExpr':
      return unsupported(span, 'Row values are not supported', 'Compare the columns one by one.')
    case 'GroupingSet':
      return unsupported(span, 'GROUPING SETS, ROLLUP and CUBE are not supported', 'Use UNION ALL.')
    case 'CollateClause':
      return unsupported(
        span,
        'COLLATE is not supported: text compares by its bytes, as COLLATE "C"',
      )
    case 'ParamRef':
      return unsupported(
        span,
        'Parameters such as $1 are not supported',
        'Write the value, or ${env.NAME}.',
      )
    case 'SetToDefault':
      return unsupported(span, 'DEFAULT has no meaning in a query')
    default:
      return unsupported(span, `This expression is not supported (${tag})`)
  }
}

/** For lists that hold plain nodes. */
export function expressions(source: Source, fields: Fields, name: string): readonly SyntaxExpr[] {
  const value = fields[name]
  return Array.isArray(value) ? value.map((item) => expression(source, nodeOf(item))) : []
}
