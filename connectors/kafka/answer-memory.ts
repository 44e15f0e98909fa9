/**
 * The memory of one answer, given back when the last of its partitions is decoded. Left to V8, it would count as
 * garbage outside the heap, and some ten megabytes of that make it mark the whole heap.
 */
export class AnswerMemory {
  readonly #bytes: Transferable
  #users: number

  /** `bytes`: nobody else's. It is free when `release` was called by each of `users`. */
  constructor(bytes: ArrayBufferLike, users: number) {
    this.#bytes = bytes as Transferable
    this.#users = users
  }

  /** What lies in it is not looked at any more: views of it are empty when all have said so. */
  release(): void {
    if (--this.#users === 0) this.#bytes.transfer(0)
  }
}

/** ES2024, which Node has had since 21. */
type Transferable = ArrayBuffer & { transfer(bytes: number): ArrayBuffer }
