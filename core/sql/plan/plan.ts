/**
 * The logical plan: what the query means, as a tree of a few operators over Z-sets (rows with
 * weights). `bind.ts` makes it, `optimise.ts` rewrites it, `operators/build.ts` runs it.
 */
import type { Changelog, Schema } from '../../record/schema.ts'
import type { LogicalType } from '../../record/types.ts'
import { collectColumns, column, type Expr, type Ordering } from './expr.ts'

export interface PlanField {
  readonly name: string
  readonly type: LogicalType
  readonly nullable: boolean
}

/** Rows of a topic, as its changelog gives them. `columns` names those that are read. */
export interface ScanPlan {
  readonly op: 'scan'
  readonly topic: string
  readonly schema: Schema
  readonly fields: readonly PlanField[]
}
/** Rows that pass the filter, as new columns. */
export interface MapPlan {
  readonly op: 'map'
  readonly input: Plan
  readonly filter: Expr | null
  readonly exprs: readonly Expr[]
  readonly fields: readonly PlanField[]
}
/**
 * A map over an upsert topic that keeps the topic's key: `-1` rows need only the key. `remember`
 * keeps the set of keys that passed the filter, because a row that no longer passes must be taken
 * away, and one that never passed must not.
 */
export interface KeyedMapPlan {
  readonly op: 'keyedMap'
  readonly input: ScanPlan
  readonly filter: Expr | null
  readonly exprs: readonly Expr[]
  readonly fields: readonly PlanField[]
  /** Columns of the input that are its key. */
  readonly key: readonly number[]
  readonly remember: boolean
}
/** An upsert topic as a retract stream: remembers the last row of each key that passed the filter. */
export interface NormalisePlan {
  readonly op: 'normalise'
  readonly input: ScanPlan
  readonly filter: Expr | null
  readonly key: readonly number[]
  /** Columns of the input that are kept and given on. */
  readonly columns: readonly number[]
  readonly fields: readonly PlanField[]
}
/** One row per group: the keys, then the aggregates. No keys = one row always. */
export interface AggregatePlan {
  readonly op: 'aggregate'
  readonly input: Plan
  readonly filter: Expr | null
  readonly keys: readonly Expr[]
  readonly aggregates: readonly AggregateCall[]
  readonly fields: readonly PlanField[]
  /** One row even over no rows: a SELECT with aggregates and without GROUP BY. */
  readonly global: boolean
}
export interface UnionPlan {
  readonly op: 'union'
  readonly inputs: readonly Plan[]
  readonly fields: readonly PlanField[]
}
export type Plan = ScanPlan | MapPlan | KeyedMapPlan | NormalisePlan | AggregatePlan | UnionPlan

export type AggregateName = 'count' | 'sum' | 'avg' | 'min' | 'max' | 'boolAnd' | 'boolOr'

export interface AggregateCall {
  readonly fn: AggregateName
  /** null for COUNT(*). */
  readonly arg: Expr | null
  readonly distinct: boolean
  readonly filter: Expr | null
  readonly type: LogicalType
  readonly nullable: boolean
  /** How the argument's values compare: MIN, MAX and DISTINCT. */
  readonly ordering: Ordering | null
}

/** The whole: the plan, what its rows are called, and which of them are the key. */
export interface BoundQuery {
  readonly plan: Plan
  readonly key: readonly number[]
  readonly changelog: Changelog
}

/** Columns that stand for the plan's own fields. */
export function identity(fields: readonly PlanField[]): readonly Expr[] {
  return fields.map((field, i) => column(i, field.type, field.nullable))
}

export function inputsOf(plan: Plan): readonly Plan[] {
  switch (plan.op) {
    case 'scan':
      return []
    case 'union':
      return plan.inputs
    default:
      return [plan.input]
  }
}

/** Every scan, in the order of the query. */
export function scansOf(plan: Plan): readonly ScanPlan[] {
  return plan.op === 'scan' ? [plan] : inputsOf(plan).flatMap(scansOf)
}

/** Whether the plan never takes a row back. */
export function isAppendOnly(plan: Plan): boolean {
  switch (plan.op) {
    case 'scan':
      return plan.schema.changelog === 'append'
    case 'map':
      return isAppendOnly(plan.input)
    case 'union':
      return plan.inputs.every(isAppendOnly)
    default:
      return false
  }
}

/** Indexes of the input's fields that the operator reads. */
export function columnsRead(consumer: Plan): ReadonlySet<number> {
  const used = new Set<number>()
  const add = (expr: Expr | null): void => {
    if (expr !== null) collectColumns(expr, used)
  }
  switch (consumer.op) {
    case 'map':
      add(consumer.filter)
      consumer.exprs.forEach(add)
      break
    case 'keyedMap':
      add(consumer.filter)
      consumer.exprs.forEach(add)
      consumer.key.forEach((index) => used.add(index))
      break
    case 'normalise':
      consumer.key.forEach((index) => used.add(index))
      add(consumer.filter)
      consumer.columns.forEach((index) => used.add(index))
      break
    case 'aggregate':
      add(consumer.filter)
      consumer.keys.forEach(add)
      for (const call of consumer.aggregates) {
        add(call.arg)
        add(call.filter)
      }
      break
    default:
      break
  }
  return used
}
