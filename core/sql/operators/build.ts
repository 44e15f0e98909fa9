/** A plan into operators that are wired to one another, in topological order. */
import type { Schema } from '../../record/schema.ts'
import { columnsRead, type Plan, type ScanPlan } from '../plan/plan.ts'
import { Aggregate } from './aggregate.ts'
import type { RowErrors } from './errors.ts'
import { KeyedMap } from './keyed-map.ts'
import { MapOperator } from './map.ts'
import { Normalise } from './normalise.ts'
import type { Operator, Port } from './operator.ts'
import { Output } from './output.ts'

/** Where a topic's rows enter. */
export interface Source {
  readonly scan: ScanPlan
  readonly port: Port
  /** Whether a truncate can be answered from state, without the rows. */
  readonly clears: boolean
  /** Fields of the scan that are read. */
  readonly used: ReadonlySet<number>
}

export interface Graph {
  /** From the inputs to the output. */
  readonly operators: readonly Operator[]
  readonly sources: readonly Source[]
  readonly output: Output
}

export function build(plan: Plan, schema: Schema, errors: RowErrors): Graph {
  const operators: Operator[] = []
  const sources: Source[] = []
  const output = new Output(schema)
  const connect = (node: Plan, consumer: Plan, port: Port, alone: boolean): void => {
    switch (node.op) {
      case 'scan':
        sources.push({ scan: node, port, clears: alone, used: columnsRead(consumer) })
        return
      case 'union':
        for (const input of node.inputs) connect(input, consumer, port, false)
        return
      case 'map': {
        const operator = new MapOperator(node, port, errors)
        connect(
          node.input,
          node,
          { operator, input: 0 },
          node.input.op === 'scan' &&
            node.input.schema.changelog === 'append' &&
            port.operator === output,
        )
        operators.push(operator)
        return
      }
      case 'keyedMap': {
        const operator = new KeyedMap(node, port, errors)
        connect(node.input, node, { operator, input: 0 }, node.remember)
        operators.push(operator)
        return
      }
      case 'normalise': {
        const operator = new Normalise(node, port, errors)
        connect(node.input, node, { operator, input: 0 }, true)
        operators.push(operator)
        return
      }
      case 'aggregate': {
        const operator = new Aggregate(node, port, errors)
        connect(node.input, node, { operator, input: 0 }, node.input.op === 'scan')
        operators.push(operator)
      }
    }
  }
  connect(plan, plan, { operator: output, input: 0 }, true)
  return { operators, sources, output }
}
