/** Collects the rows that failed in a step. */
import { SluiceError } from '../../errors/error.ts'
import type { Delta, RowError } from './operator.ts'

export class RowErrors {
  #errors: RowError[] = []

  /**
   * A row of a delta failed. Anything but a row's own failure is thrown on. A `-1` row fails where its
   * `+1` failed, which was reported then.
   */
  row(thrown: unknown, delta: Delta, row: number): void {
    const error = rowFailure(thrown)
    if (delta.weights[row]! < 0) return
    const { origin } = delta
    this.#errors.push({
      topic: origin?.topic ?? null,
      push: origin?.push ?? -1,
      row: origin === null ? -1 : (origin.rows?.[row] ?? row),
      code: error.code,
      message: error.message,
    })
  }

  /** A result over many rows failed. */
  result(thrown: unknown): void {
    const { code, message } = rowFailure(thrown)
    this.#errors.push({ topic: null, push: -1, row: -1, code, message })
  }

  /** An input took back more than it gave. */
  impossible(message: string): void {
    this.#errors.push({
      topic: null,
      push: -1,
      row: -1,
      code: 'sql.impossible_retraction',
      message,
    })
  }

  take(): readonly RowError[] {
    const errors = this.#errors
    this.#errors = []
    return errors
  }
}

/** The error when it is a row's own; every other is a bug and is thrown. */
export function rowFailure(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError && thrown.fault === 'row') return thrown
  throw thrown
}
