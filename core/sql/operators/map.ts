/** Filter and projection without state. */
import type { Column } from '../../record/column.ts'
import type { MapPlan } from '../plan/plan.ts'
import { scalars } from '../scalar/functions.ts'
import { generate } from './aggregate-code.ts'
import { loaders, shapeOf } from './columns.ts'
import type { RowErrors } from './errors.ts'
import { MapRows } from './map-rows.ts'
import type { Delta, Operator, Port } from './operator.ts'
import { RowCode } from './row-code.ts'

type MapLoop = (delta: Delta, from: number) => number

export class MapOperator implements Operator {
  readonly errors: RowErrors
  readonly output: MapRows
  readonly stateBytes = 0
  readonly #plan: MapPlan
  readonly #out: Port
  readonly #loops = new Map<string, MapLoop>()
  /** Whether rows go through as they are. */
  readonly #whole: boolean

  constructor(plan: MapPlan, out: Port, errors: RowErrors) {
    this.#plan = plan
    this.#out = out
    this.errors = errors
    this.output = new MapRows(plan.exprs, plan.fields, plan.input.fields)
    this.#whole = plan.filter === null && this.output.passesAll
  }

  push(_input: number, delta: Delta): void {
    if (this.#whole) {
      const columns = this.#plan.exprs.map(
        (expr) => delta.columns[expr.op === 'column' ? expr.index : 0]!,
      )
      this.#out.operator.push(this.#out.input, { ...delta, columns })
      return
    }
    const shape = delta.columns.map(shapeOf).join()
    let loop = this.#loops.get(shape)
    if (loop === undefined) {
      loop = this.#loop(delta.columns)
      this.#loops.set(shape, loop)
    }
    let from = 0
    while (from < delta.rows) from = loop(delta, from)
    if (this.output.count === 0) return
    this.output.pairUpdates()
    this.#out.operator.push(this.#out.input, this.output.finish(delta))
  }

  #loop(columns: readonly Column[]): MapLoop {
    const { filter, input } = this.#plan
    const constants: unknown[] = []
    const code = new RowCode(input.fields, columns, constants)
    if (filter !== null) code.filter(filter)
    const appends = this.output.appendCode(code)
    const text = `
      const C = delta.columns, W = delta.weights, O = delta.ops, rows = delta.rows
      ${code.setup.join('\n')}
      let i = from
      try {
        for (; i < rows; i++) {
          ${code.body()}
          output.select(i, W[i], O[i])
          ${appends}
        }
        return rows
      } catch (error) {
        X.errors.row(error, delta, i)
        return i + 1
      }`
    const names = {
      R: scalars,
      K: { constants, types: input.fields.map((field) => field.type) },
      X: this,
      output: this.output,
      ...loaders,
      ...Object.fromEntries(this.output.builders.map((builder, n) => [`b${n}`, builder])),
    }
    return generate(names, text, 'delta, from') as MapLoop
  }

  flush(): void {
    // Everything was passed on at once.
  }
  clear(): void {
    // Without state nobody knows what came through; Execution.truncateNeedsRows says so.
  }
  saveDelta(): void {
    // No state.
  }
  saveFull(): void {
    // No state.
  }
  load(): void {
    // No state.
  }
}
