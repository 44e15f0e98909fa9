/** The plan as text: for people, and, hashed, to know whether a stored state belongs to it. */
import { typeName } from '../../record/types.ts'
import { aggregateText } from './bind-select.ts'
import { exprText, type Expr } from './expr.ts'
import { columnsRead, inputsOf, type BoundQuery, type Plan } from './plan.ts'

/** One line per operator, inputs indented below what reads them. */
export function explainPlan({ plan, key, changelog }: BoundQuery): string {
  const fields = plan.fields.map((field) => `${field.name} ${typeName(field.type)}`).join(', ')
  const names = key.map((index) => plan.fields[index]!.name).join(', ')
  const head = `${changelog}${names === '' ? '' : ` by (${names})`}: ${fields}`
  return [head, ...lines(plan, plan, 1)].join('\n')
}

function lines(plan: Plan, consumer: Plan, depth: number): readonly string[] {
  const own = `${'  '.repeat(depth)}${describe(plan, consumer)}`
  return [
    own,
    ...inputsOf(plan).flatMap((input) =>
      lines(input, plan.op === 'union' ? consumer : plan, depth + 1),
    ),
  ]
}

function describe(plan: Plan, consumer: Plan): string {
  switch (plan.op) {
    case 'scan': {
      const used = columnsRead(consumer)
      const columns = plan.fields.map((field, i) =>
        used.has(i) ? `$${i}=${field.name} ${typeName(field.type)}` : '',
      )
      return `scan ${plan.topic} (${plan.schema.changelog}): ${columns.filter((c) => c !== '').join(', ')}`
    }
    case 'map':
      return `map${where(plan.filter)}: ${plan.exprs.map(exprText).join(', ')}`
    case 'keyedMap':
      return `keyed map${plan.remember ? ', remembers keys' : ''}${where(plan.filter)}: ${plan.exprs.map(exprText).join(', ')}`
    case 'normalise':
      return `normalise by (${plan.key.map((i) => `$${i}`).join(', ')})${where(plan.filter)}: keeps ${plan.columns.map((i) => `$${i}`).join(', ')}`
    case 'aggregate': {
      const keys = plan.global ? 'all rows' : plan.keys.map(exprText).join(', ')
      return `aggregate${where(plan.filter)} by ${keys}: ${plan.aggregates.map(aggregateText).join(', ')}`
    }
    case 'union':
      return 'union all'
  }
}

function where(filter: Expr | null): string {
  return filter === null ? '' : ` where ${exprText(filter)}`
}
