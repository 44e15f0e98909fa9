/** RowInto: where one row is read to, and what was found beside its values. Used again for every row. */
import type { AnyBuilder } from '../../../core/record/builder.ts'

export class RowInto {
  /** One a column of the shape. */
  builders: readonly AnyBuilder[] = []
  /** Per column of the shape: 1 = its value was left out as unchanged, and is null. */
  unchanged: Uint8Array = new Uint8Array(64)
  hasUnchanged = false
  /** Of unwrapped rows: the letter of the operation; 0 = it does not say. */
  op = 0
  deleted = false
  /** Commit time in the source, µs since 1970; NaN = it does not say. */
  timeUs = NaN

  begin(builders: readonly AnyBuilder[]): void {
    this.builders = builders
    if (this.unchanged.length < builders.length)
      this.unchanged = new Uint8Array(builders.length * 2)
    else if (this.hasUnchanged) this.unchanged.fill(0)
    this.hasUnchanged = false
    this.op = 0
    this.deleted = false
    this.timeUs = NaN
  }

  leaveOut(column: number): void {
    this.unchanged[column] = 1
    this.hasUnchanged = true
    this.builders[column]!.appendNull()
  }
}
