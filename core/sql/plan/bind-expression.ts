/**
 * Expressions of the syntax tree into typed expressions: names become columns of the input, every
 * coercion becomes explicit. Aggregates become columns behind the input's own (see bind-select.ts).
 */
import type { SyntaxExpr, CaseSyntax, CallSyntax, InSyntax, LikeSyntax } from '../parse/syntax.ts'
import { unsupported } from '../parse/expression.ts'
import { sqlError, type Span } from '../parse/span.ts'
import { aggregateNames, bindAggregate } from './aggregates.ts'
import { cast, fold, numberLiteral } from './casts.ts'
import { boolType, call, column, constant, isUnknown, unknownType, type Expr } from './expr.ts'
import { scalarCall } from './functions.ts'
import { arithmetic, comparison, concatenation, jsonArrow, negated, unify } from './operators.ts'
import type { AggregateCall } from './plan.ts'
import { Relation } from './relation.ts'
import { commonType, orderingOf, simple, sqlName, typeFromSyntax } from './types.ts'
import { windowCall } from './windows.ts'

/** Aggregates found so far are columns from here on, until bind-select.ts gives them their places. */
export const aggregateBase = 1_000_000

export class ExpressionBinder {
  readonly relation: Relation
  /** null where aggregates are not allowed; `clause` then says where that is. */
  readonly #aggregates: AggregateCall[] | null
  readonly #clause: string
  /** Whether TUMBLE, TUMBLE_START and TUMBLE_END may stand here. */
  readonly #windows: boolean

  constructor(
    relation: Relation,
    aggregates: AggregateCall[] | null,
    clause: string,
    windows = false,
  ) {
    this.relation = relation
    this.#aggregates = aggregates
    this.#clause = clause
    this.#windows = windows
  }

  bind(expr: SyntaxExpr): Expr {
    switch (expr.kind) {
      case 'column':
        return this.relation.resolve(expr.path, expr.span)
      case 'literal':
        if (expr.literal.type === 'null') return constant(null, unknownType)
        if (expr.literal.type === 'bool') return constant(expr.literal.value, boolType)
        return expr.literal.type === 'string'
          ? constant(expr.literal.text, unknownType)
          : numberLiteral(expr.literal.text)
      case 'binary':
        return this.#binary(expr.operator, this.bind(expr.left), this.bind(expr.right), expr.span)
      case 'unary':
        if (expr.operator === '-') return negated(this.bind(expr.arg), expr.span)
        if (expr.operator === '+') return this.bind(expr.arg)
        throw unsupported(expr.span, `The operator ${expr.operator} is not supported`)
      case 'and':
      case 'or': {
        const args = expr.args.map((arg) => this.condition(arg))
        return { op: expr.kind, args, type: boolType, nullable: args.some((arg) => arg.nullable) }
      }
      case 'not': {
        const arg = this.condition(expr.arg)
        return { op: 'not', arg, type: boolType, nullable: arg.nullable }
      }
      case 'isNull':
        return this.#isNull(this.bind(expr.arg), expr.negated)
      case 'boolTest': {
        const arg = this.condition(expr.arg)
        return expr.value === null
          ? this.#isNull(arg, expr.negated)
          : {
              op: 'test',
              arg,
              value: expr.value,
              negated: expr.negated,
              type: boolType,
              nullable: false,
            }
      }
      case 'distinct':
        return this.#distinct(this.bind(expr.left), this.bind(expr.right), expr.negated, expr.span)
      case 'in':
        return this.#in(expr)
      case 'like':
        return this.#like(expr)
      case 'case':
        return this.#case(expr)
      case 'call':
        return this.#call(expr)
      case 'cast':
        return this.#cast(expr)
    }
  }

  /** As a boolean. */
  condition(expr: SyntaxExpr): Expr {
    const bound = this.bind(expr)
    if (isUnknown(bound)) return cast(bound, boolType, expr.span)
    if (bound.type.kind !== 'bool')
      throw sqlError(
        'sql.type',
        expr.span,
        `A condition must be boolean, and this is ${sqlName(bound.type)}`,
      )
    return bound
  }

  #cast(expr: SyntaxExpr & { kind: 'cast' }): Expr {
    const type = typeFromSyntax(expr.type)
    const arg = this.bind(expr.arg)
    if (type.kind === 'interval' && isUnknown(arg) && expr.type.modifiers.length > 0) {
      const text = arg.op === 'const' && typeof arg.value === 'string' ? arg.value : ''
      const unit = intervalUnits.get(expr.type.modifiers[0]!)
      if (unit === undefined)
        throw unsupported(
          expr.span,
          'This interval qualifier is not supported',
          "Write INTERVAL '…'.",
        )
      const given = constant(text, simple('text'))
      return fold(call('intervalFromText', [given, constant(unit, simple('text'))], type))
    }
    const result = cast(arg, type, expr.span)
    const [length] = expr.type.modifiers
    if (type.kind === 'text' && length !== undefined && expr.type.name === 'varchar')
      return fold(call('truncateText', [result, constant(length, simple('int32'))], type))
    return result
  }

  #binary(operator: string, left: Expr, right: Expr, span: Span): Expr {
    switch (operator) {
      case '=':
      case '<>':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return comparison(operator, left, right, span)
      case '!=':
        return comparison('<>', left, right, span)
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '^':
        return arithmetic(operator, left, right, span)
      case '||':
        return concatenation(left, right, span)
      case '->':
      case '->>':
      case '#>':
      case '#>>':
        return jsonArrow(operator, left, right, span)
      default:
        throw unsupported(span, `The operator ${operator} is not supported`)
    }
  }

  #isNull(arg: Expr, negated: boolean): Expr {
    return { op: 'isNull', arg, negated, type: boolType, nullable: false }
  }

  #distinct(left: Expr, right: Expr, negatedTest: boolean, span: Span): Expr {
    const sides = unify(left, right, span)
    const ordering = sides === null ? null : orderingOf(sides[0].type)
    if (sides === null || ordering === null)
      throw sqlError('sql.type', span, 'These types cannot be compared')
    return {
      op: 'distinct',
      ordering,
      negated: negatedTest,
      left: sides[0],
      right: sides[1],
      type: boolType,
      nullable: false,
    }
  }

  #in(expr: InSyntax): Expr {
    const arg = this.bind(expr.arg)
    const args = expr.list.map((item) => comparison('=', arg, this.bind(item), expr.span))
    const nullable = args.some((test) => test.nullable)
    const inside: Expr = args.length === 1 ? args[0]! : { op: 'or', args, type: boolType, nullable }
    return expr.negated ? { op: 'not', arg: inside, type: boolType, nullable } : inside
  }

  #like(expr: LikeSyntax): Expr {
    const text = simple('text')
    const asText = (arg: SyntaxExpr): Expr => {
      const bound = this.bind(arg)
      if (!isUnknown(bound) && bound.type.kind !== 'text')
        throw sqlError('sql.type', arg.span, `LIKE needs text, and this is ${sqlName(bound.type)}`)
      return cast(bound, text, arg.span)
    }
    const escape = expr.escape === null ? constant('\\', text) : asText(expr.escape)
    const args = [asText(expr.arg), asText(expr.pattern), escape]
    const matched = call(expr.insensitive ? 'ilike' : 'like', args, boolType)
    return expr.negated
      ? { op: 'not', arg: matched, type: boolType, nullable: matched.nullable }
      : matched
  }

  #case(expr: CaseSyntax): Expr {
    const subject = expr.arg === null ? null : this.bind(expr.arg)
    const whens = expr.whens.map(({ when }) =>
      subject === null
        ? this.condition(when)
        : comparison('=', subject, this.bind(when), when.span),
    )
    const otherwise: SyntaxExpr = expr.otherwise ?? {
      kind: 'literal',
      literal: { type: 'null' },
      span: expr.span,
    }
    const branches = [...expr.whens.map(({ result }) => result), otherwise]
    const values = this.#common(
      branches.map((branch) => this.bind(branch)),
      'CASE',
      expr.span,
    )
    return {
      op: 'case',
      whens: whens.map((when, i) => ({ when, result: values[i]! })),
      otherwise: values.at(-1)!,
      type: values[0]!.type,
      nullable: values.some((value) => value.nullable),
    }
  }

  /** All of them as their common type (select_common_type in parse_coerce.c). */
  #common(args: readonly Expr[], what: string, span: Span): readonly Expr[] {
    let type = null as Expr['type'] | null
    for (const arg of args) {
      if (isUnknown(arg)) continue
      const next = type === null ? arg.type : commonType(type, arg.type)
      if (next === null)
        throw sqlError('sql.type', span, `${what} mixes ${sqlName(type!)} and ${sqlName(arg.type)}`)
      type = next
    }
    if (type?.kind === 'list')
      throw unsupported(
        span,
        `${what} over arrays is not supported`,
        'Select the array column as it is.',
      )
    const target = type ?? simple('text')
    return args.map((arg) => cast(arg, target, span))
  }

  #call(expr: CallSyntax): Expr {
    const { name, span } = expr
    if (aggregateNames.has(name)) return this.#aggregate(expr)
    if (expr.star || expr.distinct || expr.filter !== null)
      throw sqlError('sql.type', span, `${name} is not an aggregate`)
    const window = windowCall(expr, (arg) => this.bind(arg))
    if (window !== null) {
      if (this.#windows) return window
      throw unsupported(
        span,
        `${name.toUpperCase()} needs GROUP BY TUMBLE(…) with the same arguments`,
      )
    }
    const args = expr.args.map((arg) => this.bind(arg))
    switch (name) {
      case 'coalesce': {
        const values = this.#common(args, 'COALESCE', span)
        const nullable = values.every((value) => value.nullable)
        return { op: 'coalesce', args: values, type: values[0]!.type, nullable }
      }
      case 'greatest':
      case 'least': {
        const values = this.#common(args, name.toUpperCase(), span)
        const ordering = orderingOf(values[0]!.type)
        if (ordering === null)
          throw sqlError('sql.type', span, `${sqlName(values[0]!.type)} has no order`)
        const nullable = values.every((value) => value.nullable)
        return {
          op: 'extreme',
          greatest: name === 'greatest',
          ordering,
          args: values,
          type: values[0]!.type,
          nullable,
        }
      }
      case 'nullif':
        return this.#nullIf(args, span)
      default:
        return scalarCall(name, args, span)
    }
  }

  #nullIf(args: readonly Expr[], span: Span): Expr {
    const [first, second] = args
    if (first === undefined || second === undefined)
      throw sqlError('sql.unknown_function', span, 'NULLIF takes two arguments')
    const left = isUnknown(first) ? cast(first, simple('text'), span) : first
    const when = comparison('=', left, second, span)
    return {
      op: 'case',
      whens: [{ when, result: constant(null, left.type) }],
      otherwise: left,
      type: left.type,
      nullable: true,
    }
  }

  #aggregate(expr: CallSyntax): Expr {
    if (this.#aggregates === null)
      throw sqlError('sql.grouping', expr.span, `Aggregates are not allowed in ${this.#clause}`, {
        remedy: 'Compute the aggregate in a subquery, or use HAVING.',
      })
    const inner = new ExpressionBinder(this.relation, null, 'another aggregate')
    const bound = bindAggregate(
      expr,
      expr.args.map((arg) => inner.bind(arg)),
      expr.filter === null ? null : inner.condition(expr.filter),
    )
    this.#aggregates.push(bound)
    return column(aggregateBase + this.#aggregates.length - 1, bound.type, bound.nullable)
  }
}

/** Bits of PostgreSQL's interval type modifier that name one field (timestamp.h, INTERVAL_MASK). */
const intervalUnits: ReadonlyMap<number, string> = new Map([
  [1 << 2, 'year'],
  [1 << 1, 'month'],
  [1 << 3, 'day'],
  [1 << 10, 'hour'],
  [1 << 11, 'minute'],
  [1 << 12, 'second'],
])
