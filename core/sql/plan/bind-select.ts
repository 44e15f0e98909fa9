/**
 * SELECT statements into logical plans: FROM, WHERE, GROUP BY, HAVING, the SELECT list, DISTINCT,
 * UNION, CTEs. CTEs are planned where they are used.
 */
import type { Schema } from '../../record/schema.ts'
import { sameType } from '../../record/types.ts'
import { sqlError, type Span } from '../parse/span.ts'
import type {
  CteSyntax,
  FromSyntax,
  QuerySyntax,
  SelectSyntax,
  SyntaxExpr,
  TargetSyntax,
  UnionSyntax,
} from '../parse/syntax.ts'
import { aggregateBase, ExpressionBinder } from './bind-expression.ts'
import { cast } from './casts.ts'
import {
  collectColumns,
  column,
  exprText,
  isUnknown,
  mapOperands,
  type ColumnExpr,
  type Expr,
} from './expr.ts'
import { identity, type AggregateCall, type Plan, type PlanField } from './plan.ts'
import { Relation } from './relation.ts'
import { resolveTopic } from './topics.ts'
import { commonType, comparableRemedy, orderingOf, simple, sqlName } from './types.ts'

/** What names in FROM can mean: CTEs, innermost first, then topics. */
interface Environment {
  readonly topics: ReadonlyMap<string, Schema>
  readonly ctes: readonly { readonly cte: CteSyntax; readonly env: Environment }[]
}

export function bindQuery(query: QuerySyntax, topics: ReadonlyMap<string, Schema>): Plan {
  return bindIn(query, { topics, ctes: [] })
}

function bindIn(query: QuerySyntax, outer: Environment): Plan {
  let env = outer
  for (const cte of query.ctes) {
    if (env.ctes.some((known) => known.cte.name === cte.name && query.ctes.includes(known.cte)))
      throw sqlError('sql.ambiguous_table', cte.span, `WITH names "${cte.name}" twice`)
    // A CTE sees those before it, not itself.
    env = { topics: env.topics, ctes: [{ cte, env }, ...env.ctes] }
  }
  return query.kind === 'union' ? bindUnion(query, env) : bindSelect(query, env)
}

function bindUnion(query: UnionSyntax, env: Environment): Plan {
  const left = bindIn(query.left, env)
  const right = bindIn(query.right, env)
  if (left.fields.length !== right.fields.length)
    throw sqlError(
      'sql.type',
      query.span,
      'Both sides of UNION must have the same number of columns',
    )
  const fields = left.fields.map((field, i): PlanField => {
    const other = right.fields[i]!
    const type = sameType(field.type, other.type) ? field.type : commonType(field.type, other.type)
    if (type === null)
      throw sqlError(
        'sql.type',
        query.span,
        `UNION mixes ${sqlName(field.type)} and ${sqlName(other.type)} in column "${field.name}"`,
      )
    return { name: field.name, type, nullable: field.nullable || other.nullable }
  })
  const side = (input: Plan): Plan => ({
    op: 'map',
    input,
    filter: null,
    exprs: identity(input.fields).map((expr, i) => cast(expr, fields[i]!.type, query.span)),
    fields,
  })
  const union: Plan = { op: 'union', inputs: [side(left), side(right)], fields }
  return query.all ? union : distinctRows(union, query.span)
}

/** One row of each: grouping by all columns. */
function distinctRows(input: Plan, span: Span): Plan {
  for (const field of input.fields) requireOrder(field.type, span, 'DISTINCT')
  return {
    op: 'aggregate',
    input,
    filter: null,
    keys: identity(input.fields),
    aggregates: [],
    fields: input.fields,
    global: false,
  }
}

function requireOrder(type: Expr['type'], span: Span, what: string): void {
  if (orderingOf(type) === null)
    throw sqlError('sql.type', span, `${what} cannot compare values of type ${sqlName(type)}`, {
      remedy: comparableRemedy(type),
    })
}

function bindFrom(from: FromSyntax, env: Environment): { plan: Plan; relation: Relation } {
  let plan: Plan
  let qualifiers: readonly string[] = []
  if (from.kind === 'subquery') {
    plan = bindIn(from.query, env)
    qualifiers = from.alias === null ? [] : [from.alias]
  } else {
    const found =
      from.name.length === 1 ? env.ctes.find(({ cte }) => cte.name === from.name[0]) : undefined
    plan =
      found === undefined
        ? scan(from.name, from.span, env)
        : renamed(bindIn(found.cte.query, found.env), found.cte.columns, found.cte.span)
    // Each shorter form of the name qualifies as well: public.orders.id, orders.id.
    qualifiers =
      from.alias === null ? from.name.map((_, i) => from.name.slice(i).join('.')) : [from.alias]
  }
  plan = renamed(plan, from.columns, from.span)
  return { plan, relation: new Relation(qualifiers, plan.fields) }
}

function scan(name: readonly string[], span: Span, { topics }: Environment): Plan {
  const topic = resolveTopic(name, [...topics.keys()], span)
  const schema = topics.get(topic)!
  return { op: 'scan', topic, schema, fields: schema.fields }
}

/** `AS t(a, b)`: the first columns get other names. */
function renamed(plan: Plan, names: readonly string[], span: Span): Plan {
  if (names.length === 0) return plan
  if (names.length > plan.fields.length)
    throw sqlError(
      'sql.type',
      span,
      `${names.length} column names for ${plan.fields.length} columns`,
    )
  const fields = plan.fields.map((field, i) => ({ ...field, name: names[i] ?? field.name }))
  return { op: 'map', input: plan, filter: null, exprs: identity(plan.fields), fields }
}

interface Target {
  readonly name: string
  readonly expr: Expr
  readonly span: Span
}

function bindSelect(query: SelectSyntax, env: Environment): Plan {
  const { plan, relation } = bindFrom(query.from, env)
  const filter =
    query.where === null
      ? null
      : new ExpressionBinder(relation, null, 'WHERE').condition(query.where)
  const aggregates: AggregateCall[] = []
  const grouped = query.groupBy.length > 0
  const binder = new ExpressionBinder(relation, aggregates, 'SELECT', grouped)
  const targets = bindTargets(query.targets, binder)
  const having = query.having === null ? null : binder.condition(query.having)
  const isAggregate = grouped || aggregates.length > 0 || having !== null
  const mapped: Plan = isAggregate
    ? aggregatePlan(query, { plan, filter, targets, having, aggregates, relation })
    : mapPlan(plan, filter, targets)
  return query.distinct ? distinctRows(mapped, query.span) : mapped
}

function mapPlan(input: Plan, filter: Expr | null, targets: readonly Target[]): Plan {
  return {
    op: 'map',
    input,
    filter,
    exprs: targets.map((target) => target.expr),
    fields: targets.map(({ name, expr }) => ({ name, type: expr.type, nullable: expr.nullable })),
  }
}

function bindTargets(
  targets: readonly TargetSyntax[],
  binder: ExpressionBinder,
): readonly Target[] {
  return targets.flatMap(({ expr, qualifier, alias, span }): readonly Target[] => {
    if (expr !== null) {
      const bound = binder.bind(expr)
      const typed = isUnknown(bound) ? cast(bound, simple('text'), span) : bound
      return [{ name: alias ?? columnName(expr), expr: typed, span }]
    }
    const { relation } = binder
    if (qualifier !== null && !relation.isCalled(qualifier))
      throw sqlError('sql.unknown_column', span, `There is no table "${qualifier}" in FROM`)
    return relation.fields.map((field, index) => ({
      name: field.name,
      expr: { op: 'column', index, type: field.type, nullable: field.nullable, span },
      span,
    }))
  })
}

/** The name PostgreSQL gives a column without alias (FigureColname in parse_target.c). */
function columnName(expr: SyntaxExpr): string {
  switch (expr.kind) {
    case 'column':
      return expr.path.at(-1) ?? ''
    case 'call':
      return expr.name
    case 'cast': {
      const inner = columnName(expr.arg)
      return inner === '?column?' ? expr.type.name : inner
    }
    case 'case': {
      const inner = expr.otherwise === null ? '?column?' : columnName(expr.otherwise)
      return inner === '?column?' ? 'case' : inner
    }
    default:
      return '?column?'
  }
}

interface Grouping {
  readonly plan: Plan
  readonly filter: Expr | null
  readonly targets: readonly Target[]
  readonly having: Expr | null
  readonly aggregates: readonly AggregateCall[]
  readonly relation: Relation
}

function aggregatePlan(query: SelectSyntax, grouping: Grouping): Plan {
  const { plan, filter, targets, having } = grouping
  const keys = distinctKeys(query.groupBy.map((item) => groupKey(item, query, grouping)))
  const aggregates = distinctCalls(grouping.aggregates)
  const rewrite = afterGrouping(keys, grouping.aggregates, aggregates)
  const key = (expr: Expr, i: number): PlanField => ({
    name: `key${i}`,
    type: expr.type,
    nullable: expr.nullable,
  })
  const result = (call: AggregateCall, i: number): PlanField => ({
    name: `aggregate${i}`,
    type: call.type,
    nullable: call.nullable,
  })
  const input: Plan = {
    op: 'aggregate',
    input: plan,
    filter,
    keys,
    aggregates: aggregates.calls,
    fields: [...keys.map(key), ...aggregates.calls.map(result)],
    global: query.groupBy.length === 0,
  }
  const outputs = targets.map((target) => ({ ...target, expr: rewrite(target.expr) }))
  return mapPlan(input, having === null ? null : rewrite(having), outputs)
}

/** An item of GROUP BY: an ordinal, an input column, an output column's name, or an expression. */
function groupKey(item: SyntaxExpr, query: SelectSyntax, { relation, targets }: Grouping): Expr {
  const binder = new ExpressionBinder(relation, null, 'GROUP BY', true)
  const own = (): Expr => {
    const bound = binder.bind(item)
    return isUnknown(bound) ? cast(bound, simple('text'), item.span) : bound
  }
  let key: Expr
  if (item.kind === 'literal' && item.literal.type === 'integer') {
    const target = targets[Number(item.literal.text) - 1]
    if (target === undefined)
      throw sqlError(
        'sql.grouping',
        item.span,
        `GROUP BY position ${item.literal.text} is not in the SELECT list`,
      )
    key = target.expr
  } else if (
    item.kind === 'column' &&
    item.path.length === 1 &&
    relation.find(item.path[0]!, item.span) < 0
  ) {
    const named = query.targets.findIndex((target) => target.alias === item.path[0])
    key =
      named < 0 ? own() : (targets.find((target) => target.name === item.path[0])?.expr ?? own())
  } else key = own()
  const used = new Set<number>()
  collectColumns(key, used)
  if ([...used].some((index) => index >= aggregateBase))
    throw sqlError('sql.grouping', item.span, 'GROUP BY cannot name an aggregate')
  requireOrder(key.type, item.span, 'GROUP BY')
  return key
}

function distinctKeys(keys: readonly Expr[]): readonly Expr[] {
  const seen = new Map<string, Expr>()
  for (const key of keys) if (!seen.has(exprText(key))) seen.set(exprText(key), key)
  return [...seen.values()]
}

/** The same aggregate written twice is computed once. */
interface DistinctCalls {
  readonly calls: readonly AggregateCall[]
  /** For each call as written, its place in `calls`. */
  readonly places: readonly number[]
}
function distinctCalls(calls: readonly AggregateCall[]): DistinctCalls {
  const seen = new Map<string, number>()
  const unique: AggregateCall[] = []
  const places = calls.map((call) => {
    const text = aggregateText(call)
    const known = seen.get(text)
    if (known !== undefined) return known
    seen.set(text, unique.length)
    unique.push(call)
    return unique.length - 1
  })
  return { calls: unique, places }
}

export function aggregateText({ fn, arg, distinct, filter }: AggregateCall): string {
  const inner = arg === null ? '*' : `${distinct ? 'distinct ' : ''}${exprText(arg)}`
  return `${fn}(${inner})${filter === null ? '' : ` filter ${exprText(filter)}`}`
}

/** Rewrites an expression over the input into one over the groups; what is not grouped is refused. */
function afterGrouping(
  keys: readonly Expr[],
  written: readonly AggregateCall[],
  { calls, places }: DistinctCalls,
): (expr: Expr) => Expr {
  const texts = keys.map(exprText)
  const rewrite = (expr: Expr): Expr => {
    const key = expr.op === 'const' ? -1 : texts.indexOf(exprText(expr))
    if (key >= 0) return { ...column(key, expr.type, keys[key]!.nullable) }
    if (expr.op === 'column') return aggregateColumn(expr)
    return mapOperands(expr, rewrite)
  }
  const aggregateColumn = (expr: ColumnExpr): Expr => {
    if (expr.index < aggregateBase)
      throw sqlError(
        'sql.grouping',
        expr.span,
        'This column must be in GROUP BY or inside an aggregate',
      )
    const call = written[expr.index - aggregateBase]!
    const place = places[expr.index - aggregateBase]!
    return column(keys.length + place, expr.type, (calls[place] ?? call).nullable)
  }
  return rewrite
}

/** The output's names must differ and be real, because topics and tables are made of them. */
export function checkOutputNames(plan: Plan, query: QuerySyntax): void {
  const select = firstSelect(query)
  const seen = new Set<string>()
  plan.fields.forEach((field, i) => {
    const span =
      select.targets.length === plan.fields.length ? select.targets[i]!.span : select.span
    if (field.name === '?column?')
      throw sqlError('sql.type', span, `Column ${i + 1} of the result has no name`, {
        remedy: 'Give it one: expression AS name.',
      })
    if (seen.has(field.name))
      throw sqlError(
        'sql.ambiguous_column',
        span,
        `Two columns of the result are called "${field.name}"`,
        {
          remedy: 'Give one of them another name: expression AS name.',
        },
      )
    seen.add(field.name)
  })
}

function firstSelect(query: QuerySyntax): SelectSyntax {
  return query.kind === 'union' ? firstSelect(query.left) : query
}
