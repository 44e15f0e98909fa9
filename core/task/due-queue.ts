/** DueQueue: things by the time at which they are due, earliest first; a binary heap. */
export class DueQueue<T> {
  readonly #heap: { readonly dueMs: number; readonly item: T }[] = []

  get nextMs(): number {
    return this.#heap[0]?.dueMs ?? Infinity
  }

  get size(): number {
    return this.#heap.length
  }

  add(dueMs: number, item: T): void {
    const heap = this.#heap
    const entry = { dueMs, item }
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.dueMs <= dueMs) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  /** The earliest, when it is due by `nowMs`; else null. */
  take(nowMs: number): T | null {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.dueMs > nowMs) return null
    const last = heap.pop()!
    if (heap.length > 0) this.#sink(last)
    return first.item
  }

  #sink(entry: { readonly dueMs: number; readonly item: T }): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= heap.length) break
      const right = left + 1
      const child = right < heap.length && heap[right]!.dueMs < heap[left]!.dueMs ? right : left
      if (heap[child]!.dueMs >= entry.dueMs) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = entry
  }
}
