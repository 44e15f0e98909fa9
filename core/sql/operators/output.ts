/**
 * The end of a plan: deltas become batches of the output schema. An update that changed nothing is
 * dropped; on an upsert output the −1 of an update is dropped as well, because its +1 replaces it; on
 * a retract output no row is both given and taken back in one step.
 */
import { makeBatch, Op, type Batch } from '../../record/batch.ts'
import type { Column } from '../../record/column.ts'
import { selectColumn } from '../../record/column-ops.ts'
import type { Schema } from '../../record/schema.ts'
import { consolidate, sameInColumn } from './consolidate.ts'
import type { Delta, Operator } from './operator.ts'

export class Output implements Operator {
  readonly stateBytes = 0
  readonly #schema: Schema
  #batches: Batch[] = []

  constructor(schema: Schema) {
    this.#schema = schema
  }

  push(_input: number, delta: Delta): void {
    const rows = this.#schema.changelog === 'append' ? null : this.#kept(delta)
    if (rows === null) {
      if (delta.rows > 0) this.#add(delta.columns, delta.weights, delta.ops, delta.timesUs)
      return
    }
    if (rows.length === 0) return
    this.#add(
      delta.columns.map((column) => selectColumn(column, rows)),
      Int32Array.from(rows, (row) => delta.weights[row]!),
      Uint8Array.from(rows, (row) => delta.ops[row]!),
      Float64Array.from(rows, (row) => delta.timesUs[row]!),
    )
  }

  /** The batches since the last call, in order. */
  take(): readonly Batch[] {
    const batches = this.#batches
    this.#batches = []
    return this.#schema.changelog === 'retract' ? consolidate(batches) : batches
  }

  #add(
    columns: readonly Column[],
    weights: Int32Array,
    ops: Uint8Array,
    timesUs: Float64Array,
  ): void {
    this.#batches.push(makeBatch(this.#schema, columns, weights, ops, timesUs))
  }

  /** Rows that stay; null when all do. */
  #kept(delta: Delta): Int32Array | null {
    const { rows, weights, ops, columns } = delta
    const upsert = this.#schema.changelog === 'upsert'
    const kept = new Int32Array(rows)
    let count = 0
    for (let row = 0; row < rows; row++) {
      const pair =
        weights[row]! < 0 &&
        ops[row] === Op.update &&
        row + 1 < rows &&
        weights[row + 1]! > 0 &&
        ops[row + 1] === Op.update
      if (pair && this.#isPair(columns, row)) {
        if (columns.some((column, i) => !this.#same(i, column, row))) {
          if (!upsert) kept[count++] = row
          kept[count++] = row + 1
        }
        row++
      } else kept[count++] = row
    }
    return count === rows ? null : kept.slice(0, count)
  }

  /** Whether the old and new row have the same key; without a key neighbours are a pair. */
  #isPair(columns: readonly Column[], row: number): boolean {
    return this.#schema.key.every((index) => this.#same(index, columns[index]!, row))
  }

  /** Whether the value in `row` and in the next are the same. */
  #same(field: number, column: Column, row: number): boolean {
    return sameInColumn(this.#schema.fields[field]!.type, column, row, row + 1)
  }

  flush(): void {
    // Batches wait for `take`.
  }
  clear(): void {
    // Rows that were given out are taken back by the operators before.
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
