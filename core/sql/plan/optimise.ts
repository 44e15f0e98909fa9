/**
 * Rewrites of the logical plan, and the choice of how upsert topics are read:
 * - maps are merged, pushed into the branches of unions, and into aggregates;
 * - conditions on group keys are tested before grouping;
 * - an upsert topic under a map that keeps its key stays as it is (keyedMap); anywhere else it goes
 *   through `normalise`, which keeps only the columns that are used and only the rows that pass.
 */
import type { BoundQuery, KeyedMapPlan, MapPlan, NormalisePlan, Plan, ScanPlan } from './plan.ts'
import { identity, isAppendOnly } from './plan.ts'
import { sharesEncodings } from './types.ts'
import type { Span } from '../parse/span.ts'
import { unsupported } from '../parse/expression.ts'
import {
  collectColumns,
  column,
  inline,
  operands,
  substitute,
  boolType,
  type Expr,
} from './expr.ts'

export function optimise(bound: Plan): BoundQuery {
  const root = simplify(asMap(bound))
  const plan = keyed(root) ?? normalised(root)
  const key = keyOf(plan)
  if (isAppendOnly(plan)) return { plan, key: [], changelog: 'append' }
  return { plan, key: key ?? [], changelog: key !== null && upserts(plan) ? 'upsert' : 'retract' }
}

function asMap(plan: Plan): Plan {
  if (plan.op === 'map' || plan.op === 'union') return plan
  return { op: 'map', input: plan, filter: null, exprs: identity(plan.fields), fields: plan.fields }
}

function simplify(plan: Plan): Plan {
  switch (plan.op) {
    case 'map':
      return simplifyMap({ ...plan, input: simplify(plan.input) })
    case 'union': {
      const inputs = plan.inputs.map(simplify)
      return {
        ...plan,
        inputs: inputs.flatMap((input) => (input.op === 'union' ? input.inputs : [input])),
      }
    }
    case 'aggregate': {
      const input = simplify(plan.input)
      if (input.op !== 'map') return { ...plan, input }
      const over = (expr: Expr): Expr => inline(expr, input.exprs)
      return {
        ...plan,
        input: input.input,
        filter: conjunction(input.filter, plan.filter === null ? null : over(plan.filter)),
        keys: plan.keys.map(over),
        aggregates: plan.aggregates.map((call) => ({
          ...call,
          arg: call.arg === null ? null : over(call.arg),
          filter: call.filter === null ? null : over(call.filter),
        })),
      }
    }
    default:
      return plan
  }
}

function simplifyMap(map: MapPlan): Plan {
  const { input } = map
  if (input.op === 'map') {
    const over = (expr: Expr): Expr => inline(expr, input.exprs)
    return simplifyMap({
      ...map,
      input: input.input,
      filter: conjunction(input.filter, map.filter === null ? null : over(map.filter)),
      exprs: map.exprs.map(over),
    })
  }
  if (input.op === 'union') {
    const inputs = input.inputs.map((branch) => simplifyMap({ ...map, input: branch }))
    return { op: 'union', inputs, fields: map.fields }
  }
  return input.op === 'aggregate' && map.filter !== null ? pushIntoGroups(map) : map
}

/** Conditions on group keys alone keep rows out of the state instead of groups out of the result. */
function pushIntoGroups(map: MapPlan): Plan {
  const { input, filter } = map
  // The one group of a global aggregate exists whatever the rows are.
  if (input.op !== 'aggregate' || filter === null || input.global) return map
  const below: Expr[] = []
  const above: Expr[] = []
  for (const part of conjuncts(filter)) {
    const used = new Set<number>()
    collectColumns(part, used)
    const onKeys = [...used].every((index) => index < input.keys.length)
    if (onKeys) below.push(inline(part, input.keys))
    else above.push(part)
  }
  if (below.length === 0) return map
  const grouped = { ...input, filter: conjunction(input.filter, all(below)) }
  return { ...map, input: grouped, filter: all(above) }
}

export function conjuncts(expr: Expr): readonly Expr[] {
  return expr.op === 'and' ? expr.args.flatMap(conjuncts) : [expr]
}
function all(parts: readonly Expr[]): Expr | null {
  if (parts.length <= 1) return parts[0] ?? null
  return { op: 'and', args: parts, type: boolType, nullable: parts.some((part) => part.nullable) }
}
function conjunction(a: Expr | null, b: Expr | null): Expr | null {
  return all([...(a === null ? [] : conjuncts(a)), ...(b === null ? [] : conjuncts(b))])
}

/** The whole query as a map over one upsert topic that keeps the key; null when it is not that. */
function keyed(root: Plan): KeyedMapPlan | null {
  if (root.op !== 'map' || root.input.op !== 'scan') return null
  const { input, filter, exprs, fields } = root
  const { schema } = input
  if (schema.changelog !== 'upsert' || schema.key.length === 0) return null
  const kept = schema.key.every((index) => exprs.some((_, i) => keepsKey(root, index, i)))
  if (!kept) return null
  const used = new Set<number>()
  if (filter !== null) collectColumns(filter, used)
  // A row whose key alone decides never passes at one time and fails at another.
  const remember = [...used].some((index) => !schema.key.includes(index))
  refuseListKey(input, exprs)
  return { op: 'keyedMap', input, filter, exprs, fields, key: schema.key, remember }
}

/**
 * Whether output column `i` is the input's key column `index` as it is. One that is converted does
 * not count: of a −1 row only the key's own columns are sure, and only they are handed on.
 */
function keepsKey(
  { input, exprs, fields }: MapPlan | KeyedMapPlan,
  index: number,
  i: number,
): boolean {
  const expr = exprs[i]!
  if (expr.op !== 'column' || expr.index !== index) return false
  return sharesEncodings(input.fields[index]!.type, fields[i]!.type)
}

/** Puts `normalise` over every upsert topic, with the filter and only the columns that are used. */
function normalised(plan: Plan): Plan {
  switch (plan.op) {
    case 'map': {
      if (!isUpsert(plan.input)) return { ...plan, input: normalised(plan.input) }
      const { input, remap } = normalise(plan.input, plan.filter, plan.exprs)
      return { ...plan, input, filter: null, exprs: plan.exprs.map(remap) }
    }
    case 'aggregate': {
      if (!isUpsert(plan.input)) return { ...plan, input: normalised(plan.input) }
      const parts = plan.aggregates
        .flatMap((call) => [call.arg, call.filter])
        .filter((part) => part !== null)
      const { input, remap } = normalise(plan.input, plan.filter, [...plan.keys, ...parts])
      return {
        ...plan,
        input,
        filter: null,
        keys: plan.keys.map(remap),
        aggregates: plan.aggregates.map((call) => ({
          ...call,
          arg: call.arg === null ? null : remap(call.arg),
          filter: call.filter === null ? null : remap(call.filter),
        })),
      }
    }
    case 'union':
      return { ...plan, inputs: plan.inputs.map((input) => normalised(asMapOverUpsert(input))) }
    default:
      return plan
  }
}

function asMapOverUpsert(plan: Plan): Plan {
  return isUpsert(plan) ? asMap(plan) : plan
}

function isUpsert(plan: Plan): plan is ScanPlan {
  return plan.op === 'scan' && plan.schema.changelog === 'upsert'
}

function normalise(
  input: ScanPlan,
  filter: Expr | null,
  exprs: readonly Expr[],
): { input: NormalisePlan; remap: (expr: Expr) => Expr } {
  exprs.forEach((expr) => refuseLists(expr, input))
  refuseListKey(input, exprs)
  const used = new Set<number>()
  for (const expr of exprs) collectColumns(expr, used)
  const columns = [...used].sort((a, b) => a - b)
  const fields = columns.map((index) => input.fields[index]!)
  const plan: NormalisePlan = {
    op: 'normalise',
    input,
    filter,
    key: input.schema.key,
    columns,
    fields,
  }
  const remap = (expr: Expr): Expr =>
    substitute(expr, (from) => ({
      ...column(columns.indexOf(from.index), from.type, from.nullable),
      span: from.span,
    }))
  return { input: plan, remap }
}

/** The last row of each key is kept as plain values, which an array is not. */
function refuseLists(expr: Expr, input: ScanPlan): void {
  const { topic, schema } = input
  if (expr.op === 'column' && expr.type.kind === 'list')
    throw unsupported(
      expr.span,
      `The array column "${schema.fields[expr.index]!.name}" of ${topic} cannot be used here: the topic sends new rows without the old ones, so that the query has to remember the old ones, and arrays cannot be remembered`,
      'Select the whole key of the table beside the array, without aggregates, DISTINCT or UNION; or set REPLICA IDENTITY FULL on the table.',
    )
  for (const operand of operands(expr)) refuseLists(operand, input)
}

function refuseListKey({ topic, schema }: ScanPlan, exprs: readonly Expr[]): void {
  const key = schema.key.find((index) => schema.fields[index]!.type.kind === 'list')
  if (key !== undefined)
    throw unsupported(
      spanIn(exprs),
      `${topic} has the array column "${schema.fields[key]!.name}" in its key, which this query would have to remember; arrays cannot be remembered`,
      'Set REPLICA IDENTITY FULL on the table, or give it another primary key.',
    )
}

/** The first place in the query that the expressions name. */
function spanIn(exprs: readonly Expr[]): Span | null {
  for (const expr of exprs) {
    const span = expr.op === 'column' ? expr.span : spanIn(operands(expr))
    if (span !== null) return span
  }
  return null
}

/** Columns that identify a row of the result; null when none do. */
function keyOf(plan: Plan): readonly number[] | null {
  switch (plan.op) {
    case 'keyedMap':
      return plan.key.map((index) => plan.exprs.findIndex((_, i) => keepsKey(plan, index, i)))
    case 'map': {
      const inner = keyOf(plan.input)
      return inner === null ? null : project(inner, plan.exprs)
    }
    case 'aggregate':
      return plan.global ? null : plan.keys.map((_, i) => i)
    case 'normalise': {
      const places = plan.key.map((index) => plan.columns.indexOf(index))
      return places.length === 0 || places.includes(-1) ? null : places
    }
    case 'scan':
      return plan.schema.changelog === 'retract' && plan.schema.key.length > 0
        ? plan.schema.key
        : null
    default:
      return null
  }
}

/** Where the key's columns are in the output: the column itself, or what it is converted to. */
function project(key: readonly number[], exprs: readonly Expr[]): readonly number[] | null {
  const places = key.map((index) => exprs.findIndex((expr) => keeps(expr, index)))
  return places.includes(-1) ? null : places
}
/** Functions that give different values for different ones: of a window's start, of a cast key. */
const oneToOne: ReadonlySet<string> = new Set(['windowEnd', 'intText', 'dateText', 'bytesText'])

function keeps(expr: Expr, index: number): boolean {
  if (expr.op === 'call' && oneToOne.has(expr.fn)) return keeps(expr.args[0]!, index)
  return expr.op === 'column' && expr.index === index
}

/**
 * Whether the rows come out as at most one per key: groups, and keyed topics, also those whose key is
 * converted one to one.
 */
function upserts(plan: Plan): boolean {
  if (plan.op === 'keyedMap') return true
  return plan.op === 'map' && (plan.input.op === 'aggregate' || plan.input.op === 'normalise')
}
