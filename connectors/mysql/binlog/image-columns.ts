/** Which columns of a table an image has (binlog_row_image), in the order in which their values come. */
export class ImageColumns {
  /** The columns present, the first `count` of them. */
  readonly columns: Int32Array
  count = 0
  /** The columns absent, the first `absentCount` of them. */
  readonly absent: Int32Array
  absentCount = 0
  /** Present bits of the last `set`: most events of a stream have the same. */
  readonly #bits: Uint8Array
  #isSet = false

  constructor(columns: number) {
    this.columns = new Int32Array(columns)
    this.absent = new Int32Array(columns)
    this.#bits = new Uint8Array((columns + 7) >> 3)
  }

  /** The present bits begin at `at`. */
  set(source: Uint8Array, at: number): void {
    const bits = this.#bits
    let same = this.#isSet
    for (let i = 0; i < bits.length; i++) {
      if (bits[i] === source[at + i]) continue
      bits[i] = source[at + i]!
      same = false
    }
    if (same) return
    this.#isSet = true
    this.count = 0
    this.absentCount = 0
    for (let i = 0; i < this.columns.length; i++) {
      if ((bits[i >> 3]! & (1 << (i & 7))) !== 0) this.columns[this.count++] = i
      else this.absent[this.absentCount++] = i
    }
  }

  has(column: number): boolean {
    return (this.#bits[column >> 3]! & (1 << (column & 7))) !== 0
  }
}
