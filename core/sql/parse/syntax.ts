/**
 * The syntax tree of the language that this engine runs: small, typed, with a span on every node.
 * What PostgreSQL's grammar can say beyond it is refused while the tree is built, so that nothing
 * after the parser meets a construct it does not know.
 */
import type { Span } from './span.ts'

export type SyntaxExpr =
  | { readonly kind: 'column'; readonly path: readonly string[]; readonly span: Span }
  | { readonly kind: 'literal'; readonly literal: Literal; readonly span: Span }
  | BinarySyntax
  | {
      readonly kind: 'unary'
      readonly operator: string
      readonly arg: SyntaxExpr
      readonly span: Span
    }
  | { readonly kind: 'and' | 'or'; readonly args: readonly SyntaxExpr[]; readonly span: Span }
  | { readonly kind: 'not'; readonly arg: SyntaxExpr; readonly span: Span }
  | {
      readonly kind: 'isNull'
      readonly arg: SyntaxExpr
      readonly negated: boolean
      readonly span: Span
    }
  | BoolTestSyntax
  | DistinctSyntax
  | InSyntax
  | LikeSyntax
  | CaseSyntax
  | CallSyntax
  | CastSyntax

export type Literal =
  | { readonly type: 'integer' | 'decimal' | 'string'; readonly text: string }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'null' }

export interface BinarySyntax {
  readonly kind: 'binary'
  readonly operator: string
  readonly left: SyntaxExpr
  readonly right: SyntaxExpr
  readonly span: Span
}
export interface BoolTestSyntax {
  readonly kind: 'boolTest'
  /** What the argument is compared with; null is UNKNOWN. */
  readonly value: boolean | null
  readonly negated: boolean
  readonly arg: SyntaxExpr
  readonly span: Span
}
export interface DistinctSyntax {
  readonly kind: 'distinct'
  /** IS NOT DISTINCT FROM. */
  readonly negated: boolean
  readonly left: SyntaxExpr
  readonly right: SyntaxExpr
  readonly span: Span
}
export interface InSyntax {
  readonly kind: 'in'
  readonly arg: SyntaxExpr
  readonly list: readonly SyntaxExpr[]
  readonly negated: boolean
  readonly span: Span
}
export interface LikeSyntax {
  readonly kind: 'like'
  readonly arg: SyntaxExpr
  readonly pattern: SyntaxExpr
  /** The ESCAPE character's expression; null means backslash. */
  readonly escape: SyntaxExpr | null
  readonly insensitive: boolean
  readonly negated: boolean
  readonly span: Span
}
export interface CaseSyntax {
  readonly kind: 'case'
  /** CASE arg WHEN value …; null for CASE WHEN condition …. */
  readonly arg: SyntaxExpr | null
  readonly whens: readonly { readonly when: SyntaxExpr; readonly result: SyntaxExpr }[]
  readonly otherwise: SyntaxExpr | null
  readonly span: Span
}
export interface CallSyntax {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly SyntaxExpr[]
  /** count(*). */
  readonly star: boolean
  readonly distinct: boolean
  readonly filter: SyntaxExpr | null
  readonly span: Span
}
export interface CastSyntax {
  readonly kind: 'cast'
  readonly arg: SyntaxExpr
  readonly type: TypeSyntax
  readonly span: Span
}

export interface TypeSyntax {
  /** PostgreSQL's own name, such as `int4` for INTEGER. */
  readonly name: string
  readonly modifiers: readonly number[]
  readonly span: Span
}

export interface TargetSyntax {
  /** null is a star; `qualifier` is then what stands before it. */
  readonly expr: SyntaxExpr | null
  readonly qualifier: string | null
  readonly alias: string | null
  readonly span: Span
}

export type QuerySyntax = SelectSyntax | UnionSyntax

export interface SelectSyntax {
  readonly kind: 'select'
  readonly ctes: readonly CteSyntax[]
  readonly distinct: boolean
  readonly targets: readonly TargetSyntax[]
  readonly from: FromSyntax
  readonly where: SyntaxExpr | null
  readonly groupBy: readonly SyntaxExpr[]
  readonly having: SyntaxExpr | null
  readonly span: Span
}
export interface UnionSyntax {
  readonly kind: 'union'
  readonly ctes: readonly CteSyntax[]
  readonly all: boolean
  readonly left: QuerySyntax
  readonly right: QuerySyntax
  readonly span: Span
}
export interface CteSyntax {
  readonly name: string
  readonly columns: readonly string[]
  readonly query: QuerySyntax
  readonly span: Span
}
export type FromSyntax = TableSyntax | SubquerySyntax
export interface TableSyntax {
  readonly kind: 'table'
  readonly name: readonly string[]
  readonly alias: string | null
  readonly columns: readonly string[]
  readonly span: Span
}
export interface SubquerySyntax {
  readonly kind: 'subquery'
  readonly query: QuerySyntax
  readonly alias: string | null
  readonly columns: readonly string[]
  readonly span: Span
}
