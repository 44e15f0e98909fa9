/** list: offsets + a child column. */
import { Validity, type ColumnBuilder } from './validity.ts'
import type { Column } from './column.ts'

export class ListBuilder<Child extends ColumnBuilder = ColumnBuilder> implements ColumnBuilder {
  length = 0
  readonly child: Child
  #offsets = new Int32Array(257)
  #validity = new Validity()

  constructor(child: Child) {
    this.child = child
  }
  get byteLength(): number {
    return this.length * 4 + this.child.byteLength
  }
  /** Ends the list whose elements were appended to `child` since the last end. */
  endList(): void {
    if (this.length + 1 === this.#offsets.length) {
      const grown = new Int32Array(this.#offsets.length * 2)
      grown.set(this.#offsets)
      this.#offsets = grown
    }
    this.#offsets[++this.length] = this.child.length
  }
  appendNull(): void {
    this.#validity.setNull(this.length)
    this.endList()
  }
  finish(): Column {
    const { length } = this
    const offsets = this.#offsets.slice(0, length + 1)
    const validity = this.#validity.take(length)
    this.length = 0
    return { encoding: 'list', length, validity, offsets, child: this.child.finish() }
  }
}
