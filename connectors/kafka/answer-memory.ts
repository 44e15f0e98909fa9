/** The memory of one answer, given back when the last of its partitions is decoded. */
export class AnswerMemory {
  readonly #bytes: ArrayBuffer
  readonly #reuse: (bytes: ArrayBuffer) => void
  #users: number

  /** `bytes` are nobody else's; `reuse` gets them when `release` was called by each of `users`. */
  constructor(bytes: ArrayBuffer, users: number, reuse: (bytes: ArrayBuffer) => void) {
    this.#bytes = bytes
    this.#reuse = reuse
    this.#users = users
  }

  /** What lies in it is not looked at any more: views of it are empty when all have said so. */
  release(): void {
    if (--this.#users === 0) this.#reuse(this.#bytes)
  }
}
