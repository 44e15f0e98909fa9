/**
 * list: offsets + a child column, or the source's exact texts where the batch holds a value that a
 * list cannot say (several dimensions, a lower bound other than 1). Which of the two it will be is
 * known only at the end, so a source that has such values keeps its texts beside with `keepText`.
 */
import { BytesBuilder } from './bytes-builder.ts'
import { Validity, type ColumnBuilder } from './validity.ts'
import type { Column } from './column.ts'

export class ListBuilder<Child extends ColumnBuilder = ColumnBuilder> implements ColumnBuilder {
  length = 0
  readonly child: Child
  #offsets = new Int32Array(257)
  #validity = new Validity()
  #texts: BytesBuilder | null = null
  /** The row whose value made the column exact; −1 = none did. */
  #exactFrom = -1

  constructor(child: Child) {
    this.child = child
  }
  get byteLength(): number {
    return this.length * 4 + this.child.byteLength + (this.#texts?.byteLength ?? 0)
  }
  /** Whether the column of this batch will be exact texts; elements need not be appended any more. */
  get exact(): boolean {
    return this.#exactFrom >= 0
  }
  /** The exact text of the list about to be ended; either for every value of a builder or for none. */
  keepText(source: Uint8Array, start: number, end: number): void {
    this.#textsSoFar().append(source, start, end)
  }
  /** Turns the column of this batch into exact texts; needs `keepText`. */
  makeExact(): void {
    if (this.#texts === null) throw new TypeError('a list column without texts cannot be exact')
    if (this.#exactFrom < 0) this.#exactFrom = this.length
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
    this.#texts?.appendNull()
    this.endList()
  }
  isNullAt(row: number): boolean {
    return this.#validity.isNull(row)
  }
  rewind(length: number): void {
    this.#validity.rewind(length, this.length)
    this.length = length
    this.child.rewind(this.#offsets[length]!)
    if (this.#texts !== null && this.#texts.length > length) this.#texts.rewind(length)
    if (this.#exactFrom >= length) this.#exactFrom = -1
  }
  finish(): Column {
    const { length } = this
    const offsets = this.#offsets.slice(0, length + 1)
    const validity = this.#validity.take(length)
    const texts = this.#texts
    const exact = this.exact
    this.length = 0
    this.#texts = null
    this.#exactFrom = -1
    const child = this.child.finish()
    if (texts !== null && exact) return texts.finish()
    return { encoding: 'list', length, validity, offsets, child }
  }

  #textsSoFar(): BytesBuilder {
    if (this.#texts === null) {
      this.#texts = new BytesBuilder()
      // Rows before the first text were null: they came in through `appendNull`.
      for (let row = 0; row < this.length; row++) this.#texts.appendNull()
    }
    return this.#texts
  }
}
