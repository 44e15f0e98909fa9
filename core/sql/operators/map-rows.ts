/**
 * The output side of a map: which input rows go on, and the columns that are computed. Columns that
 * are only passed on are shared with the input, or picked from it, and never read row by row. A cast
 * that changes only the type's name sits on the column itself (plan/casts.ts); where the two types
 * have different encodings it is computed like any other value.
 */
import type { Column } from '../../record/column.ts'
import { builderFor, type AnyBuilder } from '../../record/builder.ts'
import { selectColumn } from '../../record/column-ops.ts'
import { Op } from '../../record/batch.ts'
import type { Expr } from '../plan/expr.ts'
import type { PlanField } from '../plan/plan.ts'
import { sharesEncodings } from '../plan/types.ts'
import { appendValue } from './columns.ts'
import type { Delta, Origin } from './operator.ts'
import type { RowCode } from './row-code.ts'
import type { Scalar } from '../scalar/functions.ts'

export class MapRows {
  readonly #exprs: readonly Expr[]
  readonly #fields: readonly PlanField[]
  /** Per output column the builder; null where the input's column goes on. */
  readonly builders: readonly (AnyBuilder | null)[]
  #rows = new Int32Array(1024)
  #weights = new Int32Array(1024)
  #ops = new Uint8Array(1024)
  count = 0

  constructor(exprs: readonly Expr[], fields: readonly PlanField[], input: readonly PlanField[]) {
    this.#exprs = exprs
    this.#fields = fields
    this.builders = exprs.map((expr, i) =>
      passesOn(expr, fields[i]!, input) ? null : builderFor(fields[i]!.type),
    )
  }

  /** Whether no column is computed. */
  get passesAll(): boolean {
    return this.builders.every((builder) => builder === null)
  }

  /** Input row `row` goes on; its computed values are appended by the caller. */
  select(row: number, weight: number, op: number): void {
    const { count } = this
    if (count === this.#rows.length) this.#grow()
    this.#rows[count] = row
    this.#weights[count] = weight
    this.#ops[count] = op
    this.count = count + 1
  }

  /** A row of which only the columns that are passed on are sure. */
  selectKey(row: number, op: number): void {
    this.select(row, -1, op)
    for (const builder of this.builders) builder?.appendNull()
  }

  put(column: number, value: Scalar): void {
    appendValue(this.builders[column]!, this.#fields[column]!.type, value)
  }

  /** Code that computes all values of row `i` first and then appends them. */
  appendCode(code: RowCode): string {
    const appends: string[] = []
    this.#exprs.forEach((expr, column) => {
      if (this.builders[column] === null) return
      const { isNull, value } = code.expr(expr)
      const append = appendCode(this.#fields[column]!, column, value)
      appends.push(
        isNull === 'false' ? append : `if (${isNull}) b${column}.appendNull(); else { ${append} }`,
      )
    })
    return appends.join('\n')
  }

  /** The selected rows of the delta, and starts anew. */
  finish(delta: Delta): Delta {
    const { count } = this
    this.count = 0
    const all = count === delta.rows
    const rows = this.#rows.slice(0, count)
    const columns = this.#exprs.map((expr, i): Column => {
      const builder = this.builders[i]!
      if (builder !== null) return builder.finish()
      const column = delta.columns[(expr as Expr & { op: 'column' }).index]!
      return all ? column : selectColumn(column, rows)
    })
    const timesUs = all ? delta.timesUs : Float64Array.from(rows, (row) => delta.timesUs[row]!)
    return {
      rows: count,
      columns,
      weights: this.#weights.slice(0, count),
      ops: this.#ops.slice(0, count),
      timesUs,
      origin: all ? delta.origin : selectOrigin(delta.origin, rows),
    }
  }

  /**
   * An update is a −1 row with its +1 row right behind it. Where the filter let only one of them
   * through, it is a delete or an insert.
   */
  pairUpdates(): void {
    for (let k = 0; k < this.count; k++) {
      if (this.#ops[k] !== Op.update) continue
      const paired =
        this.#weights[k]! < 0 &&
        k + 1 < this.count &&
        this.#rows[k + 1] === this.#rows[k]! + 1 &&
        this.#weights[k + 1]! > 0 &&
        this.#ops[k + 1] === Op.update
      if (paired) k++
      else this.#ops[k] = this.#weights[k]! < 0 ? Op.delete : Op.insert
    }
  }

  #grow(): void {
    const size = this.#rows.length * 2
    const rows = new Int32Array(size)
    rows.set(this.#rows)
    const weights = new Int32Array(size)
    weights.set(this.#weights)
    const ops = new Uint8Array(size)
    ops.set(this.#ops)
    this.#rows = rows
    this.#weights = weights
    this.#ops = ops
  }
}

function passesOn(expr: Expr, field: PlanField, input: readonly PlanField[]): boolean {
  return expr.op === 'column' && sharesEncodings(input[expr.index]!.type, field.type)
}

function selectOrigin(origin: Origin | null, rows: Int32Array): Origin | null {
  if (origin === null) return null
  const before = origin.rows
  return { ...origin, rows: before === null ? rows : Int32Array.from(rows, (row) => before[row]!) }
}

/** Kinds whose values go into their builder without conversion. */
function appendCode({ type }: PlanField, column: number, value: string): string {
  switch (type.kind) {
    case 'bool':
      return `b${column}.append(${value} ? 1 : 0);`
    case 'int16':
    case 'int32':
    case 'date':
    case 'time':
    case 'float32':
    case 'float64':
      return `b${column}.append(${value});`
    case 'int64':
    case 'uint64':
    case 'timestamp':
    case 'timestamptz':
      return `if (typeof ${value} === 'number') b${column}.append(${value}); else b${column}.appendBigInt(${value});`
    case 'text':
    case 'json':
    case 'other':
      return `b${column}.appendString(${value});`
    default:
      return `X.output.put(${column}, ${value});`
  }
}
