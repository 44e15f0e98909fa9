/**
 * What every operator is: it takes deltas (rows with weights) on numbered inputs, may pass them on at
 * once or keep them until the end of the step, and owns its state. docs/decisions/0004 explains how
 * joins, windows and TopN fit in.
 */
import type { Column } from '../../record/column.ts'
import type { Code } from '../../errors/codes.ts'
import type { StateReader } from '../state/reader.ts'
import type { StateWriter } from '../state/writer.ts'

/** Rows with weights between two operators. */
export interface Delta {
  readonly rows: number
  readonly columns: readonly Column[]
  /** ±1. */
  readonly weights: Int32Array
  /** Values of `Op`. */
  readonly ops: Uint8Array
  readonly timesUs: Float64Array
  /** Where the rows came from; null behind operators that combine rows. */
  readonly origin: Origin | null
}

export interface Origin {
  readonly topic: string
  /** Ordinal of the push in this step. */
  readonly push: number
  /** Per row its index in the pushed batch; null when row i is row i. */
  readonly rows: Int32Array | null
}

/** Where an operator sends its output: one input of the next. */
export interface Port {
  readonly operator: Operator
  readonly input: number
}

export interface Operator {
  /** Rows of one input. Nothing may be kept of the delta but its (immutable) columns. */
  push(input: number, delta: Delta): void
  /** End of the step, called once each in topological order: sends what the step changed. */
  flush(): void
  /** All rows that came in are gone at once: what came of them is taken back at the end of the step. */
  clear(): void
  /** What changed since the last call, and everything. Both empty for operators without state. */
  saveDelta(writer: StateWriter): void
  saveFull(writer: StateWriter): void
  /** Applies what either of them wrote, in order, to a fresh operator. */
  load(reader: StateReader): void
  readonly stateBytes: number
}

/** A row that could not be computed, or an input that broke its promise. */
export interface RowError {
  /** null when no single input row is to blame, as in an expression over aggregates. */
  readonly topic: string | null
  /** Ordinal of the `push` since the last step; −1 when there is no topic. */
  readonly push: number
  /** Row in that batch; −1 when there is no topic. */
  readonly row: number
  readonly code: Code
  readonly message: string
}
