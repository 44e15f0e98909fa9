/** Collects rows of known fields into the columns of a delta. */
import { builderFor, type AnyBuilder } from '../../record/builder.ts'
import type { Column } from '../../record/column.ts'
import type { PlanField } from '../plan/plan.ts'
import type { Scalar } from '../scalar/functions.ts'
import { appendValue } from './columns.ts'
import type { Delta, Origin } from './operator.ts'
import { grownDoubles } from './slot-table.ts'

export class BatchWriter {
  readonly #fields: readonly PlanField[]
  readonly builders: readonly AnyBuilder[]
  rows = 0
  weights = new Int32Array(256)
  ops = new Uint8Array(256)
  timesUs = new Float64Array(256)

  constructor(fields: readonly PlanField[]) {
    this.#fields = fields
    this.builders = fields.map((field) => builderFor(field.type))
  }

  /** Appends a value to one column. */
  put(column: number, value: Scalar): void {
    appendValue(this.builders[column]!, this.#fields[column]!.type, value)
  }

  /** Ends a row whose values were put. */
  end(weight: number, op: number, timeUs: number): void {
    if (this.rows === this.weights.length) this.#grow()
    this.weights[this.rows] = weight
    this.ops[this.rows] = op
    this.timesUs[this.rows++] = timeUs
  }

  columns(): readonly Column[] {
    return this.builders.map((builder) => builder.finish())
  }

  /** Hands over all rows and starts anew. */
  finish(origin: Origin | null): Delta {
    const { rows } = this
    this.rows = 0
    return {
      rows,
      columns: this.columns(),
      weights: this.weights.slice(0, rows),
      ops: this.ops.slice(0, rows),
      timesUs: this.timesUs.slice(0, rows),
      origin,
    }
  }

  #grow(): void {
    const weights = new Int32Array(this.rows * 2)
    weights.set(this.weights)
    const ops = new Uint8Array(this.rows * 2)
    ops.set(this.ops)
    this.weights = weights
    this.ops = ops
    this.timesUs = grownDoubles(this.timesUs, this.rows * 2)
  }
}
