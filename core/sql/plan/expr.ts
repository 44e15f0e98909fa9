/**
 * Typed expressions: what the binder makes of the syntax tree and the code generator turns into
 * JavaScript. Every node knows its type and whether it can be null. All coercions are explicit.
 */
import type { LogicalType } from '../../record/types.ts'
import { typeName } from '../../record/types.ts'
import type { Span } from '../parse/span.ts'
import type { Scalar, ScalarName } from '../scalar/functions.ts'

interface Typed {
  readonly type: LogicalType
  readonly nullable: boolean
}
/** Column of the operator's input. */
export interface ColumnExpr extends Typed {
  readonly op: 'column'
  readonly index: number
  /** Where the query names it; null for columns that the planner made. */
  readonly span: Span | null
}
export interface ConstExpr extends Typed {
  readonly op: 'const'
  readonly value: Scalar
}
/** Null when an argument is null (or, with `partial`, when the function says so); else the function's value. */
export interface CallExpr extends Typed {
  readonly op: 'call'
  readonly fn: ScalarName
  readonly args: readonly Expr[]
  readonly partial: boolean
}
/** How two values of one type compare; see codegen. */
export type Ordering = 'number' | 'nan' | 'text' | 'decimal' | 'interval'
export interface CompareExpr extends Typed {
  readonly op: 'compare'
  readonly operator: '=' | '<>' | '<' | '<=' | '>' | '>='
  readonly ordering: Ordering
  readonly left: Expr
  readonly right: Expr
}
export interface DistinctExpr extends Typed {
  readonly op: 'distinct'
  readonly ordering: Ordering
  readonly negated: boolean
  readonly left: Expr
  readonly right: Expr
}
export interface LogicExpr extends Typed {
  readonly op: 'and' | 'or'
  readonly args: readonly Expr[]
}
export interface NotExpr extends Typed {
  readonly op: 'not'
  readonly arg: Expr
}
export interface IsNullExpr extends Typed {
  readonly op: 'isNull'
  readonly arg: Expr
  readonly negated: boolean
}
/** IS [NOT] TRUE / FALSE. */
export interface TestExpr extends Typed {
  readonly op: 'test'
  readonly arg: Expr
  readonly value: boolean
  readonly negated: boolean
}
export interface CaseExpr extends Typed {
  readonly op: 'case'
  readonly whens: readonly { readonly when: Expr; readonly result: Expr }[]
  readonly otherwise: Expr
}
export interface CoalesceExpr extends Typed {
  readonly op: 'coalesce'
  readonly args: readonly Expr[]
}
/** GREATEST and LEAST, which leave nulls out. */
export interface ExtremeExpr extends Typed {
  readonly op: 'extreme'
  readonly greatest: boolean
  readonly ordering: Ordering
  readonly args: readonly Expr[]
}
/** concat_ws: the first argument is the separator; nulls among the others are left out. */
export interface ConcatWsExpr extends Typed {
  readonly op: 'concatWs'
  readonly args: readonly Expr[]
}

export type Expr =
  | ColumnExpr
  | ConstExpr
  | CallExpr
  | CompareExpr
  | DistinctExpr
  | LogicExpr
  | NotExpr
  | IsNullExpr
  | TestExpr
  | CaseExpr
  | CoalesceExpr
  | ExtremeExpr
  | ConcatWsExpr

export const boolType: LogicalType = { kind: 'bool' }
/** Type of a quoted literal or NULL before its surroundings decide. */
export const unknownType: LogicalType = { kind: 'other', name: 'unknown' }

export function isUnknown(expr: Expr): boolean {
  return expr.op === 'const' && expr.type === unknownType
}

export function constant(value: Scalar, type: LogicalType): ConstExpr {
  return { op: 'const', value, type, nullable: value === null }
}
export function column(index: number, type: LogicalType, nullable: boolean): ColumnExpr {
  return { op: 'column', index, type, nullable, span: null }
}
export function call(
  fn: ScalarName,
  args: readonly Expr[],
  type: LogicalType,
  partial = false,
): CallExpr {
  const nullable = partial || args.some((arg) => arg.nullable)
  return { op: 'call', fn, args, type, nullable, partial }
}

/** The expressions directly inside. */
export function operands(expr: Expr): readonly Expr[] {
  switch (expr.op) {
    case 'column':
    case 'const':
      return []
    case 'compare':
    case 'distinct':
      return [expr.left, expr.right]
    case 'not':
    case 'isNull':
    case 'test':
      return [expr.arg]
    case 'case':
      return [...expr.whens.flatMap(({ when, result }) => [when, result]), expr.otherwise]
    default:
      return expr.args
  }
}

/** The expression with each of its direct operands replaced. */
export function mapOperands(expr: Expr, change: (operand: Expr) => Expr): Expr {
  switch (expr.op) {
    case 'column':
    case 'const':
      return expr
    case 'compare':
    case 'distinct':
      return { ...expr, left: change(expr.left), right: change(expr.right) }
    case 'not':
    case 'isNull':
    case 'test':
      return { ...expr, arg: change(expr.arg) }
    case 'case':
      return {
        ...expr,
        whens: expr.whens.map(({ when, result }) => ({
          when: change(when),
          result: change(result),
        })),
        otherwise: change(expr.otherwise),
      }
    default:
      return { ...expr, args: expr.args.map(change) }
  }
}

/** The expression with each column replaced by what `change` gives for it. */
export function substitute(expr: Expr, change: (from: ColumnExpr) => Expr): Expr {
  return expr.op === 'column'
    ? change(expr)
    : mapOperands(expr, (operand) => substitute(operand, change))
}

/** An expression over a map's output as one over its input. */
export function inline(expr: Expr, exprs: readonly Expr[]): Expr {
  // A cast that changes nothing but the type sits on the column itself.
  return substitute(expr, (from) => ({ ...exprs[from.index]!, type: from.type }))
}

/** Adds every column the expression reads. */
export function collectColumns(expr: Expr, into: Set<number>): void {
  if (expr.op === 'column') into.add(expr.index)
  for (const operand of operands(expr)) collectColumns(operand, into)
}

/** The expression as text: for EXPLAIN, and equal exactly when two expressions compute the same. */
export function exprText(expr: Expr): string {
  const args = (): string => operands(expr).map(exprText).join(', ')
  switch (expr.op) {
    case 'column':
      return `$${expr.index}`
    case 'const':
      return `${constText(expr.value)}::${typeName(expr.type)}`
    case 'call':
      return `${expr.fn}(${args()})`
    case 'compare':
      return `(${exprText(expr.left)} ${expr.operator} ${exprText(expr.right)})`
    case 'distinct':
      return `${expr.negated ? 'same' : 'distinct'}(${args()})`
    case 'and':
    case 'or':
      return `(${expr.args.map(exprText).join(` ${expr.op} `)})`
    case 'isNull':
      return `(${exprText(expr.arg)} is ${expr.negated ? 'not ' : ''}null)`
    case 'test':
      return `(${exprText(expr.arg)} is ${expr.negated ? 'not ' : ''}${expr.value})`
    case 'extreme':
      return `${expr.greatest ? 'greatest' : 'least'}(${args()})`
    default:
      return `${expr.op}(${args()})`
  }
}

function constText(value: Scalar): string {
  if (value === null || typeof value !== 'object') {
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  }
  return 'digits' in value
    ? `${value.digits}e-${value.scale}`
    : `${value.months} mons ${value.days} days ${value.us} us`
}
